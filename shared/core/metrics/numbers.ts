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

/**
 * Covariance of two sums over the same rows in time order, from what each row adds to their deviations, where rows fewer than
 * `horizon` apart overlap: `Σ_t a_t b_t + Σ_{k < horizon} (1 − k/horizon) Σ_t (a_t b_{t−k} + b_t a_{t−k})` (Newey and West 1987,
 * for two series). With a row's shares twice: the variance of that sum.
 */
export function overlappingProducts(a: Numbers, b: Numbers, horizon: number): number {
  let sum = 0;
  for (let lag = 0; lag < Math.min(horizon, a.length); lag++) {
    let products = 0;
    for (let t = lag; t < a.length; t++)
      products += (a[t] ?? NaN) * (b[t - lag] ?? NaN) + (b[t] ?? NaN) * (a[t - lag] ?? NaN);
    sum += (lag === 0 ? 0.5 : 1 - lag / horizon) * products;
  }
  return sum;
}
