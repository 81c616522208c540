/**
 * The same market with nothing to predict: each bar's log return gets a fair coin's sign, and its candle is mirrored with
 * it. Times, gaps, volumes, sizes of moves and with them the whole course of volatility stay those of the real market;
 * what is lost is every relation between a bar's direction and anything before it. (A random-sign surrogate; Theiler et al.
 * 1992 for the idea, Liu 1988 for the signs as the wild bootstrap.) The best score of a study on it is what its search finds by
 * luck alone.
 *
 * With p the real and p′ the made close before a bar, and s = ±1 its coin, a price x of the bar becomes p′·(x/p)^s; for s = −1
 * high and low change places, and who bought has sold. A bar without a move stays without one and counts as "down", as ever.
 * Only products and quotients, so every machine makes the same bytes.
 */
import { candleColumns, candleCount, type Candles } from './candles.js';
import { makeMarketRandom } from './market-random.js';

interface Bar {
  /** Close before the bar, as it really was and as it is made. */
  readonly realReference: number;
  readonly reference: number;
  readonly mirrored: boolean;
}

function priceOf(bar: Bar, price: number): number {
  const { realReference, reference, mirrored } = bar;
  return mirrored ? reference * (realReference / price) : reference * (price / realReference);
}

function madeCandle(bar: Bar, real: Record<keyof Candles, number>): Record<keyof Candles, number> {
  const { mirrored } = bar;
  const meanPrice = real.volume > 0 ? priceOf(bar, real.quoteVolume / real.volume) : 0;
  const takerBuyBase = mirrored ? Math.max(0, real.volume - real.takerBuyBase) : real.takerBuyBase;
  return {
    ...real,
    open: priceOf(bar, real.open),
    high: priceOf(bar, mirrored ? real.low : real.high),
    low: priceOf(bar, mirrored ? real.high : real.low),
    close: priceOf(bar, real.close),
    quoteVolume: real.volume * meanPrice,
    takerBuyBase,
    takerBuyQuote: takerBuyBase * meanPrice,
  };
}

/**
 * The candles with random signs, the same for the same `seed` (a whole number, taken modulo 2³²). The coin of a bar depends on
 * the seed and on its open time alone, so that the newest bars of a longer table get the same signs. Prices must be above 0: a
 * `RangeError` names the first row where one is not.
 */
export function randomSigns(candles: Candles, seed: number): Candles {
  const rows = candleCount(candles);
  const columns = Object.fromEntries(
    candleColumns.map((name) => [name, new Float64Array(rows)]),
  ) as unknown as Candles;
  let reference = candles.open[0] ?? 1;
  let realReference = reference;
  for (let row = 0; row < rows; row++) {
    const real = rowOf(candles, row);
    if (!(Math.min(real.open, real.high, real.low, real.close) > 0))
      throw new RangeError(`row ${row}: a price is not above 0, so it has no mirror image`);
    const mirrored = coin(seed, real.openTimeMs);
    const made = madeCandle({ realReference, reference, mirrored }, real);
    for (const name of candleColumns) columns[name][row] = made[name];
    realReference = real.close;
    reference = made.close;
  }
  return columns;
}

/** Heads or tails for the bar that opens at this time. */
function coin(seed: number, openTimeMs: number): boolean {
  const minutes = Math.floor(openTimeMs / 60_000);
  return makeMarketRandom(Math.imul(seed, 0x9e3779b1) ^ Math.imul(minutes, 0x85ebca6b)).uniform() < 0.5;
}

function rowOf(candles: Candles, row: number): Record<keyof Candles, number> {
  const cell = (name: keyof Candles): number => candles[name][row] ?? NaN;
  return {
    openTimeMs: cell('openTimeMs'),
    open: cell('open'),
    high: cell('high'),
    low: cell('low'),
    close: cell('close'),
    volume: cell('volume'),
    closeTimeMs: cell('closeTimeMs'),
    quoteVolume: cell('quoteVolume'),
    tradeCount: cell('tradeCount'),
    takerBuyBase: cell('takerBuyBase'),
    takerBuyQuote: cell('takerBuyQuote'),
  };
}
