import { describe, expect, it } from 'vitest';
import type { Trial } from '../../shared/core/study/trial.js';
import { definition, study, trialOf } from './results.test-helper.js';
import { summaryText } from './summary.js';

describe('summaryText', () => {
  it('tells what was done, what was best and what luck gives', () => {
    const trials = [
      trialOf(0, { values: [1] }),
      trialOf(1, {
        values: [3],
        metrics: { auc: 0.5512, auc_se: 0.0061, dir_acc: 0.52, sharpe: Number.NaN, x: 1 },
      }),
      trialOf(2, { values: [2] }),
      trialOf(3, { values: [0], reason: 'diverged', metrics: {} }),
      trialOf(4, { state: 'PRUNED', reason: 'oom', values: [] }),
      trialOf(5, { state: 'FAIL', reason: 'error', values: [] }),
      trialOf(6, { state: 'RUNNING', reason: null, values: [] }),
    ];
    expect(summaryText({ ...study, oomAttempts: 3 }, trials)).toBe(
      [
        'Summary of study demo',
        '  trials         6 of 20 finished: 1 RUNNING, 4 COMPLETE, 1 PRUNED, 1 FAIL',
        '  reasons        3 finished, 1 oom, 1 diverged, 1 error',
        '  out of memory  3 attempts, 1 trials left without a result by it',
        '  best           trial 1: score 3.0000, AUC 0.5512 ± 0.0061, DirAcc 0.5200, Sharpe NaN',
        "  luck           the best of 3 independent draws from a normal with these trials' mean 2.0000 and sd 1.0000 " +
          'is expected at 2.8463; the best score here, 3.0000, is better by 0.1537 (0.2 sd)',
      ].join('\n'),
    );
  });

  it('says that a Sharpe ratio of nothing traded is one, and that a standard error is unknown', () => {
    const best = (metrics: Trial['metrics']): string =>
      summaryText(study, [trialOf(0, { values: [1], metrics })]);
    expect(best({ sharpe: 0, sharpe_se: NaN, no_trades: 1 })).toContain('Sharpe 0 (no trades)\n');
    expect(best({ sharpe: 0.5, sharpe_se: NaN, no_trades: 0 })).toContain('Sharpe 0.5000 ± unknown\n');
  });

  it('says how far the value of the best may be off', () => {
    const weighted = {
      ...study,
      definition: {
        ...definition,
        objectives: [{ name: 'score', direction: 'maximize', weights: { auc: 0.5, dir_acc: 0.5 } } as const],
      },
    };
    const best = (metrics: Trial['metrics']): string =>
      summaryText(weighted, [trialOf(0, { values: [1], metrics })]);
    const errors = { auc_se: 0.06, dir_acc_se: 0.08 };
    expect(best({ ...errors, auc_dir_acc_cov: 0 })).toContain('trial 0: score 1.0000 ± 0.0500');
    expect(best(errors)).toContain('trial 0: score 1.0000 ± at most 0.0700');
    expect(best({ auc_se: 0.06 })).toContain('trial 0: score 1.0000\n');
  });

  it('says plainly when the best is no better than luck', () => {
    const trials = [0.5, 0.52, 0.54, 0.54, 0.5].map((value, number) => trialOf(number, { values: [value] }));
    expect(summaryText(study, trials)).toMatch(
      /expected at 0\.5433; the best score here, 0\.5400, is not better than that$/,
    );
  });

  it('turns round for a direction of minimize', () => {
    const [objective] = definition.objectives;
    const loss = {
      ...definition,
      objectives: [{ ...objective!, direction: 'minimize' as const, name: 'loss' }],
    };
    const trials = [1, 2, 3].map((value, number) => trialOf(number, { values: [value] }));
    const text = summaryText({ ...study, definition: loss }, trials);
    expect(text).toContain('trial 0: loss 1.0000');
    expect(text).toContain('is expected at 1.1537; the best loss here, 1.0000, is better by 0.1537 (0.2 sd)');
  });

  it('lists a Pareto front and the luck of each objective', () => {
    const [objective] = definition.objectives;
    const several = {
      ...definition,
      objectives: [objective!, { ...objective!, name: 'risk', direction: 'minimize' as const }],
    };
    const trials = Array.from({ length: 12 }, (_, number) =>
      trialOf(number, { values: [number, number], metrics: {} }),
    );
    const lines = summaryText({ ...study, definition: several }, trials).split('\n');
    expect(lines[4]).toBe('  Pareto front   trial 0: score 0, risk 0');
    expect(lines[14]).toBe('                 … and 2 more');
    expect(lines[15]).toContain('luck, score');
    expect(lines[16]).toContain('luck, risk');
  });

  it('works without any trial, and with one', () => {
    const lines = summaryText(study, []).split('\n');
    expect(lines.slice(1)).toEqual([
      '  trials         0 of 20 finished: none',
      '  reasons        none',
      '  out of memory  0 attempts, 0 trials left without a result by it',
      '  best           none: no trial is COMPLETE',
      '  luck           cannot be said: fewer than two trials with different finite values',
    ]);
    expect(summaryText(study, [trialOf(0)])).toContain('luck           cannot be said');
  });
});
