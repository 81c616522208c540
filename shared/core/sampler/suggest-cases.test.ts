/** The edge cases of tpe.md §18 that concern the flow of a suggestion, each with its number there. */
import { describe, expect, it } from 'vitest';
import { makeCategorical, makeFloat, makeInt, makeSpace } from '../space/make-parameter.js';
import type { Parameter, Params } from '../space/parameter.js';
import { Mt19937 } from './mt19937.js';
import type { FinishedTrial, RunningTrial, TpeSettings } from './sampler.js';
import { complete, request, settings, suggestWithSeed } from './suggest.test-helper.js';
import { estimatorRules } from './tpe/estimator-rules.js';
import { splitHistory, suggestJointly, TpeModel } from './tpe/model.js';

const a = makeFloat({ name: 'a', low: 0, high: 1 });
const b = makeFloat({ name: 'b', low: 0, high: 1 });
const k = makeInt({ name: 'k', low: 0, high: 9 });
const c = makeCategorical('c', ['p', 'q', 'r']);

/** Deterministic scattered points in [0, 1). */
const scattered = (i: number, prime: number): number => ((i * prime) % 101) / 101;
const params = (i: number): Params => ({
  a: scattered(i, 37),
  b: scattered(i, 53),
  k: (i * 7) % 10,
  c: ['p', 'q', 'r'][(i * 5) % 3] ?? 'p',
});
const trials = (count: number, names = ['a', 'b', 'k', 'c']): FinishedTrial[] =>
  Array.from({ length: count }, (_, i) =>
    complete(i, Object.fromEntries(names.map((name) => [name, params(i)[name] ?? null])), (i * 13) % 29),
  );

/** The suggestion for one-parameter spaces, each from its own place in one stream, as rule 5 makes them. */
function independently(
  parameters: Parameter[],
  finished: FinishedTrial[],
  changes: Partial<TpeSettings> = {},
  rng = new Mt19937(6),
): Record<string, number> {
  const merged = { ...settings, ...changes };
  const history = splitHistory(finished, [], ['minimize'], merged);
  return Object.fromEntries(
    parameters.flatMap((parameter) => [...suggestJointly([parameter], history, merged, rng)]),
  );
}

describe('search space and flow', () => {
  it('case 2: without trials every parameter comes from its prior alone; the first candidate is taken', () => {
    const first = suggestWithSeed(request([a, b], []), 6);
    expect(first).toEqual(independently([a, b], []));
    const many = Array.from({ length: 4000 }, (_, seed) =>
      Number(suggestWithSeed(request([a], []), seed)['a']),
    );
    // A normal with σ = range truncated to the range has variance 0.0798; the uniform would have 0.0833.
    const mean = many.reduce((sum, value) => sum + value) / many.length;
    const variance = many.reduce((sum, value) => sum + (value - mean) ** 2) / many.length;
    expect(mean).toBeCloseTo(0.5, 1);
    expect(variance).toBeLessThan(0.0818);
    const model = new TpeModel(
      [a],
      splitHistory([], [], ['minimize'], settings),
      estimatorRules('optuna-5', true),
    );
    expect(model.score([0.9])).toBe(0);
  });

  it('case 3: a finished trial without parameters makes everything independent', () => {
    const finished = [...trials(20), complete(20, {}, 5)];
    expect(suggestWithSeed(request([a, b], finished), 6)).toEqual(independently([a, b], finished));
  });

  it('case 4: a range changed once is modelled independently, old observations stay in', () => {
    const wide = makeFloat({ name: 'a', low: 0, high: 50 });
    const finished = [...trials(20, ['a', 'b']), complete(20, { a: 40, b: 0.5 }, -100, [wide, b])];
    const rng = new Mt19937(6);
    const joint = independently([b], finished, {}, rng);
    const alone = independently([a], finished, {}, rng);
    expect(suggestWithSeed(request([a, b], finished), 6)).toEqual({ ...joint, ...alone });
    expect(Number(alone['a'])).toBeLessThanOrEqual(1);
  });

  it('case 5: with groups the joint value comes from the first range, and independently if outside', () => {
    const wide = makeFloat({ name: 'a', low: 0, high: 50 });
    const finished = trials(20, ['a']).map((trial, i) => ({
      ...trial,
      space: [wide],
      params: { a: i * 2.4 },
    }));
    let outside = 0;
    for (let seed = 0; seed < 40; seed++) {
      const rng = new Mt19937(seed);
      const joint = Number(independently([wide], finished, { group: true }, rng)['a']);
      const suggested = suggestWithSeed(request([a], finished, { group: true }), seed)['a'];
      if (joint <= 1) expect(suggested).toBe(joint);
      else {
        outside++;
        expect(suggested).toBe(independently([a], finished, { group: true }, rng)['a']);
      }
    }
    expect(outside).toBeGreaterThan(0);
  });

  it('case 6: changed choices, kind or log are an error', () => {
    const changed: [Parameter, Parameter, Params][] = [
      [c, makeCategorical('c', ['p', 'q']), { c: 'p' }],
      [a, makeInt({ name: 'a', low: 0, high: 1 }), { a: 1 }],
      [
        makeFloat({ name: 'a', low: 0.1, high: 1 }),
        makeFloat({ name: 'a', low: 0.1, high: 1, log: true }),
        { a: 0.5 },
      ],
    ];
    for (const [now, before, values] of changed) {
      expect(() => suggestWithSeed(request([now], [complete(0, values, 1, [before])]), 1)).toThrow(
        'within a study its kind, log and choices must stay the same',
      );
    }
  });

  it('case 8: a space of only single parameters has no joint suggestion', () => {
    const single = makeCategorical('s', ['only']);
    const finished = [complete(0, { s: 'only' }, 1)];
    expect(suggestWithSeed(request([single], finished), 1)).toEqual({ s: 'only' });
  });

  it('case 9: a parameter cannot be asked for twice: names in a space differ', () => {
    expect(() => makeSpace([a, a])).toThrow('the name occurs twice');
  });

  it('case 10: a branch never seen before is drawn from the prior', () => {
    const finished = trials(20, ['a']);
    const rng = new Mt19937(6);
    const joint = independently([a], finished, { group: true }, rng);
    const alone = independently([b], finished, { group: true }, rng);
    expect(suggestWithSeed(request([a, b], finished, { group: true }), 6)).toEqual({ ...joint, ...alone });
  });

  it('case 11: one side may have no observation for a group', () => {
    // The good trials are those with the lowest values: numbers 0 and 1, which lack b.
    const finished = Array.from({ length: 20 }, (_, i) =>
      complete(i, i < 2 ? { a: 0.5 } : { a: 0.5, b: scattered(i, 53) }, i),
    );
    const rules = estimatorRules('optuna-5', true);
    const model = new TpeModel([b], splitHistory(finished, [], ['minimize'], settings), rules);
    expect([...model.good.weights]).toEqual([1]);
    expect(model.bad.weights).toHaveLength(19);
    expect(Number.isFinite(model.score([0.3]))).toBe(true);
    const reverse = finished.map((_, i) => (i < 2 ? complete(i, { b: 0.1 * i }, i) : complete(i, {}, i)));
    const turned = new TpeModel([b], splitHistory(reverse, [], ['minimize'], settings), rules);
    expect([turned.good.weights.length, turned.bad.weights.length]).toEqual([3, 1]);
    expect(Number.isFinite(turned.score([0.3]))).toBe(true);
  });

  it('case 29: identical trials are each a kernel', () => {
    const finished = Array.from({ length: 12 }, (_, i) => complete(i, { a: 0.5 }, 1));
    const history = splitHistory(finished, [], ['minimize'], settings);
    expect(new TpeModel([a], history, estimatorRules('optuna-5', true)).bad.weights).toHaveLength(11);
  });

  it('case 38: N counts infeasible and pruned trials, not running ones', () => {
    const infeasible = Array.from({ length: 10 }, (_, i) => ({
      ...complete(i, { a: 0.5 }, i),
      constraints: [1],
    }));
    const finished = [...infeasible, complete(10, { a: 0.5 }, 3)];
    const running = Array.from({ length: 50 }, (_, i) => ({ number: 11 + i, params: { a: 0.5 } }));
    expect(
      splitHistory(finished, running, ['minimize'], { ...settings, constantLiar: true }).good,
    ).toHaveLength(2);
  });

  it('case 46: of equal scores the first candidate wins', () => {
    // One category in every trial: all candidates of equal value score the same, so the choice is the first drawn.
    const finished = trials(12, ['c']);
    const model = new TpeModel(
      [c],
      splitHistory(finished, [], ['minimize'], settings),
      estimatorRules('optuna-5', true),
    );
    for (let seed = 0; seed < 20; seed++) {
      const [drawn = []] = model.good.sample(24, new Mt19937(seed));
      const scores = Array.from(drawn, (choice) => model.score([choice]));
      const expected = drawn[scores.indexOf(Math.max(...scores))];
      expect(model.suggest(24, new Mt19937(seed)).get('c')).toBe(expected);
    }
    const empty = new TpeModel(
      [a],
      splitHistory([], [], ['minimize'], settings),
      estimatorRules('optuna-5', true),
    );
    const [draws = []] = empty.good.sample(24, new Mt19937(3));
    expect(empty.suggest(24, new Mt19937(3)).get('a')).toBe(draws[0]);
  });

  it('case 51: order of definition matters for independent draws only', () => {
    const finished = trials(30);
    const joint = suggestWithSeed(request([a, b, k, c], finished), 1);
    expect(suggestWithSeed(request([c, k, b, a], finished), 1)).toEqual(joint);
    const alone = suggestWithSeed(request([a, b], finished, { multivariate: false }), 1);
    expect(suggestWithSeed(request([b, a], finished, { multivariate: false }), 1)).not.toEqual(alone);
  });

  it('recorded values that cannot be are an error that names the trial', () => {
    expect(() => suggestWithSeed(request([c], [complete(0, { c: 'z' }, 1)]), 1)).toThrow(
      'trial 0: "z" is not a value of "c"',
    );
  });
});

describe('liar', () => {
  const finished = trials(30);
  const space = [a, b, k, c];
  const liar = { constantLiar: true };
  const suggestWith = (running: RunningTrial[], changes: Partial<TpeSettings> = liar): Params =>
    suggestWithSeed(request(space, finished, changes, { running }), 5);

  it('case 39: running trials change neither γ nor S and repel; without the liar nothing changes', () => {
    const running = [{ number: 30, params: suggestWith([]) }];
    const { good } = splitHistory(finished, running, ['minimize'], { ...settings, ...liar });
    expect(good).toEqual(splitHistory(finished, [], ['minimize'], settings).good);
    expect(suggestWith(running)).not.toEqual(suggestWith([]));
    expect(suggestWith(running, {})).toEqual(suggestWith([], {}));

    const rules = estimatorRules('optuna-5', true);
    const point = [0.5, 0.5, 1, 4];
    const near = [{ number: 30, params: { a: 0.5, b: 0.5, c: 'q', k: 4 } }];
    const sorted = [a, b, c, k];
    const score = (others: RunningTrial[]): number =>
      new TpeModel(
        sorted,
        splitHistory(finished, others, ['minimize'], { ...settings, ...liar }),
        rules,
      ).score(point);
    expect(score(near)).toBeLessThan(score([]));
  });

  it('cases 40 and 42: what is not among the running trials has no effect', () => {
    const other = { number: 31, params: params(77) };
    expect(suggestWith([{ number: 30, params: params(50) }, other])).not.toEqual(suggestWith([other]));
    expect(suggestWith([])).toEqual(suggestWith([], {}));
  });

  it('cases 41 and 43: a running trial counts only where it has all parameters of the space', () => {
    expect(suggestWith([{ number: 30, params: {} }])).toEqual(suggestWith([]));
    expect(suggestWith([{ number: 30, params: { a: 0.5, b: 0.5, k: 1 } }])).toEqual(suggestWith([]));
    // Documented deviation (tpe.md §12): a branch that a running trial does not visit leaves no phantom observation.
    const branches = trials(30).map((_, i) =>
      complete(i, i % 2 === 0 ? { a: 0.3 + i / 99 } : { b: 0.2 + i / 99 }, i),
    );
    const { bad } = splitHistory(branches, [{ number: 30, params: { a: 0.5 } }], ['minimize'], {
      ...settings,
      ...liar,
    });
    const rules = estimatorRules('optuna-5', true);
    const kernels = (parameter: Parameter): number =>
      new TpeModel([parameter], { good: [], bad, goodWeights: null }, rules).bad.weights.length - 1;
    expect(kernels(a) + kernels(b)).toBe(bad.length);
  });

  it('running trials take their place among the bad ones by number', () => {
    const running = [{ number: 12, params: params(12) }];
    const { bad } = splitHistory(
      finished.filter((trial) => trial.number !== 12),
      running,
      ['minimize'],
      { ...settings, ...liar },
    );
    const numbers = bad.map((trial) => trial.number);
    expect(numbers).toContain(12);
    expect(numbers).toEqual([...numbers].sort((m, n) => m - n));
  });
});
