import { describe, expect, it } from 'vitest';
import { makeCategorical, makeFloat, makeInt } from '../../shared/core/space/make-parameter.js';
import { fanova, forestImportances, leavesOf, marginalVariance } from './fanova.js';
import { normalised, type AssessedStudy } from './importance.js';
import type { Tree } from './regression-tree.js';

/** x0 ≤ 0.5 ? 1 : (x1 ≤ 0.25 ? 3 : 5) on the unit square. */
const tree: Tree = {
  kind: 'split',
  feature: 0,
  threshold: 0.5,
  left: { kind: 'leaf', value: 1 },
  right: {
    kind: 'split',
    feature: 1,
    threshold: 0.25,
    left: { kind: 'leaf', value: 3 },
    right: { kind: 'leaf', value: 5 },
  },
};
const low = Float64Array.of(0, 0);
const high = Float64Array.of(1, 1);

describe('a given tree', () => {
  it('has the variances of its boxes', () => {
    const leaves = leavesOf(tree, low, high);
    expect(leaves.map(({ value }) => value)).toEqual([1, 3, 5]);
    // Means along x0: 1 and 4.5, half each: variance 1.75². Along x1: 2 (a quarter) and 3: 3/16.
    const volumes = [0.5, 0.125, 0.375];
    expect(marginalVariance(leaves, volumes, [0])).toBeCloseTo(1.75 ** 2, 14);
    expect(marginalVariance(leaves, volumes, [1])).toBeCloseTo(3 / 16, 14);
    // Both together: the whole variance, Σ v·(y − 2.75)².
    const whole = 0.5 * 1.75 ** 2 + 0.125 * 0.25 ** 2 + 0.375 * 2.25 ** 2;
    expect(marginalVariance(leaves, volumes, [0, 1])).toBeCloseTo(whole, 14);
    const groups = [
      { name: 'x0', features: [0] },
      { name: 'x1', features: [1] },
    ];
    const importances = forestImportances([tree, { kind: 'leaf', value: 9 }], groups, { low, high });
    expect(importances.get('x0')).toBeCloseTo(1.75 ** 2 / whole, 13);
    expect(importances.get('x1')).toBeCloseTo(3 / 16 / whole, 13);
  });

  it('takes the columns of one parameter together', () => {
    const groups = [{ name: 'both', features: [0, 1] }];
    expect(forestImportances([tree], groups, { low, high }).get('both')).toBeCloseTo(1, 14);
  });
});

const x = makeFloat({ name: 'x', low: 0, high: 1 });
const y = makeFloat({ name: 'y', low: 0, high: 1 });
const c = makeCategorical('c', ['p', 'q', 'r']);
const study: AssessedStudy = {
  space: [x, y, c, makeInt({ name: 's', low: 2, high: 2 })],
  directions: ['minimize'],
  trials: Array.from({ length: 150 }, (_, i) => {
    const params = {
      x: ((i * 37) % 151) / 151,
      y: ((i * 53) % 151) / 151,
      c: ['p', 'q', 'r'][i % 3] ?? 'p',
      s: 2,
    };
    return { params, values: [4 * params.x + (params.c === 'p' ? 1 : 0)] };
  }),
};

describe('shares', () => {
  it('are equal when all importances are 0, and refused when one is no importance', () => {
    expect([
      ...normalised(
        new Map([
          ['a', 0],
          ['b', 0],
        ]),
      ).values(),
    ]).toEqual([0.5, 0.5]);
    expect([
      ...normalised(
        new Map([
          ['a', 1],
          ['b', 3],
        ]),
      ),
    ]).toEqual([
      ['b', 0.75],
      ['a', 0.25],
    ]);
    for (const wrong of [NaN, -0.1, Infinity])
      expect(() =>
        normalised(
          new Map([
            ['a', 1],
            ['b', wrong],
          ]),
        ),
      ).toThrow('importance of "b"');
  });
});

describe('fANOVA', () => {
  it('finds what matters', () => {
    const importances = fanova(study, 1);
    expect([...importances.keys()]).toEqual(['x', 'c', 'y', 's']);
    // Var(4x) = 16/12; Var of the indicator = 2/9.
    expect(importances.get('x')).toBeGreaterThan(0.75);
    expect(importances.get('c')).toBeGreaterThan(0.08);
    expect(importances.get('y')).toBeLessThan(0.03);
    expect(importances.get('s')).toBe(0);
    expect(fanova(study, 1)).toEqual(importances);
  });

  it('takes values outside of their range for the nearest end of it', () => {
    const trials = Array.from({ length: 60 }, (_, i) => {
      const params = { x: ((i * 37) % 61) / 61 + (i % 3 === 0 ? (i % 2 === 0 ? 1.5 : -2) : 0), y: i / 60 };
      return { params, values: [Math.min(Math.max(params.x, 0), 1) ** 2] };
    });
    expect(trials.filter(({ params }) => params.x < 0 || params.x > 1)).toHaveLength(20);
    const importances = fanova({ space: [x, y], directions: ['minimize'], trials }, 1);
    expect(importances.get('x')).toBeGreaterThan(0.95);
    expect(importances.get('y')).toBeLessThan(0.05);
  });

  it('copes with neighbouring numbers, between which no threshold fits', () => {
    const narrow = makeFloat({ name: 'x', low: 1, high: 1 + Number.EPSILON });
    const trials = study.trials.map(({ params }, i) => ({
      params: { x: i % 2 === 0 ? narrow.low : narrow.high, y: params['y'] ?? 0 },
      values: [(i % 2) + Number(params['y'])],
    }));
    const importances = fanova({ space: [narrow, y], directions: ['minimize'], trials }, 1);
    expect(importances.get('y')).toBeGreaterThan(0.9);
  });

  it('case 58: up to one trial gives equal shares', () => {
    const one = { ...study, trials: study.trials.slice(0, 1) };
    expect(Object.fromEntries(fanova(one, 1))).toEqual({ x: 0.25, y: 0.25, c: 0.25, s: 0.25 });
  });

  it('case 59: a conditional parameter is left out, and refused when asked for where ranges differ', () => {
    const conditional = {
      ...study,
      trials: study.trials.map((trial, i) =>
        i % 2 === 0 ? trial : { ...trial, params: { x: trial.params['x'] ?? 0 } },
      ),
    };
    expect([...fanova(conditional, 1).keys()]).toEqual(['x']);
    expect(fanova(conditional, 1, ['x', 'y']).size).toBe(2);
    const ranged = {
      ...study,
      trials: study.trials.map((trial, i) =>
        i > 0 ? trial : { ...trial, space: [makeFloat({ name: 'y', low: 0, high: 2 })] },
      ),
    };
    expect([...fanova(ranged, 1).keys()]).not.toContain('y');
    expect(() => fanova(ranged, 1, ['y'])).toThrow(
      'is not in every completed trial with one and the same distribution',
    );
  });

  it('refuses several objectives without a target and values that do not vary', () => {
    const two: AssessedStudy = { ...study, directions: ['minimize', 'maximize'] };
    expect(() => fanova(two, 1)).toThrow('say which value to explain');
    expect([...fanova({ ...two, target: ({ values }) => values[0] ?? 0 }, 1).keys()][0]).toBe('x');
    const flat = { ...study, trials: study.trials.map((trial) => ({ ...trial, values: [3] })) };
    expect(() => fanova(flat, 1)).toThrow('nothing to explain');
    const huge = { ...study, trials: study.trials.map(({ params }, i) => ({ params, values: [i * 1e306] })) };
    expect(() => fanova(huge, 1)).toThrow('too large or too small for fANOVA');
  });
});
