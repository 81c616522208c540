/**
 * The `space` section: parameters in the order in which they are asked for.
 *
 *   dropout:       { low: 0.01, high: 0.40, step: 0.01 }
 *   learning_rate: { low: 5.0e-6, high: 5.0e-3, log: true }
 *   window:        { low: 16, high: 256, step: 8, int: true }
 *   version:       { choices: [probabilist, physicist] }
 */
import {
  loweredHighWarning,
  makeCategorical,
  makeFloat,
  makeInt,
  ParameterError,
} from '../../shared/core/space/make-parameter.js';
import type { NumericParameter, Parameter, ParameterValue } from '../../shared/core/space/parameter.js';
import { studyFileLimits } from './limits.js';
import { readList, readMap, readNumber, readValue, type Located } from './map-reader.js';
import type { MapReader, NumberBounds, ReadContext } from './map-reader.js';
import { isUsableName, nameRule } from './names.js';

/** A parameter with the place of its definition in the file. */
export interface LocatedParameter {
  readonly parameter: Parameter;
  readonly value: Located;
}

export interface LocatedSpace {
  /** The parameters that could be read, by name, in the order of the file. */
  readonly parameters: ReadonlyMap<string, LocatedParameter>;
  /** All names of the section, also of parameters that are wrong. */
  readonly names: ReadonlySet<string>;
}

/** The parameters of the study. */
export function readSpace(context: ReadContext, root: MapReader): LocatedSpace {
  const parameters = new Map<string, LocatedParameter>();
  const section = root.require('space', 'a map from parameter to its range or choices');
  const map = section === null ? null : readMap(context, section);
  const names = map?.keys() ?? [];
  const space = { parameters, names: new Set(names) };
  if (map === null) return space;
  if (names.length === 0) context.problems.add(map.place, 'has no parameters; a study searches at least one');
  if (names.length > studyFileLimits.parametersMax) {
    const most = studyFileLimits.parametersMax;
    context.problems.add(map.place, `has ${names.length} parameters, at most ${most} are allowed`);
    return space;
  }
  for (const name of names) {
    const value = map.find(name);
    if (value === null) continue;
    if (!isUsableName(name)) context.problems.add(value.place, `the name is not ${nameRule.wanted}`);
    const parameter = readParameter(context, name, value);
    if (parameter !== null) parameters.set(name, { parameter, value });
  }
  return space;
}

const shapes = 'expected { choices: [...] } or { low, high } with step, log or int if wanted';

function readParameter(context: ReadContext, name: string, value: Located): Parameter | null {
  const map = readMap(context, value);
  if (map === null) return null;
  const choices = map.find('choices');
  if (choices !== null) {
    const parameter = readCategorical(context, name, choices);
    map.finish((key) => (isRangeKey(key) ? "has no place beside 'choices'; keep one of the two" : null));
    return parameter;
  }
  if (!map.has('low') && !map.has('high')) {
    context.problems.add(value.place, `has neither choices nor a range; ${shapes}`);
    for (const key of ['low', 'high', 'step', 'log', 'int']) map.find(key);
    map.finish();
    return null;
  }
  return readNumeric(context, name, map);
}

const isRangeKey = (key: string): boolean => ['low', 'high', 'step', 'log', 'int'].includes(key);

function readCategorical(context: ReadContext, name: string, value: Located): Parameter | null {
  const items = readList(context, value, studyFileLimits.choicesMax);
  if (items === null) return null;
  if (items.length === 0) {
    context.problems.add(value.place, 'has no entries; give at least one choice');
    return null;
  }
  const choices: ParameterValue[] = [];
  const seen = new Map<ParameterValue, ParameterValue>();
  for (const item of items) {
    const choice = readValue(context, item);
    if (choice === undefined) continue;
    // Truth values count as 0 and 1 (tpe.md §3); a map compares the rest as choicesEqual does.
    const key = typeof choice === 'boolean' ? Number(choice) : choice;
    const equal = seen.get(key);
    if (equal !== undefined) context.problems.add(item.place, doubleChoice(choice, equal));
    seen.set(key, choice);
    choices.push(choice);
  }
  return choices.length === items.length ? makeCategorical(name, choices) : null;
}

function doubleChoice(choice: ParameterValue, equal: ParameterValue): string {
  return Object.is(choice, equal)
    ? `${JSON.stringify(choice)} is listed twice; remove one`
    : `${JSON.stringify(choice)} counts as equal to ${JSON.stringify(equal)}; write one of them as a text`;
}

function readNumeric(context: ReadContext, name: string, map: MapReader): NumericParameter | null {
  const isInt = map.boolean('int', false);
  const log = map.boolean('log', false);
  const bounds: NumberBounds = isInt ? { whole: true } : {};
  const numberAt = (key: string, value: Located | null, wanted: NumberBounds): Bound | null => {
    if (value === null) return null;
    const number = readNumber(context, value, wanted);
    return number === null ? null : { key, number, value };
  };
  const low = numberAt('low', map.require('low', 'the smallest value'), bounds);
  const high = numberAt('high', map.require('high', 'the largest value'), bounds);
  const stepBounds = isInt ? { whole: true, low: 1 } : { low: 0, lowExclusive: true };
  const stepValue = map.find('step');
  const step = numberAt('step', stepValue, stepBounds);
  map.finish();
  if (low === null || high === null || (stepValue !== null && step === null)) return null;
  if (!rangeFits(context, { low, high, step, log, isInt })) return null;
  const spec = { name, low: low.number, high: high.number, log, step: step?.number ?? null };
  try {
    const parameter = isInt ? makeInt(spec) : makeFloat(spec);
    if (loweredHighWarning(parameter, high.number) !== null)
      context.problems.notice(
        high.value.place,
        `${high.number} is not a whole number of steps above ${low.number}; ${parameter.high} is used`,
      );
    return parameter;
  } catch (error) {
    // What the checks above leave to the constructor, such as a range wider than a double.
    if (!(error instanceof ParameterError)) throw error;
    context.problems.add(map.place, error.message);
    return null;
  }
}

interface Bound {
  readonly key: string;
  readonly number: number;
  readonly value: Located;
}

interface Range {
  readonly low: Bound;
  readonly high: Bound;
  readonly step: Bound | null;
  readonly log: boolean;
  readonly isInt: boolean;
}

/** The rules between the fields of a range (tpe.md §3). */
function rangeFits(context: ReadContext, { low, high, step, log, isInt }: Range): boolean {
  const problems: [Bound, string][] = [];
  if (low.number > high.number)
    problems.push([low, `is ${low.number}, above high ${high.number}; low must not exceed high`]);
  if (log && isInt && low.number < 1)
    problems.push([low, `is ${low.number}, expected at least 1 with log: true and int: true`]);
  if (log && !isInt && low.number <= 0)
    problems.push([low, `is ${low.number}, expected a number above 0 with log: true`]);
  if (log && step !== null && !(isInt && step.number === 1))
    problems.push([step, 'cannot be given with log: true; remove one of the two']);
  for (const [{ value }, message] of problems) context.problems.add(value.place, message);
  return problems.length === 0;
}
