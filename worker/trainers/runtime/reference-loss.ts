/** The loss of hermite-model.md §8 in TensorFlow.js operations. */
import { at, differentiable } from './differentiable.js';
import { logvarRange, type LossSettings } from './loss-settings.js';
import type { Tensor, TensorFlow } from './tensorflow.js';

/** ω per row: (ω+1)/2 ± (ω−1)/2 is ω for an upward row and 1 for the others. */
const rowWeights = (tf: TensorFlow, posWeight: number, direction: Tensor): Tensor =>
  tf.add(tf.mul(direction, (posWeight - 1) / 2), (posWeight + 1) / 2);

/**
 * Classification loss per row [B] and its derivative with respect to the logit. With q = ±logit, positive when right:
 * ω softplus(−q), slope −ω σ(−q); or w softplus(−q) with w = (1 − p_t)^γ = e^{−γ softplus(q)}, slope −w (σ(−q) + γ σ(q) softplus(−q)).
 */
function classificationLoss(
  tf: TensorFlow,
  settings: LossSettings,
  { q, direction }: { readonly q: Tensor; readonly direction: Tensor },
): { readonly loss: () => Tensor; readonly slope: () => Tensor } {
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
    posWeight === 1 ? rows : tf.mul(rows, rowWeights(tf, posWeight, direction));
  return {
    loss: () => weighted(entropy()),
    slope: () => weighted(tf.mul(missing(), tf.neg(direction))),
  };
}

/** What loss and gradient share, each [B]. */
function lossParts(tf: TensorFlow, settings: LossSettings, outputs: Tensor, y: Tensor) {
  const columns = tf.unstack(outputs, 1);
  const [mu, raw, logit] = [at(columns, 0), at(columns, 1), at(columns, 2)];
  const logvar = tf.clipByValue(raw, logvarRange.low, logvarRange.high);
  const variance = tf.exp(logvar);
  const error = tf.sub(mu, y);
  const scaled = tf.div(error, variance);
  const bounded = tf.tanh(tf.mul(mu, settings.signScale));
  const signError = tf.sub(bounded, tf.sign(y));
  // 1 where y > 0, else −1.
  const direction = tf.sub(tf.mul(tf.step(y), 2), 1);
  const q = tf.mul(logit, direction);
  return { raw, logvar, variance, error, scaled, bounded, signError, direction, q };
}

type LossParts = ReturnType<typeof lossParts>;

/** Derivative of the total with respect to the outputs, [B,3], times the number of rows; 0 for a clamped log variance. */
function outputSlopes(tf: TensorFlow, settings: LossSettings, parts: LossParts): Tensor {
  const { regWeight, clsWeight, uncWeight, signWeight, signScale } = settings;
  const { raw, logvar, variance, error, scaled, bounded, signError, direction, q } = parts;
  const ofSign = tf.mul(tf.mul(signError, tf.sub(1, tf.square(bounded))), 2 * signWeight * signScale);
  const ofLogvar = tf.add(
    tf.mul(tf.sub(1, tf.mul(error, scaled)), regWeight / 2),
    tf.mul(variance, uncWeight),
  );
  const inside = tf.cast(tf.equal(raw, logvar), 'float32');
  const ofLogit = classificationLoss(tf, settings, { q, direction }).slope();
  return tf.stack(
    [tf.add(tf.mul(scaled, regWeight), ofSign), tf.mul(ofLogvar, inside), tf.mul(ofLogit, clsWeight)],
    1,
  );
}

/**
 * The total loss as a scalar tensor; `outputs` [B,3] with the log variance not yet clamped. Its gradient is written out: what
 * TensorFlow.js makes of the terms takes three times as many operations, a tenth of a small model's step.
 */
export function referenceLoss(tf: TensorFlow, outputs: Tensor, y: Tensor, settings: LossSettings): Tensor {
  const { regWeight, clsWeight, uncWeight, signWeight } = settings;
  return differentiable(tf, [outputs], (inputs) => {
    const parts = lossParts(tf, settings, at(inputs, 0), y);
    const { logvar, variance, error, scaled, signError, direction, q } = parts;
    const cls = classificationLoss(tf, settings, { q, direction }).loss();
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
        const slopes = outputSlopes(tf, settings, kept);
        return [tf.mul(slopes, tf.div(dy, kept.q.size))];
      },
    };
  });
}
