import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { makeCategorical, makeFloat, makeInt } from '../../shared/core/space/make-parameter.js';
import { gridDensity, gridPoints } from './grid-density.js';
import { ImportanceError, type AssessedStudy } from './importance.js';
import { pedAnova, rawPedAnova } from './ped-anova.js';
import { goldenFolder, goldenStudy } from './importance.test-helper.js';

describe.skipIf(!existsSync(goldenFolder))(`golden PED-ANOVA (skipped without ${goldenFolder})`, () => {
  for (const file of ['importance-optuna-4.json', 'importance-optuna-5.json']) {
    const { results } = existsSync(goldenFolder)
      ? (JSON.parse(readFileSync(path.join(goldenFolder, file), 'utf8')) as {
          results: { case: number; complete: number; ped_anova: Record<string, number> }[];
        })
      : { results: [] };
    for (const expected of results) {
      it(`${file} case ${expected.case}`, () => {
        const study = goldenStudy(expected.case);
        expect(study.trials).toHaveLength(expected.complete);
        const actual = pedAnova(study);
        expect([...actual.keys()].sort()).toEqual(Object.keys(expected.ped_anova).sort());
        for (const [name, value] of Object.entries(expected.ped_anova)) {
          expect(Math.abs((actual.get(name) ?? 0) - value), name).toBeLessThan(1e-9 * value);
        }
        const order = [...actual.values()];
        expect(order).toEqual([...order].sort((a, b) => b - a));
      });
    }
  }
});

const x = makeFloat({ name: 'x', low: 0, high: 1 });
const c = makeCategorical('c', ['a', 'b']);
const twenty: AssessedStudy = {
  space: [x, c],
  directions: ['minimize'],
  trials: Array.from({ length: 20 }, (_, i) => ({
    params: { x: i / 19, c: i % 2 === 0 ? 'a' : 'b' },
    values: [Math.abs(i - 3) + 0.01 * i],
  })),
};

describe('PED-ANOVA', () => {
  it('golden figures (tpe.md §17)', () => {
    const raw = rawPedAnova(twenty);
    expect(raw.get('x')).toBeCloseTo(0.02030273525221512, 13);
    expect(raw.get('c')).toBeCloseTo(0, 15);
    expect(rawPedAnova(twenty, ['x'], { local: false }).get('x')).toBeCloseTo(0.02027938183981464, 13);
  });

  it('maximise mirrors minimise; a target is always minimised', () => {
    const mirrored: AssessedStudy = {
      ...twenty,
      directions: ['maximize'],
      trials: twenty.trials.map((trial) => ({ ...trial, values: trial.values.map((value) => -value) })),
    };
    expect(rawPedAnova(mirrored)).toEqual(rawPedAnova(twenty));
    const targeted = {
      ...mirrored,
      target: ({ values }: { values: readonly number[] }) => -(values[0] ?? 0),
    };
    expect(rawPedAnova(targeted)).toEqual(rawPedAnova(twenty));
  });

  it('case 58: up to one trial, or equal sets, give equal shares', () => {
    const one = { ...twenty, trials: twenty.trials.slice(0, 1) };
    expect(Object.fromEntries(pedAnova(one))).toEqual({ x: 0.5, c: 0.5 });
    const equal = { ...twenty, trials: twenty.trials.map((trial) => ({ ...trial, values: [1] })) };
    expect(Object.fromEntries(pedAnova(equal))).toEqual({ x: 0.5, c: 0.5 });
    expect(pedAnova({ ...twenty, trials: [] })).toEqual(new Map());
  });

  it('case 59: a conditional parameter is assessed where it is active', () => {
    const conditional = {
      ...twenty,
      trials: twenty.trials.map((trial, i) => (i % 2 === 0 ? trial : { ...trial, params: { c: 'b' } })),
    };
    expect(rawPedAnova(conditional).get('x')).toBeGreaterThan(0);
  });

  it('case 60: non-finite values are dropped first; ties at the quantile are all kept', () => {
    const dropped = {
      ...twenty,
      trials: [...twenty.trials, { params: { x: 0.99, c: 'a' }, values: [Infinity] }],
    };
    expect(rawPedAnova(dropped)).toEqual(rawPedAnova(twenty));
    // The third best ties with the second, and with it belongs to the best tenth.
    const values = twenty.trials.map(({ values: [value = 0] }) => value).sort((a, b) => a - b);
    const tied = {
      ...twenty,
      trials: twenty.trials.map((trial) =>
        trial.values[0] === values[2] ? { ...trial, values: [values[1] ?? 0] } : trial,
      ),
    };
    expect(rawPedAnova(tied)).not.toEqual(rawPedAnova(twenty));
  });

  it('case 7: single parameters have no importance', () => {
    const single = makeInt({ name: 's', low: 3, high: 3 });
    const study = {
      ...twenty,
      space: [...twenty.space, single],
      trials: twenty.trials.map((trial) => ({ ...trial, params: { ...trial.params, s: 3 } })),
    };
    expect(pedAnova(study).get('s')).toBe(0);
  });

  it('case 61: the grid of a log int [1, 1000] has 11 points', () => {
    expect(gridPoints(makeInt({ name: 'i', low: 1, high: 1000, log: true }))).toBe(11);
    expect(gridPoints(makeInt({ name: 'i', low: 1, high: 1000 }))).toBe(50);
    expect(gridPoints(makeFloat({ name: 'f', low: 0, high: 1, step: 0.25 }))).toBe(5);
    expect(gridPoints(x)).toBe(50);
  });

  it('several objectives take the best by domination', () => {
    const trials = twenty.trials.map((trial, i) => ({
      ...trial,
      values: [Math.abs(i - 3), Math.abs(i - 5)],
    }));
    const study: AssessedStudy = { ...twenty, directions: ['minimize', 'minimize'], trials };
    expect(pedAnova(study).get('x')).toBeGreaterThan(0.9);
  });

  it('refuses what makes no sense', () => {
    expect(() => pedAnova(twenty, ['y'])).toThrow('no completed trial has a parameter "y"; there are x, c');
    expect(() => pedAnova(twenty, ['x'], { targetQuantile: 1 })).toThrow(ImportanceError);
  });

  it('grid densities sum to 1', () => {
    for (const parameter of [x, c, makeInt({ name: 'i', low: 1, high: 1000, log: true })]) {
      const values = parameter.kind === 'categorical' ? ['a', 'a', 'b'] : [1, 0.5, 0.1];
      const density = gridDensity(parameter, parameter.kind === 'int' ? [1, 10, 900] : values);
      expect(density.reduce((sum, value) => sum + value)).toBeCloseTo(1, 12);
    }
  });
});
