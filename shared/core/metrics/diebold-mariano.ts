/** Is a forecast better than a benchmark (hermite-model.md §13.5, 18.15). */
import type { Numbers } from './numbers.js';
import { autocovariance, mean, variance } from './numbers.js';
import { normalTwoSided, studentTwoSided } from './special-functions.js';
import type { TestForm } from './test-form.js';

export interface DieboldMariano {
  /** Mean of model loss − benchmark loss; negative favours the model. */
  readonly meanDifference: number;
  readonly statistic: number;
  readonly pValue: number;
}

/** Bartlett-weighted long-run variance `γ₀ + 2 Σ (1 − k/m) γ_k` of the original, k up to `lagMax`. */
function v6Variance(differences: Numbers, lagMax: number): number {
  const m = differences.length;
  let sum = autocovariance(differences, 0);
  for (let k = 1; k <= lagMax; k++) sum += 2 * (1 - k / m) * autocovariance(differences, k);
  return sum;
}

/** Long-run variance `γ₀ + 2 Σ γ_k`, k up to h − 1: an h-step forecast error is a moving average of that order. */
function textbookVariance(differences: Numbers, lagMax: number): number {
  let sum = autocovariance(differences, 0);
  for (let k = 1; k <= lagMax; k++) sum += 2 * autocovariance(differences, k);
  return sum;
}

/**
 * Diebold-Mariano test on loss differences for horizon `h` ≥ 1. `textbook`: lags up to h − 1, with the small-sample correction of
 * Harvey, Leybourne and Newbold (1997) and Student's t with m − 1 degrees of freedom. `v6`: lags up to h, normal. A variance
 * that is not positive is replaced by the sample variance; p is NaN when that is 0 too, or for fewer than two rows.
 */
export function dieboldMariano(differences: Numbers, h: number, form: TestForm = 'textbook'): DieboldMariano {
  const m = differences.length;
  const meanDifference = mean(differences);
  const lagMax = Math.min(form === 'v6' ? Math.max(h, 1) : h - 1, m - 1);
  let spread = form === 'v6' ? v6Variance(differences, lagMax) : textbookVariance(differences, lagMax);
  if (!(spread > 0)) spread = variance(differences, 1);
  if (m < 2 || !(spread > 0)) return { meanDifference, statistic: NaN, pValue: NaN };
  const plain = meanDifference / Math.sqrt(spread / m);
  if (form === 'v6') return { meanDifference, statistic: plain, pValue: normalTwoSided(plain) };
  const correction = Math.max(0, (m + 1 - 2 * h + (h * (h - 1)) / m) / m);
  const statistic = plain * Math.sqrt(correction);
  return { meanDifference, statistic, pValue: studentTwoSided(statistic, m - 1) };
}
