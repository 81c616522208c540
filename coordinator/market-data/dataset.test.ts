import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { decodeCandles } from '../../shared/core/market/candle-codec.js';
import { candleColumns } from '../../shared/core/market/candles.js';
import { makeSyntheticCandles } from '../../shared/core/market/synthetic-market.js';
import { chunksOf, datasetOf, keepNewest } from './dataset.js';

const candles = makeSyntheticCandles({ seed: 1, bars: 300, volatility: 0.01, signal: 0 });

describe('datasetOf', () => {
  it('describes the candles and hashes their canonical bytes', () => {
    const { record, bytes } = datasetOf(candles, 'demo', 1234);
    expect(record).toEqual({
      hash: createHash('sha256').update(bytes).digest('hex'),
      name: 'demo',
      layout: 'parzen-candles-v1',
      rows: 300,
      firstTimeMs: candles.openTimeMs[0],
      lastTimeMs: candles.openTimeMs[299],
      bytes: 32 + 300 * 11 * 8,
      createdAtMs: 1234,
    });
    expect(decodeCandles(bytes)).toEqual(candles);
    expect(datasetOf(candles, 'other name', 99).record.hash).toBe(record.hash);
    const changed = {
      ...candles,
      close: candles.close.map((value, row) => (row === 7 ? value + 1e-9 : value)),
    };
    expect(datasetOf(changed, 'demo', 1234).record.hash).not.toBe(record.hash);
  });

  it('refuses an empty table', () => {
    const empty = { ...candles };
    for (const name of candleColumns) empty[name] = new Float64Array(0);
    expect(() => datasetOf(empty, 'demo', 0)).toThrow('data set demo: there are no candles to store');
  });
});

describe('chunksOf', () => {
  it('cuts into pieces of the given size, whole and in order', () => {
    const bytes = Uint8Array.from({ length: 10 }, (_, i) => i);
    expect([...chunksOf(bytes, 4)].map((chunk) => [...chunk])).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
    expect([...chunksOf(bytes, 5)]).toHaveLength(2);
    expect([...chunksOf(new Uint8Array(0))]).toEqual([]);
    expect([...chunksOf(new Uint8Array(2 * 1024 * 1024 + 1))].map((chunk) => chunk.length)).toEqual([
      1024 * 1024,
      1024 * 1024,
      1,
    ]);
  });
});

describe('keepNewest', () => {
  it('keeps the last rows of every column', () => {
    const kept = keepNewest(candles, 40);
    for (const name of candleColumns) expect(kept[name]).toEqual(candles[name].slice(260));
    expect(keepNewest(candles, null)).toBe(candles);
    expect(keepNewest(candles, 300)).toBe(candles);
  });

  it('refuses to run on less than was asked for', () => {
    expect(() => keepNewest(candles, 301)).toThrow('wants the newest 301 bars, the data set has only 300');
  });
});
