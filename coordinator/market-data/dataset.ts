/** A candle table as a data set: its canonical bytes, addressed by their SHA-256. */
import { createHash } from 'node:crypto';
import { candleLayout, encodeCandles } from '../../shared/core/market/candle-codec.js';
import { candleCount, type Candles } from '../../shared/core/market/candles.js';
import { datasetHash } from '../../shared/core/ids.js';
import type { DatasetRecord } from '../storage/port.js';
import { makeColumns } from './candle-table.js';
import { MarketDataError } from './kline-error.js';
import { marketDataLimits } from './limits.js';

export interface Dataset {
  readonly record: DatasetRecord;
  /** Canonical bytes; `record.hash` is their SHA-256. */
  readonly bytes: Uint8Array;
}

/** The data set of these candles. Times of the record are open times, UTC milliseconds. Throws for an empty table. */
export function datasetOf(candles: Candles, name: string, nowMs: number): Dataset {
  const rows = candleCount(candles);
  const [first, last] = [candles.openTimeMs[0], candles.openTimeMs[rows - 1]];
  if (first === undefined || last === undefined)
    throw new MarketDataError(`data set ${name}: there are no candles to store`);
  const bytes = encodeCandles(candles);
  const hash = datasetHash(createHash('sha256').update(bytes).digest('hex'));
  const record = {
    hash,
    name,
    layout: candleLayout,
    rows,
    firstTimeMs: first,
    lastTimeMs: last,
    bytes: bytes.length,
    createdAtMs: nowMs,
  };
  return { record, bytes };
}

/** Cuts bytes into pieces of at most `chunkBytes`, in order, without copying them. */
export function* chunksOf(
  bytes: Uint8Array,
  chunkBytes = marketDataLimits.chunkBytes,
): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += chunkBytes)
    yield bytes.subarray(start, start + chunkBytes);
}

/** The newest `bars` candles; null keeps all. Throws when there are fewer, rather than run on less than was asked. */
export function keepNewest(candles: Candles, bars: number | null): Candles {
  const rows = candleCount(candles);
  if (bars === null || bars === rows) return candles;
  if (bars > rows)
    throw new MarketDataError(`the study wants the newest ${bars} bars, the data set has only ${rows}`);
  return makeColumns((_, name) => candles[name].slice(rows - bars), bars);
}
