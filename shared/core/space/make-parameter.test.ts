import { describe, expect, it } from 'vitest';
import {
  checkParams,
  choicesEqual,
  contains,
  describeValues,
  fromInternal,
  gridSize,
  isOnGrid,
  isSingle,
  loweredHighWarning,
  makeCategorical,
  makeFloat,
  makeInt,
  makeSpace,
  ParameterError,
  parameterProblem,
  parametersCompatible,
  parametersEqual,
  toInternal,
} from './make-parameter.js';

const float = (low: number, high: number, rest: { log?: boolean; step?: number | null } = {}) =>
  makeFloat({ name: 'p', low, high, ...rest });
const int = (low: number, high: number, rest: { log?: boolean; step?: number | null } = {}) =>
  makeInt({ name: 'p', low, high, ...rest });

describe('grids', () => {
  it.each([
    [0, 1, 0.3, 0.9],
    [0.1, 0.75, 0.2, 0.7],
    [0, 0.9, 0.3, 0.9],
    [0.01, 0.4, 0.01, 0.4],
    [-1, 1, 1e-7, 1],
    [0, 1, 3, 0],
    [1e-300, 2e-300, 3e-301, 1.9e-300],
    [1e21, 3e21, 1.5e21, 2.5e21],
  ])('float [%d, %d] in steps of %d ends at %d (case 17)', (low, high, step, expected) => {
    expect(float(low, high, { step }).high).toBe(expected);
  });

  it.each([
    [1, 10, 4, 9],
    [-4, 19, 3, 17],
    [0, 10, 5, 10],
    [3, 4, 2, 3],
  ])('int [%d, %d] in steps of %d ends at %d', (low, high, step, expected) => {
    expect(int(low, high, { step }).high).toBe(expected);
  });

  it('warns exactly when high was lowered', () => {
    expect(loweredHighWarning(float(0, 1, { step: 0.3 }), 1)).toContain('0.9 is used');
    expect(loweredHighWarning(float(0, 0.9, { step: 0.3 }), 0.9)).toBeNull();
    expect(loweredHighWarning(int(1, 10, { step: 4 }), 10)).toContain('9 is used');
  });

  it('counts the legal values', () => {
    expect(gridSize(float(0, 1, { step: 0.3 }))).toBe(4);
    expect(gridSize(float(0.01, 0.4, { step: 0.01 }))).toBe(40);
    expect(gridSize(float(0, 1))).toBeNull();
    expect(gridSize(float(2, 2))).toBe(1);
    expect(gridSize(int(16, 256, { step: 8 }))).toBe(31);
    expect(gridSize(int(1, 64, { log: true }))).toBe(64);
    expect(gridSize(makeCategorical('c', ['a', 'b']))).toBe(2);
  });

  it('knows single values', () => {
    expect(isSingle(float(2, 2))).toBe(true);
    expect(isSingle(float(0, 1))).toBe(false);
    expect(isSingle(float(0, 0.2, { step: 0.3 }))).toBe(true);
    expect(isSingle(float(0, 0.3, { step: 0.3 }))).toBe(false);
    expect(isSingle(int(3, 4, { step: 2 }))).toBe(true);
    expect(isSingle(int(1, 1, { log: true }))).toBe(true);
    expect(isSingle(int(1, 2, { log: true }))).toBe(false);
    expect(isSingle(makeCategorical('c', ['a']))).toBe(true);
  });
});

describe('refusals say what would be right', () => {
  it.each([
    ['infinite bound', () => float(0, Infinity), 'high is Infinity; it must be a finite number'],
    ['NaN bound', () => float(NaN, 1), 'low is NaN; it must be a finite number'],
    ['range beyond doubles', () => float(-1e308, 1e308), 'too wide'],
    ['range of denormals', () => float(0, 5e-324), 'too narrow'],
    ['reversed bounds', () => float(2, 1), 'low must not exceed high'],
    ['log from 0', () => float(0, 1, { log: true }), 'low above 0'],
    ['log with step', () => float(1, 2, { log: true, step: 0.1 }), 'one or the other'],
    ['step 0', () => float(0, 1, { step: 0 }), 'above 0'],
    ['step NaN', () => float(0, 1, { step: NaN }), 'above 0'],
    ['int beyond 2^53 (case 22)', () => int(0, 2 ** 53), 'between -2^53 and 2^53'],
    ['int range beyond 2^53', () => int(-(2 ** 53) + 1, 2 ** 53 - 1), 'high - low'],
    ['fractional int', () => int(0.5, 2), 'low is 0.5; it must be an integer'],
    ['int step 0', () => int(0, 2, { step: 0 }), 'at least 1'],
    ['log int from 0', () => int(0, 2, { log: true }), 'low of at least 1'],
    ['log int with step', () => int(1, 9, { log: true, step: 2 }), 'needs step 1'],
    ['no choices', () => makeCategorical('p', []), 'at least one'],
    ['no name', () => makeCategorical('', ['a']), 'name is empty'],
    ['name twice', () => makeSpace([float(0, 1), int(0, 1)]), 'names must differ'],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(ParameterError);
    expect(make).toThrow(message);
  });

  it('names the parameter', () => {
    expect(() => float(2, 1)).toThrow('parameter "p": ');
  });
});

describe('values', () => {
  it('contains (case 17: 0.3·3 although it is 0.8999…)', () => {
    const grid = float(0, 1, { step: 0.3 });
    expect(contains(grid, 0.3 * 3)).toBe(true);
    expect(contains(grid, 0.9)).toBe(true);
    expect(contains(grid, 0.45)).toBe(false);
    expect(contains(grid, 1.2)).toBe(false);
    expect(contains(float(0, 1), 1)).toBe(true);
    expect(contains(float(0, 1), 1.0000001)).toBe(false);
    expect(contains(float(0, 1), NaN)).toBe(false);
    expect(contains(int(-4, 19, { step: 3 }), -1)).toBe(true);
    expect(contains(int(-4, 19, { step: 3 }), 0)).toBe(false);
    expect(contains(makeCategorical('c', ['a', 'b']), 1)).toBe(true);
    expect(contains(makeCategorical('c', ['a', 'b']), 2)).toBe(false);
  });

  it('looks categories up as Optuna does (case 23)', () => {
    const mixed = makeCategorical('c', [null, 'x', NaN, 1.5, true, 1]);
    expect(toInternal(mixed, null)).toBe(0);
    expect(toInternal(mixed, 'x')).toBe(1);
    expect(toInternal(mixed, NaN)).toBe(2);
    expect(toInternal(mixed, 1)).toBe(4);
    expect(toInternal(mixed, 0)).toBeNull();
    expect(toInternal(mixed, '1')).toBeNull();
    expect(fromInternal(mixed, 4)).toBe(true);
    expect(() => fromInternal(mixed, 6)).toThrow(RangeError);
    expect(choicesEqual(false, 0)).toBe(true);
    expect(choicesEqual('', 0)).toBe(false);
    expect(choicesEqual(null, NaN)).toBe(false);
  });

  it('refuses what a parameter could never have recorded', () => {
    expect(toInternal(float(0, 1), NaN)).toBeNull();
    expect(toInternal(float(0, 1), Infinity)).toBeNull();
    expect(toInternal(float(0, 1), '0.5')).toBeNull();
    expect(toInternal(float(0, 1), 7)).toBe(7);
    expect(toInternal(float(0.1, 1, { log: true }), 0)).toBeNull();
    expect(toInternal(int(0, 5), 2.5)).toBeNull();
    expect(toInternal(int(0, 5), 2 ** 53)).toBeNull();
    expect(parameterProblem(int(0, 5), 2.5)).toBe(
      '2.5 is not a value of "p", which takes an integer from 0 to 5',
    );
    expect(parameterProblem(int(0, 5), 77)).toBeNull();
    expect(isOnGrid(int(0, 5), 77)).toBe(false);
    expect(isOnGrid(int(0, 5), 5)).toBe(true);
    expect(describeValues(float(0, 1, { step: 0.25 }))).toBe('a number from 0 to 1 in steps of 0.25');
  });

  it('lists everything wrong with a set of values', () => {
    const space = [float(0, 1), makeInt({ name: 'k', low: 0, high: 9 }), makeCategorical('c', ['a', 'b'])];
    expect(checkParams(space, { k: 11, c: 'z', q: 1 })).toEqual({
      missing: ['p'],
      unknown: ['q'],
      invalid: ['c'],
      offGrid: ['k'],
    });
    expect(checkParams(space, { p: 0.5, k: 3, c: 'a' })).toEqual({
      missing: [],
      unknown: [],
      invalid: [],
      offGrid: [],
    });
    // A name that every object has must not count as given.
    expect(checkParams([makeCategorical('toString', ['a'])], {}).missing).toEqual(['toString']);
  });
});

describe('comparison', () => {
  it('equality looks at every field but the name', () => {
    expect(parametersEqual(float(0, 1), { ...float(0, 1), name: 'other' })).toBe(true);
    expect(parametersEqual(float(0, 1), float(-0, 1))).toBe(true);
    expect(parametersEqual(float(0, 1), float(0, 2))).toBe(false);
    expect(parametersEqual(float(0, 1), float(0, 1, { step: 0.5 }))).toBe(false);
    expect(parametersEqual(float(0, 1), int(0, 1))).toBe(false);
    expect(parametersEqual(makeCategorical('c', ['a', 'b']), makeCategorical('c', ['b', 'a']))).toBe(false);
  });

  it('compatibility lets ranges and steps differ, and nothing else', () => {
    expect(parametersCompatible(float(0, 1), float(5, 9, { step: 0.5 }))).toBe(true);
    expect(parametersCompatible(float(1, 2), float(1, 2, { log: true }))).toBe(false);
    expect(parametersCompatible(float(1, 2), int(1, 2))).toBe(false);
    expect(parametersCompatible(int(1, 2), makeCategorical('c', [1, 2]))).toBe(false);
    expect(parametersCompatible(makeCategorical('c', [1, 2]), makeCategorical('c', [1, 2, 3]))).toBe(false);
    expect(parametersCompatible(makeCategorical('c', [1]), makeCategorical('d', [true]))).toBe(true);
  });
});
