import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Mt19937 } from '../sampler/mt19937.js';
import { auc, aucDeviation, aucStandardError, midRanks } from './auc.js';
import { binomialTest } from './binomial-test.js';
import { blockBootstrap, blockLengthFor } from './block-bootstrap.js';
import { calibrationFigures } from './calibration-figures.js';
import { dieboldMariano } from './diebold-mariano.js';
import { directionAccuracy, directionHits, directionStandardError, majorityShare } from './direction.js';
import { maxDrawdown } from './drawdown.js';
import { ljungBox } from './ljung-box.js';
import { longRunVariance, mean, meanStandardError, overlappingProducts, variance } from './numbers.js';
import { pesaranTimmermann } from './pesaran-timmermann.js';
import { sharpeRatio, sharpeStandardError } from './sharpe.js';
import { chiSquareTail, logGamma, normalTail, normalTwoSided, studentTwoSided } from './special-functions.js';

/** Standard normal draws by Box and Muller, from a seeded generator. */
function normals(seed: number, count: number): Float64Array {
  const random = new Mt19937(seed);
  return Float64Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - random.nextDouble())) * Math.cos(2 * Math.PI * random.nextDouble()),
  );
}
const relative = (actual: number, expected: number) => Math.abs(actual / expected - 1);

describe('special functions', () => {
  it('agree with known values', () => {
    // Factorials, √π, and tabulated tails (digits from independent high-precision tables).
    expect(relative(logGamma(0.5), 0.5 * Math.log(Math.PI))).toBeLessThan(1e-14);
    expect(relative(logGamma(11), Math.log(3628800))).toBeLessThan(1e-14);
    expect(Math.abs(logGamma(1))).toBeLessThan(1e-14);
    expect(relative(logGamma(171), 706.573062245787)).toBeLessThan(1e-14);
    expect(logGamma(0)).toBeNaN();
    expect(relative(normalTail(1.959963984540054), 0.025)).toBeLessThan(1e-13);
    expect(relative(normalTail(10), 7.619853024160527e-24)).toBeLessThan(1e-13);
    expect(relative(normalTwoSided(-3), 0.0026997960632601866)).toBeLessThan(1e-13);
    expect(relative(chiSquareTail(3.841458820694124, 1), 0.05)).toBeLessThan(1e-12);
    expect(relative(chiSquareTail(18.307038053275146, 10), 0.05)).toBeLessThan(1e-12);
    expect(relative(chiSquareTail(200, 2), Math.exp(-100))).toBeLessThan(1e-12);
    expect(chiSquareTail(0, 3)).toBe(1);
    // Two degrees of freedom have a closed form: 1 − t/√(2 + t²).
    expect(relative(studentTwoSided(3, 2), 1 - 3 / Math.sqrt(11))).toBeLessThan(1e-12);
    expect(studentTwoSided(2.228138852, 10)).toBeCloseTo(0.05, 9);
    expect(relative(studentTwoSided(1, 1), 0.5)).toBeLessThan(1e-12);
    expect(relative(studentTwoSided(1.959963984540054, 1e9), 0.05)).toBeLessThan(1e-6);
  });

  it('the chi-square tail of even degrees is the Poisson sum', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-3, max: 200, noNaN: true }),
        fc.integer({ min: 1, max: 20 }),
        (q, half) => {
          let term = Math.exp(-q / 2);
          let sum = 0;
          for (let i = 0; i < half; i++) {
            sum += term;
            term *= q / 2 / (i + 1);
          }
          expect(Math.abs(chiSquareTail(q, 2 * half) - sum)).toBeLessThan(1e-12);
        },
      ),
    );
  });
});

describe('AUC', () => {
  it('is the share of ordered pairs, ties counting half', () => {
    const pairs = fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 1 })), {
      minLength: 2,
      maxLength: 30,
    });
    fc.assert(
      fc.property(pairs, (rows) => {
        const up = rows.filter(([, label]) => label === 1);
        const down = rows.filter(([, label]) => label === 0);
        let won = 0;
        for (const [a] of up) for (const [b] of down) won += a > b ? 1 : a === b ? 0.5 : 0;
        const value = auc(
          rows.map(([score]) => score),
          rows.map(([, label]) => label),
        );
        if (up.length === 0 || down.length === 0) expect(value).toBeNaN();
        else expect(value).toBeCloseTo(won / (up.length * down.length), 12);
      }),
    );
  });

  it('is exactly one half for a constant forecast and refuses NaN', () => {
    expect(auc([0.3, 0.3, 0.3, 0.3], [1, 0, 0, 1])).toBe(0.5);
    expect(() => auc([0.3, NaN], [1, 0])).toThrow(/score 1 is not a number/);
    expect(() => aucStandardError([NaN, 1], [1, 0])).toThrow(RangeError);
    expect(auc([0.3, NaN], [0, 1], 'time-order')).toBe(1);
    expect([...midRanks([2, 1, 2, 3])]).toEqual([2.5, 1, 2.5, 4]);
  });

  it('has a standard error that matches the spread over many samples', () => {
    const values: number[] = [];
    const errors: number[] = [];
    for (let seed = 0; seed < 400; seed++) {
      const draws = normals(seed, 240);
      const labels = Uint8Array.from({ length: 120 }, (_, i) => ((draws[120 + i] ?? 0) > 0 ? 1 : 0));
      const scores = Float64Array.from(labels, (label, i) => label * 0.5 + (draws[i] ?? 0));
      values.push(auc(scores, labels));
      errors.push(aucStandardError(scores, labels));
    }
    expect(mean(values)).toBeCloseTo(1 - normalTail(0.5 / Math.SQRT2), 2);
    expect(mean(errors) / Math.sqrt(variance(values, 1))).toBeGreaterThan(0.9);
    expect(mean(errors) / Math.sqrt(variance(values, 1))).toBeLessThan(1.1);
  });

  it('moves with the hit share as their shares of the same rows say', () => {
    const [horizon, rows] = [4, 300];
    const [aucs, accuracies, covariances]: [number[], number[], number[]] = [[], [], []];
    for (let seed = 0; seed < 400; seed++) {
      const draws = normals(seed, 2 * (rows + horizon));
      const future = (t: number): number => [0, 1, 2, 3].reduce((sum, k) => sum + (draws[t + k] ?? NaN), 0);
      const labels = Uint8Array.from({ length: rows }, (_, t) => (future(t) > 0 ? 1 : 0));
      const scores = Float64Array.from(
        { length: rows },
        (_, t) => future(t) + 3 * (draws[rows + horizon + t] ?? NaN),
      );
      const hits = directionHits(
        scores.map((score) => (score > 0 ? 1 : 0)),
        labels,
      );
      aucs.push(auc(scores, labels));
      accuracies.push(mean(hits));
      const deviations = hits.map((hit) => (hit - mean(hits)) / rows);
      covariances.push(
        overlappingProducts(aucDeviation(scores, labels, horizon).shares, deviations, horizon),
      );
    }
    const [centerA, centerB] = [mean(aucs), mean(accuracies)];
    const spread =
      aucs.reduce((sum, a, i) => sum + (a - centerA) * ((accuracies[i] ?? NaN) - centerB), 0) / 399;
    expect(mean(covariances) / spread).toBeGreaterThan(0.85);
    expect(mean(covariances) / spread).toBeLessThan(1.15);
  });

  it('has a larger standard error where labels and scores overlap, as large as the spread', () => {
    const [horizon, rows] = [8, 600];
    const sums = (draws: Float64Array | number[], from: number): number[] =>
      Array.from({ length: rows }, (_, t) => {
        let sum = 0;
        for (let k = 0; k < horizon; k++) sum += draws[from + t + k] ?? NaN;
        return sum;
      });
    const [values, naive, errors]: [number[], number[], number[]] = [[], [], []];
    for (let seed = 0; seed < 200; seed++) {
      const draws = [...normals(seed, 2 * (rows + horizon))];
      const labels = Uint8Array.from(sums(draws, 0), (sum) => (sum > 0 ? 1 : 0));
      const scores = sums(draws, rows + horizon);
      values.push(auc(scores, labels));
      naive.push(aucStandardError(scores, labels));
      errors.push(aucStandardError(scores, labels, horizon));
    }
    const spread = Math.sqrt(variance(values, 1));
    expect(mean(naive) / spread).toBeLessThan(0.6);
    expect(mean(errors) / spread).toBeGreaterThan(0.75);
    expect(mean(errors) / spread).toBeLessThan(1.2);
  });
});

describe('calibration figures', () => {
  it('are 0 for a forecast that is always right, and spoiled by NaN', () => {
    const figures = calibrationFigures([0, 1, 1, 0], [0, 1, 1, 0], 15);
    expect(figures).toMatchObject({
      brier: 0,
      ece: 0,
      mce: 0,
      reliability: 0,
      resolution: 0.25,
      uncertainty: 0.25,
    });
    expect(calibrationFigures([NaN, 1], [0, 1], 15)).toMatchObject({ brier: NaN, ece: NaN, mce: NaN });
    expect(calibrationFigures([], [], 15).ece).toBeNaN();
  });

  it('puts an edge into the bin below it', () => {
    expect([...calibrationFigures([0, 0.1, 0.2, 0.3, 1], [0, 0, 0, 0, 1], 10).binCounts]).toEqual([
      2, 1, 1, 0, 0, 0, 0, 0, 0, 1,
    ]);
  });
});

describe('Sharpe and drawdown', () => {
  it('sees a loss on the first step, unlike v6', () => {
    expect(maxDrawdown([-0.2, 0.1])).toBeCloseTo(-0.2, 12);
    expect(maxDrawdown([-0.2, 0.1], 'v6')).toBe(0);
  });

  it('has a standard error near √(periods / steps) without skill', () => {
    const returns = normals(1, 2000).map((z) => z * 0.005);
    expect(sharpeStandardError(returns, 8760)).toBeCloseTo(Math.sqrt(8760 / 2000), 1);
    const bootstrap = blockBootstrap(returns, (resample) => sharpeRatio(resample, 8760), {
      random: new Mt19937(7),
      resamples: 400,
      blockLength: blockLengthFor(returns.length),
    });
    expect(bootstrap.standardError / Math.sqrt(8760 / 2000)).toBeGreaterThan(0.85);
    expect(bootstrap.standardError / Math.sqrt(8760 / 2000)).toBeLessThan(1.15);
    expect(bootstrap.low).toBeLessThan(sharpeRatio(returns, 8760));
    expect(bootstrap.high).toBeGreaterThan(sharpeRatio(returns, 8760));
    expect(bootstrap.defined).toBe(400);
  });

  it('the bootstrap repeats itself and counts undefined resamples', () => {
    const run = () =>
      blockBootstrap(new Float64Array([0, 0, 0, 0, 1]), (r) => sharpeRatio(r, 1), {
        random: new Mt19937(3),
        resamples: 200,
        blockLength: 1,
      });
    expect(run()).toEqual(run());
    expect(run().defined).toBeLessThan(200);
  });
});

describe('tests of forecasts', () => {
  it('binomial: certain, symmetric, and beyond the range of plain factorials', () => {
    expect(binomialTest(5, 10)).toBeCloseTo(1, 13);
    expect(binomialTest(0, 10)).toBeCloseTo(2 / 1024, 14);
    expect(binomialTest(40, 100)).toBeCloseTo(binomialTest(60, 100), 12);
    // 10,000 rows, 5,100 hits: normal approximation with continuity correction.
    expect(binomialTest(5100, 10_000)).toBeCloseTo(normalTwoSided(99.5 / 50), 4);
  });

  it('reject about one in twenty when there is nothing to find', () => {
    const rejections = { pt: 0, dm: 0, lb: 0 };
    const rounds = 600;
    for (let seed = 0; seed < rounds; seed++) {
      const draws = normals(seed + 1000, 384);
      const direction = (offset: number) =>
        Array.from({ length: 128 }, (_, i) => ((draws[offset + i] ?? 0) > 0 ? 1 : 0));
      if (pesaranTimmermann(direction(0), direction(128)).pValue < 0.05) rejections.pt++;
      if (dieboldMariano(draws.subarray(0, 128), 1).pValue < 0.05) rejections.dm++;
      if (ljungBox(draws.subarray(128, 256)).pValue < 0.05) rejections.lb++;
    }
    // Standard error of each share: 0.9 %.
    for (const count of Object.values(rejections)) {
      expect(count / rounds).toBeGreaterThan(0.02);
      expect(count / rounds).toBeLessThan(0.08);
    }
  });

  it('Diebold-Mariano of one step ahead is the t-test of the mean', () => {
    const differences = normals(9, 50).map((z) => z + 0.3);
    const t = mean(differences) / Math.sqrt(variance(differences, 1) / 50);
    const result = dieboldMariano(differences, 1);
    expect(result.statistic).toBeCloseTo(t, 10);
    expect(result.pValue).toBeCloseTo(studentTwoSided(t, 49), 12);
  });

  it('Diebold-Mariano allows for overlapping targets', () => {
    const draws = normals(5, 500);
    const overlapping = Float64Array.from({ length: 497 }, (_, i) =>
      [0, 1, 2, 3].reduce((sum, k) => sum + (draws[i + k] ?? 0), 0.1),
    );
    expect(dieboldMariano(overlapping, 4).pValue).toBeGreaterThan(dieboldMariano(overlapping, 1).pValue);
  });
});

describe('direction', () => {
  it('compares with the majority and counts overlap', () => {
    const labels = [1, 1, 1, 0];
    expect(directionAccuracy([0.5, 0.9, 0.1, 0.1], labels)).toBe(0.75);
    expect(majorityShare(labels)).toBe(0.75);
    const hits = directionHits([1, 1, 1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1, 1]);
    expect(directionStandardError(hits, 1)).toBeCloseTo(Math.sqrt(0.25 / 8), 12);
    expect(directionStandardError(hits, 4)).toBeGreaterThan(directionStandardError(hits, 1));
    expect(meanStandardError(hits, 0)).toBe(directionStandardError(hits, 1));
  });

  it('a long-run variance is never negative', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 1, maxLength: 20 }), (series) => {
        expect(longRunVariance(series, 3)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
