/**
 * The fused ops written in TensorFlow.js operations: they run on every backend, and are what the other bodies are
 * tested against. Each has its gradient by hand, because the gradients of TensorFlow.js itself would keep every
 * intermediate tensor and multiply transposed matrices (runtimes.md §2).
 */
import { at, differentiable } from './differentiable.js';
import { referenceHermiteBlock } from './reference-hermite.js';
import { referenceLstmLast } from './reference-lstm.js';
import { referenceSmallOps } from './reference-small-ops.js';
import type { AdamWVectors, RuntimeOps } from './runtime.js';
import type { Tensor, TensorFlow } from './tensorflow.js';

/** Φ, the distribution function of the standard normal. */
const normalCdf = (tf: TensorFlow, x: Tensor): Tensor =>
  tf.mul(tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1), 0.5);

/** x·Φ(x), with derivative Φ(x) + x·φ(x). */
function gelu(tf: TensorFlow, x: Tensor): Tensor {
  return differentiable(tf, [x], (inputs) => {
    const input = at(inputs, 0);
    return {
      value: tf.mul(input, normalCdf(tf, input)),
      saved: [input],
      gradient: (dy, saved) => {
        const kept = at(saved, 0);
        const density = tf.mul(tf.exp(tf.mul(tf.square(kept), -0.5)), 1 / Math.sqrt(2 * Math.PI));
        return [tf.mul(dy, tf.add(normalCdf(tf, kept), tf.mul(kept, density)))];
      },
    };
  });
}

function linear(tf: TensorFlow, x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  return differentiable(tf, [x, weight, bias], (inputs) => ({
    value: tf.add(tf.matMul(at(inputs, 0), tf.transpose(at(inputs, 1))), at(inputs, 2)),
    saved: inputs.slice(0, 2),
    gradient: (dy, saved) => [
      tf.matMul(dy, at(saved, 1)),
      tf.matMul(tf.transpose(dy), at(saved, 0)),
      tf.sum(dy, 0),
    ],
  }));
}

/**
 * `Runtime.adamW`. The rates, in the order of `adamWRates`: clip, β₁, 1−β₁, β₂, 1−β₂, ε, lr/(1−β₁ᵏ), 1/(1−β₂ᵏ), 1−lr·decay; as
 * numbers where the backend has them at hand.
 */
export function referenceAdamW(
  tf: TensorFlow,
  { parameters, first, second }: AdamWVectors,
  gradient: Tensor,
  rates: ArrayLike<Tensor | number>,
): AdamWVectors {
  const rate = (index: number): Tensor | number => at(rates, index);
  const norm = tf.sqrt(tf.sum(tf.square(gradient)));
  const clipped = tf.mul(gradient, tf.minimum(1, tf.div(rate(0), tf.add(norm, 1e-6))));
  const m = tf.add(tf.mul(first, rate(1)), tf.mul(clipped, rate(2)));
  const v = tf.add(tf.mul(second, rate(3)), tf.mul(tf.square(clipped), rate(4)));
  const spread = tf.add(tf.sqrt(tf.mul(v, rate(7))), rate(5));
  const move = tf.mul(tf.div(m, spread), rate(6));
  return { parameters: tf.sub(tf.mul(parameters, rate(8)), move), first: m, second: v };
}

/** All ops in TensorFlow.js operations on the current backend. */
export function referenceOps(tf: TensorFlow): RuntimeOps {
  const product = (a: Tensor, b: Tensor): Tensor => tf.matMul(a, b);
  return {
    ...referenceSmallOps(tf),
    linear: (x, weight, bias) => linear(tf, x, weight, bias),
    gelu: (x) => gelu(tf, x),
    lstmLast: (x, weights) => referenceLstmLast(tf, product, x, weights),
    hermiteBlock: (s, v, coefficients, options) =>
      referenceHermiteBlock(tf, product, { s, v, coefficients }, options),
    adamW: (vectors, gradient, rates) => referenceAdamW(tf, vectors, gradient, tf.unstack(rates)),
  };
}
