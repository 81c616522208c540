/**
 * What the best would look like if no trial could predict anything: the yardstick of hermite-model.md §18 for scores
 * whose level without skill is known. It does not use the spread between trials, which holds real differences as well.
 */
import { assert } from '../../shared/core/assert.js';
import { expectedNormalMaximum } from '../../shared/core/metrics/normal-maximum.js';
import { normalTail } from '../../shared/core/metrics/special-functions.js';
import type { Objective } from '../../shared/core/study/definition.js';
import type { Trial } from '../../shared/core/study/trial.js';
import { objectiveError } from './standard-error.js';

export interface NoSkill {
  readonly trials: number;
  /** The score of one trial without skill: its mean, and its standard deviation or an upper bound of it. */
  readonly mean: number;
  readonly sd: number;
  /** Expected best of as many trials without skill. */
  readonly expectedBest: number;
  /** Chance that the best of as many trials without skill reaches this study's best; an upper bound. */
  readonly chance: number;
}

/** What a metric is without skill in this trial; null for metrics of which that is not known. */
function levelWithoutSkill(metric: string, { metrics }: Trial): number | null {
  if (metric === 'auc') return 0.5;
  // Always forecasting the more frequent direction needs no skill.
  if (metric === 'dir_acc') return metrics['majority_share'] ?? 0.5;
  return null;
}

/**
 * For a maximised objective made of metrics with a known level without skill and reported standard errors
 * (`<metric>_se`); null for any other, or with no finished trial.
 *
 * A trial's score has mean Σ w·level and the standard deviation of `objectiveError`.
 * N trials judged on the same rows are not independent, so their best is at most what N independent draws give:
 * expected best ≤ mean + sd·E[max of N normals], chance ≤ 1 − Φ((best − mean)/sd)^N. Means and standard errors are the
 * medians over the trials.
 */
export function noSkillOf(objective: Objective, trials: readonly Trial[], index: number): NoSkill | null {
  const weights = Object.entries(objective.weights);
  if (objective.direction !== 'maximize' || trials.length === 0) return null;
  const means: number[] = [];
  const deviations: number[] = [];
  for (const trial of trials) {
    let mean = 0;
    for (const [metric, weight] of weights) {
      const level = levelWithoutSkill(metric, trial);
      if (level === null) return null;
      mean += weight * level;
    }
    const error = objectiveError(objective, trial.metrics);
    if (error === null || error.value === 0) return null;
    means.push(mean);
    deviations.push(error.value);
  }
  const [mean, sd, n] = [median(means), median(deviations), trials.length];
  const best = Math.max(...trials.map(({ values }) => values[index] ?? -Infinity));
  const tail = normalTail((best - mean) / sd);
  return {
    ...{ trials: n, mean, sd, expectedBest: mean + sd * expectedNormalMaximum(n) },
    chance: tail >= 1 ? 1 : -Math.expm1(n * Math.log1p(-tail)),
  };
}

function median(values: readonly number[]): number {
  const middle = [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
  assert(middle !== undefined, 'there is a median of something');
  return middle;
}
