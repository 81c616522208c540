/** How well probabilities match frequencies (hermite-model.md §13.4). */
import type { Numbers } from './numbers.js';

export interface CalibrationFigures {
  /** mean (p − up)². */
  readonly brier: number;
  /** Σ ω |acc − conf| over occupied bins. */
  readonly ece: number;
  /** max |acc − conf| over occupied bins. */
  readonly mce: number;
  readonly reliability: number;
  readonly resolution: number;
  readonly uncertainty: number;
  readonly binCounts: Float64Array;
  /** Mean probability per bin, 0 where empty. */
  readonly binConfidence: Float64Array;
  /** Mean label per bin, 0 where empty. */
  readonly binAccuracy: Float64Array;
}

/** mean (p − up)²; NaN for no rows. */
export function brierScore(probabilities: Numbers, labels: Numbers): number {
  let sum = 0;
  for (let i = 0; i < labels.length; i++) sum += ((probabilities[i] ?? NaN) - (labels[i] ?? NaN)) ** 2;
  return sum / labels.length;
}

/** Bin of p: the i with edge_i < p ≤ edge_{i+1}, 0 in the first; edges as doubles `i·(1/bins)`, the last exactly 1. */
function binOf(p: number, bins: number): number {
  // A NaN must spoil the figures, not vanish from them.
  if (Number.isNaN(p)) return 0;
  const edge = (i: number): number => (i >= bins ? 1 : i * (1 / bins));
  let bin = Math.min(bins - 1, Math.max(0, Math.ceil(p * bins) - 1));
  // The guess is off by one where p·bins rounds across an edge.
  while (bin > 0 && p <= edge(bin)) bin--;
  while (bin < bins - 1 && p > edge(bin + 1)) bin++;
  return bin;
}

/**
 * Brier score, expected and largest calibration error, and the binned decomposition, for probabilities in [0, 1] and labels 0/1
 * in `bins` equal bins. Everything is NaN for no rows or a NaN probability.
 */
export function calibrationFigures(
  probabilities: Numbers,
  labels: Numbers,
  bins: number,
): CalibrationFigures {
  const counts = new Float64Array(bins);
  const confidence = new Float64Array(bins);
  const accuracy = new Float64Array(bins);
  const m = labels.length;
  let labelSum = 0;
  for (let i = 0; i < m; i++) {
    const p = probabilities[i] ?? NaN;
    const bin = binOf(p, bins);
    counts[bin] = (counts[bin] ?? 0) + 1;
    confidence[bin] = (confidence[bin] ?? 0) + p;
    accuracy[bin] = (accuracy[bin] ?? 0) + (labels[i] ?? NaN);
    labelSum += labels[i] ?? NaN;
  }
  const base = labelSum / m;
  const sums = { ece: 0, mce: 0, reliability: 0, resolution: 0 };
  for (let bin = 0; bin < bins; bin++) {
    const count = counts[bin] ?? 0;
    if (count === 0) continue;
    const conf = (confidence[bin] ?? NaN) / count;
    const acc = (accuracy[bin] ?? NaN) / count;
    confidence[bin] = conf;
    accuracy[bin] = acc;
    const share = count / m;
    sums.ece += share * Math.abs(acc - conf);
    sums.mce = Math.max(sums.mce, Math.abs(acc - conf));
    sums.reliability += share * (acc - conf) ** 2;
    sums.resolution += share * (acc - base) ** 2;
  }
  const figures = m === 0 ? { ece: NaN, mce: NaN, reliability: NaN, resolution: NaN } : sums;
  return {
    ...figures,
    brier: brierScore(probabilities, labels),
    uncertainty: base * (1 - base),
    binCounts: counts,
    binConfidence: confidence,
    binAccuracy: accuracy,
  };
}
