/**
 * Standardisation of the model's input (hermite-model.md §5, 18.18). Two kinds: `per-column` has one pair of mean and deviation for
 * each column, shared by all lags; `per-lag` has one for each entry of the flattened vector, as the original had.
 */
import { createHash } from 'node:crypto';
import type { FeatureTable } from './features.js';
import { windowColumnCount } from './features.js';

/** Feature columns in single precision, candle by candle, as the model is fed from them. */
export interface FeatureColumns {
  readonly candles: number;
  /** candles × 4, the columns of one candle adjacent. */
  readonly window: Float32Array;
  readonly contextWidth: number;
  /** candles × contextWidth. */
  readonly context: Float32Array;
}

/** Means and deviations; `x' = (x − mean) / deviation`. */
export interface Scaler {
  readonly kind: 'per-column' | 'per-lag';
  /** 4 entries (`per-column`), or 4 W, oldest candle first (`per-lag`). */
  readonly windowMean: Float64Array;
  readonly windowDeviation: Float64Array;
  readonly contextMean: Float64Array;
  readonly contextDeviation: Float64Array;
}

const deviationMin = 1e-6;

/** Packs the feature table by candle, rounded to single precision (hermite-model.md §4). */
export function packColumns(table: FeatureTable): FeatureColumns {
  const candles = table.columns[0]?.length ?? 0;
  const pack = (columns: readonly Float64Array[]): Float32Array => {
    const packed = new Float32Array(candles * columns.length);
    columns.forEach((column, c) => {
      for (let t = 0; t < candles; t++) packed[t * columns.length + c] = column[t] ?? NaN;
    });
    return packed;
  };
  const context = table.columns.slice(windowColumnCount);
  return {
    candles,
    window: pack(table.columns.slice(0, windowColumnCount)),
    contextWidth: context.length,
    context: pack(context),
  };
}

interface Moments {
  readonly mean: Float64Array;
  readonly deviation: Float64Array;
}

/** Mean and population deviation (floored) of `width` entries that start at `offsets` in `packed`. */
function moments(packed: Float32Array, width: number, offsets: Uint32Array): Moments {
  const mean = new Float64Array(width);
  const squares = new Float64Array(width);
  for (const offset of offsets) {
    for (let j = 0; j < width; j++) mean[j] = (mean[j] ?? 0) + (packed[offset + j] ?? NaN);
  }
  for (let j = 0; j < width; j++) mean[j] = (mean[j] ?? 0) / offsets.length;
  for (const offset of offsets) {
    for (let j = 0; j < width; j++) {
      squares[j] = (squares[j] ?? 0) + ((packed[offset + j] ?? NaN) - (mean[j] ?? 0)) ** 2;
    }
  }
  return {
    mean,
    deviation: squares.map((sum) => Math.max(deviationMin, Math.sqrt(sum / offsets.length))),
  };
}

/** All candles that lie in the window of some anchor, each once. */
function candlesInWindows(candles: number, anchors: Uint32Array, window: number): Uint32Array {
  const seen = new Uint8Array(candles);
  let covered = 0;
  for (const anchor of anchors) {
    // Anchors ascend, so everything below `covered` is already marked or never will be.
    for (let t = Math.max(covered, anchor - window + 1); t <= anchor; t++) seen[t] = 1;
    covered = anchor + 1;
  }
  const members: number[] = [];
  for (let t = 0; t < candles; t++) if (seen[t] === 1) members.push(t);
  return Uint32Array.from(members);
}

/**
 * Fits a scaler on the samples with these anchors (ascending, at least one). `per-column` weighs every candle of their windows
 * once; `per-lag` fits each of the 4 W + context entries over the samples.
 */
export function fitScaler(
  columns: FeatureColumns,
  anchors: Uint32Array,
  window: number,
  kind: Scaler['kind'],
): Scaler {
  const width = windowColumnCount;
  const context = moments(
    columns.context,
    columns.contextWidth,
    anchors.map((t) => t * columns.contextWidth),
  );
  const sequence =
    kind === 'per-column'
      ? moments(
          columns.window,
          width,
          candlesInWindows(columns.candles, anchors, window).map((t) => t * width),
        )
      : moments(
          columns.window,
          width * window,
          anchors.map((t) => (t - window + 1) * width),
        );
  return {
    kind,
    windowMean: sequence.mean,
    windowDeviation: sequence.deviation,
    contextMean: context.mean,
    contextDeviation: context.deviation,
  };
}

/** Identity of the rows a scaler was fitted on: SHA-256 of the sorted row numbers as little-endian 64-bit integers. */
export function fittedRowsHash(rows: ArrayLike<number>): string {
  const sorted = Float64Array.from(rows).sort();
  const bytes = new DataView(new ArrayBuffer(sorted.length * 8));
  sorted.forEach((row, i) => bytes.setBigInt64(i * 8, BigInt(row), true));
  return createHash('sha256').update(bytes).digest('hex');
}
