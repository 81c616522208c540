import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Direction } from '../sampler/sampler.js';
import { BestSoFar, bestTrials, topTrials, type Rankable } from './ranking.js';

const trialsOf = (...values: number[][]): Rankable[] =>
  values.map((each, number) => ({ number, values: each }));
const numbers = (trials: readonly Rankable[]): number[] => trials.map(({ number }) => number);

describe('with one direction', () => {
  const trials = trialsOf([0.5], [0.7], [Number.NaN], [0.7], [], [-Infinity], [0.6]);

  it('the best is the largest or smallest value, the lower number among equals', () => {
    expect(numbers(bestTrials(['maximize'], trials))).toEqual([1]);
    expect(numbers(bestTrials(['minimize'], trials))).toEqual([5]);
    expect(bestTrials(['maximize'], trials)[0]).toBe(trials[1]);
  });

  it('the top list leaves out NaN and trials without a value, but keeps infinities', () => {
    expect(numbers(topTrials(['maximize'], trials, 10))).toEqual([1, 3, 6, 0, 5]);
    expect(numbers(topTrials(['minimize'], trials, 3))).toEqual([5, 0, 6]);
    expect(numbers(topTrials(['maximize'], trialsOf([Infinity], [1], [Infinity]), 2))).toEqual([0, 2]);
  });

  it('ties do not depend on the order in which trials come', () => {
    expect(numbers(topTrials(['maximize'], [...trials].reverse(), 2))).toEqual([1, 3]);
    expect(numbers(bestTrials(['maximize'], trialsOf([-0], [0])))).toEqual([0]);
  });

  it('is empty without values', () => {
    expect(bestTrials(['maximize'], [])).toEqual([]);
    expect(bestTrials(['maximize'], trialsOf([Number.NaN], []))).toEqual([]);
  });
});

describe('with several directions', () => {
  const directions: Direction[] = ['maximize', 'minimize'];

  it('the best are the trials that none dominates, equal ones together', () => {
    const trials = trialsOf([1, 1], [2, 2], [1, 2], [2, 2], [0, 0], [3, Number.NaN], [2]);
    expect(numbers(bestTrials(directions, trials))).toEqual([0, 1, 3, 4]);
    expect(numbers(topTrials(directions, trials, 10))).toEqual([0, 1, 3, 4, 2]);
  });

  it('agrees with the definition on random trials', () => {
    const dominates = (a: readonly number[], b: readonly number[]): boolean =>
      a[0]! >= b[0]! && a[1]! <= b[1]! && (a[0]! > b[0]! || a[1]! < b[1]!);
    const value = fc.oneof(fc.integer({ min: 0, max: 4 }), fc.constantFrom(Infinity, -Infinity));
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value), { maxLength: 30 }), fc.nat(30), (values, count) => {
        const trials = trialsOf(...values);
        const isFree = (trial: Rankable, among: readonly Rankable[]): boolean =>
          !among.some((other) => dominates(other.values, trial.values));
        expect(bestTrials(directions, trials)).toEqual(trials.filter((trial) => isFree(trial, trials)));
        const wanted: Rankable[] = [];
        for (let rest = trials; rest.length > 0; rest = rest.filter((trial) => !wanted.includes(trial)))
          wanted.push(...rest.filter((trial) => isFree(trial, rest)));
        expect(topTrials(directions, trials, count)).toEqual(wanted.slice(0, count));
      }),
    );
  });
});

describe('the best so far', () => {
  const value = fc.oneof(fc.integer({ min: 0, max: 3 }), fc.constantFrom(NaN, Infinity, -Infinity, -0));

  it('are the best of all, whatever the order in which trials come', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<Direction[]>(
          ['minimize'],
          ['maximize'],
          ['maximize', 'minimize'],
          ['minimize', 'minimize', 'maximize'],
        ),
        fc.array(fc.array(value, { minLength: 1, maxLength: 3 }), { maxLength: 30 }),
        fc.infiniteStream(fc.nat()),
        (directions, values, order) => {
          const trials = trialsOf(...values);
          const best = new BestSoFar(directions);
          const shuffled = trials
            .map((trial) => ({ trial, key: order.next().value ?? 0 }))
            .sort((a, b) => a.key - b.key);
          for (const { trial } of shuffled) best.add(trial);
          expect(numbers(best.trials)).toEqual(numbers(bestTrials(directions, trials)));
        },
      ),
    );
  });
});
