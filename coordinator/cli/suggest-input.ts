/**
 * Reads the JSON of `coordinator suggest`: a search space, sampler settings, a history and seeds. Unknown input is
 * parsed here, once; every mistake is an error that names its place, such as `trials[3].values`.
 */
import type {
  Direction,
  FinishedTrial,
  Report,
  RunningTrial,
  TpeRules,
  TpeSettings,
} from '../../shared/core/sampler/sampler.js';
import {
  makeCategorical,
  makeFloat,
  makeInt,
  makeSpace,
  ParameterError,
  parameterProblem,
} from '../../shared/core/space/make-parameter.js';
import type { Parameter, Params, ParameterValue, Space } from '../../shared/core/space/parameter.js';

/** A mistake in the input; the message starts with its place. */
export class SuggestInputError extends Error {
  override readonly name = 'SuggestInputError';

  constructor(place: string, problem: string) {
    super(place === '' ? problem : `${place}: ${problem}`);
  }
}

/** What `coordinator suggest` was asked. */
export interface SuggestInput {
  readonly space: Space;
  readonly directions: readonly Direction[];
  readonly settings: TpeSettings;
  readonly finished: readonly FinishedTrial[];
  readonly running: readonly RunningTrial[];
  readonly fixed: Params;
  /** Number of the trial to suggest for: that of the next one. */
  readonly number: number;
  readonly seeds: readonly number[];
}

type JsonObject = Readonly<Record<string, unknown>>;

const trialStates = ['COMPLETE', 'PRUNED', 'RUNNING', 'FAIL', 'WAITING', 'CANCELLED'] as const;
const trialKeys = ['params', 'state', 'values', 'reports', 'constraints', 'space', 'number'];
const topKeys = [
  'space',
  'directions',
  'rules',
  'n_startup_trials',
  'n_ei_candidates',
  'multivariate',
  'constant_liar',
  'group',
  'trials',
  'fixed',
  'seeds',
];

/** A value as it appears in a message, shortened. */
function show(value: unknown): string {
  const text = value === undefined ? 'nothing' : JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function asObject(value: unknown, place: string, keys: readonly string[] | null): JsonObject {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SuggestInputError(place, `${show(value)} must be an object`);
  }
  const object: JsonObject = { ...value };
  const unknown = Object.keys(object).find((key) => keys !== null && !keys.includes(key));
  if (unknown !== undefined && keys !== null) {
    throw new SuggestInputError(place, `unknown key ${show(unknown)}; the keys are ${keys.join(', ')}`);
  }
  return object;
}

function asArray(value: unknown, place: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new SuggestInputError(place, `${show(value)} must be a list`);
  return value;
}

function asBoolean(value: unknown, place: string, missing: boolean): boolean {
  if (value === undefined) return missing;
  if (typeof value !== 'boolean') throw new SuggestInputError(place, `${show(value)} must be true or false`);
  return value;
}

function asInteger(value: unknown, place: string, low: number, high: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) return value;
  throw new SuggestInputError(place, `${show(value)} must be an integer from ${low} to ${high}`);
}

function asOneOf<T extends string>(value: unknown, place: string, words: readonly T[]): T {
  const word = words.find((candidate) => candidate === value);
  if (word !== undefined) return word;
  throw new SuggestInputError(place, `${show(value)} must be one of ${words.join(', ')}`);
}

const spelledNumbers = new Map<unknown, number>([
  [null, NaN],
  ['NaN', NaN],
  ['Infinity', Infinity],
  ['-Infinity', -Infinity],
]);

/** A number that may be NaN (null or "NaN") or infinite. */
function asAnyNumber(value: unknown, place: string): number {
  const number = typeof value === 'number' ? value : spelledNumbers.get(value);
  if (number !== undefined) return number;
  throw new SuggestInputError(
    place,
    `${show(value)} must be a number, null (for NaN), "NaN", "Infinity" or "-Infinity"`,
  );
}

function asFinite(value: unknown, place: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new SuggestInputError(place, `${show(value)} must be a finite number`);
}

function asValue(value: unknown, place: string): ParameterValue {
  if (value === null || ['number', 'string', 'boolean'].includes(typeof value)) {
    return value as ParameterValue; // The line above is the check that the compiler cannot follow.
  }
  throw new SuggestInputError(place, `${show(value)} must be a number, a string, true, false or null`);
}

function parseParameter(entry: unknown, place: string): Parameter {
  const given = asObject(entry, place, ['name', 'choices', 'low', 'high', 'step', 'log', 'int']);
  const { name } = given;
  if (typeof name !== 'string' || name === '') {
    throw new SuggestInputError(`${place}.name`, `${show(name)} must be a non-empty string`);
  }
  try {
    if (given['choices'] !== undefined) {
      if (Object.keys(given).length > 2) {
        throw new SuggestInputError(place, 'a parameter with choices has only name and choices');
      }
      const choices = asArray(given['choices'], `${place}.choices`);
      return makeCategorical(
        name,
        choices.map((choice, i) => asValue(choice, `${place}.choices[${i}]`)),
      );
    }
    const spec = {
      name,
      low: asFinite(given['low'], `${place}.low`),
      high: asFinite(given['high'], `${place}.high`),
      log: asBoolean(given['log'], `${place}.log`, false),
      step: (given['step'] ?? null) === null ? null : asFinite(given['step'], `${place}.step`),
    };
    return asBoolean(given['int'], `${place}.int`, false) ? makeInt(spec) : makeFloat(spec);
  } catch (error) {
    if (error instanceof ParameterError) throw new SuggestInputError(place, error.message);
    throw error;
  }
}

function parseSpace(value: unknown, place: string): Space {
  const parameters = asArray(value, place).map((entry, i) => parseParameter(entry, `${place}[${i}]`));
  try {
    return makeSpace(parameters);
  } catch (error) {
    if (error instanceof ParameterError) throw new SuggestInputError(place, error.message);
    throw error;
  }
}

function checkedValue(parameter: Parameter, value: unknown, place: string): ParameterValue {
  const checked = asValue(value, place);
  const problem = parameterProblem(parameter, checked);
  if (problem !== null) throw new SuggestInputError(place, problem);
  return checked;
}

/** In a list, null stands for a parameter that the trial does not have, unless null is one of its choices. */
function isAbsent(parameter: Parameter, value: unknown): boolean {
  return value === null && !(parameter.kind === 'categorical' && parameter.choices.includes(null));
}

/** Values as a list in space order, or by name (where parameters may be missing). */
function parseParams(value: unknown, space: Space, place: string): Params {
  if (Array.isArray(value)) {
    if (value.length !== space.length) {
      throw new SuggestInputError(
        place,
        `${value.length} values, but the space has ${space.length} parameters`,
      );
    }
    const entries = space.map((parameter, i): [Parameter, unknown] => [parameter, value[i]]);
    return Object.fromEntries(
      entries
        .filter(([parameter, given]) => !isAbsent(parameter, given))
        .map(([parameter, given]) => [
          parameter.name,
          checkedValue(parameter, given, `${place} (${parameter.name})`),
        ]),
    );
  }
  const byName = new Map(space.map((parameter) => [parameter.name, parameter]));
  return Object.fromEntries(
    Object.entries(asObject(value, place, null)).map(([name, given]) => {
      const parameter = byName.get(name);
      if (parameter === undefined) {
        throw new SuggestInputError(
          place,
          `${show(name)} is not in the space; its names are ${[...byName.keys()].join(', ')}`,
        );
      }
      return [name, checkedValue(parameter, given, `${place}.${name}`)];
    }),
  );
}

function parseValues(value: unknown, objectives: number, place: string): number[] {
  const values = asArray(value, place).map((entry, i) => asAnyNumber(entry, `${place}[${i}]`));
  if (values.length !== objectives) {
    throw new SuggestInputError(place, `${values.length} values, but there are ${objectives} directions`);
  }
  const nan = values.findIndex((entry) => Number.isNaN(entry));
  if (nan >= 0) {
    throw new SuggestInputError(
      `${place}[${nan}]`,
      'a COMPLETE trial cannot have NaN as a value; such a trial is FAIL',
    );
  }
  return values;
}

/** The report with the largest step; of two at one step, the later one. */
function parseLastReport(value: unknown, place: string): Report | null {
  let last: Report | null = null;
  asArray(value ?? [], place).forEach((entry, i) => {
    const at = `${place}[${i}]`;
    const pair = asArray(entry, at);
    if (pair.length !== 2) throw new SuggestInputError(at, `${show(entry)} must be [step, value]`);
    const step = asInteger(pair[0], `${at}[0]`, 0, Number.MAX_SAFE_INTEGER);
    const report = { step, value: asAnyNumber(pair[1], `${at}[1]`) };
    if (last === null || report.step >= last.step) last = report;
  });
  return last;
}

/** A trial as the sampler takes it; null when it does not look at trials in this state. */
function parseTrial(
  entry: unknown,
  number: number,
  study: { readonly space: Space; readonly objectives: number },
): FinishedTrial | RunningTrial | null {
  const place = `trials[${number}]`;
  const given = asObject(entry, place, trialKeys);
  const state = asOneOf(given['state'], `${place}.state`, trialStates);
  if (given['number'] !== undefined && given['number'] !== number) {
    throw new SuggestInputError(
      `${place}.number`,
      `${show(given['number'])} must be ${number}; trials come in number order without gaps`,
    );
  }
  const own = given['space'] === undefined ? null : parseSpace(given['space'], `${place}.space`);
  const params = parseParams(given['params'] ?? {}, own ?? study.space, `${place}.params`);
  const constraints =
    (given['constraints'] ?? null) === null
      ? null
      : asArray(given['constraints'], `${place}.constraints`).map((value, i) =>
          asAnyNumber(value, `${place}.constraints[${i}]`),
        );
  const common = {
    number,
    params,
    ...(own === null ? {} : { space: own }),
    ...(constraints === null ? {} : { constraints }),
  };
  switch (state) {
    case 'COMPLETE':
      return { ...common, state, values: parseValues(given['values'], study.objectives, `${place}.values`) };
    case 'PRUNED':
      return { ...common, state, lastReport: parseLastReport(given['reports'], `${place}.reports`) };
    case 'RUNNING':
      return { number, params, ...(own === null ? {} : { space: own }) };
    case 'FAIL':
    case 'WAITING':
    case 'CANCELLED':
      return null;
  }
}

/** Sampler settings; what is missing is what Optuna's release of the same rules would take (tpe.md §1). */
function parseSettings(given: JsonObject, objectives: number): TpeSettings {
  const rules: TpeRules =
    given['rules'] === undefined ? 'optuna-4' : asOneOf(given['rules'], 'rules', ['optuna-4', 'optuna-5']);
  const isNew = rules === 'optuna-5';
  const group = asBoolean(given['group'], 'group', false);
  const multivariate = asBoolean(given['multivariate'], 'multivariate', group || (isNew && objectives === 1));
  if (group && !multivariate) {
    throw new SuggestInputError('multivariate', 'group needs multivariate to be true, or not given');
  }
  const count = (key: string, low: number, missing: number): number =>
    given[key] === undefined ? missing : asInteger(given[key], key, low, 1e9);
  return {
    type: 'tpe',
    seed: 0,
    startupTrials: count('n_startup_trials', 0, 10),
    eiCandidates: count('n_ei_candidates', 1, 24),
    multivariate,
    group,
    constantLiar: asBoolean(given['constant_liar'], 'constant_liar', isNew),
    rules,
  };
}

/**
 * JSON as Python writes it: NaN and the infinities, which JSON itself does not have, become strings. A byte order mark,
 * which some editors and shells put in front, is no part of it.
 */
function parseJson(text: string): unknown {
  const strict = text
    .replace(/^\uFEFF/, '')
    .replace(/"(?:[^"\\]|\\.)*"|-?\bInfinity\b|\bNaN\b/g, (token) =>
      token.startsWith('"') ? token : `"${token}"`,
    );
  try {
    return JSON.parse(strict);
  } catch (error) {
    throw new SuggestInputError('', `the input is not JSON: ${error instanceof Error ? error.message : ''}`);
  }
}

/** Reads the whole input. Throws a `SuggestInputError` for the first mistake. */
export function parseSuggestInput(text: string): SuggestInput {
  const given = asObject(parseJson(text), 'input', topKeys);
  const space = parseSpace(given['space'], 'space');
  const directions = asArray(given['directions'] ?? ['minimize'], 'directions').map((direction, i) =>
    asOneOf<Direction>(direction, `directions[${i}]`, ['minimize', 'maximize']),
  );
  if (directions.length === 0) throw new SuggestInputError('directions', 'give at least one direction');
  const study = { space, objectives: directions.length };
  const entries = asArray(given['trials'] ?? [], 'trials');
  const trials = entries.map((entry, i) => parseTrial(entry, i, study)).filter((trial) => trial !== null);
  const seeds = asArray(given['seeds'], 'seeds').map((seed, i) =>
    asInteger(seed, `seeds[${i}]`, 0, 2 ** 32 - 1),
  );
  return {
    space,
    directions,
    settings: parseSettings(given, directions.length),
    finished: trials.filter((trial) => 'state' in trial),
    running: trials.filter((trial) => !('state' in trial)),
    fixed: parseParams(given['fixed'] ?? {}, space, 'fixed'),
    number: entries.length,
    seeds,
  };
}
