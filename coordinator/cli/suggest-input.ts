/**
 * Reads the JSON of `coordinator suggest` (docs/guides/suggest.md): one case, that is a search space, sampler settings,
 * a history and seeds; or a whole file of golden figures, `spaces` and `cases`.
 */
import type { SuggestRequest, TpeRules, TpeSettings } from '../../shared/core/sampler/sampler.js';
import type { Params, Space } from '../../shared/core/space/parameter.js';
import { eiCandidatesMax } from '../limits.js';
import { parseCases, parseHistory, type CaseInput } from './history-input.js';
import {
  asArray,
  asBoolean,
  asInteger,
  asObject,
  asOneOf,
  InputError,
  within,
  type JsonObject,
} from './json-input.js';
import { parseParams } from './space-input.js';

/** One case: what is to be suggested, once per seed. */
export interface SuggestCase {
  /** Position in the file; null for an input that is one case. */
  readonly index: number | null;
  readonly request: SuggestRequest & { readonly settings: TpeSettings };
  readonly seeds: readonly number[];
  /** What is known to be right, one per seed; null when the input does not say. */
  readonly expected: readonly Params[] | null;
}

/** Sampler settings; what is missing is what Optuna's release of the same rules would take (tpe.md §1). */
function parseSettings(given: JsonObject, objectives: number, place: string): TpeSettings {
  const rules: TpeRules =
    given['rules'] === undefined
      ? 'optuna-4'
      : asOneOf(given['rules'], within(place, 'rules'), ['optuna-4', 'optuna-5']);
  const isNew = rules === 'optuna-5';
  const flag = (key: string, missing: boolean): boolean =>
    asBoolean(given[key] ?? undefined, within(place, key), missing);
  const group = flag('group', false);
  const multivariate = flag('multivariate', group || (isNew && objectives === 1));
  if (group && !multivariate) {
    throw new InputError(within(place, 'multivariate'), 'group needs multivariate to be true, or not given');
  }
  const count = (key: string, low: number, high: number, missing: number): number =>
    given[key] === undefined ? missing : asInteger(given[key], within(place, key), low, high);
  return {
    type: 'tpe',
    seed: 0,
    startupTrials: count('n_startup_trials', 0, 1e9, 10),
    eiCandidates: count('n_ei_candidates', 1, eiCandidatesMax, 24),
    multivariate,
    group,
    constantLiar: flag('constant_liar', isNew),
    rules,
  };
}

const asSeed = (value: unknown, place: string): number => asInteger(value, place, 0, 2 ** 32 - 1);

/** `expected`: `{seed, params}` for every seed, each once. */
function parseExpected(value: unknown, space: Space, place: string): { seed: number; params: Params }[] {
  const seeds = new Set<number>();
  return asArray(value, place).map((entry, i) => {
    const at = `${place}[${i}]`;
    const given = asObject(entry, at, ['seed', 'params']);
    const seed = asSeed(given['seed'], `${at}.seed`);
    if (seeds.has(seed)) throw new InputError(`${at}.seed`, `${seed} is expected twice; give each seed once`);
    seeds.add(seed);
    return { seed, params: parseParams(given['params'], space, `${at}.params`) };
  });
}

/** The seeds; without them, those of `expected`. */
function parseSeeds(given: JsonObject, space: Space, place: string): Pick<SuggestCase, 'seeds' | 'expected'> {
  const at = within(place, 'seeds');
  const expected =
    given['expected'] === undefined
      ? null
      : parseExpected(given['expected'], space, within(place, 'expected'));
  if (given['seeds'] === undefined && expected !== null)
    return { seeds: expected.map(({ seed }) => seed), expected: expected.map(({ params }) => params) };
  const seeds = asArray(given['seeds'], at, 'a list of integers').map((seed, i) =>
    asSeed(seed, `${at}[${i}]`),
  );
  if (expected === null) return { seeds, expected: null };
  const bySeed = new Map(expected.map(({ seed, params }) => [seed, params]));
  return {
    seeds,
    expected: seeds.map((seed, i) => {
      const params = bySeed.get(seed);
      if (params === undefined)
        throw new InputError(`${at}[${i}]`, `${seed} is none of the seeds in "expected"`);
      return params;
    }),
  };
}

function parseCase({ index, place, given }: CaseInput): SuggestCase {
  const { space, directions, finished, running, count } = parseHistory(given, place);
  return {
    index,
    request: {
      space,
      directions,
      settings: parseSettings(given, directions.length, place),
      finished,
      running,
      fixed: parseParams(given['fixed'] ?? {}, space, within(place, 'fixed')),
      number: count,
    },
    ...parseSeeds(given, space, place),
  };
}

/** Reads the whole input. Throws an `InputError` for the first mistake. */
export const parseSuggestInput = (text: string): SuggestCase[] => parseCases(text).map(parseCase);
