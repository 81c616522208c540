/**
 * The loss of hermite-model.md §8, twice: in TensorFlow.js operations for its gradient, and in plain doubles for every
 * figure that is reported.
 */
import { assert } from '../../../shared/core/assert.js';
import { at, differentiable } from '../runtime/differentiable.js';
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

/** ω per row: (ω+1)/2 ± (ω−1)/2 is ω for an upward row and 1 for the others. */
const rowWeights = ({ tf }: Runtime, posWeight: number, direction: Tensor): Tensor =>
  tf.add(tf.mul(direction, (posWeight - 1) / 2), (posWeight + 1) / 2);

/**
 * Classification loss per row [B] and its derivative with respect to the logit. With q = ±logit, positive when right:
 * ω softplus(−q), slope −ω σ(−q); or w softplus(−q) with w = (1 − p_t)^γ = e^{−γ softplus(q)}, slope −w (σ(−q) + γ σ(q) softplus(−q)).
 */
function classificationLoss(
  runtime: Runtime,
  settings: LossSettings,
  { q, direction }: { readonly q: Tensor; readonly direction: Tensor },
): { readonly loss: () => Tensor; readonly slope: () => Tensor } {
  const { tf } = runtime;
  const { focalGamma, posWeight } = settings;
  const entropy = (): Tensor => tf.softplus(tf.neg(q));
  const missing = (): Tensor => tf.sigmoid(tf.neg(q));
  if (settings.classification === 'focal') {
    const wrong = (): Tensor => tf.exp(tf.mul(tf.softplus(q), -focalGamma));
    const fall = (): Tensor => tf.add(missing(), tf.mul(tf.mul(tf.sigmoid(q), entropy()), focalGamma));
    return {
      loss: () => tf.mul(wrong(), entropy()),
      slope: () => tf.mul(tf.mul(wrong(), fall()), tf.neg(direction)),
    };
  }
  const weighted = (rows: Tensor): Tensor =>
    posWeight === 1 ? rows : tf.mul(rows, rowWeights(runtime, posWeight, direction));
  return {
    loss: () => weighted(entropy()),
    slope: () => weighted(tf.mul(missing(), tf.neg(direction))),
  };
}

/** What loss and gradient share, each [B]. */
function lossParts({ tf }: Runtime, settings: LossSettings, outputs: Tensor, targets: TargetTensors) {
  const columns = tf.unstack(outputs, 1);
  const [mu, raw, logit] = [at(columns, 0), at(columns, 1), at(columns, 2)];
  const logvar = tf.clipByValue(raw, logvarRange.low, logvarRange.high);
  const variance = tf.exp(logvar);
  const error = tf.sub(mu, targets.y);
  const scaled = tf.div(error, variance);
  const bounded = tf.tanh(tf.mul(mu, settings.signScale));
  const signError = tf.sub(bounded, tf.sign(targets.y));
  const { direction } = targets;
  const q = tf.mul(logit, direction);
  return { raw, logvar, variance, error, scaled, bounded, signError, direction, q };
}

type LossParts = ReturnType<typeof lossParts>;

/** Derivative of the total with respect to the outputs, [B,3], times the number of rows; 0 for a clamped log variance. */
function outputSlopes(runtime: Runtime, settings: LossSettings, parts: LossParts): Tensor {
  const { tf } = runtime;
  const { regWeight, clsWeight, uncWeight, signWeight, signScale } = settings;
  const { raw, logvar, variance, error, scaled, bounded, signError, direction, q } = parts;
  const ofSign = tf.mul(tf.mul(signError, tf.sub(1, tf.square(bounded))), 2 * signWeight * signScale);
  const ofLogvar = tf.add(
    tf.mul(tf.sub(1, tf.mul(error, scaled)), regWeight / 2),
    tf.mul(variance, uncWeight),
  );
  const inside = tf.cast(tf.equal(raw, logvar), 'float32');
  const ofLogit = classificationLoss(runtime, settings, { q, direction }).slope();
  return tf.stack(
    [tf.add(tf.mul(scaled, regWeight), ofSign), tf.mul(ofLogvar, inside), tf.mul(ofLogit, clsWeight)],
    1,
  );
}

/**
 * The total loss as a scalar tensor; `outputs` [B,3] with the log variance not yet clamped. Its gradient is written out: what
 * TensorFlow.js makes of the terms takes three times as many operations, a tenth of a small model's step.
 */
export function lossTensor(
  runtime: Runtime,
  settings: LossSettings,
  outputs: Tensor,
  targets: TargetTensors,
): Tensor {
  const { tf } = runtime;
  const { regWeight, clsWeight, uncWeight, signWeight } = settings;
  return differentiable(tf, [outputs], (inputs) => {
    const parts = lossParts(runtime, settings, at(inputs, 0), targets);
    const { logvar, variance, error, scaled, signError, direction, q } = parts;
    const cls = classificationLoss(runtime, settings, { q, direction }).loss();
    const likelihood = tf.add(tf.mul(error, scaled), logvar);
    const rows = tf.add(
      tf.add(tf.mul(likelihood, regWeight / 2), tf.mul(cls, clsWeight)),
      tf.add(tf.mul(variance, uncWeight), tf.mul(tf.square(signError), signWeight)),
    );
    const names = Object.keys(parts) as (keyof LossParts)[];
    return {
      value: tf.mean(rows),
      saved: names.map((name) => parts[name]),
      gradient: (dy, saved) => {
        const kept = Object.fromEntries(names.map((name, i) => [name, at(saved, i)])) as LossParts;
        const slopes = outputSlopes(runtime, settings, kept);
        return [tf.mul(slopes, tf.div(dy, kept.q.size))];
      },
    };
  });
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
