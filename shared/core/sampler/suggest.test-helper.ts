/** Short ways to write histories and requests in tests, and to have them answered. */
import type { Parameter, Params, Space } from '../space/parameter.js';
import { trialSeed } from './mt19937.js';
import type { FinishedTrial, RunningTrial, SuggestRequest, TpeSettings } from './sampler.js';
import { samplerAfter } from './study-sampler.js';

/** Rules of Optuna 5, joint, no liar, no start-up, 24 candidates. */
export const settings: TpeSettings = {
  type: 'tpe',
  seed: 42,
  startupTrials: 0,
  eiCandidates: 24,
  multivariate: true,
  group: false,
  constantLiar: false,
  rules: 'optuna-5',
};

/** A COMPLETE trial with one value. */
export function complete(number: number, params: Params, value: number, space?: Space): FinishedTrial {
  return { state: 'COMPLETE', number, params, values: [value], ...(space === undefined ? {} : { space }) };
}

/** A request for the trial after the given ones, one objective minimised. */
export function request(
  space: readonly Parameter[],
  finished: readonly FinishedTrial[],
  changes: Partial<TpeSettings> = {},
  rest: { running?: readonly RunningTrial[]; fixed?: Params } = {},
): SuggestRequest {
  const { running = [], fixed } = rest;
  return {
    space,
    directions: ['minimize'],
    settings: { ...settings, ...changes },
    number: finished.length + running.length,
    finished,
    running,
    ...(fixed === undefined ? {} : { fixed }),
  };
}

/** The suggestion of a fresh sampler with this MT19937 seed. */
export const suggestWithSeed = (asked: SuggestRequest, seed: number): Params =>
  samplerAfter(asked, asked.finished).suggestWithSeed(asked, seed);

/** The suggestion for trial `asked.number` of its study. */
export const suggest = (asked: SuggestRequest): Params =>
  suggestWithSeed(asked, trialSeed(asked.settings.seed, asked.number));
