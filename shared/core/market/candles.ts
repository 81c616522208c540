/**
 * A candle table in time order, one typed array per column (hermite-model.md §1). All arrays have the same length.
 * Times are UTC milliseconds, prices are in quote currency, volumes in base currency unless named otherwise.
 */
export interface Candles {
  readonly openTimeMs: Float64Array;
  readonly open: Float64Array;
  readonly high: Float64Array;
  readonly low: Float64Array;
  readonly close: Float64Array;
  readonly volume: Float64Array;
  readonly closeTimeMs: Float64Array;
  readonly quoteVolume: Float64Array;
  readonly tradeCount: Float64Array;
  readonly takerBuyBase: Float64Array;
  readonly takerBuyQuote: Float64Array;
}

/** Column names in storage order; the canonical bytes of a data set follow it. */
export const candleColumns = [
  'openTimeMs',
  'open',
  'high',
  'low',
  'close',
  'volume',
  'closeTimeMs',
  'quoteVolume',
  'tradeCount',
  'takerBuyBase',
  'takerBuyQuote',
] as const satisfies readonly (keyof Candles)[];

export const candleCount = (candles: Candles): number => candles.openTimeMs.length;
