import { erf } from '../../../shared/core/metrics/special-functions.js';
import type { Outputs } from './losses.js';

/** Which head speaks about the direction: the Gaussian of mu and logvar, or the logistic head (hermite-model.md §7.6). */
export type ProbabilitySource = 'cdf' | 'logit';

const varianceFloor = 1e-12;
const spreadFloor = 1e-6;

/** ½(1 + erf(mu / (√2 σ))), with the original's floors. The unit of mu and σ cancels but for the floors. */
function gaussianProbability(mu: number, logvar: number): number {
  const sigma = Math.sqrt(Math.max(Math.exp(logvar), varianceFloor));
  return 0.5 * (1 + erf(mu / Math.max(Math.SQRT2 * sigma, spreadFloor)));
}

/** Probability of a rise per row. */
export function directionProbabilities(outputs: Outputs, source: ProbabilitySource): Float64Array {
  return outputs.mu.map((mu, row) =>
    source === 'cdf'
      ? gaussianProbability(mu, outputs.logvar[row] ?? NaN)
      : 1 / (1 + Math.exp(-(outputs.logit[row] ?? NaN))),
  );
}
