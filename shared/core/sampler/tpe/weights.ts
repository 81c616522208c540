import { pairwiseSum } from './special-functions.js';

/** Observations of a set that weigh in full, the newest ones; all older ones lie on the ramp (tpe.md §7.1). */
const fullWeightNewest = 25;

/**
 * ramp(n) as a formula: `spaced` weights first + i·gap, then ones; and the sum of all. With exactly one value in the spaced
 * part (n = 26) it is 1/n.
 */
export function rampSteps(n: number): { spaced: number; first: number; gap: number; sum: number } {
  const spaced = Math.max(0, n - fullWeightNewest);
  const first = 1 / n;
  const gap = spaced > 1 ? (1 - first) / (spaced - 1) : 0;
  const spacedSum = spaced > 1 ? (spaced * (first + 1)) / 2 : spaced === 1 ? first : 0;
  const sum = n - spaced + spacedSum;
  return { spaced, first, gap, sum };
}

/** ramp(n): weights of n observations, oldest first: all 1 below 25, otherwise rising to 25 ones. */
export function rampWeights(n: number): Float64Array {
  const weights = new Float64Array(n).fill(1);
  const { spaced, first, gap } = rampSteps(n);
  for (let i = 0; i < spaced; i++) weights[i] = first + i * gap;
  if (spaced > 1) weights[spaced - 1] = 1;
  return weights;
}

/** The weights followed by the prior's, all divided by their sum; without observations the prior weighs 1. */
export function mixtureWeights(observationWeights: Float64Array, priorWeight: number): Float64Array {
  const n = observationWeights.length;
  const weights = new Float64Array(n + 1);
  if (n === 0) return weights.fill(1);
  weights.set(observationWeights);
  weights[n] = priorWeight;
  const sum = pairwiseSum(weights);
  for (let k = 0; k <= n; k++) weights[k] = (weights[k] ?? 0) / sum;
  return weights;
}
