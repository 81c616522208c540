import { describe, expect, it } from 'vitest';
import { makeCategorical, makeFloat, makeInt } from '../space/make-parameter.js';
import type { Parameter } from '../space/parameter.js';
import { Mt19937 } from './mt19937.js';
import { sampleRandom } from './random.js';
import { nextAfter, roundHalfEven } from './rounding.js';

const draws = 20_000;

function histogram(parameter: Parameter): Map<unknown, number> {
  const rng = new Mt19937(3);
  const counts = new Map<unknown, number>();
  for (let i = 0; i < draws; i++) {
    const value = sampleRandom(parameter, rng);
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return counts;
}

describe('random sampling', () => {
  it.each([
    ['int', makeInt({ name: 'p', low: -4, high: 19, step: 3 }), 8],
    ['stepped float', makeFloat({ name: 'p', low: 0, high: 1, step: 0.25 }), 5],
    ['categorical', makeCategorical('p', ['a', 'b', 'c', 'd']), 4],
  ])('gives every value of a %s grid the same chance', (_, parameter, size) => {
    const counts = histogram(parameter);
    expect(counts.size).toBe(size);
    const expected = draws / size;
    for (const count of counts.values()) {
      expect(Math.abs(count - expected)).toBeLessThan(5 * Math.sqrt(expected));
    }
  });

  it('spreads a log int by its widened cells: [1, 2] has only 1 and 2, ln 0.5 to ln 2.5 (case 20)', () => {
    const counts = histogram(makeInt({ name: 'p', low: 1, high: 2, log: true }));
    expect([...counts.keys()].sort()).toEqual([1, 2]);
    const share = Math.log(3) / Math.log(5);
    expect(Math.abs((counts.get(1) ?? 0) / draws - share)).toBeLessThan(0.02);
  });

  it('keeps log floats inside their bounds (case 21)', () => {
    const parameter = makeFloat({ name: 'p', low: 0.1, high: 0.1000000000000002, log: true });
    for (const value of histogram(parameter).keys()) {
      expect(value).toBeGreaterThanOrEqual(0.1);
      expect(value).toBeLessThanOrEqual(0.1000000000000002);
    }
  });

  it('takes no random number for a single value (case 7)', () => {
    const rng = new Mt19937(1);
    expect(sampleRandom(makeFloat({ name: 'p', low: 2, high: 2 }), rng)).toBe(2);
    expect(sampleRandom(makeCategorical('p', ['only']), rng)).toBe('only');
    expect(rng.nextDouble()).toBe(new Mt19937(1).nextDouble());
  });
});

describe('rounding', () => {
  it('rounds halves to even (case 19)', () => {
    expect([0.5, 1.5, 2.5, -0.5, -1.5, 2.4999, 2.5001].map(roundHalfEven)).toEqual([0, 2, 2, 0, -2, 2, 3]);
  });

  it('finds the neighbouring double', () => {
    expect(nextAfter(1, 0)).toBe(1 - 2 ** -53);
    expect(nextAfter(1, 2)).toBe(1 + 2 ** -52);
    expect(nextAfter(-1, -2)).toBe(-1 - 2 ** -52);
    expect(nextAfter(-1, 0)).toBe(-1 + 2 ** -53);
    expect(nextAfter(0, -1)).toBe(-Number.MIN_VALUE);
    expect(nextAfter(5, 5)).toBe(5);
  });
});
