import { describe, expect, it } from 'vitest';
import { expectedNormalMaximum } from '../../shared/core/metrics/normal-maximum.js';
import { luckOf } from './luck.js';

describe('expectedNormalMaximum', () => {
  it('agrees with the closed forms for up to five draws', () => {
    const pi = Math.PI;
    // Order Statistics (David and Nagaraja), example 3.1.1 and following.
    expect(expectedNormalMaximum(1)).toBeCloseTo(0, 12);
    expect(expectedNormalMaximum(2)).toBeCloseTo(1 / Math.sqrt(pi), 11);
    expect(expectedNormalMaximum(3)).toBeCloseTo(3 / (2 * Math.sqrt(pi)), 11);
    const fourth = (6 / (pi * Math.sqrt(pi))) * Math.atan(Math.SQRT2);
    expect(expectedNormalMaximum(4)).toBeCloseTo(fourth, 11);
    const fifth = (5 / (4 * Math.sqrt(pi))) * (1 + (6 / pi) * Math.asin(1 / 3));
    expect(expectedNormalMaximum(5)).toBeCloseTo(fifth, 11);
  });

  it('agrees with published values for many draws', () => {
    // Tippett (1925), table I: half the mean range for 10, 20, 50, 100, 200, 500, 1000 draws.
    const table: [number, number][] = [
      [10, 1.53875],
      [20, 1.86748],
      [50, 2.24907],
      [100, 2.50759],
      [200, 2.74604],
      [500, 3.0367],
      [1000, 3.24144],
    ];
    for (const [n, value] of table) expect(expectedNormalMaximum(n)).toBeCloseTo(value, 4);
    // The original's log: 1460 trials, 3.34 standard deviations.
    expect(expectedNormalMaximum(1460)).toBeCloseTo(3.35, 1);
  });

  it('grows with n and stays below √(2 ln n), up to a billion', () => {
    let last = 0;
    for (let n = 2; n <= 1e9; n = Math.ceil(n * 3.7)) {
      const value = expectedNormalMaximum(n);
      expect(value).toBeGreaterThan(last);
      expect(value).toBeLessThan(Math.sqrt(2 * Math.log(n)));
      last = value;
    }
    // Quantile bound: the median of the maximum of 1e9 draws is 6.04, its mean slightly above.
    expect(last).toBeGreaterThan(5.5);
  });

  it('refuses nonsense', () => {
    for (const n of [0, -1, Number.NaN, Infinity]) expect(() => expectedNormalMaximum(n)).toThrow(RangeError);
  });
});

describe('luckOf', () => {
  it('places the expected best by direction', () => {
    const values = [1, 2, 3];
    const distance = 3 / (2 * Math.sqrt(Math.PI));
    expect(luckOf(values, 'maximize')).toEqual({
      trials: 3,
      mean: 2,
      sd: 1,
      expectedBest: expect.closeTo(2 + distance, 9),
    });
    expect(luckOf(values, 'minimize')?.expectedBest).toBeCloseTo(2 - distance, 9);
  });

  it('leaves out values that are not finite, and says nothing about too few or equal ones', () => {
    expect(luckOf([1, Number.NaN, 3, Infinity], 'maximize')).toMatchObject({ trials: 2, mean: 2 });
    expect(luckOf([], 'maximize')).toBeNull();
    expect(luckOf([5], 'maximize')).toBeNull();
    expect(luckOf([5, 5, 5], 'maximize')).toBeNull();
  });

  it('predicts the best of simulated draws', () => {
    // A linear congruential generator and sums of twelve uniforms: nothing of the tested code.
    let state = 12345;
    const uniform = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
    const normal = (): number => Array.from({ length: 12 }, uniform).reduce((a, b) => a + b) - 6;
    const rounds = Array.from({ length: 4000 }, () => Math.max(...Array.from({ length: 20 }, normal)));
    const mean = rounds.reduce((a, b) => a + b) / rounds.length;
    expect(Math.abs(mean - expectedNormalMaximum(20))).toBeLessThan(0.05);
  });
});
