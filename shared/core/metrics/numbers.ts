/** Sums and moments that the metrics share. All take any array of numbers and are NaN for empty input. */
export type Numbers = ArrayLike<number>;

/** Arithmetic mean. */
export function mean(x: Numbers): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] ?? NaN;
  return sum / x.length;
}

/** Variance with divisor n − `lost` (0: population, 1: sample). NaN where the divisor is not positive. */
export function variance(x: Numbers, lost: 0 | 1): number {
  const divisor = x.length - lost;
  if (divisor <= 0) return NaN;
  const center = mean(x);
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += ((x[i] ?? NaN) - center) ** 2;
  return sum / divisor;
}

/** Autocovariance at `lag` ≥ 0 with divisor n (the form whose spectrum is never negative). */
export function autocovariance(x: Numbers, lag: number): number {
  const center = mean(x);
  let sum = 0;
  for (let i = lag; i < x.length; i++) sum += ((x[i] ?? NaN) - center) * ((x[i - lag] ?? NaN) - center);
  return sum / x.length;
}

/**
 * Long-run variance of a series, `γ₀ + 2 Σ_{k ≤ lagMax} (1 − k/(lagMax + 1)) γ_k` (Newey and West 1987); never negative.
 * Divided by n it is the variance of the mean of overlapping observations.
 */
export function longRunVariance(x: Numbers, lagMax: number): number {
  let sum = autocovariance(x, 0);
  for (let lag = 1; lag <= Math.min(lagMax, x.length - 1); lag++) {
    sum += 2 * (1 - lag / (lagMax + 1)) * autocovariance(x, lag);
  }
  return Math.max(0, sum);
}

/** Standard error of the mean of a series whose neighbours overlap by up to `lagMax` steps (0: independent). */
export const meanStandardError = (x: Numbers, lagMax: number): number =>
  Math.sqrt(longRunVariance(x, lagMax) / x.length);
