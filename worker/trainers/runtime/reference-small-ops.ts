/**
 * The small ops in TensorFlow.js operations, for every runtime without kernels for them, and what those kernels are tested
 * against. Gradients that TensorFlow.js makes of many operations are written out.
 */
import { at, differentiable } from './differentiable.js';
import { referenceLoss } from './reference-loss.js';
import type { SmallOps } from './runtime.js';
import type { Tensor, TensorFlow } from './tensorflow.js';

export const layerNormEpsilon = 1e-5;

/**
 * LayerNorm of x [B,K] with biased variance. With n = (x − mean)/sd and g = dy·gain its gradient is
 * dx = (g − mean g − n·mean(g·n))/sd, dgain = Σ_b dy·n, dshift = Σ_b dy; means run over K.
 */
function layerNorm(tf: TensorFlow, x: Tensor, gain: Tensor, shift: Tensor): Tensor {
  return differentiable(tf, [x, gain, shift], (inputs) => {
    const [values, scale] = [at(inputs, 0), at(inputs, 1)];
    const centred = tf.sub(values, tf.mean(values, 1, true));
    const inverse = tf.rsqrt(tf.add(tf.mean(tf.square(centred), 1, true), layerNormEpsilon));
    const normed = tf.mul(centred, inverse);
    return {
      value: tf.add(tf.mul(normed, scale), at(inputs, 2)),
      saved: [normed, inverse, scale],
      gradient: (dy, saved) => {
        const [n, perRow, kept] = [at(saved, 0), at(saved, 1), at(saved, 2)];
        const g = tf.mul(dy, kept);
        const share = tf.mul(n, tf.mean(tf.mul(g, n), 1, true));
        const dx = tf.mul(tf.sub(tf.sub(g, tf.mean(g, 1, true)), share), perRow);
        return [dx, tf.sum(tf.mul(dy, n), 0), tf.sum(dy, 0)];
      },
    };
  });
}

/** Inner products of hidden [B,N·K] with w [N,K], head by head: [B,N]. */
function perHeadProducts(tf: TensorFlow, hidden: Tensor, w: Tensor): Tensor {
  return differentiable(tf, [hidden, w], (inputs) => {
    const weights = at(inputs, 1);
    const [heads = 0, width = 0] = weights.shape;
    const parted = tf.reshape(at(inputs, 0), [-1, heads, width]);
    return {
      value: tf.sum(tf.mul(parted, weights), 2),
      saved: [parted, weights],
      gradient: (dy, saved) => {
        const perHead = tf.expandDims(dy, 2);
        const dHidden = tf.mul(perHead, at(saved, 1));
        return [tf.reshape(dHidden, [-1, heads * width]), tf.sum(tf.mul(perHead, at(saved, 0)), 0)];
      },
    };
  });
}

function blockFeatures(tf: TensorFlow, s: Tensor, block: Tensor, bias: Tensor): Tensor {
  return tf.concat([s, tf.add(block, tf.concat([bias, tf.zeros([1])]))], 1);
}

/** All small ops in TensorFlow.js operations on the current backend. */
export const referenceSmallOps = (tf: TensorFlow): SmallOps => ({
  layerNorm: (x, gain, shift) => layerNorm(tf, x, gain, shift),
  blockFeatures: (s, block, bias) => blockFeatures(tf, s, block, bias),
  headOutputs: (hidden, weight, bias) => tf.add(perHeadProducts(tf, hidden, weight), bias),
  loss: (outputs, y, settings) => referenceLoss(tf, outputs, y, settings),
  split: (flat, sizes) => tf.split(flat, [...sizes]),
  join: (pieces) => tf.concat(pieces.map((piece) => tf.reshape(piece, [-1]))),
});
