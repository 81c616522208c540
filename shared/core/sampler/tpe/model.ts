/** The two mixtures of one suggestion, fitted to one space, and the choice among candidates (tpe.md §6.4 to §9). */
import type { Space } from '../../space/parameter.js';
import { SamplerError } from '../sampler-error.js';
import type { Mt19937 } from '../mt19937.js';
import type { Direction, FinishedTrial, RunningTrial, TpeSettings } from '../sampler.js';
import { internalValue, valueOf } from '../trial-parameters.js';
import { estimatorRules, type EstimatorRules } from './estimator-rules.js';
import { violationOf } from './feasibility.js';
import { goodTrialWeights } from './good-weights.js';
import { ParzenEstimator, type Columns } from './parzen-estimator.js';
import { splitTrials } from './split.js';
import { rampWeights } from './weights.js';

type ModelSettings = Pick<TpeSettings, 'rules' | 'multivariate' | 'group' | 'constantLiar' | 'eiCandidates'>;
type ObservedTrial = FinishedTrial | RunningTrial;

/** The trials a suggestion is made from, split once for all spaces that it samples. */
export interface SplitHistory {
  readonly good: readonly FinishedTrial[];
  /** Bad finished trials and, with the liar, running ones, in number order. */
  readonly bad: readonly ObservedTrial[];
  /** Weights of the good trials; null: by age (the ramp). */
  readonly goodWeights: Float64Array | null;
}

/** Splits a history. Running trials count as bad ones when the liar is on (tpe.md §12) and not at all otherwise. */
export function splitHistory(
  finished: readonly FinishedTrial[],
  running: readonly RunningTrial[],
  directions: readonly Direction[],
  settings: ModelSettings,
): SplitHistory {
  const violation = violationOf(finished, settings.rules);
  const { good, bad } = splitTrials(finished, directions, settings.rules, violation);
  const liars = settings.constantLiar ? running : [];
  return {
    good,
    bad: [...bad, ...liars].sort((a, b) => a.number - b.number),
    goodWeights: goodTrialWeights(good, directions, settings.rules, violation),
  };
}

/** Whether a trial is an observation for the space: it has all its parameters and is never imputed (tpe.md §5.3). */
function hasAll(trial: ObservedTrial, space: Space): boolean {
  return space.every((parameter) => valueOf(trial.params, parameter.name) !== undefined);
}

function observe(trials: readonly ObservedTrial[], space: Space): Columns {
  return space.map((parameter) =>
    Float64Array.from(trials, (trial) =>
      internalValue(parameter, valueOf(trial.params, parameter.name) ?? null, `trial ${trial.number}`),
    ),
  );
}

/** The good and the bad mixture over one space. */
export class TpeModel {
  readonly good: ParzenEstimator;
  readonly bad: ParzenEstimator;
  readonly #space: Space;

  constructor(space: Space, history: SplitHistory, rules: EstimatorRules) {
    const good = history.good.filter((trial) => hasAll(trial, space));
    const bad = history.bad.filter((trial) => hasAll(trial, space));
    const goodWeights = history.goodWeights?.filter((_, i) => {
      const trial = history.good[i];
      return trial !== undefined && hasAll(trial, space);
    });
    this.#space = space;
    this.good = new ParzenEstimator(
      space,
      observe(good, space),
      goodWeights ?? rampWeights(good.length),
      rules,
    );
    this.bad = new ParzenEstimator(space, observe(bad, space), rampWeights(bad.length), rules);
  }

  /** ln l(x) − ln g(x) of a point given by its internal values in space order (tpe.md §9). */
  score(point: readonly number[]): number {
    return this.good.logDensity(point) - this.bad.logDensity(point);
  }

  /** The best of `count` candidates, the first one on a tie, as internal values by name. */
  suggest(count: number, rng: Mt19937): Map<string, number> {
    const columns = this.good.sample(count, rng);
    const candidates = Array.from({ length: count }, (_, i) => columns.map((column) => column[i] ?? 0));
    let best = candidates[0] ?? [];
    let highest = -Infinity;
    for (const candidate of candidates) {
      const score = this.score(candidate);
      if (score > highest) {
        best = candidate;
        highest = score;
      }
    }
    return new Map(this.#space.map((parameter, j) => [parameter.name, best[j] ?? 0]));
  }
}

/**
 * One suggestion for one space, `eiCandidates · (1 + d)` doubles drawn. Throws a `SamplerError` without candidates or
 * for a recorded value that its parameter could not have.
 */
export function suggestJointly(
  space: Space,
  history: SplitHistory,
  settings: ModelSettings,
  rng: Mt19937,
): Map<string, number> {
  if (!Number.isInteger(settings.eiCandidates) || settings.eiCandidates < 1) {
    throw new SamplerError(`${settings.eiCandidates} candidates per suggestion; at least 1 is needed`);
  }
  const rules = estimatorRules(settings.rules, settings.multivariate || settings.group);
  return new TpeModel(space, history, rules).suggest(settings.eiCandidates, rng);
}
