/** Prediction intervals from calibration residuals (hermite-model.md §12). */
import type { Numbers } from '../../shared/core/metrics/numbers.js';

export type ResidualKind = 'abs' | 'std_gauss';

const sigmaMin = 1e-6;

/** How far off each forecast was: |y − mu|, or the log of that in units of σ. */
export function residuals(y: Numbers, mu: Numbers, sigma: Numbers, kind: ResidualKind): Float64Array {
  return Float64Array.from({ length: y.length }, (_, i) => {
    const distance = Math.abs((y[i] ?? NaN) - (mu[i] ?? NaN));
    if (kind === 'abs') return distance;
    return Math.log(Math.max(distance / Math.max(sigma[i] ?? NaN, sigmaMin), 1e-6));
  });
}

/** The calibration residual at rank ⌈(m + 1)(1 − α)⌉, within the ranks that exist; α is limited to [1e−6, 0.999]. */
export function conformalQuantile(calibration: Float64Array, alpha: number): number {
  const m = calibration.length;
  const level = 1 - Math.min(0.999, Math.max(1e-6, alpha));
  const position = Math.min(m - 1, Math.max(0, Math.ceil((m + 1) * level) - 1));
  return calibration.slice().sort()[position] ?? NaN;
}

/** Half width of each interval `mu ± …`, known at the anchor. NaN for a NaN quantile. */
export function halfWidths(quantile: number, sigma: Float64Array, kind: ResidualKind): Float64Array {
  return sigma.map((s) => (kind === 'abs' ? quantile : Math.exp(quantile) * Math.max(s, sigmaMin)));
}

/** `(1 + #{calibration ≥ e}) / (1 + m)` for each realised residual e: a diagnostic, known only afterwards. */
export function conformalPValues(calibration: Float64Array, realised: Float64Array): Float64Array {
  const sorted = calibration.slice().sort();
  const m = sorted.length;
  return realised.map((e) => {
    let low = 0;
    let high = m;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sorted[middle] ?? NaN) < e) low = middle + 1;
      else high = middle;
    }
    return (1 + m - low) / (1 + m);
  });
}

/** (y − mu) / max(σ, 1e−6). */
export const standardisedErrors = (y: Numbers, mu: Float64Array, sigma: Float64Array): Float64Array =>
  mu.map((value, i) => ((y[i] ?? NaN) - value) / Math.max(sigma[i] ?? NaN, sigmaMin));
