import type { HermiteVersion } from '../runtime/runtime.js';

/** Columns of a candle in the sequence part of a sample (hermite-model.md §4). */
export const candleFeatures = 4;

/** The sizes that decide which parameters a model has (hermite-model.md §7). */
export interface ModelShape {
  /** W: candles in the sequence part. */
  readonly window: number;
  /** C: entries of the context part. */
  readonly context: number;
  /** H, or null for a model whose block sees the whole scaled vector (`use_lstm` off). */
  readonly lstmHidden: number | null;
  /** K: rows of each map and width of shared layer and heads. */
  readonly hidden: number;
  /** n: highest polynomial degree. */
  readonly degree: number;
  readonly version: HermiteVersion;
  readonly mapsA: number;
  readonly mapsB: number;
}

/** D: entries of the block's input. */
export const blockWidth = (shape: ModelShape): number =>
  (shape.lstmHidden ?? candleFeatures * shape.window) + shape.context;

/** R: rows of all maps stacked, the positive ones first. */
export const mapRows = (shape: ModelShape): number => (shape.mapsA + shape.mapsB) * shape.hidden;
