/** Ratio of mean to spread of a return series, annualised (hermite-model.md §14, 18.8). */
import type { Numbers } from './numbers.js';
import { mean, variance } from './numbers.js';
import { normalCdf } from './special-functions.js';

export const secondsPerYear = 31_536_000;

/** Periods per year of steps that last `secondsPerStep` (at least 1 s). */
export const periodsPerYear = (secondsPerStep: number): number =>
  secondsPerYear / Math.max(secondsPerStep, 1);

/**
 * `mean / sd · √periods`, sd with divisor m − 1, no risk-free rate. NaN for fewer than two steps or when the returns do not
 * vary, in particular when nothing was ever traded; who aggregates decides what that means.
 */
export function sharpeRatio(returns: Numbers, periods: number): number {
  const spread = Math.sqrt(variance(returns, 1));
  return spread > 0 ? (mean(returns) / spread) * Math.sqrt(periods) : NaN;
}

/**
 * Standard error of `sharpeRatio` for independent returns of any shape: Lo (2002), `√((1 + S²/2)/m)`, with the terms of
 * Mertens (2002) for skewness γ₃ and kurtosis γ₄, `√((1 − γ₃ S + (γ₄ − 1)/4 · S²)/m)`, S per step, then annualised. The
 * block bootstrap covers dependence as well.
 */
export function sharpeStandardError(returns: Numbers, periods: number): number {
  const m = returns.length;
  const center = mean(returns);
  const spread = Math.sqrt(variance(returns, 0));
  if (!(spread > 0) || m < 2) return NaN;
  let skewness = 0;
  let kurtosis = 0;
  for (let i = 0; i < m; i++) {
    const z = ((returns[i] ?? NaN) - center) / spread;
    skewness += z ** 3 / m;
    kurtosis += z ** 4 / m;
  }
  const perStep = sharpeRatio(returns, 1);
  const perStepVariance = (1 - skewness * perStep + ((kurtosis - 1) / 4) * perStep * perStep) / m;
  return Math.sqrt(Math.max(0, perStepVariance) * periods);
}

/**
 * Probability that the true ratio lies above `benchmark`: Φ((ratio − benchmark)/error) (Bailey and López de Prado, 2012). NaN
 * where the error is.
 */
export const probabilisticSharpe = (ratio: number, standardError: number, benchmark = 0): number =>
  normalCdf((ratio - benchmark) / standardError);
