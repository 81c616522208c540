/** What the golden files about models have in common: sizes, weights by canonical name, inputs as flat vectors. */
import { parameterLayout, type Layout } from '../../trainers/hermite/layout.js';
import { rawSignScale, type LossSettings } from '../../trainers/hermite/losses.js';
import { candleFeatures, type ModelShape } from '../../trainers/hermite/model-shape.js';
import type { InputRows } from '../../trainers/hermite/network.js';
import type { Tensor } from '../../trainers/runtime/tensorflow.js';
import { GoldenFormatError, type Figures } from './figures.js';

/** A model's sizes from its `config`; no LSTM when `lstm_hidden` is missing, null or 0, or `use_lstm` is false. */
export function modelShapeOf(config: Figures): ModelShape {
  const size = (key: string): number => config.get(key).number();
  const hidden = config.find('lstm_hidden')?.number() ?? NaN;
  const hasLstm = hidden > 0 && config.find('use_lstm')?.flag() !== false;
  return {
    ...{ window: size('window'), context: size('context'), lstmHidden: hasLstm ? hidden : null },
    ...{ hidden: size('hidden'), degree: size('degree'), mapsA: size('maps_a'), mapsB: size('maps_b') },
    version: config.get('version').choice(['probabilist', 'physicist']),
  };
}

/** The weights as one flat vector; throws `GoldenFormatError` when names or shapes are not the model's. */
export function flatWeights(layout: Layout, weights: Figures): Float32Array {
  const flat = new Float32Array(layout.size);
  const unused = new Set(weights.keys());
  for (const { name, shape, offset } of layout.canonical) {
    const tensor = weights.get(name).tensor();
    unused.delete(name);
    if (tensor.shape.join() !== shape.join())
      throw new GoldenFormatError(
        `${weights.path}.${name} has shape ${tensor.shape.join('×')}, not ${shape.join('×')}`,
      );
    flat.set(tensor.data, offset);
  }
  if (unused.size > 0)
    throw new GoldenFormatError(`${weights.path} has unknown weights: ${[...unused].join(', ')}`);
  return flat;
}

export const layoutOf = (config: Figures): Layout => parameterLayout(modelShapeOf(config));

/** Samples given as flat scaled vectors of 4W + C values. */
export function inputRows({ window, context }: ModelShape, input: Figures): InputRows {
  const sequence = window * candleFeatures;
  const length = sequence + context;
  const { shape, data } = input.tensor();
  if (shape[1] !== length)
    throw new GoldenFormatError(`${input.path} has rows of ${shape[1] ?? 0}, not ${length}`);
  const table = Float32Array.from(data);
  return {
    gather: (rows) => {
      const batch = {
        window: new Float32Array(rows.length * sequence),
        context: new Float32Array(rows.length * context),
      };
      for (let i = 0; i < rows.length; i += 1) {
        const start = (rows[i] ?? NaN) * length;
        batch.window.set(table.subarray(start, start + sequence), i * sequence);
        batch.context.set(table.subarray(start + sequence, start + length), i * context);
      }
      return batch;
    },
  };
}

export const allRows = (count: number): Int32Array => Int32Array.from({ length: count }, (_, row) => row);

/** The loss of the original (raw returns) with weights from `weights`, gamma and positive weight from `config`. */
export const lossSettingsOf = (
  weights: Figures,
  config: Figures,
  classification: 'bce' | 'focal',
): LossSettings => ({
  regWeight: weights.get('reg_weight').number(),
  clsWeight: weights.get('cls_weight').number(),
  uncWeight: weights.get('unc_weight').number(),
  signWeight: weights.get('sign_hinge_weight').number(),
  classification,
  focalGamma: config.get('focal_gamma').number(),
  posWeight: config.get('pos_weight').number(),
  signScale: rawSignScale,
});

export const lossTermNames = ['nll', 'cls', 'variance', 'sign', 'total'] as const;

/** Reads a tensor and frees it. Never at once: a GPU's tensors can only be read later (runtimes.md §2). */
export async function take(tensor: Tensor): Promise<Float32Array> {
  const values = await tensor.data<'float32'>();
  tensor.dispose();
  return values;
}

/** Forecasting needs no pauses here: nothing else waits. */
export const noPause = (): Promise<void> => Promise.resolve();

/** 1 for a target above 0, else 0: what the project takes from the targets and the golden files list beside them. */
export const directionsOf = (y: Float32Array): number[] => Array.from(y, (value) => (value > 0 ? 1 : 0));

export const norm = (values: Float32Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
