/** A model on a runtime: gradient of one batch, and forecasts for many rows. */
import { at } from '../runtime/differentiable.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Tensor } from '../runtime/tensorflow.js';
import { forward, splitParameters, type DropoutMasks, type ModelInput } from './forward.js';
import type { Layout } from './layout.js';
import { emptyOutputs, readOutputs, type LossSettings, type Outputs } from './losses.js';
import { candleFeatures } from './model-shape.js';

/** Scaled samples, wherever they come from. */
export interface InputRows {
  /** The inputs of these rows, in their order. */
  gather(rows: ArrayLike<number>): {
    /** B × W × 4, oldest candle first. */
    readonly window: Float32Array;
    /** B × C. */
    readonly context: Float32Array;
  };
}

export interface Network {
  readonly runtime: Runtime;
  readonly layout: Layout;
}

/** The inputs of some rows as tensors; they belong to the caller. */
export function batchInput(network: Network, inputs: InputRows, rows: Int32Array): ModelInput {
  const { tf } = network.runtime;
  const { window, context } = network.layout.shape;
  const gathered = inputs.gather(rows);
  return {
    sequence: tf.tensor3d(gathered.window, [rows.length, window, candleFeatures]),
    context: tf.tensor2d(gathered.context, [rows.length, context]),
  };
}

export interface Batch {
  readonly input: ModelInput;
  /** One target per row, in the model's unit. */
  readonly y: Float32Array;
  readonly masks: DropoutMasks | null;
}

/** Frees the tensors of a batch. */
export function disposeBatch(batch: Batch): void {
  batch.input.sequence.dispose();
  batch.input.context.dispose();
  batch.masks?.shared.dispose();
  batch.masks?.heads.dispose();
}

const tensorsOf = (input: ModelInput, y: Tensor, masks: DropoutMasks | null): readonly Tensor[] => [
  ...[input.sequence, input.context, y],
  ...(masks === null ? [] : [masks.shared, masks.heads]),
];

/** The tensors of a batch, in the order in which a compiled step takes them; its own and one for the targets. */
export const batchTensors = (network: Network, { input, y, masks }: Batch): readonly Tensor[] =>
  tensorsOf(input, network.runtime.tf.tensor1d(y), masks);

/**
 * The flat gradient of the total loss, and the outputs [B,3] of the pass that it belongs to, from the flat parameters and
 * `batchTensors`. To be called in a tidy: leaves over what it needs on the way. The outputs are kept: they belong to the
 * caller whatever is tidied.
 */
export function gradientOf(
  network: Network,
  settings: LossSettings,
  parameters: Tensor,
  batch: readonly Tensor[],
): { readonly gradient: Tensor; readonly outputs: Tensor } {
  const { runtime, layout } = network;
  const { tf } = runtime;
  const y = at(batch, 2);
  const [shared, heads] = batch.slice(3);
  const pass = {
    input: { sequence: at(batch, 0), context: at(batch, 1) },
    masks: shared === undefined || heads === undefined ? null : { shared, heads },
  };
  const kept: Tensor[] = [];
  const { grads } = tf.valueAndGrads((...pieces) => {
    const { outputs } = forward(runtime, layout, pieces, pass);
    kept.push(tf.keep(outputs));
    return runtime.loss(outputs, y, settings);
  })(splitParameters(runtime, layout, parameters));
  return { gradient: runtime.join(grads), outputs: at(kept, 0) };
}

/** `gradientOf` a batch; both tensors belong to the caller. */
export function lossGradient(
  network: Network,
  settings: LossSettings,
  parameters: Tensor,
  batch: Batch,
): { readonly gradient: Tensor; readonly outputs: Tensor } {
  return network.runtime.tf.tidy(() => {
    const { input, masks } = batch;
    const y = network.runtime.tf.tensor1d(batch.y);
    return { ...gradientOf(network, settings, parameters, tensorsOf(input, y, masks)) };
  });
}

/** Rows per forward pass outside training; bounds memory, beyond it there is nothing to gain. */
const inferenceBatchRows = 512;

/** Forecasts for these rows, dropout off, in batches; `pause` is awaited before each. */
export async function predict(
  network: Network,
  parameters: Tensor,
  source: { readonly inputs: InputRows; readonly rows: Int32Array },
  pause: () => Promise<void>,
): Promise<Outputs> {
  const { runtime, layout } = network;
  const { tf } = runtime;
  const { inputs, rows } = source;
  const result = emptyOutputs(rows.length);
  const pieces = tf.tidy(() => splitParameters(runtime, layout, parameters));
  try {
    for (let start = 0; start < rows.length; start += inferenceBatchRows) {
      await pause();
      const outputs = tf.tidy(() => {
        const input = batchInput(network, inputs, rows.subarray(start, start + inferenceBatchRows));
        return forward(runtime, layout, pieces, { input, masks: null }).outputs;
      });
      const values = await outputs.data<'float32'>();
      outputs.dispose();
      readOutputs(values, result, start);
    }
  } finally {
    pieces.forEach((piece) => piece.dispose());
  }
  return result;
}
