import { describe, expect, it } from 'vitest';
import type { SyntheticMarket } from '../study/definition.js';
import { encodeCandles } from './candle-codec.js';
import { candleCount, type Candles } from './candles.js';
import { inspectCandles } from './inspect-candles.js';
import { makeMarketRandom } from './market-random.js';
import { makeSyntheticCandles, syntheticMarketProblems } from './synthetic-market.js';

const market: SyntheticMarket = { seed: 7, bars: 20_000, volatility: 0.005, signal: 0 };

function logReturns(candles: Candles): number[] {
  return [...candles.close].map((close, row) => Math.log(close / candles.open[row]!));
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function correlation(a: readonly number[], b: readonly number[]): number {
  const [meanA, meanB] = [mean(a), mean(b)];
  const product = mean(a.map((value, i) => (value - meanA) * (b[i]! - meanB)));
  const spread = (values: readonly number[], centre: number): number =>
    Math.sqrt(mean(values.map((value) => (value - centre) ** 2)));
  return product / (spread(a, meanA) * spread(b, meanB));
}

const atLag = (values: readonly number[], lag: number): number =>
  correlation(values.slice(lag), values.slice(0, values.length - lag));

describe('makeSyntheticCandles', () => {
  it('is the same for the same market and another for another seed', () => {
    const bytes = encodeCandles(makeSyntheticCandles({ ...market, bars: 500 }));
    expect(encodeCandles(makeSyntheticCandles({ ...market, bars: 500 }))).toEqual(bytes);
    expect(encodeCandles(makeSyntheticCandles({ ...market, bars: 500, seed: 8 }))).not.toEqual(bytes);
    // A longer market begins with the shorter one.
    expect(makeSyntheticCandles({ ...market, bars: 600 }).close.subarray(0, 500)).toEqual(
      makeSyntheticCandles({ ...market, bars: 500 }).close,
    );
  });

  it('makes well-formed candles without oddities', () => {
    for (const signal of [-0.5, 0, 0.5]) {
      const candles = makeSyntheticCandles({ ...market, bars: 5000, signal });
      const report = inspectCandles(candles);
      expect(report).toMatchObject({ rows: 5000, intervalMs: 3_600_000, gaps: [], earlyCloseTimesMs: [] });
      expect([report.irregularTimesMs, report.zeroVolumeTimesMs, report.lateCloseTimesMs]).toEqual([
        [],
        [],
        [],
      ]);
      for (let row = 0; row < candleCount(candles); row++) {
        const { open, high, low, close, volume } = candles;
        expect(low[row]).toBeLessThanOrEqual(Math.min(open[row]!, close[row]!));
        expect(high[row]).toBeGreaterThanOrEqual(Math.max(open[row]!, close[row]!));
        expect(low[row]).toBeGreaterThan(0);
        expect(candles.takerBuyBase[row]).toBeLessThan(volume[row]!);
        const meanPrice = candles.quoteVolume[row]! / volume[row]!;
        expect(meanPrice).toBeGreaterThanOrEqual(low[row]! * (1 - 1e-7));
        expect(meanPrice).toBeLessThanOrEqual(high[row]! * (1 + 1e-7));
        if (row > 0) expect(open[row]).toBe(close[row - 1]);
      }
    }
  });

  // Standard error of a correlation over 20,000 heavy-tailed rows is about 0.01.
  it('has nothing to predict when the signal is 0, but fat tails and clustered volatility', () => {
    const returns = logReturns(makeSyntheticCandles(market));
    expect(Math.sqrt(mean(returns.map((value) => value ** 2)))).toBeGreaterThan(0.0045);
    expect(Math.sqrt(mean(returns.map((value) => value ** 2)))).toBeLessThan(0.0055);
    for (const lag of [1, 2, 3, 24]) expect(Math.abs(atLag(returns, lag))).toBeLessThan(0.03);
    const sizes = returns.map(Math.abs);
    expect(atLag(sizes, 1)).toBeGreaterThan(0.08);
    expect(atLag(sizes, 10)).toBeGreaterThan(0.05);
    const second = mean(returns.map((value) => value ** 2));
    expect(mean(returns.map((value) => value ** 4)) / second ** 2).toBeGreaterThan(4.5);
  });

  it('plants the correlation asked for, and the square of it at lag 2', () => {
    for (const signal of [0.1, 0.3, 0.6, -0.3]) {
      const returns = logReturns(makeSyntheticCandles({ ...market, signal }));
      expect(atLag(returns, 1)).toBeGreaterThan(signal - 0.03);
      expect(atLag(returns, 1)).toBeLessThan(signal + 0.03);
      expect(Math.abs(atLag(returns, 2) - signal ** 2)).toBeLessThan(0.04);
    }
  });

  it('names the field of a figure that cannot be', () => {
    expect(syntheticMarketProblems(market)).toEqual([]);
    expect(syntheticMarketProblems({ seed: -1, bars: 1.5, volatility: 0, signal: Number.NaN })).toHaveLength(
      4,
    );
    expect(() => makeSyntheticCandles({ ...market, signal: 1 })).toThrow(
      'synthetic market, signal: 1 is not between -0.95 and 0.95',
    );
    expect(() => makeSyntheticCandles({ ...market, bars: 2_000_000 })).toThrow('bars: 2000000');
  });

  it('keeps its prices finite at the bounds of what can be asked for', () => {
    const candles = makeSyntheticCandles({ seed: 1, bars: 50_000, volatility: 0.1, signal: 0.95 });
    expect(() => encodeCandles(candles)).not.toThrow();
    expect(Math.min(...candles.low)).toBeGreaterThan(0);
  });
});

describe('makeMarketRandom', () => {
  it('has the moments it promises', () => {
    const random = makeMarketRandom(3);
    const draws = (draw: () => number): number[] => Array.from({ length: 200_000 }, draw);
    const uniform = draws(() => random.uniform());
    expect(Math.min(...uniform.slice(0, 50_000))).toBeGreaterThan(0);
    expect(mean(uniform)).toBeCloseTo(0.5, 2);
    const normal = draws(() => random.normal());
    expect(mean(normal)).toBeCloseTo(0, 1);
    expect(mean(normal.map((value) => value ** 2))).toBeCloseTo(1, 1);
    expect(mean(normal.map((value) => value ** 4))).toBeCloseTo(3, 0);
    const fat = draws(() => random.fatTailed());
    expect(mean(fat.map((value) => value ** 2))).toBeCloseTo(1, 1);
    expect(mean(fat.map((value) => value ** 4))).toBeGreaterThan(4.5);
    // Share beyond 3 standard deviations: t₆ at 3·√1.5 gives 1.04 %, a normal 0.27 %.
    const beyond = fat.filter((value) => Math.abs(value) > 3).length / fat.length;
    expect(beyond).toBeGreaterThan(0.009);
    expect(beyond).toBeLessThan(0.012);
  });
});
