/** A candle table that grows row by row, keeping time order and dropping repeated rows. */
import { candleColumns, candleCount, type Candles } from '../../shared/core/market/candles.js';
import type { CandleRow } from './kline-row.js';

export type AppendResult =
  | { readonly kind: 'appended' }
  /** The same row, all figures equal, was there already. */
  | { readonly kind: 'duplicate' }
  | { readonly kind: 'problem'; readonly message: string };

const rowsAtFirst = 4096;

/** Grows by doubling, so that memory stays within about twice that of the finished table. */
export class CandleTable {
  private columns: Candles = makeColumns((rows) => new Float64Array(rows), rowsAtFirst);
  private rows = 0;

  get size(): number {
    return this.rows;
  }

  /**
   * Takes a row that is later than all before. A row seen before is a duplicate if all its figures are equal (files of
   * overlapping months, or written twice); otherwise two sources disagree, and choosing is not ours.
   */
  append(row: CandleRow): AppendResult {
    const times = this.columns.openTimeMs;
    const last = this.rows === 0 ? -Infinity : (times[this.rows - 1] ?? -Infinity);
    if (row.openTimeMs > last) {
      this.push(row);
      return { kind: 'appended' };
    }
    const index = lowerBound(times, this.rows, row.openTimeMs);
    if (times[index] !== row.openTimeMs)
      return {
        kind: 'problem',
        message: `open time ${row.openTimeMs} comes after ${last}; sort the rows by time, oldest first`,
      };
    const different = candleColumns.filter((name) => this.columns[name][index] !== row[name]);
    if (different.length === 0) return { kind: 'duplicate' };
    const detail = different.map(
      (name) => `${name} ${row[name]} here, ${this.columns[name][index] ?? ''} before`,
    );
    return {
      kind: 'problem',
      message: `open time ${row.openTimeMs} occurs twice with different figures (${detail.join('; ')}); keep one row`,
    };
  }

  /** The rows so far, in arrays of exactly that length. */
  finish(): Candles {
    return makeColumns((rows, name) => this.columns[name].slice(0, rows), this.rows);
  }

  private push(row: CandleRow): void {
    if (this.rows === candleCount(this.columns)) {
      const old = this.columns;
      this.columns = makeColumns((rows, name) => {
        const grown = new Float64Array(rows);
        grown.set(old[name]);
        return grown;
      }, this.rows * 2);
    }
    for (const name of candleColumns) this.columns[name][this.rows] = row[name];
    this.rows++;
  }
}

/** A candle table whose columns are made one by one. */
export function makeColumns(
  make: (rows: number, name: keyof Candles) => Float64Array,
  rows: number,
): Candles {
  return {
    openTimeMs: make(rows, 'openTimeMs'),
    open: make(rows, 'open'),
    high: make(rows, 'high'),
    low: make(rows, 'low'),
    close: make(rows, 'close'),
    volume: make(rows, 'volume'),
    closeTimeMs: make(rows, 'closeTimeMs'),
    quoteVolume: make(rows, 'quoteVolume'),
    tradeCount: make(rows, 'tradeCount'),
    takerBuyBase: make(rows, 'takerBuyBase'),
    takerBuyQuote: make(rows, 'takerBuyQuote'),
  };
}

/** First index within [0, length) whose value is not below `wanted`; `length` when there is none. */
function lowerBound(sorted: Float64Array, length: number, wanted: number): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] ?? Infinity) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
