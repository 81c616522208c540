/**
 * A market made from numbers, for demonstrations and noise floors. It is always named as such: nothing ever falls back
 * to it in place of real data.
 *
 * The log return of bar t is r_t = √h_t · z_t with
 *   z_t = s·z_{t−1} + √(1 − s²)·e_t              s = `signal`, e_t fat-tailed with variance 1
 *   ln h_t = ln v² − d²/2 + x_t,  x_t = φ·x_{t−1} + d·√(1 − φ²)·n_t      v = `volatility`, n_t standard normal
 * so volatility clusters (a stochastic-volatility model: like GARCH, but since x is independent of e, the mean of r²
 * is exactly v² and the planted correlation is not distorted), neighbouring returns correlate by s (times
 * exp(−d²(1 − φ)/4) = 0.997), and with s = 0 every return is independent in sign of all that went before: nothing to
 * predict. High and low are those of a Brownian bridge between open and close. Volume, trade count and taker volume
 * follow the size of the same bar's move, the volatility and the hour, never a later bar.
 */
import type { SyntheticMarket } from '../study/definition.js';
import { candleColumns, type Candles } from './candles.js';
import { makeMarketRandom, type MarketRandom } from './market-random.js';

/** φ: half of a surprise in log variance is gone after 23 hours. */
const volatilityPersistence = 0.97;
/** d: standard deviation of the log variance over time. */
const volatilitySpread = 0.6;

const intervalMs = 3_600_000;
/** 2020-01-01 00:00 UTC. */
const firstOpenTimeMs = 1_577_836_800_000;
const firstPrice = 10_000;
/** Base volume of a quiet bar, in base currency, and the mean size of one trade. */
const volumeTypical = 1_500;
const tradeSizeTypical = 0.05;
/** Digits kept, as an exchange prints them; also hides last-bit differences between machines' logarithms. */
const significantDigits = 8;

/** Bounds of what can be asked for; beyond them prices leave the range of doubles. */
export const syntheticMarketLimits = { barsMin: 2, barsMax: 1_000_000, volatilityMax: 0.1, signalMax: 0.95 };

/** A market that cannot be made; the message names the field and what would be right. */
export class SyntheticMarketError extends Error {
  override readonly name = 'SyntheticMarketError';
}

/** What is wrong with a market's figures, as texts naming the field; empty when it can be made. */
export function syntheticMarketProblems(market: SyntheticMarket): { field: string; message: string }[] {
  const limits = syntheticMarketLimits;
  const problems: { field: string; message: string }[] = [];
  const check = (field: keyof SyntheticMarket, right: boolean, wanted: string): void => {
    if (!right) problems.push({ field, message: `${market[field]} is not ${wanted}` });
  };
  check('seed', isWholeWithin(market.seed, 0, 2 ** 32 - 1), 'a whole number from 0 to 4294967295');
  check(
    'bars',
    isWholeWithin(market.bars, limits.barsMin, limits.barsMax),
    `a whole number from ${limits.barsMin} to ${limits.barsMax}`,
  );
  check(
    'volatility',
    market.volatility > 0 && market.volatility <= limits.volatilityMax,
    `above 0 and at most ${limits.volatilityMax} (the standard deviation of an hourly log return)`,
  );
  check(
    'signal',
    Math.abs(market.signal) <= limits.signalMax,
    `between -${limits.signalMax} and ${limits.signalMax} (the correlation of neighbouring returns)`,
  );
  return problems;
}

/**
 * Hourly candles from 2020-01-01 on, the same for the same `market`. Throws `SyntheticMarketError` naming the
 * field when `syntheticMarketProblems` finds any.
 */
export function makeSyntheticCandles(market: SyntheticMarket): Candles {
  const problem = syntheticMarketProblems(market)[0];
  if (problem !== undefined)
    throw new SyntheticMarketError(`synthetic market, ${problem.field}: ${problem.message}`);
  const random = makeMarketRandom(market.seed);
  const columns = emptyCandles(market.bars);
  const nextMove = makeMoves(market, random);
  let price = firstPrice;
  let activity = 0;
  for (let row = 0; row < market.bars; row++) {
    const openTimeMs = firstOpenTimeMs + row * intervalMs;
    const move = nextMove();
    // Slowly varying activity: volume clusters over hours, beside the daily rhythm.
    activity = 0.9 * activity + 0.2 * random.normal();
    const candle = makeCandle({ openTimeMs, open: price, move, activity }, random);
    for (const name of candleColumns) columns[name][row] = candle[name];
    price = candle.close;
  }
  return columns;
}

interface Move {
  /** Log return of the bar. */
  readonly logReturn: number;
  /** Its conditional variance. */
  readonly variance: number;
}

function makeMoves(market: SyntheticMarket, random: MarketRandom): () => Move {
  const innovationShare = Math.sqrt(1 - market.signal ** 2);
  const surpriseShare = volatilitySpread * Math.sqrt(1 - volatilityPersistence ** 2);
  const meanLogVariance = Math.log(market.volatility ** 2) - volatilitySpread ** 2 / 2;
  let excitement = volatilitySpread * random.normal();
  let direction = random.fatTailed();
  return () => {
    excitement = volatilityPersistence * excitement + surpriseShare * random.normal();
    direction = market.signal * direction + innovationShare * random.fatTailed();
    const variance = Math.exp(meanLogVariance + excitement);
    return { logReturn: Math.sqrt(variance) * direction, variance };
  };
}

interface CandleStart {
  readonly openTimeMs: number;
  readonly open: number;
  readonly move: Move;
  readonly activity: number;
}

function makeCandle(start: CandleStart, random: MarketRandom): Record<keyof Candles, number> {
  const { openTimeMs, open, move } = start;
  const close = rounded(open * Math.exp(move.logReturn));
  // Maximum of a Brownian bridge from 0 to r with variance h: (r + √(r² − 2h·ln u)) / 2; the minimum by symmetry.
  const reach = (): number => Math.sqrt(move.logReturn ** 2 - 2 * move.variance * Math.log(random.uniform()));
  const high = rounded(open * Math.exp((move.logReturn + reach()) / 2));
  const low = rounded(open * Math.exp((move.logReturn - reach()) / 2));
  const surprise = Math.abs(move.logReturn) / Math.sqrt(move.variance);
  const hour = Math.floor(openTimeMs / intervalMs) % 24;
  const rhythm = 0.25 * Math.cos((2 * Math.PI * (hour - 15)) / 24);
  const volume = rounded(volumeTypical * Math.exp(start.activity + rhythm + 0.3 * surprise - 0.3));
  const buyShare = 0.5 + 0.15 * Math.tanh(Math.sign(move.logReturn) * surprise) + 0.05 * tanhNoise(random);
  const takerBuyBase = rounded(volume * buyShare);
  // Rounding cannot push a mean of four prices out of [low, high].
  const meanPrice = (open + high + low + close) / 4;
  return {
    openTimeMs,
    open,
    high: Math.max(high, open, close),
    low: Math.min(low, open, close),
    close,
    volume,
    closeTimeMs: openTimeMs + intervalMs - 1,
    quoteVolume: rounded(volume * meanPrice),
    tradeCount: Math.max(1, Math.round(volume / tradeSizeTypical)),
    takerBuyBase,
    takerBuyQuote: rounded(takerBuyBase * meanPrice),
  };
}

const tanhNoise = (random: MarketRandom): number => Math.tanh(random.normal());

const rounded = (value: number): number => Number(value.toPrecision(significantDigits));

const isWholeWithin = (value: number, low: number, high: number): boolean =>
  Number.isInteger(value) && value >= low && value <= high;

function emptyCandles(rows: number): Candles {
  const column = (): Float64Array => new Float64Array(rows);
  return {
    openTimeMs: column(),
    open: column(),
    high: column(),
    low: column(),
    close: column(),
    volume: column(),
    closeTimeMs: column(),
    quoteVolume: column(),
    tradeCount: column(),
    takerBuyBase: column(),
    takerBuyQuote: column(),
  };
}
