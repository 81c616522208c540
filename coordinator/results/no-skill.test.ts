import { describe, expect, it } from 'vitest';
import type { Objective } from '../../shared/core/study/definition.js';
import type { Metrics, Trial } from '../../shared/core/study/trial.js';
import { expectedNormalMaximum } from '../../shared/core/metrics/normal-maximum.js';
import { noSkillOf } from './no-skill.js';

const score: Objective = { name: 'score', direction: 'maximize', weights: { auc: 0.7, dir_acc: 0.3 } };
const trial = (value: number, metrics: Metrics): Trial => ({
  ...{
    number: 0,
    state: 'COMPLETE',
    reason: 'finished',
    params: {},
    offGrid: false,
    values: [value],
    metrics,
  },
  ...{ attempt: 1, message: '', worker: null, startedAtMs: null, finishedAtMs: null },
});
const se = { auc_se: 0.02, dir_acc_se: 0.01 };

describe('noSkillOf', () => {
  it('puts the level of no skill at AUC one half and the majority share', () => {
    const found = noSkillOf(score, [trial(0.51, { ...se, majority_share: 0.54 })], 0);
    expect(found?.mean).toBeCloseTo(0.7 * 0.5 + 0.3 * 0.54, 12);
    expect(found?.sd).toBeCloseTo(0.7 * 0.02 + 0.3 * 0.01, 12);
    // One draw: the expected best is the mean, the chance a plain normal tail (0.512 is the mean here).
    expect(found?.expectedBest).toBeCloseTo(0.512, 12);
    expect(noSkillOf(score, [trial(0.512, { ...se, majority_share: 0.54 })], 0)?.chance).toBeCloseTo(0.5, 9);
    expect(
      noSkillOf(score, [trial(0.512 + 1.6448536269514722 * 0.017, { ...se, majority_share: 0.54 })], 0)
        ?.chance,
    ).toBeCloseTo(0.05, 9);
  });

  it('expects more of the best of more trials', () => {
    const many = noSkillOf(
      score,
      Array.from({ length: 100 }, () => trial(0.5, se)),
      0,
    );
    expect(many?.expectedBest).toBeCloseTo(0.5 + 0.017 * expectedNormalMaximum(100), 12);
    expect(many?.chance).toBeCloseTo(1, 12);
    expect(
      noSkillOf(
        score,
        Array.from({ length: 100 }, () => trial(0.7, se)),
        0,
      )?.chance,
    ).toBeLessThan(1e-25);
  });

  it('says nothing where the level or the error is not known', () => {
    expect(noSkillOf(score, [], 0)).toBeNull();
    expect(noSkillOf(score, [trial(0.5, { auc_se: 0.02 })], 0)).toBeNull();
    expect(noSkillOf(score, [trial(0.5, { auc_se: NaN, dir_acc_se: 0.01 })], 0)).toBeNull();
    expect(noSkillOf({ ...score, weights: { loss: 1 } }, [trial(0.5, { ...se, loss_se: 1 })], 0)).toBeNull();
    expect(noSkillOf({ ...score, direction: 'minimize' }, [trial(0.5, se)], 0)).toBeNull();
  });
});
