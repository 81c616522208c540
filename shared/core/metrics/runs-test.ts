import type { Numbers } from './numbers.js';
import { normalTwoSided } from './special-functions.js';

const signsMin = 20;

/**
 * Wald-Wolfowitz runs test on the signs of residuals, zeros dropped (hermite-model.md §13.7): two-sided normal p-value. NaN with
 * fewer than 20 signs or one sign only.
 */
export function runsTest(residuals: Numbers): number {
  let positives = 0;
  let n = 0;
  let runs = 0;
  let previous = 0;
  for (let i = 0; i < residuals.length; i++) {
    const sign = Math.sign(residuals[i] ?? NaN);
    if (sign === 0 || Number.isNaN(sign)) continue;
    n++;
    if (sign > 0) positives++;
    if (sign !== previous) runs++;
    previous = sign;
  }
  const negatives = n - positives;
  if (n < signsMin || positives === 0 || negatives === 0) return NaN;
  const twice = 2 * positives * negatives;
  const expected = twice / n + 1;
  const spread = (twice * (twice - n)) / (n * n * (n - 1));
  return spread > 0 ? normalTwoSided((runs - expected) / Math.sqrt(spread)) : NaN;
}
