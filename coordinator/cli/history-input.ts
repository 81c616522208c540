/**
 * A search space with a history of trials, in the JSON that `coordinator suggest`, `importance` and `hypervolume` read
 * (docs/guides/suggest.md).
 */
import type {
  CompletedTrial,
  Direction,
  FinishedTrial,
  Report,
  RunningTrial,
} from '../../shared/core/sampler/sampler.js';
import type { Space } from '../../shared/core/space/parameter.js';
import {
  asAnyNumber,
  asArray,
  asInteger,
  asObject,
  asOneOf,
  InputError,
  parseJson,
  show,
  within,
  type JsonObject,
} from './json-input.js';
import { parseParams, parseSpace } from './space-input.js';

/** What was asked for and what came of it. */
export interface HistoryInput {
  readonly space: Space;
  readonly directions: readonly Direction[];
  readonly finished: readonly FinishedTrial[];
  readonly running: readonly RunningTrial[];
  /** Trials in any state: the next one's number. */
  readonly count: number;
}

/** Keys of an input that tell the history. */
export const historyKeys = ['space', 'spaces', 'directions', 'trials'] as const;

/** Keys of a case of `coordinator suggest`; of these, other commands look at the history only. */
export const caseKeys = [
  ...historyKeys,
  'rules',
  'n_startup_trials',
  'n_ei_candidates',
  'multivariate',
  'constant_liar',
  'group',
  'fixed',
  'seeds',
  'expected',
];
const fileKeys = ['reference', 'spaces', 'cases'];

/** One case of an input. */
export interface CaseInput {
  /** Position in the file; null for an input that is one case. */
  readonly index: number | null;
  /** Where in the input it is, '' for the whole. */
  readonly place: string;
  readonly given: JsonObject;
}

/** The cases of an input: a file of golden figures, `spaces` and `cases`, or the one that it is. */
export function parseCases(text: string): CaseInput[] {
  const input = asObject(parseJson(text), '', null);
  if (input['cases'] === undefined) return [{ index: null, place: '', given: asObject(input, '', caseKeys) }];
  const { spaces = {}, cases } = asObject(input, '', fileKeys);
  return asArray(cases, 'cases').map((entry, index) => {
    const place = `cases[${index}]`;
    return { index, place, given: { spaces, ...asObject(entry, place, caseKeys) } };
  });
}

const trialStates = ['COMPLETE', 'PRUNED', 'RUNNING', 'FAIL', 'WAITING', 'CANCELLED'] as const;
const trialKeys = ['params', 'state', 'values', 'reports', 'constraints', 'space', 'number'];

/** One value per objective; only an infinity may be other than finite. */
function parseValues(value: unknown, objectives: number, place: string): number[] {
  const values = asArray(value, place, 'a list of numbers, one per direction').map((entry, i) =>
    asAnyNumber(entry, `${place}[${i}]`),
  );
  if (values.length !== objectives) {
    throw new InputError(place, `${values.length} values, but there are ${objectives} directions`);
  }
  const nan = values.findIndex((entry) => Number.isNaN(entry));
  if (nan >= 0) {
    throw new InputError(
      `${place}[${nan}]`,
      'a COMPLETE trial cannot have NaN as a value; such a trial is FAIL',
    );
  }
  return values;
}

/** What a PRUNED trial's last report says; objective values would be taken for a result that it does not have. */
function parsePruned(given: JsonObject, place: string): Report | null {
  const { values } = given;
  if (values !== undefined && values !== null && !(Array.isArray(values) && values.length === 0))
    throw new InputError(`${place}.values`, 'a PRUNED trial has none; give what it reported as "reports"');
  return parseLastReport(given['reports'], `${place}.reports`);
}

/** The report with the largest step; of two at one step, the later one. */
function parseLastReport(value: unknown, place: string): Report | null {
  let last: Report | null = null;
  asArray(value ?? [], place).forEach((entry, i) => {
    const at = `${place}[${i}]`;
    const pair = asArray(entry, at);
    if (pair.length !== 2) throw new InputError(at, `${show(entry)} must be [step, value]`);
    const step = asInteger(pair[0], `${at}[0]`, 0, Number.MAX_SAFE_INTEGER);
    const report = { step, value: asAnyNumber(pair[1], `${at}[1]`) };
    if (last === null || report.step >= last.step) last = report;
  });
  return last;
}

/** Constraint values as a list or by name; null when the trial carries none. */
function parseConstraints(value: unknown, place: string): number[] | null {
  if (value === undefined || value === null) return null;
  if (Array.isArray(value)) return value.map((entry, i) => asAnyNumber(entry, `${place}[${i}]`));
  return Object.entries(asObject(value, place, null)).map(([name, entry]) =>
    asAnyNumber(entry, `${place}.${name}`),
  );
}

/** A trial's own parameters come before the study's of the same name; a list of values is in its own order. */
function parseOwnParams(params: unknown, own: Space | null, study: Space, place: string) {
  if (own === null || Array.isArray(params)) return parseParams(params, own ?? study, place);
  const others = study.filter(({ name }) => !own.some((parameter) => parameter.name === name));
  return parseParams(params, [...own, ...others], place);
}

/** A trial as the sampler takes it; null when it does not look at trials in this state. */
function parseTrial(
  entry: unknown,
  number: number,
  study: { readonly space: Space; readonly objectives: number },
  place: string,
): FinishedTrial | RunningTrial | null {
  const given = asObject(entry, place, trialKeys);
  const state = asOneOf(given['state'], `${place}.state`, trialStates);
  if (given['number'] !== undefined && given['number'] !== number) {
    throw new InputError(
      `${place}.number`,
      `${show(given['number'])} must be ${number}; trials come in number order without gaps`,
    );
  }
  const own = given['space'] === undefined ? null : parseSpace(given['space'], `${place}.space`);
  const params = parseOwnParams(given['params'] ?? {}, own, study.space, `${place}.params`);
  const asked = { number, params, ...(own === null ? {} : { space: own }) };
  const constraints = parseConstraints(given['constraints'], `${place}.constraints`);
  const common = { ...asked, ...(constraints === null ? {} : { constraints }) };
  switch (state) {
    case 'COMPLETE':
      return { ...common, state, values: parseValues(given['values'], study.objectives, `${place}.values`) };
    case 'PRUNED':
      return { ...common, state, lastReport: parsePruned(given, place) };
    case 'RUNNING':
      return asked;
    case 'FAIL':
    case 'WAITING':
    case 'CANCELLED':
      return null;
  }
}

/** The space itself, or the name of one of `spaces`, as files of golden figures have it. */
function parseSpaceOrName(given: JsonObject, place: string): Space {
  const at = within(place, 'space');
  const value = given['space'];
  if (typeof value !== 'string') return parseSpace(value, at);
  const spaces = asObject(given['spaces'] ?? {}, 'spaces', null);
  if (!Object.hasOwn(spaces, value)) {
    throw new InputError(at, `${show(value)} is none of the "spaces": ${Object.keys(spaces).join(', ')}`);
  }
  return parseSpace(spaces[value], `spaces.${value}`);
}

/** Reads what `historyKeys` name; `place` is where in the input this is. Throws an `InputError` for the first mistake. */
export function parseHistory(given: JsonObject, place: string): HistoryInput {
  const space = parseSpaceOrName(given, place);
  const at = within(place, 'directions');
  const directions = asArray(given['directions'] ?? ['minimize'], at).map((direction, i) =>
    asOneOf<Direction>(direction, `${at}[${i}]`, ['minimize', 'maximize']),
  );
  if (directions.length === 0) throw new InputError(at, 'give at least one direction');
  const study = { space, objectives: directions.length };
  const list = within(place, 'trials');
  const entries = asArray(given['trials'] ?? [], list);
  const trials = entries
    .map((entry, i) => parseTrial(entry, i, study, `${list}[${i}]`))
    .filter((trial) => trial !== null);
  return {
    space,
    directions,
    finished: trials.filter((trial) => 'state' in trial),
    running: trials.filter((trial) => !('state' in trial)),
    count: entries.length,
  };
}

/** The COMPLETE trials. */
export const completedOf = ({ finished }: HistoryInput): CompletedTrial[] =>
  finished.filter((trial) => trial.state === 'COMPLETE');
