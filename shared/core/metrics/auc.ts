/**
 * Area under the ROC curve (hermite-model.md §13.2, 18.6). The rank statistic
 * `(R₊ − n₊(n₊+1)/2) / (n₊ n₋)` with mid-ranks for ties, so that a constant forecast scores exactly ½.
 */
import type { Numbers } from './numbers.js';
import { mean, overlappingProducts, variance } from './numbers.js';

export type AucTies = 'mid-rank' | 'time-order';

/** Positions in ascending order of value, equal values in order of position, NaN last. */
export function ascendingOrder(values: Numbers): Uint32Array {
  const order = Uint32Array.from({ length: values.length }, (_, i) => i);
  const key = (i: number): number => values[i] ?? NaN;
  return order.sort((a, b) => {
    const x = key(a);
    const y = key(b);
    if (x < y) return -1;
    if (x > y) return 1;
    if (x === y) return a - b;
    return Number(Number.isNaN(x)) - Number(Number.isNaN(y)) || a - b;
  });
}

/** Ranks from 1; equal values share the mean of their ranks. */
export function midRanks(values: Numbers): Float64Array {
  const order = ascendingOrder(values);
  const ranks = new Float64Array(values.length);
  for (let from = 0; from < order.length;) {
    let to = from + 1;
    while (to < order.length && values[order[to] ?? 0] === values[order[from] ?? 0]) to++;
    // Ranks from + 1 … to, their mean for each of them.
    for (let i = from; i < to; i++) ranks[order[i] ?? 0] = (from + 1 + to) / 2;
    from = to;
  }
  return ranks;
}

/** Ranks from 1; equal values are ranked by position (a stable stand-in for the original's unstable sort). */
function timeOrderRanks(values: Numbers): Float64Array {
  const ranks = new Float64Array(values.length);
  ascendingOrder(values).forEach((position, rank) => {
    ranks[position] = rank + 1;
  });
  return ranks;
}

function assertNoNaN(scores: Numbers): void {
  for (let i = 0; i < scores.length; i++) {
    if (Number.isNaN(scores[i]))
      throw new RangeError(`AUC: score ${i} is not a number; a forecast must be finite`);
  }
}

/**
 * AUC of `scores` (any increasing function of a probability) for `labels` (1 = up, else down). NaN when only one class
 * occurs. Throws a `RangeError` on a NaN score, except under `time-order`, which ranks NaN highest as the original did.
 */
export function auc(scores: Numbers, labels: Numbers, ties: AucTies = 'mid-rank'): number {
  if (ties === 'mid-rank') assertNoNaN(scores);
  const ranks = ties === 'mid-rank' ? midRanks(scores) : timeOrderRanks(scores);
  let positives = 0;
  let rankSum = 0;
  for (let i = 0; i < labels.length; i++) {
    if (labels[i] !== 1) continue;
    positives++;
    rankSum += ranks[i] ?? NaN;
  }
  const negatives = labels.length - positives;
  if (positives === 0 || negatives === 0) return NaN;
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives);
}

/** How far the mid-rank AUC may be off, and what each row has to do with it. */
export interface AucDeviation {
  readonly standardError: number;
  /** What each row adds to the AUC's deviation from its expectation, in the order of the rows; they add up to 0. */
  readonly shares: Float64Array;
}

/**
 * The deviation of the mid-rank AUC by DeLong, DeLong and Clarke-Pearson (1988): every positive has the share of
 * negatives below it, every negative the share of positives above it, and the sample variances of the two add up over
 * their counts. Computed from mid-ranks, in n log n. NaN with fewer than two rows of either class. Rows are in time order; labels
 * `horizon` bars ahead overlap by horizon − 1 rows, whose shares are then taken together with the weights of Newey and West (1987),
 * and the error is never less than for independent rows. Scores that persist for longer than that still make it too small.
 */
export function aucDeviation(scores: Numbers, labels: Numbers, horizon = 1): AucDeviation {
  assertNoNaN(scores);
  const positive: number[] = [];
  const negative: number[] = [];
  for (let i = 0; i < labels.length; i++) (labels[i] === 1 ? positive : negative).push(i);
  const shares = new Float64Array(labels.length);
  if (positive.length < 2 || negative.length < 2) return { standardError: NaN, shares: shares.fill(NaN) };
  const all = midRanks(scores);
  const placements = (members: readonly number[], others: number): Float64Array => {
    const own = midRanks(members.map((i) => scores[i] ?? NaN));
    return own.map((rank, k) => ((all[members[k] ?? 0] ?? NaN) - rank) / others);
  };
  const above = placements(positive, negative.length);
  const below = placements(negative, positive.length);
  const independent = variance(above, 1) / positive.length + variance(below, 1) / negative.length;
  const meanAbove = mean(above);
  const meanBelow = mean(below);
  positive.forEach((row, k) => (shares[row] = ((above[k] ?? NaN) - meanAbove) / positive.length));
  negative.forEach((row, k) => (shares[row] = (meanBelow - (below[k] ?? NaN)) / negative.length));
  const overlap = overlappingProducts(shares, shares, horizon) - overlappingProducts(shares, shares, 1);
  return { standardError: Math.sqrt(independent + Math.max(0, overlap)), shares };
}

/** The standard error of `aucDeviation`. */
export const aucStandardError = (scores: Numbers, labels: Numbers, horizon = 1): number =>
  aucDeviation(scores, labels, horizon).standardError;
