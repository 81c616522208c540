/**
 * The canonical bytes of a candle table: what a data set's SHA-256 is taken over, what is stored, and what travels
 * to the workers. The same candles always give the same bytes, on every machine.
 *
 * Layout (all numbers little-endian):
 *   24 bytes  the text `parzen-candles-v1`, padded with zero bytes
 *    8 bytes  number of rows, unsigned 64-bit
 *   then the columns in the order of `candleColumns`, each as rows × float64
 *
 * A float64 has more than one bit pattern for zero and for NaN. So that equal candles have equal bytes, −0 is written
 * as 0, and a value that is not finite is refused (a candle never has one).
 */
import { candleColumns, candleCount, type Candles } from './candles.js';

/** Name of the layout; also the first bytes of every encoded table. */
export const candleLayout = 'parzen-candles-v1';

const magicBytes = 24;
const headerBytes = magicBytes + 8;
const cellBytes = 8;

/** Thrown when bytes are not a candle table, or candles cannot be encoded; the message says what is wrong. */
export class CandleCodecError extends Error {
  override readonly name = 'CandleCodecError';
}

/** Bytes of a table with this many rows. */
export const encodedCandleBytes = (rows: number): number =>
  headerBytes + rows * candleColumns.length * cellBytes;

/**
 * Encodes a candle table. Throws `CandleCodecError` when the columns have different lengths or a value is not finite.
 */
export function encodeCandles(candles: Candles): Uint8Array {
  const rows = candleCount(candles);
  const bytes = new Uint8Array(encodedCandleBytes(rows));
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < candleLayout.length; i++) bytes[i] = candleLayout.charCodeAt(i);
  view.setBigUint64(magicBytes, BigInt(rows), true);
  let offset = headerBytes;
  for (const name of candleColumns) {
    const column = candles[name];
    if (column.length !== rows)
      throw new CandleCodecError(`column ${name} has ${column.length} rows, openTimeMs has ${rows}`);
    column.forEach((value, row) => {
      if (!Number.isFinite(value))
        throw new CandleCodecError(`column ${name}, row ${row}: ${value} is not a finite number`);
      view.setFloat64(offset, value === 0 ? 0 : value, true);
      offset += cellBytes;
    });
  }
  return bytes;
}

/**
 * Decodes what `encodeCandles` wrote. Throws `CandleCodecError` for a wrong first line, a length that does not fit
 * the stated number of rows (cut off or continued), and values that are not finite.
 */
export function decodeCandles(bytes: Uint8Array): Candles {
  const rows = rowsStated(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = headerBytes;
  const nextColumn = (name: string): Float64Array => {
    const column = new Float64Array(rows);
    for (let row = 0; row < rows; row++, offset += cellBytes) {
      const value = view.getFloat64(offset, true);
      if (!Number.isFinite(value))
        throw new CandleCodecError(`column ${name}, row ${row}: ${value} is not a finite number`);
      column[row] = value;
    }
    return column;
  };
  // Object literals are evaluated in the order written, which is that of candleColumns (held by a test).
  return {
    openTimeMs: nextColumn('openTimeMs'),
    open: nextColumn('open'),
    high: nextColumn('high'),
    low: nextColumn('low'),
    close: nextColumn('close'),
    volume: nextColumn('volume'),
    closeTimeMs: nextColumn('closeTimeMs'),
    quoteVolume: nextColumn('quoteVolume'),
    tradeCount: nextColumn('tradeCount'),
    takerBuyBase: nextColumn('takerBuyBase'),
    takerBuyQuote: nextColumn('takerBuyQuote'),
  };
}

/** The number of rows from the header, after checking it against the length of the bytes. */
function rowsStated(bytes: Uint8Array): number {
  if (bytes.length < headerBytes)
    throw new CandleCodecError(
      `${bytes.length} bytes are too few for a candle table: its header alone has ${headerBytes}`,
    );
  for (let i = 0; i < magicBytes; i++) {
    const expected = i < candleLayout.length ? candleLayout.charCodeAt(i) : 0;
    if (bytes[i] !== expected)
      throw new CandleCodecError(`not a candle table: the bytes do not begin with ${candleLayout}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const rows = view.getBigUint64(magicBytes, true);
  // Compared as integers of any size, so that a damaged header cannot ask for an absurd allocation.
  const expectedBytes = BigInt(headerBytes) + rows * BigInt(candleColumns.length * cellBytes);
  if (expectedBytes !== BigInt(bytes.length)) {
    const what = expectedBytes > BigInt(bytes.length) ? 'cut off' : 'followed by something else';
    throw new CandleCodecError(
      `candle table is ${what}: ${rows} rows take ${expectedBytes} bytes, there are ${bytes.length}`,
    );
  }
  return Number(rows);
}
