/**
 * The loss of hermite-model.md §8 in plain doubles, for every figure that is reported; its gradient is the op `Runtime.loss`.
 */
import { assert } from '../../../shared/core/assert.js';
import { logvarRange, type LossSettings } from '../runtime/loss-settings.js';

export { logvarRange, type LossSettings };

export const rawSignScale = 5;
export const standardisedSignScale = Math.sqrt(2 / Math.PI);

/** What the model says about some rows, in the unit of its targets; logvar is clamped. */
export interface Outputs {
  readonly mu: Float64Array;
  readonly logvar: Float64Array;
  readonly logit: Float64Array;
}

/** The four terms, their weighted total, means over rows. */
export interface LossTerms {
  readonly nll: number;
  readonly cls: number;
  readonly variance: number;
  readonly sign: number;
  readonly total: number;
}

/** ln(1 + eˣ) without overflow. */
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** Classification loss of one row. With q = ±logit, positive when right: 1 − p_t = e^{−softplus(q)}. */
function classificationTerm(settings: LossSettings, logit: number, isUp: boolean): number {
  const q = isUp ? logit : -logit;
  if (settings.classification === 'bce') return softplus(-q) * (isUp ? settings.posWeight : 1);
  return Math.exp(-settings.focalGamma * softplus(q)) * softplus(-q);
}

/** The loss terms over all rows in double precision; `y` are the targets, up means y > 0. */
export function lossTerms(settings: LossSettings, outputs: Outputs, y: Float32Array): LossTerms {
  const rows = y.length;
  assert(outputs.mu.length === rows && rows > 0, `${outputs.mu.length} outputs for ${rows} targets`);
  const sums = { nll: 0, cls: 0, variance: 0, sign: 0 };
  for (let row = 0; row < rows; row += 1) {
    const target = y[row] ?? NaN;
    const mu = outputs.mu[row] ?? NaN;
    const logvar = outputs.logvar[row] ?? NaN;
    sums.nll += 0.5 * ((target - mu) ** 2 * Math.exp(-logvar) + logvar);
    sums.cls += classificationTerm(settings, outputs.logit[row] ?? NaN, target > 0);
    sums.variance += Math.exp(logvar);
    sums.sign += (Math.tanh(settings.signScale * mu) - Math.sign(target)) ** 2;
  }
  const [nll, cls, variance, sign] = [
    sums.nll / rows,
    sums.cls / rows,
    sums.variance / rows,
    sums.sign / rows,
  ];
  const { regWeight, clsWeight, uncWeight, signWeight } = settings;
  return {
    nll,
    cls,
    variance,
    sign,
    total: regWeight * nll + clsWeight * cls + uncWeight * variance + signWeight * sign,
  };
}

/** Splits rows of (mu, logvar, logit) as the model leaves them, clamping the log variance. */
export function readOutputs(rows: Float32Array, into: Outputs, offset: number): void {
  for (let i = 0; 3 * i < rows.length; i += 1) {
    into.mu[offset + i] = rows[3 * i] ?? NaN;
    const logvar = rows[3 * i + 1] ?? NaN;
    into.logvar[offset + i] = Math.min(Math.max(logvar, logvarRange.low), logvarRange.high);
    into.logit[offset + i] = rows[3 * i + 2] ?? NaN;
  }
}

/** Room for the outputs of `rows` rows. */
export const emptyOutputs = (rows: number): Outputs => ({
  mu: new Float64Array(rows),
  logvar: new Float64Array(rows),
  logit: new Float64Array(rows),
});
