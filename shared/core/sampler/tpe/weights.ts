import { pairwiseSum } from './special-functions.js';

/** Observations of a set that weigh in full, the newest ones; all older ones lie on the ramp (tpe.md §7.1). */
const fullWeightNewest = 25;

/**
 * ramp(n): weights of n observations, oldest first. All 1 below 25; otherwise n − 25 values evenly spaced from 1/n
 * to 1, followed by 25 ones. With exactly one value in the spaced part (n = 26) it is 1/n.
 */
export function rampWeights(n: number): Float64Array {
  const weights = new Float64Array(n).fill(1);
  const spaced = n - fullWeightNewest;
  if (spaced <= 0) return weights;
  const first = 1 / n;
  const gap = spaced > 1 ? (1 - first) / (spaced - 1) : 0;
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
