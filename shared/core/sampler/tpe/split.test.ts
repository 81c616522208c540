import { describe, expect, it } from 'vitest';
import type { Direction, FinishedTrial, TpeRules } from '../sampler.js';
import { violationOf } from './feasibility.js';
import { goodTrialWeights } from './good-weights.js';
import { goodCount, splitTrials } from './split.js';

function complete(number: number, values: number | number[], constraints?: number[]): FinishedTrial {
  const list = typeof values === 'number' ? [values] : values;
  return {
    state: 'COMPLETE',
    number,
    params: {},
    values: list,
    ...(constraints === undefined ? {} : { constraints }),
  };
}

function pruned(number: number, step: number | null, value = 0, constraints?: number[]): FinishedTrial {
  return {
    state: 'PRUNED',
    number,
    params: {},
    lastReport: step === null ? null : { step, value },
    ...(constraints === undefined ? {} : { constraints }),
  };
}

/**
 * The whole queue of one objective, read off the split: with k copies of the history's worst trial appended, the good
 * set grows one by one, and the newcomer each time is the next in the queue.
 */
function queue(
  trials: FinishedTrial[],
  direction: Direction = 'minimize',
  rules: TpeRules = 'optuna-5',
): number[] {
  const order: number[] = [];
  for (let count = 1; count <= trials.length; count++) {
    // γ(N) = ceil(N/10): padding with infeasible trials makes N ten times the wanted count.
    const padding = Array.from({ length: 10 * count - trials.length }, (_, i) =>
      complete(1000 + i, 0, [Infinity]),
    );
    const padded = [...trials, ...padding];
    const { good } = splitTrials(padded, [direction], rules, violationOf(padded, rules));
    const newcomers = good.map((trial) => trial.number).filter((number) => !order.includes(number));
    expect(newcomers).toHaveLength(1);
    order.push(...newcomers);
  }
  return order;
}

const golden = [
  complete(0, 5),
  complete(1, 1, [2]),
  pruned(2, 3, 9),
  pruned(3, 5, NaN),
  pruned(4, 5, 2),
  pruned(5, null),
  complete(7, Infinity),
  complete(8, 5),
  complete(9, 0, [0.5, -3]),
];

describe('split with one objective', () => {
  it('golden queue (tpe.md §17)', () => {
    expect(queue(golden)).toEqual([0, 8, 7, 4, 3, 2, 5, 9, 1]);
  });

  it('case 34: maximise mirrors it, ties still by the earlier number', () => {
    const mirrored = golden.map((trial): FinishedTrial => {
      if (trial.state === 'COMPLETE') return { ...trial, values: trial.values.map((value) => -value) };
      if (trial.lastReport === null) return trial;
      return { ...trial, lastReport: { ...trial.lastReport, value: -trial.lastReport.value } };
    });
    expect(queue(mirrored, 'maximize')).toEqual([0, 8, 7, 4, 3, 2, 5, 9, 1]);
    expect(queue(mirrored, 'minimize')).not.toEqual([0, 8, 7, 4, 3, 2, 5, 9, 1]);
  });

  it('cases 30 and 31: equal values by number; infinities sort as numbers and precede pruned trials', () => {
    expect(
      queue([complete(0, 3), pruned(1, 9, -100), complete(2, Infinity), complete(3, -Infinity)]),
    ).toEqual([3, 0, 2, 1]);
    expect(queue([complete(0, 3), complete(1, 2), complete(2, 3)])).toEqual([1, 0, 2]);
  });

  it('case 32: a NaN report is the worst at its step but before smaller steps', () => {
    expect(queue([pruned(0, 4, -9), pruned(1, 5, NaN), pruned(2, 5, 100)])).toEqual([2, 1, 0]);
  });

  it('case 33: pruned at step 0 comes before pruned without a report', () => {
    expect(queue([pruned(0, null), pruned(1, 0, 1e9), pruned(2, null)])).toEqual([1, 0, 2]);
  });

  it('case 35: all infeasible: least violated first; a feasible pruned trial beats them', () => {
    expect(queue([complete(0, 1, [3]), complete(1, 9, [1]), complete(2, 2, [2])])).toEqual([1, 2, 0]);
    expect(queue([complete(0, 1, [3]), pruned(1, null)])).toEqual([1, 0]);
  });

  it('case 36: 0 and negative constraints are feasible, negative ones offset nothing', () => {
    const violation = violationOf([], 'optuna-5');
    expect(violation(complete(0, 1, [0, -5]))).toBe(0);
    expect(violation(complete(0, 1, [0.5, -3]))).toBe(0.5);
    expect(violation(complete(0, 1))).toBe(0);
  });

  it('Optuna 4: in a study with constraints a trial without values is infinitely violated', () => {
    const trials = [complete(0, 1), complete(1, 5, [0]), complete(2, 9, [4])];
    expect(queue(trials, 'minimize', 'optuna-4')).toEqual([1, 2, 0]);
    expect(queue(trials, 'minimize', 'optuna-5')).toEqual([0, 1, 2]);
    expect(violationOf([complete(0, 1)], 'optuna-4')(complete(0, 1))).toBe(0);
  });

  it('case 37: γ', () => {
    const counts = [1, 10, 11, 250, 1000].map((n) => goodCount(n, 1, 'optuna-5'));
    expect(counts).toEqual([1, 1, 2, 25, 25]);
    expect(goodCount(1000, 2, 'optuna-5')).toBe(100);
    expect(goodCount(1000, 2, 'optuna-4')).toBe(25);
    expect(goodCount(0, 1, 'optuna-5')).toBe(0);
    for (let n = 0; n <= 2000; n++) expect(goodCount(n, 2, 'optuna-5')).toBe(Math.trunc((n + 9) / 10));
  });

  it('both sets are in number order', () => {
    const trials = Array.from({ length: 40 }, (_, i) => complete(i, (i * 17) % 40));
    const { good, bad } = splitTrials(trials, ['minimize'], 'optuna-5', () => 0);
    expect(good.map((trial) => trial.number)).toEqual([0, 19, 26, 33]);
    expect(bad.map((trial) => trial.number)).toEqual([...bad.map((t) => t.number)].sort((a, b) => a - b));
    expect(good.length + bad.length).toBe(40);
  });
});

describe('split with several objectives', () => {
  const goodOf = (trials: FinishedTrial[], rules: TpeRules = 'optuna-5'): number[] => {
    const objectives = trials.find((trial) => trial.state === 'COMPLETE')?.values.length ?? 2;
    const directions: Direction[] = new Array<Direction>(objectives).fill('minimize');
    return splitTrials(trials, directions, rules, violationOf(trials, rules)).good.map((t) => t.number);
  };
  /** Dominated trials that raise N, and with it γ(N), to the wanted count of good ones. */
  const pad = (trials: FinishedTrial[], count: number): FinishedTrial[] => [
    ...trials,
    ...Array.from({ length: 10 * count - trials.length }, (_, i) => complete(1000 + i, [1e6 + i, 1e6 + i])),
  ];

  it('case 53: a front larger than γ is thinned by hypervolume, one of equal size taken whole', () => {
    const front = [
      [0, 10],
      [1, 8],
      [3, 5],
      [4, 4.5],
      [7, 1],
      [9, 0.5],
    ].map((values, i) => complete(i, values));
    expect(goodOf(pad(front, 6))).toEqual([0, 1, 2, 3, 4, 5]);
    expect(goodOf(pad(front, 2))).toEqual([2, 4]);
    expect(goodOf(pad(front, 4))).toEqual([1, 2, 3, 4]);
    const equal = Array.from({ length: 30 }, (_, i) => complete(i, [1, 1]));
    expect(goodOf(equal)).toEqual([0, 1, 2]);
  });

  it('takes whole fronts first', () => {
    const trials = [
      complete(0, [2, 2]),
      complete(1, [1, 1]),
      complete(2, [0, 3]),
      complete(3, [3, 3]),
      complete(4, [3, 0]),
    ];
    expect(goodOf(pad(trials, 4))).toEqual([0, 1, 2, 4]);
  });

  it('case 54: infinities in the tie-break front leave the lexicographic order', () => {
    const withWorst = [
      complete(0, [Infinity, 0]),
      complete(1, [3, 1]),
      complete(2, [2, 2]),
      complete(3, [1, 3]),
    ];
    expect(goodOf(pad(withWorst, 2))).toEqual([2, 3]);
    const three = [
      complete(0, [5, 0, 1]),
      complete(1, [-Infinity, 9, 9]),
      complete(2, [1, 4, 0]),
      complete(3, [0, 5, 5]),
    ];
    const padding = Array.from({ length: 26 }, (_, i) => complete(100 + i, [99, 99, 99]));
    expect(goodOf([...three, ...padding])).toEqual([1, 2, 3]);
  });

  it('case 56: pruned trials have no reports and come after every feasible COMPLETE one', () => {
    const trials = [pruned(0, null), complete(1, [5, 5]), complete(2, [9, 9], [1])];
    const padding = Array.from({ length: 8 }, (_, i) => complete(10 + i, [5, 5], [100]));
    expect(goodOf([...trials, ...padding])).toEqual([0, 1]);
  });
});

describe('weights of good trials with several objectives', () => {
  const directions: Direction[] = ['minimize', 'minimize'];
  const none = violationOf([], 'optuna-5');

  it('are all 1 by the rules of Optuna 5, and by age with one objective', () => {
    const good = [complete(0, [0, 1]), complete(1, [1, 0])];
    expect([...(goodTrialWeights(good, directions, 'optuna-5', none) ?? [])]).toEqual([1, 1]);
    expect(goodTrialWeights(good, ['minimize'], 'optuna-4', none)).toBeNull();
  });

  it('are hypervolume contributions by the rules of Optuna 4', () => {
    // Reference (4.4, 4.4). Exclusive areas of (1, 4), (2, 2), (4, 1): 0.4, 2·2 = 4, 0.4; (3, 3) is dominated.
    const good = [complete(0, [1, 4]), complete(1, [2, 2]), complete(2, [4, 1]), complete(3, [3, 3])];
    const weights = [...(goodTrialWeights(good, directions, 'optuna-4', none) ?? [])];
    expect(weights[0]).toBeCloseTo(0.1, 12);
    expect(weights[1]).toBe(1);
    expect(weights[2]).toBeCloseTo(0.1, 12);
    expect(weights[3]).toBe(1e-12);
  });

  it('give infeasible and pruned trials 1e-12, a lone feasible one 1 (even a pruned one), and all 1 for an infinite volume', () => {
    const good = [complete(0, [1, 4], [1]), pruned(1, null), complete(2, [4, 1], [0])];
    const violation = violationOf(good, 'optuna-5');
    expect([...(goodTrialWeights(good, directions, 'optuna-4', violation) ?? [])]).toEqual([1e-12, 1e-12, 1]);
    const alone = [complete(0, [1, 4], [1]), pruned(1, null, 0, [-1]), complete(2, [4, 1], [2])];
    const judge = violationOf(alone, 'optuna-4');
    expect([...(goodTrialWeights(alone, directions, 'optuna-4', judge) ?? [])]).toEqual([1e-12, 1, 1e-12]);
    const infinite = [complete(0, [-Infinity, 4]), complete(1, [4, 1])];
    expect([...(goodTrialWeights(infinite, directions, 'optuna-4', none) ?? [])]).toEqual([1, 1]);
  });
});
