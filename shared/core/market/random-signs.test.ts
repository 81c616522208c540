import { describe, expect, it } from 'vitest';
import { encodeCandles } from './candle-codec.js';
import { candleColumns, candleCount, type Candles } from './candles.js';
import { randomSigns } from './random-signs.js';
import { makeSyntheticCandles } from './synthetic-market.js';

/** Half of each move shows in the next: what random signs must take away. */
const real = makeSyntheticCandles({ seed: 3, bars: 20_000, volatility: 0.005, signal: 0.5 });
const made = randomSigns(real, 1);

/** ln(close / close before), from the second bar on. */
const moves = ({ close }: Candles): number[] =>
  [...close.subarray(1)].map((price, row) => Math.log(price / close[row]!));

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function correlation(a: readonly number[], b: readonly number[]): number {
  const [meanA, meanB] = [mean(a), mean(b)];
  const spread = (values: readonly number[], centre: number): number =>
    Math.sqrt(mean(values.map((value) => (value - centre) ** 2)));
  return mean(a.map((value, i) => (value - meanA) * (b[i]! - meanB))) / (spread(a, meanA) * spread(b, meanB));
}

const lagged = (values: readonly number[], lag: number): number =>
  correlation(values.slice(lag), values.slice(0, values.length - lag));

describe('randomSigns', () => {
  it('keeps the times, the volumes and the size of every move', () => {
    for (const name of ['openTimeMs', 'closeTimeMs', 'volume', 'tradeCount'] as const)
      expect(made[name].every((value, row) => value === real[name][row])).toBe(true);
    const [before, after] = [moves(real), moves(made)];
    const deviations = before.map((move, i) => Math.abs(Math.abs(after[i]!) - Math.abs(move)));
    expect(Math.max(...deviations)).toBeLessThan(1e-12);
    const flipped = before.filter((move, i) => Math.sign(after[i]!) !== Math.sign(move)).length;
    // A fair coin: 10,000 of 20,000, deviation 71.
    expect(Math.abs(flipped - before.length / 2)).toBeLessThan(300);
    expect(lagged(after.map(Math.abs), 1)).toBeCloseTo(lagged(before.map(Math.abs), 1), 9);
  });

  // Standard error 0.007; the real market has 0.5 at lag 1.
  it('leaves no relation between a move and those before it, nor what was bought before it', () => {
    const after = moves(made);
    expect(lagged(moves(real), 1)).toBeGreaterThan(0.45);
    const signs = after.map(Math.sign);
    for (const lag of [1, 2, 3, 24, 168]) expect(Math.abs(lagged(signs, lag))).toBeLessThan(0.025);
    const bought = [...made.takerBuyBase].map((base, row) => base / made.volume[row]!);
    expect(Math.abs(correlation(signs, bought.slice(0, -1)))).toBeLessThan(0.025);
    // Within a bar the two belong together still: who bought has sold where the move was mirrored.
    expect(correlation(signs, bought.slice(1))).toBeGreaterThan(0.5);
  });

  it('makes well-formed candles', () => {
    const { open, high, low, close, volume, quoteVolume } = made;
    const wrong = [...low.keys()].filter((row) => {
      const prices = [open[row]!, close[row]!, quoteVolume[row]! / volume[row]!];
      return prices.some((price) => price < low[row]! * (1 - 1e-9) || price > high[row]! * (1 + 1e-9));
    });
    expect(wrong).toEqual([]);
    expect(candleCount(made)).toBe(candleCount(real));
  });

  it('is the same for the same seed, another for another, and the newest bars keep their signs', () => {
    const bytes = (candles: Candles): Buffer => Buffer.from(encodeCandles(candles));
    expect(bytes(randomSigns(real, 1)).equals(bytes(made))).toBe(true);
    expect(bytes(randomSigns(real, 2)).equals(bytes(made))).toBe(false);
    const newest = Object.fromEntries(
      candleColumns.map((name) => [name, real[name].slice(-500)]),
    ) as unknown as Candles;
    const signs = (candles: Candles): number[] => moves(candles).map(Math.sign);
    expect(signs(randomSigns(newest, 1))).toEqual(signs(made).slice(-499));
  });

  it('knows bars without volume or move, and refuses a price of 0', () => {
    const flat = { ...real, volume: real.volume.slice(), close: real.close.slice() };
    flat.volume[5] = 0;
    flat.close[5] = flat.close[4]!;
    const { close, quoteVolume, takerBuyQuote } = randomSigns(flat, 1);
    expect([quoteVolume[5], takerBuyQuote[5], close[5]]).toEqual([0, 0, close[4]]);
    const worthless = { ...real, low: real.low.with(7, 0) };
    expect(() => randomSigns(worthless, 1)).toThrow('row 7: a price is not above 0');
  });
});
