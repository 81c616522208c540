/** The network of hermite-model.md §7 on a runtime, from the stacked parameters to the three outputs. */
import { at } from '../runtime/differentiable.js';
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
  /** [B,2D+1]: the block's input s (last LSTM state and context), S(s) and J(s). */
  readonly features: Tensor;
  /** [B,K] each: before LayerNorm, after it, after GELU (before dropout). */
  readonly linear: Tensor;
  readonly normed: Tensor;
  readonly activated: Tensor;
}

/** Splits the flat vector into the stacked tensors of `layout`, at which gradients are taken. */
export function splitParameters(runtime: Runtime, layout: Layout, flat: Tensor): Tensor[] {
  const pieces = runtime.split(
    flat,
    layout.stacked.map((range) => range.size),
  );
  return pieces.map((piece, i) => runtime.tf.reshape(piece, [...at(layout.stacked, i).shape]));
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

/** The three heads at once: their first layers are stacked, their last ones are row-wise inner products. */
function heads(runtime: Runtime, parameter: Lookup, shared: Tensor, mask: Tensor | null): Tensor {
  const { tf } = runtime;
  const hidden = runtime.gelu(runtime.linear(shared, parameter('heads.w1'), parameter('heads.b1')));
  const dropped = mask === null ? hidden : tf.mul(hidden, mask);
  return runtime.headOutputs(dropped, parameter('heads.w2'), parameter('heads.b2'));
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
  const features = runtime.blockFeatures(blockInput, block, parameter('block.bias'));
  const preNorm = runtime.linear(features, parameter('shared.w'), parameter('shared.b'));
  const normed = runtime.layerNorm(preNorm, parameter('norm.gain'), parameter('norm.shift'));
  const activated = runtime.gelu(normed);
  const shared = pass.masks === null ? activated : tf.mul(activated, pass.masks.shared);
  const outputs = heads(runtime, parameter, shared, pass.masks?.heads ?? null);
  return { outputs, features, linear: preNorm, normed, activated };
}
