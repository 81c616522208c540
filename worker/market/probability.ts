/** From the network's three outputs to probabilities (hermite-model.md §7.6, 11, 12). */
import { erf } from '../../shared/core/metrics/special-functions.js';
import type { Numbers } from '../../shared/core/metrics/numbers.js';

/** What the network says about each row of a part, in the units it was trained in. */
export interface RawOutputs {
  readonly mu: Numbers;
  /** Log variance, already clamped. */
  readonly logvar: Numbers;
  readonly logit: Numbers;
}

/** The forecast of each row of a part in units of log return. */
export interface Forecasts {
  readonly mu: Float64Array;
  readonly logvar: Float64Array;
  /** exp(logvar / 2), at least 1e−6. */
  readonly sigma: Float64Array;
  readonly logit: Float64Array;
  /** Increases with the direction probability and never saturates: what AUC is measured on. */
  readonly score: Float64Array;
  /** P(up) as the network says it, within [1e−6, 1 − 1e−6]. */
  readonly probability: Float64Array;
}

const probabilityMin = 1e-6;

/** Limits probabilities to [1e−6, 1 − 1e−6], as every candidate of the calibration is. */
export const clipProbability = (p: number): number =>
  Math.min(1 - probabilityMin, Math.max(probabilityMin, p));

/** 1 / (1 + e^−x), without overflow. */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

/** P(return > 0) of the Gaussian forecast. */
export function gaussianProbability(mu: number, logvar: number): number {
  const sigma = Math.sqrt(Math.max(Math.exp(logvar), 1e-12));
  return 0.5 * (1 + erf(mu / Math.max(Math.SQRT2 * sigma, 1e-6)));
}

export interface ForecastOptions {
  readonly probSource: 'cdf' | 'logit';
  /** Log return per unit of the network's targets. */
  readonly targetScale: number;
  /** `f32` rounds probabilities to single precision, where the original held them. */
  readonly precision: 'f32' | 'f64';
}

/** Converts outputs to units of log return and takes the direction probability from the chosen head. */
export function toForecasts(outputs: RawOutputs, options: ForecastOptions): Forecasts {
  const { probSource, targetScale, precision } = options;
  const round = precision === 'f32' ? Math.fround : (value: number): number => value;
  const mu = Float64Array.from(outputs.mu, (value) => value * targetScale);
  const logvar = Float64Array.from(outputs.logvar, (value) => value + 2 * Math.log(targetScale));
  const sigma = logvar.map((value) => Math.max(Math.exp(value / 2), 1e-6));
  const logit = Float64Array.from(outputs.logit);
  const byLogit = probSource === 'logit';
  const probability = logit.map((value, i) =>
    clipProbability(round(byLogit ? sigmoid(value) : gaussianProbability(mu[i] ?? NaN, logvar[i] ?? NaN))),
  );
  const score = byLogit ? logit : mu.map((value, i) => value / (sigma[i] ?? NaN));
  return { mu, logvar, sigma, logit, score, probability };
}

/** First row whose outputs are not all finite, or −1. */
export function firstNonFinite({ mu, logvar, logit }: RawOutputs): number {
  for (let i = 0; i < mu.length; i++) {
    const finite = Number.isFinite(mu[i]) && Number.isFinite(logvar[i]) && Number.isFinite(logit[i]);
    if (!finite) return i;
  }
  return -1;
}
