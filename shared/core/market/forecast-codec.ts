/**
 * What a trial forecast for each of its test rows, as bytes: what a worker leaves with a trial, and what trials are compared by,
 * candle for candle (hermite-model.md §18.4), or scored again under another strategy (§18.17).
 *
 * Layout (all numbers little-endian):
 *   24 bytes  the text `parzen-forecasts-v1`, padded with zero bytes
 *    8 bytes  bars from a row's anchor to its target, seconds per bar; unsigned 32-bit each
 *    4 bytes  number of folds, unsigned 32-bit
 *    4 bytes  per fold its number of rows, unsigned 32-bit
 *   then the columns in the order of `columns`, each over all rows, fold after fold: 36 bytes a row
 *
 * What rows are ranked and called by is kept whole, so that the figures of a trial can be computed again from it.
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
  readonly score: Float64Array;
  /** Calibrated probability of up. */
  readonly probability: Float64Array;
  /** Forecast log return, and its standard deviation. */
  readonly mu: Float32Array;
  readonly sigma: Float32Array;
}

/** The columns in their order, each with the bytes of one of its numbers. */
const columns = [
  ['anchorTimeMs', 8],
  ['score', 8],
  ['probability', 8],
  ['y', 4],
  ['mu', 4],
  ['sigma', 4],
] as const;
type ColumnName = (typeof columns)[number][0];

/** Far more than any plan of folds has. */
const foldsMax = 10_000;

/** Thrown when bytes are not a table of forecasts; the message says what is wrong. */
export class ForecastCodecError extends Error {
  override readonly name = 'ForecastCodecError';
}

const magicBytes = 24;
const headerBytes = magicBytes + 12;
const rowBytes = columns.reduce((sum, [, bytes]) => sum + bytes, 0);

/** Bytes of a table. */
export const encodedForecastBytes = (rows: number, folds: number): number =>
  headerBytes + 4 * folds + rows * rowBytes;

/** Encodes a table. Throws `ForecastCodecError` when a column has not as many rows as the folds together. */
export function encodeForecasts(forecasts: Forecasts): Uint8Array {
  const { folds, horizon, secondsPerStep } = forecasts;
  const rows = folds.reduce((sum, fold) => sum + fold, 0);
  const bytes = new Uint8Array(encodedForecastBytes(rows, folds.length));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < forecastLayout.length; i++) bytes[i] = forecastLayout.charCodeAt(i);
  view.setUint32(magicBytes, horizon, true);
  view.setUint32(magicBytes + 4, secondsPerStep, true);
  view.setUint32(magicBytes + 8, folds.length, true);
  folds.forEach((fold, index) => view.setUint32(headerBytes + 4 * index, fold, true));
  let offset = headerBytes + 4 * folds.length;
  for (const [name, size] of columns) {
    const column = forecasts[name];
    if (column.length !== rows)
      throw new ForecastCodecError(`column ${name} has ${column.length} rows, the folds have ${rows}`);
    for (const value of column) {
      if (size === 8) view.setFloat64(offset, value, true);
      else view.setFloat32(offset, value, true);
      offset += size;
    }
  }
  return bytes;
}

/** Decodes what `encodeForecasts` wrote. Throws `ForecastCodecError` for anything else, cut off or continued. */
export function decodeForecasts(bytes: Uint8Array): Forecasts {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const foldCount = foldsStated(bytes, view);
  const start = (name: ColumnName): number => {
    let before = 0;
    for (const [each, size] of columns) {
      if (each === name) break;
      before += size;
    }
    return headerBytes + 4 * foldCount + rows * before;
  };
  const double = (name: ColumnName): Float64Array => {
    const from = start(name);
    return Float64Array.from({ length: rows }, (_, row) => view.getFloat64(from + 8 * row, true));
  };
  const single = (name: ColumnName): Float32Array => {
    const from = start(name);
    return Float32Array.from({ length: rows }, (_, row) => view.getFloat32(from + 4 * row, true));
  };
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
  const forecasts: Forecasts = {
    ...{
      folds,
      horizon: view.getUint32(magicBytes, true),
      secondsPerStep: view.getUint32(magicBytes + 4, true),
    },
    anchorTimeMs: double('anchorTimeMs'),
    y: single('y'),
    score: double('score'),
    probability: double('probability'),
    mu: single('mu'),
    sigma: single('sigma'),
  };
  check(forecasts);
  return forecasts;
}

/** It comes from whoever ran the trial: what cannot be judged is refused with its place. */
function check({ folds, horizon, secondsPerStep, anchorTimeMs, y, score, probability }: Forecasts): void {
  const refuse = (what: string): never => {
    throw new ForecastCodecError(`not a table of forecasts: ${what}`);
  };
  if (horizon < 1 || secondsPerStep < 1) refuse(`a horizon of ${horizon} bars of ${secondsPerStep} s`);
  let row = 0;
  folds.forEach((rows, fold) => {
    for (const end = row + rows; row < end; row++) {
      const [time = NaN, p = NaN] = [anchorTimeMs[row], probability[row]];
      const isFirst = row === end - rows;
      if (!(Math.abs(time) <= 8.64e15) || (!isFirst && !(time > (anchorTimeMs[row - 1] ?? NaN))))
        refuse(`the times of fold ${fold} do not rise at row ${row}`);
      if (!Number.isFinite(y[row]) || !Number.isFinite(score[row]) || !(p >= 0 && p <= 1))
        refuse(`row ${row} holds what is no return, score or probability`);
    }
  });
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
  if (folds > foldsMax) throw new ForecastCodecError(`not a table of forecasts: it states ${folds} folds`);
  if (encodedForecastBytes(0, folds) > bytes.length)
    throw new ForecastCodecError(
      `the table of forecasts is cut off: ${folds} folds do not fit ${bytes.length} bytes`,
    );
  return folds;
}
