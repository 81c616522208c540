/** The network of hermite-model.md §7 on a runtime, from the stacked parameters to the three outputs. */
import { at, differentiable } from '../runtime/differentiable.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Tensor } from '../runtime/tensorflow.js';
import type { Layout, StackedName } from './layout.js';

export interface ModelInput {
  /** Scaled sequence part, [B,W,4], oldest candle first. */
  readonly sequence: Tensor;
  /** Scaled context part, [B,C]. */
  readonly context: Tensor;
}

/** Inverted dropout masks: entries 0 or 1/(1−rate). Null while evaluating. */
export interface DropoutMasks {
  /** [B,K], after the shared layer. */
  readonly shared: Tensor;
  /** [B,3K], inside the three heads. */
  readonly heads: Tensor;
}

/** Everything that the golden files show of one pass. */
export interface ModelPass {
  /** [B,3]: mu, logvar (not yet clamped), logit. */
  readonly outputs: Tensor;
  /** [B,D]: last LSTM state and context. */
  readonly blockInput: Tensor;
  /** [B,D+1]: S(s) and J(s). */
  readonly blockOutput: Tensor;
  /** [B,K] each: before LayerNorm, after it, after GELU (before dropout). */
  readonly linear: Tensor;
  readonly normed: Tensor;
  readonly activated: Tensor;
}

const layerNormEpsilon = 1e-5;

/** Splits the flat vector into the stacked tensors of `layout`, at which gradients are taken. */
export function splitParameters(runtime: Runtime, layout: Layout, flat: Tensor): Tensor[] {
  const { tf } = runtime;
  const pieces = tf.split(
    flat,
    layout.stacked.map((range) => range.size),
  );
  return pieces.map((piece, i) => tf.reshape(piece, [...at(layout.stacked, i).shape]));
}

type Lookup = (name: StackedName) => Tensor;

const lookup =
  (layout: Layout, parameters: readonly Tensor[]): Lookup =>
  (name) =>
    at(
      parameters,
      layout.stacked.findIndex((range) => range.name === name),
    );

function encode(runtime: Runtime, layout: Layout, parameter: Lookup, input: ModelInput): Tensor {
  const { tf } = runtime;
  if (layout.shape.lstmHidden === null) {
    const [batch = 0, ...rest] = input.sequence.shape;
    const flat = tf.reshape(input.sequence, [batch, rest.reduce((size, extent) => size * extent, 1)]);
    return tf.concat([flat, input.context], 1);
  }
  const lastHidden = runtime.lstmLast(input.sequence, {
    wi: parameter('lstm.wi'),
    wh: parameter('lstm.wh'),
    bias: tf.add(parameter('lstm.bi'), parameter('lstm.bh')),
  });
  return tf.concat([lastHidden, input.context], 1);
}

/**
 * LayerNorm of x [B,K] with biased variance. With n = (x − mean)/sd and g = dy·gain its gradient is
 * dx = (g − mean g − n·mean(g·n))/sd, dgain = Σ_b dy·n, dshift = Σ_b dy; means run over K.
 */
function layerNorm({ tf }: Runtime, x: Tensor, gain: Tensor, shift: Tensor): Tensor {
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
function perHeadProducts({ tf }: Runtime, hidden: Tensor, w: Tensor): Tensor {
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

/** The three heads at once: their first layers are stacked, their last ones are row-wise inner products. */
function heads(runtime: Runtime, parameter: Lookup, shared: Tensor, mask: Tensor | null): Tensor {
  const { tf } = runtime;
  const hidden = runtime.gelu(runtime.linear(shared, parameter('heads.w1'), parameter('heads.b1')));
  const dropped = mask === null ? hidden : tf.mul(hidden, mask);
  return tf.add(perHeadProducts(runtime, dropped, parameter('heads.w2')), parameter('heads.b2'));
}

/**
 * One forward pass. `parameters` are the stacked tensors in the order of `layout.stacked`; masks are null for
 * evaluation.
 */
export function forward(
  runtime: Runtime,
  layout: Layout,
  parameters: readonly Tensor[],
  pass: { readonly input: ModelInput; readonly masks: DropoutMasks | null },
): ModelPass {
  const { tf } = runtime;
  const parameter = lookup(layout, parameters);
  const { version, mapsA, hidden } = layout.shape;
  const blockInput = encode(runtime, layout, parameter, pass.input);
  const block = runtime.hermiteBlock(blockInput, parameter('block.v'), parameter('hermite.coefficients'), {
    version,
    positiveRows: mapsA * hidden,
  });
  const blockOutput = tf.add(block, tf.concat([parameter('block.bias'), tf.zeros([1])]));
  const features = tf.concat([blockInput, blockOutput], 1);
  const preNorm = runtime.linear(features, parameter('shared.w'), parameter('shared.b'));
  const normed = layerNorm(runtime, preNorm, parameter('norm.gain'), parameter('norm.shift'));
  const activated = runtime.gelu(normed);
  const shared = pass.masks === null ? activated : tf.mul(activated, pass.masks.shared);
  const outputs = heads(runtime, parameter, shared, pass.masks?.heads ?? null);
  return { outputs, blockInput, blockOutput, linear: preNorm, normed, activated };
}
