import { describe, expect, it } from 'vitest';
import type { Objective } from '../../shared/core/study/definition.js';
import { objectiveError } from './standard-error.js';

const score: Objective = { name: 'score', direction: 'maximize', weights: { auc: 0.7, dir_acc: 0.3 } };
const errors = { auc_se: 0.03, dir_acc_se: 0.04 };

describe('the standard error of an objective', () => {
  it.each([
    ['independent metrics: squares add up', 0, Math.hypot(0.7 * 0.03, 0.3 * 0.04)],
    ['metrics that move together: errors add up', 0.03 * 0.04, 0.7 * 0.03 + 0.3 * 0.04],
    ['against each other: they take each other away', -0.03 * 0.04, 0.7 * 0.03 - 0.3 * 0.04],
    ['a covariance beyond what the errors allow is cut', 1, 0.7 * 0.03 + 0.3 * 0.04],
  ])('%s', (_, covariance, expected) => {
    for (const name of ['auc_dir_acc_cov', 'dir_acc_auc_cov']) {
      const found = objectiveError(score, { ...errors, [name]: covariance });
      expect(found?.value).toBeCloseTo(expected, 12);
      expect(found?.atMost).toBe(false);
    }
  });

  it('is at most the sum where the covariance was not reported, whatever the signs of the weights', () => {
    const difference: Objective = { ...score, weights: { auc: 0.7, dir_acc: -0.3 } };
    for (const objective of [score, difference])
      for (const metrics of [errors, { ...errors, auc_dir_acc_cov: NaN }]) {
        const found = objectiveError(objective, metrics);
        expect(found?.value).toBeCloseTo(0.7 * 0.03 + 0.3 * 0.04, 12);
        expect(found?.atMost).toBe(true);
      }
  });

  it('of one metric is that of the metric, times the size of its weight', () => {
    const found = objectiveError({ ...score, weights: { auc: -2 } }, errors);
    expect(found).toEqual({ value: 0.06, atMost: false });
  });

  it('is not known where a metric has none', () => {
    expect(objectiveError(score, { auc_se: 0.03 })).toBeNull();
    expect(objectiveError(score, { ...errors, auc_se: NaN })).toBeNull();
    expect(objectiveError(score, { ...errors, auc_se: -1 })).toBeNull();
    expect(objectiveError({ ...score, weights: { toString: 1 } }, errors)).toBeNull();
  });
});
