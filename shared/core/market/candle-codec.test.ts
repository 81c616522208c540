import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { candleColumns, type Candles } from './candles.js';
import { CandleCodecError, decodeCandles, encodeCandles, encodedCandleBytes } from './candle-codec.js';

/** Candles whose cell in column c, row r is `cell(c, r)`. */
function candlesOf(rows: number, cell: (column: number, row: number) => number): Candles {
  const column = (index: number): Float64Array =>
    Float64Array.from({ length: rows }, (_, row) => cell(index, row));
  return Object.fromEntries(candleColumns.map((name, index) => [name, column(index)])) as unknown as Candles;
}

describe('encodeCandles', () => {
  it('writes the layout byte by byte: magic, row count, then each column', () => {
    const bytes = encodeCandles(candlesOf(2, (column, row) => column + row / 2));
    expect(bytes.length).toBe(32 + 11 * 2 * 8);
    expect(bytes.length).toBe(encodedCandleBytes(2));
    expect(Buffer.from(bytes.subarray(0, 17)).toString('latin1')).toBe('parzen-candles-v1');
    expect([...bytes.subarray(17, 24)]).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect([...bytes.subarray(24, 32)]).toEqual([2, 0, 0, 0, 0, 0, 0, 0]);
    const view = new DataView(bytes.buffer);
    const cells = Array.from({ length: 22 }, (_, i) => view.getFloat64(32 + i * 8, true));
    expect(cells).toEqual(candleColumns.flatMap((_, column) => [column, column + 0.5]));
  });

  it('gives equal bytes for equal candles: −0 is written as 0', () => {
    const zero = encodeCandles(candlesOf(1, () => 0));
    expect(encodeCandles(candlesOf(1, () => -0))).toEqual(zero);
    expect(zero.subarray(32).every((byte) => byte === 0)).toBe(true);
  });

  it('refuses a value that is not finite, naming column and row', () => {
    const broken = candlesOf(3, (column, row) => (column === 4 && row === 2 ? Number.NaN : 1));
    expect(() => encodeCandles(broken)).toThrow(
      new CandleCodecError('column close, row 2: NaN is not a finite number'),
    );
  });

  it('refuses columns of different lengths', () => {
    const broken = { ...candlesOf(3, () => 1), volume: new Float64Array(2) };
    expect(() => encodeCandles(broken)).toThrow('column volume has 2 rows, openTimeMs has 3');
  });
});

describe('decodeCandles', () => {
  it('returns what was encoded, bit for bit, also from the middle of a buffer', () => {
    const finite = fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .map((value) => (value === 0 ? 0 : value));
    fc.assert(
      fc.property(fc.array(fc.array(finite, { minLength: 11, maxLength: 11 }), { maxLength: 20 }), (rows) => {
        const candles = candlesOf(rows.length, (column, row) => rows[row]![column]!);
        const bytes = encodeCandles(candles);
        expect(decodeCandles(bytes)).toEqual(candles);
        const padded = new Uint8Array(bytes.length + 8);
        padded.set(bytes, 3);
        expect(decodeCandles(padded.subarray(3, 3 + bytes.length))).toEqual(candles);
      }),
    );
  });

  it('reads the columns in the order of candleColumns', () => {
    const decoded = decodeCandles(encodeCandles(candlesOf(1, (column) => column)));
    expect(candleColumns.map((name) => decoded[name][0])).toEqual(candleColumns.map((_, index) => index));
    expect(Object.keys(decoded)).toEqual([...candleColumns]);
  });

  it('says what is wrong with other bytes', () => {
    const bytes = encodeCandles(candlesOf(2, () => 1));
    expect(() => decodeCandles(new Uint8Array(5))).toThrow('5 bytes are too few');
    expect(() => decodeCandles(bytes.subarray(0, bytes.length - 1))).toThrow(
      'candle table is cut off: 2 rows take 208 bytes, there are 207',
    );
    expect(() => decodeCandles(new Uint8Array([...bytes, 0]))).toThrow('followed by something else');
    const otherMagic = bytes.slice();
    otherMagic[16] = '2'.charCodeAt(0);
    expect(() => decodeCandles(otherMagic)).toThrow('do not begin with parzen-candles-v1');
    const hugeCount = bytes.slice();
    hugeCount.fill(255, 24, 32);
    expect(() => decodeCandles(hugeCount)).toThrow('18446744073709551615 rows take');
    const notANumber = bytes.slice();
    new DataView(notANumber.buffer).setFloat64(32 + 8, Infinity, true);
    expect(() => decodeCandles(notANumber)).toThrow('column openTimeMs, row 1: Infinity');
  });

  it('never fails in any other way, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), fc.boolean(), (noise, keepHeader) => {
        const bytes = keepHeader ? encodeCandles(candlesOf(2, () => 1)) : noise;
        if (keepHeader) bytes.set(noise.subarray(0, 150), 24);
        try {
          decodeCandles(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(CandleCodecError);
        }
      }),
    );
  });
});
