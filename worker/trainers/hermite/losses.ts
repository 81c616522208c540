/**
 * The loss of hermite-model.md §8, twice: in TensorFlow.js operations for its gradient, and in plain doubles for every
 * figure that is reported.
 */
import { assert } from '../../../shared/core/assert.js';
import { at } from '../runtime/differentiable.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Tensor } from '../runtime/tensorflow.js';

export interface LossSettings {
  readonly regWeight: number;
  readonly clsWeight: number;
  readonly uncWeight: number;
  readonly signWeight: number;
  readonly classification: 'bce' | 'focal';
  readonly focalGamma: number;
  /** ω: weight of the positive class under bce; 1 under focal. */
  readonly posWeight: number;
  /**
   * Factor inside the tanh of the sign term: 5 on raw returns, as in the original. On targets in units of σ it is
   * √(2/π): then tanh(factor·mu) follows 2·P(up) − 1 = erf(mu/√2), so that the term and the likelihood agree on mu.
   */
  readonly signScale: number;
}

export const rawSignScale = 5;
export const standardisedSignScale = Math.sqrt(2 / Math.PI);

/** Limits of the log variance (§7.6). */
export const logvarRange = { low: -12, high: 5 } as const;

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

/** Targets of a batch as tensors of shape [B]. */
export interface TargetTensors {
  readonly y: Tensor;
  /** 1 where y > 0, else −1. */
  readonly direction: Tensor;
}

function classificationLoss(
  runtime: Runtime,
  settings: LossSettings,
  logit: Tensor,
  direction: Tensor,
): Tensor {
  const { tf } = runtime;
  const q = tf.mul(logit, direction);
  const entropy = tf.softplus(tf.neg(q));
  if (settings.classification === 'focal') {
    const wrong = tf.exp(tf.mul(tf.softplus(q), -settings.focalGamma));
    return tf.mean(tf.mul(wrong, entropy));
  }
  if (settings.posWeight === 1) return tf.mean(entropy);
  // (ω+1)/2 ± (ω−1)/2 is ω for an upward row and 1 for the others.
  const half = (settings.posWeight - 1) / 2;
  const weight = tf.add(tf.mul(direction, half), half + 1);
  return tf.mean(tf.mul(entropy, weight));
}

/** The total loss as a scalar tensor; `outputs` [B,3] with the log variance not yet clamped. */
export function lossTensor(
  runtime: Runtime,
  settings: LossSettings,
  outputs: Tensor,
  targets: TargetTensors,
): Tensor {
  const { tf } = runtime;
  const columns = tf.unstack(outputs, 1);
  const mu = at(columns, 0);
  const logvar = tf.clipByValue(at(columns, 1), logvarRange.low, logvarRange.high);
  const error = tf.square(tf.sub(targets.y, mu));
  const nll = tf.mul(tf.mean(tf.add(tf.mul(error, tf.exp(tf.neg(logvar))), logvar)), 0.5);
  const cls = classificationLoss(runtime, settings, at(columns, 2), targets.direction);
  const variance = tf.mean(tf.exp(logvar));
  const sign = tf.mean(tf.square(tf.sub(tf.tanh(tf.mul(mu, settings.signScale)), tf.sign(targets.y))));
  return tf.add(
    tf.add(tf.mul(nll, settings.regWeight), tf.mul(cls, settings.clsWeight)),
    tf.add(tf.mul(variance, settings.uncWeight), tf.mul(sign, settings.signWeight)),
  );
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
