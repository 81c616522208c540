/** Share of directions forecast right (hermite-model.md §13.3, 18.18). */
import type { Numbers } from './numbers.js';
import { mean, meanStandardError } from './numbers.js';

/** 1 where `p ≥ 0.5` agrees with the label (1 = up), else 0. */
export function directionHits(probabilities: Numbers, labels: Numbers): Float64Array {
  return Float64Array.from({ length: labels.length }, (_, i) => {
    const predicted = (probabilities[i] ?? NaN) >= 0.5 ? 1 : 0;
    return predicted === labels[i] ? 1 : 0;
  });
}

/** Mean of `directionHits`; NaN for no rows. */
export const directionAccuracy = (probabilities: Numbers, labels: Numbers): number =>
  mean(directionHits(probabilities, labels));

/** Standard error of a hit share; targets `h` bars ahead overlap by h − 1 rows, which Newey-West allows for. */
export const directionStandardError = (hits: Numbers, horizon: number): number =>
  meanStandardError(hits, horizon - 1);

/** Share of the more frequent label: what a forecast of always the same direction would have scored. */
export function majorityShare(labels: Numbers): number {
  const ups = mean(labels);
  return Math.max(ups, 1 - ups);
}
