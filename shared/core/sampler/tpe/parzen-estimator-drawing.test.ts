/** What mixtures draw. */
import { describe, expect, it } from 'vitest';
import { makeFloat, makeInt } from '../../space/make-parameter.js';
import { Mt19937 } from '../mt19937.js';
import { a, d, e, h, mixture } from './mixture.test-helper.js';

describe('drawing', () => {
  it('draws c · (1 + d) doubles', () => {
    const rng = new Mt19937(5);
    mixture(
      [a, h, e],
      [
        [0, 1],
        [1, 3],
        [5, 9],
      ],
    ).sample(7, rng);
    const same = new Mt19937(5);
    same.nextDoubles(7 * 4);
    expect(rng.nextDouble()).toBe(same.nextDouble());
  });

  it('draws what its density says', () => {
    const estimator = mixture([d], [[-4, 5, 17]]);
    const count = 40_000;
    const [values = []] = estimator.sample(count, new Mt19937(8));
    for (let x = -4; x <= 17; x += 3) {
      const expected = count * Math.exp(estimator.logDensity([x]));
      const seen = values.filter((value) => value === x).length;
      expect(Math.abs(seen - expected)).toBeLessThan(5 * Math.sqrt(expected));
    }
  });

  it('case 18: stepped values are low + k·step exactly as computed', () => {
    const grid = makeFloat({ name: 'g', low: 0.1, high: 0.5, step: 0.1 });
    const [values = []] = mixture([grid], [[]]).sample(300, new Mt19937(2));
    const expected = [0, 1, 2, 3, 4].map((k) => Math.min(0.1 + k * 0.1, 0.5));
    expect(new Set(values)).toEqual(new Set(expected));
    expect(expected[2]).toBe(0.30000000000000004);
  });

  it('cases 20 and 21: log ints and log floats stay in range after exp', () => {
    const two = makeInt({ name: 'i', low: 1, high: 2, log: true });
    const [ints = []] = mixture([two], [[1, 2]]).sample(500, new Mt19937(3));
    expect(new Set(ints)).toEqual(new Set([1, 2]));
    const narrow = makeFloat({ name: 'f', low: 0.1, high: 0.10000000000000006, log: true });
    const [floats = []] = mixture([narrow], [[0.1]]).sample(500, new Mt19937(3));
    for (const x of floats) {
      expect(x).toBeGreaterThanOrEqual(0.1);
      expect(x).toBeLessThanOrEqual(0.10000000000000006);
    }
  });

  it('case 4: observations far outside the range break nothing', () => {
    for (const observations of [[50], [50, -900], [1e15, 1e15 + 1, 0]]) {
      const estimator = mixture([a], [observations]);
      expect(estimator.logDensity([0])).not.toBeNaN();
      const [values = []] = estimator.sample(50, new Mt19937(4));
      for (const x of values) expect(x >= -2 && x <= 6).toBe(true);
    }
  });

  it('case 51: the order in which parameters are defined does not matter for the density', () => {
    const columns = [
      [0, 1, 5.5],
      [0, 2, 2],
    ];
    const swapped = mixture([h, a], [...columns].reverse());
    expect(swapped.logDensity([2, 5])).toBeCloseTo(mixture([a, h], columns).logDensity([5, 2]), 14);
  });
});
