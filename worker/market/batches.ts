/**
 * The model's input for a set of samples, made on demand: years of hourly candles flattened with a window of 256 would take
 * 125 MB per fold, the columns they are made of take 4 MB (hermite-model.md §4, 5).
 */
import { assert } from '../../shared/core/assert.js';
import { windowColumnCount } from './features.js';
import type { FeatureColumns, Scaler } from './scaler.js';

export interface InputBatch {
  /** B × W × 4, oldest candle first. */
  readonly window: Float32Array;
  /** B × contextWidth, at the anchor. */
  readonly context: Float32Array;
}

export interface InputSource {
  readonly window: number;
  readonly contextWidth: number;
  /** The scaled input of these samples (rows of the table of samples), in the order given. */
  readonly gather: (rows: ArrayLike<number>) => InputBatch;
}

/** `x' = (x − mean) / deviation` for all entries, `mean` and `deviation` repeating over them. */
function scaleRepeating(packed: Float32Array, mean: Float64Array, deviation: Float64Array): Float32Array {
  const width = mean.length;
  const scaled = new Float32Array(packed.length);
  for (let from = 0; from < packed.length; from += width) {
    for (let j = 0; j < width; j++) {
      scaled[from + j] = ((packed[from + j] ?? NaN) - (mean[j] ?? NaN)) / (deviation[j] ?? NaN);
    }
  }
  return scaled;
}

/**
 * Input of the samples with these anchor candles, scaled with `scaler`, which must have been fitted for `window`. Per-column figures
 * are applied once to all candles; per-lag figures depend on the position in the window and are applied while gathering.
 */
export function inputSource(
  columns: FeatureColumns,
  scaler: Scaler,
  { anchors, window }: { readonly anchors: Uint32Array; readonly window: number },
): InputSource {
  const { contextWidth } = columns;
  const length = window * windowColumnCount;
  const perLag = scaler.kind === 'per-lag';
  const sequence = perLag
    ? columns.window
    : scaleRepeating(columns.window, scaler.windowMean, scaler.windowDeviation);
  const context = scaleRepeating(columns.context, scaler.contextMean, scaler.contextDeviation);
  const gather = (rows: ArrayLike<number>): InputBatch => {
    const batch = {
      window: new Float32Array(rows.length * length),
      context: new Float32Array(rows.length * contextWidth),
    };
    for (let i = 0; i < rows.length; i++) {
      const anchor = anchors[rows[i] ?? NaN];
      assert(anchor !== undefined, `row ${String(rows[i])} is not one of the ${anchors.length} samples`);
      const from = (anchor - window + 1) * windowColumnCount;
      batch.window.set(sequence.subarray(from, from + length), i * length);
      batch.context.set(
        context.subarray(anchor * contextWidth, (anchor + 1) * contextWidth),
        i * contextWidth,
      );
    }
    if (!perLag) return batch;
    return { ...batch, window: scaleRepeating(batch.window, scaler.windowMean, scaler.windowDeviation) };
  };
  return { window, contextWidth, gather };
}
