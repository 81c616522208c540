/**
 * What the model sees of a candle table (hermite-model.md §3). All in double precision; every rolling figure is computed from its
 * own window, so that flat stretches give exact zeros and no running sum leaves a residue.
 */
import type { Candles } from '../../shared/core/market/candles.js';
import { candleCount } from '../../shared/core/market/candles.js';

export interface FeatureConfig {
  readonly momentumWindows: readonly number[];
  readonly volatilityWindows: readonly number[];
  /** Window of the lag-1 autocorrelation, ≥ 2. */
  readonly autocorrelationWindow: number;
  readonly drawdownWindow: number;
  /** Spans of the exponential means, candles; empty for none. */
  readonly emaSpans: readonly number[];
  /** `raw`: volume unchanged; `relative-log`: `relativeLogVolume` over `volumeWindow` candles. */
  readonly volume: 'raw' | 'relative-log';
  readonly volumeWindow: number;
}

/** The original's windows (hermite-model.md §16). */
export const defaultWindows = {
  momentumWindows: [8, 24, 64],
  volatilityWindows: [8, 24, 64],
  autocorrelationWindow: 32,
  drawdownWindow: 64,
  emaSpans: [6, 12, 24],
} as const;

/** Named columns of equal length, in the order the model reads them. */
export interface FeatureTable {
  readonly names: readonly string[];
  readonly columns: readonly Float64Array[];
}

const dayMs = 86_400_000;
const weekdays = 7;

/** a / b, but 0 whenever b is 0 or undefined or the result is not finite. */
function quotient(a: number, b: number): number {
  if (b === 0) return 0;
  const value = a / b;
  return Number.isFinite(value) ? value : 0;
}

/** r_t = ln(c_t / c_{t−1}); 0 at the first candle and wherever that is not finite. */
function logReturns(close: Float64Array): Float64Array {
  return close.map((value, t) => {
    const previous = close[t - 1];
    if (previous === undefined || previous === 0) return 0;
    const r = Math.log(value / previous);
    return Number.isFinite(r) ? r : 0;
  });
}

/** Calls `figure(from, t)` for every t with the first position of its last `size` values. */
function rolling(length: number, size: number, figure: (from: number, t: number) => number): Float64Array {
  return Float64Array.from({ length }, (_, t) => figure(Math.max(0, t - size + 1), t));
}

function meanBetween(x: Float64Array, from: number, to: number): number {
  let sum = 0;
  for (let i = from; i <= to; i++) sum += x[i] ?? 0;
  return sum / (to - from + 1);
}

/** Sample standard deviation of x[from … to]; 0 for a single value. */
function deviationBetween(x: Float64Array, from: number, to: number): number {
  if (to === from) return 0;
  const center = meanBetween(x, from, to);
  let sum = 0;
  for (let i = from; i <= to; i++) sum += ((x[i] ?? 0) - center) ** 2;
  return Math.sqrt(sum / (to - from));
}

/** Lag-1 autocorrelation of x[from … to] about its mean; 0 where it is undefined. */
function autocorrelationBetween(x: Float64Array, from: number, to: number): number {
  const center = meanBetween(x, from, to);
  let products = 0;
  let squares = 0;
  for (let i = from; i <= to; i++) {
    const d = (x[i] ?? 0) - center;
    squares += d * d;
    if (i < to) products += d * ((x[i + 1] ?? 0) - center);
  }
  return to > from && squares > 0 ? products / squares : 0;
}

function recentDrawdown(close: Float64Array, window: number): Float64Array {
  return rolling(close.length, window, (from, t) => {
    let highest = -Infinity;
    for (let i = from; i <= t; i++) highest = Math.max(highest, close[i] ?? 0);
    return quotient(close[t] ?? 0, highest) - 1;
  });
}

/** e_0 = r_0, e_t = (1−α) e_{t−1} + α r_t with α = 2/(span+1); the span is cut to an integer of at least 1. */
function exponentialMean(returns: Float64Array, span: number): Float64Array {
  const alpha = 2 / (Math.max(1, Math.trunc(span)) + 1);
  let value = returns[0] ?? 0;
  return returns.map((r, t) => (value = t === 0 ? r : (1 - alpha) * value + alpha * r));
}

/** Keeps `relativeLogVolume` finite for a bar without trades: −4.6 instead of −∞. */
const volumeFloor = 0.01;

/**
 * ln of volume relative to the mean of the last `window` volumes, this candle's included: `ln((v + f m)/((1 + f) m))`, f = 0.01.
 * 0 for a volume at its mean and where nothing was traded at all; free of the drift of raw volume (hermite-model.md §18.18).
 */
export function relativeLogVolume(volume: Float64Array, window: number): Float64Array {
  return rolling(volume.length, window, (from, t) => {
    const level = meanBetween(volume, from, t);
    if (!(level > 0)) return 0;
    return Math.log(((volume[t] ?? 0) + volumeFloor * level) / ((1 + volumeFloor) * level));
  });
}

/** Monday = 0 … Sunday = 6, in UTC. */
export const weekday = (timeMs: number): number => (Math.floor(timeMs / dayMs) + 3) % weekdays;

const finite = (x: Float64Array): Float64Array => x.map((value) => (Number.isFinite(value) ? value : 0));

/** The four columns of the sequence part: return, range, gap of the open, volume. */
function windowFeatures(candles: Candles, returns: Float64Array, config: FeatureConfig): FeatureTable {
  const { open, high, low, close } = candles;
  const previous = (t: number): number => close[t - 1] ?? 0;
  const volume = finite(candles.volume);
  const raw = config.volume === 'raw';
  return {
    names: ['log_ret_close', 'hl_range', 'oc_gap', raw ? 'volume' : 'log_volume_rel'],
    columns: [
      returns,
      high.map((value, t) => quotient(value - (low[t] ?? 0), previous(t))),
      open.map((value, t) => quotient(value - previous(t), previous(t))),
      raw ? volume : relativeLogVolume(volume, config.volumeWindow),
    ],
  };
}

/** Number of columns of `stationaryFeatures` that belong to the sequence part; the others are context. */
export const windowColumnCount = 4;

/**
 * All feature columns in table order, one value per candle: the four of the sequence part, then rolling means, deviations,
 * autocorrelation, drawdown, exponential means and the one-hot weekday of the close time. Never NaN or infinite.
 */
export function stationaryFeatures(candles: Candles, config: FeatureConfig): FeatureTable {
  const n = candleCount(candles);
  const returns = logReturns(candles.close);
  const window = windowFeatures(candles, returns, config);
  const names: string[] = [...window.names];
  const columns: Float64Array[] = [...window.columns];
  const add = (name: string, column: Float64Array): void => {
    names.push(name);
    columns.push(finite(column));
  };
  for (const size of config.momentumWindows) {
    add(
      `log_ret_mean_${size}`,
      rolling(n, size, (from, t) => meanBetween(returns, from, t)),
    );
  }
  for (const size of config.volatilityWindows) {
    add(
      `log_ret_std_${size}`,
      rolling(n, size, (from, t) => deviationBetween(returns, from, t)),
    );
  }
  const lag = config.autocorrelationWindow;
  add(
    'log_ret_autocorr_1',
    rolling(n, lag, (from, t) => autocorrelationBetween(returns, from, t)),
  );
  add('recent_drawdown', recentDrawdown(candles.close, config.drawdownWindow));
  for (const span of config.emaSpans) add(`log_ret_ema_${span}`, exponentialMean(returns, span));
  for (let day = 0; day < weekdays; day++) {
    add(
      `dow_${day}`,
      candles.closeTimeMs.map((time) => (weekday(time) === day ? 1 : 0)),
    );
  }
  return { names, columns };
}
