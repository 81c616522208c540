/** What the model is asked to forecast (hermite-model.md §2). */
export interface Labels {
  /** Log return from candle t to candle t + h, for t = 0 … n − h − 1. */
  readonly y: Float64Array;
  /** 1 where y > 0; an unchanged price is 0. */
  readonly up: Uint8Array;
}

const priceMin = 1e-12;

/**
 * `y_t = ln(max(c_{t+h} / max(c_t, 1e−12), 1e−12))`. With `f32`, prices and results are rounded to single precision as in the
 * original (about 1e−7 in y). Throws a `RangeError` for a horizon below 1, too few closes, or a NaN close.
 */
export function forwardLabels(close: Float64Array, horizon: number, precision: 'f32' | 'f64'): Labels {
  if (!Number.isInteger(horizon) || horizon < 1)
    throw new RangeError(`horizon is ${horizon}; it must be 1 or more`);
  if (close.length <= horizon) {
    throw new RangeError(`${close.length} candles leave no label ${horizon} ahead; give more candles`);
  }
  const round = precision === 'f32' ? Math.fround : (value: number): number => value;
  const y = Float64Array.from({ length: close.length - horizon }, (_, t) => {
    const from = Math.max(round(close[t] ?? NaN), priceMin);
    return round(Math.log(Math.max(round(close[t + horizon] ?? NaN) / from, priceMin)));
  });
  const bad = y.findIndex(Number.isNaN);
  if (bad >= 0) throw new RangeError(`close of candle ${bad} or ${bad + horizon} is not a number`);
  return { y, up: Uint8Array.from(y, (value) => (value > 0 ? 1 : 0)) };
}
