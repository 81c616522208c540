/**
 * What a trial forecast for each of its test rows, as bytes: what a worker leaves with a trial, and what trials are compared by,
 * candle for candle (hermite-model.md §18.4), or scored again under another strategy (§18.17).
 *
 * Layout (all numbers little-endian):
 *   24 bytes  the text `parzen-forecasts-v1`, padded with zero bytes
 *    8 bytes  bars from a row's anchor to its target, seconds per bar; unsigned 32-bit each
 *    4 bytes  number of folds, unsigned 32-bit
 *    4 bytes  per fold its number of rows, unsigned 32-bit
 *   then the columns in the order of `forecastColumns`, each over all rows, fold after fold; times as float64, the others as float32
 *
 * Single precision moves an AUC by less than a pair of rows in millions.
 */

/** Name of the layout; also the first bytes of every encoded table. */
export const forecastLayout = 'parzen-forecasts-v1';

/** One row per test row, fold after fold, in time order within each. */
export interface Forecasts {
  /** Rows of each fold. */
  readonly folds: readonly number[];
  /** Bars from the anchor to the target. */
  readonly horizon: number;
  readonly secondsPerStep: number;
  /** Close of the last candle that the forecast knows, ms UTC. */
  readonly anchorTimeMs: Float64Array;
  /** Log return that came to pass. */
  readonly y: Float32Array;
  /** What the AUC ranks rows by: rises with the probability of up, uncalibrated. */
  readonly score: Float32Array;
  /** Calibrated probability of up. */
  readonly probability: Float32Array;
  /** Forecast log return, and its standard deviation. */
  readonly mu: Float32Array;
  readonly sigma: Float32Array;
}

/** The columns of single precision, in their order. */
const singleColumns = ['y', 'score', 'probability', 'mu', 'sigma'] as const;

/** Thrown when bytes are not a table of forecasts; the message says what is wrong. */
export class ForecastCodecError extends Error {
  override readonly name = 'ForecastCodecError';
}

const magicBytes = 24;
const headerBytes = magicBytes + 12;
const timeBytes = 8;
const singleBytes = 4;
const rowBytes = timeBytes + singleColumns.length * singleBytes;

/** Bytes of a table. */
export const encodedForecastBytes = (rows: number, folds: number): number =>
  headerBytes + 4 * folds + rows * rowBytes;

/** Encodes a table. Throws `ForecastCodecError` when a column has not as many rows as the folds together. */
export function encodeForecasts(forecasts: Forecasts): Uint8Array {
  const { folds, horizon, secondsPerStep, anchorTimeMs } = forecasts;
  const rows = folds.reduce((sum, fold) => sum + fold, 0);
  const bytes = new Uint8Array(encodedForecastBytes(rows, folds.length));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < forecastLayout.length; i++) bytes[i] = forecastLayout.charCodeAt(i);
  view.setUint32(magicBytes, horizon, true);
  view.setUint32(magicBytes + 4, secondsPerStep, true);
  view.setUint32(magicBytes + 8, folds.length, true);
  folds.forEach((fold, index) => view.setUint32(headerBytes + 4 * index, fold, true));
  let offset = headerBytes + 4 * folds.length;
  const hasAllRows = (name: string, column: ArrayLike<number>): void => {
    if (column.length !== rows)
      throw new ForecastCodecError(`column ${name} has ${column.length} rows, the folds have ${rows}`);
  };
  hasAllRows('anchorTimeMs', anchorTimeMs);
  for (const time of anchorTimeMs) {
    view.setFloat64(offset, time, true);
    offset += timeBytes;
  }
  for (const name of singleColumns) {
    hasAllRows(name, forecasts[name]);
    for (const value of forecasts[name]) {
      view.setFloat32(offset, value, true);
      offset += singleBytes;
    }
  }
  return bytes;
}

/** Decodes what `encodeForecasts` wrote. Throws `ForecastCodecError` for anything else, cut off or continued. */
export function decodeForecasts(bytes: Uint8Array): Forecasts {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const foldCount = foldsStated(bytes, view);
  const folds = Array.from({ length: foldCount }, (_, index) =>
    view.getUint32(headerBytes + 4 * index, true),
  );
  const rows = folds.reduce((sum, fold) => sum + fold, 0);
  const expected = encodedForecastBytes(rows, foldCount);
  if (expected !== bytes.length) {
    const what = expected > bytes.length ? 'cut off' : 'followed by something else';
    throw new ForecastCodecError(
      `the table of forecasts is ${what}: ${rows} rows take ${expected} bytes, there are ${bytes.length}`,
    );
  }
  const from = headerBytes + 4 * foldCount;
  const single = (name: (typeof singleColumns)[number]): Float32Array => {
    const start = from + rows * (timeBytes + singleColumns.indexOf(name) * singleBytes);
    return Float32Array.from({ length: rows }, (_, row) => view.getFloat32(start + singleBytes * row, true));
  };
  return {
    folds,
    horizon: view.getUint32(magicBytes, true),
    secondsPerStep: view.getUint32(magicBytes + 4, true),
    anchorTimeMs: Float64Array.from({ length: rows }, (_, row) =>
      view.getFloat64(from + timeBytes * row, true),
    ),
    y: single('y'),
    score: single('score'),
    probability: single('probability'),
    mu: single('mu'),
    sigma: single('sigma'),
  };
}

/** The number of folds from the header, after a look at the beginning and the length. */
function foldsStated(bytes: Uint8Array, view: DataView): number {
  if (bytes.length < headerBytes)
    throw new ForecastCodecError(
      `${bytes.length} bytes are too few for a table of forecasts: its header alone has ${headerBytes}`,
    );
  for (let i = 0; i < magicBytes; i++) {
    const expected = i < forecastLayout.length ? forecastLayout.charCodeAt(i) : 0;
    if (bytes[i] !== expected)
      throw new ForecastCodecError(`not a table of forecasts: the bytes do not begin with ${forecastLayout}`);
  }
  const folds = view.getUint32(magicBytes + 8, true);
  if (encodedForecastBytes(0, folds) > bytes.length)
    throw new ForecastCodecError(
      `the table of forecasts is cut off: ${folds} folds do not fit ${bytes.length} bytes`,
    );
  return folds;
}
