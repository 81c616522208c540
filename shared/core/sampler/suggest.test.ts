import { describe, expect, it } from 'vitest';
import { makeCategorical, makeFloat, makeInt } from '../space/make-parameter.js';
import type { Params } from '../space/parameter.js';
import { Mt19937, trialSeed } from './mt19937.js';
import { sampleRandom } from './random.js';
import type { FinishedTrial } from './sampler.js';
import { suggestPlainly } from './plain-suggestion.test-helper.js';
import { complete, request, settings, suggest, suggestWithSeed } from './suggest.test-helper.js';
import { SamplerSession } from './sampler-session.js';

const x = makeFloat({ name: 'x', low: -5, high: 5 });
const lr = makeFloat({ name: 'lr', low: 1e-5, high: 0.1, log: true });
const k = makeInt({ name: 'k', low: 1, high: 1_000_000 });
const c = makeCategorical('c', ['a', 'b', 'c']);
const space = [x, lr, k, c];

/** The objective of the seeded run of tpe.md §17. */
function objective(params: Params): number {
  const penalty = params['c'] === 'a' ? 0 : params['c'] === 'b' ? 0.5 : 1;
  const [xValue, lrValue, kValue] = [params['x'], params['lr'], params['k']].map(Number);
  return (
    ((xValue ?? 0) - 1) ** 2 +
    (Math.log10(lrValue ?? 0) + 3) ** 2 +
    Math.abs((kValue ?? 0) - 5e5) / 1e6 +
    penalty
  );
}

describe('seeded run (tpe.md §17)', () => {
  const expected: [number, number, number, string][] = [
    [-1.254598811526375, 0.06351221010640701, 731994, 'a'],
    [-4.419163878318005, 0.029154431891537533, 601116, 'c'],
    [3.324426408004218, 7.068974950624602e-5, 181825, 'c'],
    [-0.6805498135788426, 0.0001461896279370495, 611853, 'c'],
    [-0.43930015782964027, 0.013826232179369865, 199674, 'b'],
    [0.19354322781806732, 0.0015308469211104676, 177397, 'b'],
    [2.8686092769367777, 2.694833132088838e-5, 919641, 'a'],
    [-2.9318564067814785, 5.877404940272711e-5, 113097, 'c'],
    [4.907443086062719, 0.0018514131773656323, 850589, 'c'],
    [-3.413518057794394, 0.00033993525218713086, 935843, 'b'],
    [3.070192369481357, 0.0012299624836120255, 165520, 'a'],
    [-0.3209507896595819, 0.011761835824461934, 204922, 'b'],
  ];

  it('one session with two continuing streams gives all twelve trials', () => {
    const session = new SamplerSession(42);
    const finished: FinishedTrial[] = [];
    expected.forEach(([xValue, lrValue, kValue, cValue], number) => {
      const params = suggestPlainly(request(space, finished, { startupTrials: 5 }), session);
      expect(Math.abs(Number(params['x']) / xValue - 1)).toBeLessThan(1e-12);
      expect(Math.abs(Number(params['lr']) / lrValue - 1)).toBeLessThan(1e-12);
      expect(params['k']).toBe(kValue);
      expect(params['c']).toBe(cValue);
      finished.push(complete(number, params, objective(params)));
    });
  });
});

/** `count` finished trials of a random study. */
function history(count: number, seed = 9): FinishedTrial[] {
  const session = new SamplerSession(seed);
  return Array.from({ length: count }, (_, number) => {
    const params = suggestPlainly(request(space, [], { startupTrials: 1 }), session);
    return complete(number, params, objective(params));
  });
}

describe('streams', () => {
  it('suggest draws from the stream of the trial, whatever came before', () => {
    const base = request(space, history(20));
    const again = suggest({ ...base, number: 20 });
    expect(suggest({ ...base, number: 20 })).toEqual(again);
    expect(suggest({ ...base, number: 21 })).not.toEqual(again);
    expect(again).toEqual(suggestWithSeed(base, trialSeed(42, 20)));
    expect(suggest({ ...base, settings: { ...settings, seed: 43 } })).not.toEqual(again);
  });

  it('the random sampler never looks at the history', () => {
    const random = { type: 'random', seed: 1 } as const;
    const empty = { ...request(space, []), settings: random, number: 5 };
    expect(suggest({ ...empty, finished: history(20) })).toEqual(suggest(empty));
    expect(Object.keys(suggest(empty))).toEqual(['x', 'lr', 'k', 'c']);
  });

  it('refuses seeds that are no 32-bit integers', () => {
    expect(() => suggestWithSeed(request(space, []), -1)).toThrow(RangeError);
  });
});

describe('start-up (case 1)', () => {
  const startupTrials = 5;
  const random = (seed: number): number => Number(sampleRandom(x, new Mt19937(seed)));
  const suggested = (finished: FinishedTrial[]): number =>
    Number(suggestWithSeed(request([x], finished, { startupTrials }), 3)['x']);

  it('is random up to one trial less, and the model from then on', () => {
    expect(suggested(history(4))).toBe(random(3));
    expect(suggested(history(5))).not.toBe(random(3));
  });

  it('ends with infeasible and pruned trials too', () => {
    const infeasible = history(5).map((trial) => ({ ...trial, constraints: [1] }));
    expect(suggested(infeasible)).not.toBe(random(3));
    const pruned = history(5).map(({ number, params }): FinishedTrial => ({
      state: 'PRUNED',
      number,
      params,
      lastReport: null,
    }));
    expect(suggested(pruned)).not.toBe(random(3));
  });
});

describe('fixed values', () => {
  it('win over suggestions, off the grid too (case 14), and are not conditioned on', () => {
    const finished = history(30);
    const free = suggestWithSeed(request(space, finished), 1);
    const fixed = { x: 77, c: 'b' };
    const bound = suggestWithSeed(request(space, finished, {}, { fixed }), 1);
    expect(bound).toEqual({ ...free, ...fixed });
  });

  it('that cannot be are an error (case 14)', () => {
    const bad = (fixed: Params) => () => suggestWithSeed(request(space, [], {}, { fixed }), 1);
    expect(bad({ c: 'z' })).toThrow(
      'fixed value: "z" is not a value of "c", which takes one of "a", "b", "c"',
    );
    expect(bad({ lr: 0 })).toThrow('fixed value: 0 is not a value of "lr"');
    expect(bad({ k: 1.5 })).toThrow('an integer from 1 to 1000000');
  });

  it('case 15: with all of them given nothing is suggested at all', () => {
    const fixed = { x: 1, lr: 0.01, k: 5, c: 'a' };
    const session = new SamplerSession(4);
    expect(suggestPlainly(request(space, history(30), {}, { fixed }), session)).toEqual(fixed);
    const free = suggestPlainly(request(space, history(30)), session);
    expect(free).toEqual(suggestPlainly(request(space, history(30)), new SamplerSession(4)));
  });

  it('off the grid are observations like any other', () => {
    const finished = [...history(10), complete(10, { x: 77, lr: 0.01, k: 5, c: 'a' }, 0)];
    const params = suggestWithSeed(request(space, finished), 1);
    expect(Number(params['x'])).toBeGreaterThanOrEqual(-5);
    expect(Number(params['x'])).toBeLessThanOrEqual(5);
  });
});

describe('candidates', () => {
  it('case 45: one candidate is taken as it is, none is an error', () => {
    expect(suggestWithSeed(request(space, history(30), { eiCandidates: 1 }), 1)).toBeDefined();
    expect(() => suggestWithSeed(request(space, history(30), { eiCandidates: 0 }), 1)).toThrow(
      '0 candidates per suggestion; at least 1 is needed',
    );
  });

  it('case 7: single parameters take no random numbers', () => {
    const single = makeInt({ name: 'only', low: 3, high: 3 });
    const finished = history(30);
    const withSingle = finished.map((trial) => ({ ...trial, params: { ...trial.params, only: 3 } }));
    const params = suggestWithSeed(request([single, ...space], withSingle), 1);
    expect(params).toEqual({ only: 3, ...suggestWithSeed(request(space, finished), 1) });
  });
});
