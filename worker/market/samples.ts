/**
 * Which candles forecasts are made at, and what belongs to each (hermite-model.md §4, 18.10). A *row* is a position in the table
 * of samples; its *anchor* is the candle whose data are the newest it may use.
 */
import type { Candles } from '../../shared/core/market/candles.js';
import { candleCount } from '../../shared/core/market/candles.js';
import { forwardLabels } from './labels.js';

export interface Samples {
  /** Anchor candle of each row, ascending. */
  readonly anchors: Uint32Array;
  readonly y: Float64Array;
  readonly up: Uint8Array;
  /** Close of the anchor candle (rounded to single precision with `f32` labels). */
  readonly anchorPrice: Float64Array;
  /** Close time of the anchor candle. */
  readonly anchorTimeMs: Float64Array;
  /** Close time of the candle the label ends at. */
  readonly targetTimeMs: Float64Array;
  /** Lower median of the time between successive anchors, seconds, ≥ 1. */
  readonly secondsPerStep: number;
}

export interface SampleOptions {
  /** Candles of history that every anchor must have. */
  readonly window: number;
  readonly horizon: number;
  /** `exclude` drops rows whose window (with the close before it) or target spans missing bars. */
  readonly gaps: 'exclude' | 'ignore';
  readonly labelPrecision: 'f32' | 'f64';
}

/** The lower median; NaN for no values. */
function lowerMedian(values: Float64Array): number {
  return values.slice().sort()[Math.floor((values.length - 1) / 2)] ?? NaN;
}

const differences = (times: Float64Array): Float64Array =>
  Float64Array.from(
    { length: Math.max(0, times.length - 1) },
    (_, i) => (times[i + 1] ?? NaN) - (times[i] ?? NaN),
  );

const secondsPerStepDefault = 3600;

/** Lower median of successive differences in seconds, at least 1; 3600 for fewer than two times. */
export function secondsPerStep(timesMs: Float64Array): number {
  if (timesMs.length < 2) return secondsPerStepDefault;
  return Math.max(1, lowerMedian(differences(timesMs)) / 1000);
}

/** For every candle the number of irregular steps in open time up to it; a regular step is the lower median. */
export function gapCounts(openTimeMs: Float64Array): Uint32Array {
  const steps = differences(openTimeMs);
  const regular = lowerMedian(steps);
  const counts = new Uint32Array(openTimeMs.length);
  for (let t = 1; t < counts.length; t++) {
    counts[t] = (counts[t - 1] ?? 0) + (steps[t - 1] === regular ? 0 : 1);
  }
  return counts;
}

function anchorCandles(candles: Candles, options: SampleOptions): Uint32Array {
  const { window, horizon, gaps } = options;
  const n = candleCount(candles);
  const counts = gaps === 'exclude' ? gapCounts(candles.openTimeMs) : null;
  const anchors: number[] = [];
  for (let t = window - 1; t + horizon < n; t++) {
    // The first return of the window reaches back to the close of the candle before it.
    const spansGap = counts !== null && counts[t + horizon] !== counts[Math.max(0, t - window)];
    if (!spansGap) anchors.push(t);
  }
  return Uint32Array.from(anchors);
}

/**
 * The table of samples of a candle table in time order. Throws a `RangeError` when close times fall, or when not one row
 * is left.
 */
export function buildSamples(candles: Candles, options: SampleOptions): Samples {
  const { closeTimeMs, close } = candles;
  const falling = closeTimeMs.findIndex((time, t) => time < (closeTimeMs[t - 1] ?? -Infinity));
  if (falling >= 0)
    throw new RangeError(`candle ${falling} closes before the one it follows; sort the candles by time`);
  const anchors =
    candleCount(candles) > options.horizon ? anchorCandles(candles, options) : new Uint32Array(0);
  if (anchors.length === 0) {
    throw new RangeError(
      `${candleCount(candles)} candles leave no sample with a window of ${options.window} and a horizon of ` +
        `${options.horizon}; give more candles or a smaller window`,
    );
  }
  const labels = forwardLabels(close, options.horizon, options.labelPrecision);
  const round = options.labelPrecision === 'f32' ? Math.fround : (value: number): number => value;
  const at = (column: ArrayLike<number>, ahead: number): Float64Array =>
    Float64Array.from(anchors, (t) => column[t + ahead] ?? NaN);
  const anchorTimeMs = at(closeTimeMs, 0);
  return {
    anchors,
    y: at(labels.y, 0),
    up: Uint8Array.from(anchors, (t) => labels.up[t] ?? 0),
    anchorPrice: at(close, 0).map((price) => round(price)),
    anchorTimeMs,
    targetTimeMs: at(closeTimeMs, options.horizon),
    secondsPerStep: secondsPerStep(anchorTimeMs),
  };
}
