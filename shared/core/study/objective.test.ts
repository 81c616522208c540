import { describe, expect, it } from 'vitest';
import { objectiveValues } from './objective.js';

const score = { name: 'score', direction: 'maximize', weights: { auc: 0.7, dir_acc: 0.3 } } as const;

describe('objectiveValues', () => {
  it('weighs reported metrics', () => {
    const judged = objectiveValues([score], { auc: 0.5, dir_acc: 0.6, sharpe: NaN });
    expect(judged).toEqual({ kind: 'values', values: [0.7 * 0.5 + 0.3 * 0.6] });
  });

  it('refuses a missing metric and NaN, and names them', () => {
    expect(objectiveValues([score], { auc: 0.5 })).toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining("'dir_acc'"),
    });
    expect(objectiveValues([score], { auc: NaN, dir_acc: 1 })).toMatchObject({
      kind: 'invalid',
      message: expect.stringContaining('NaN'),
    });
    expect(objectiveValues([score], { auc: Infinity, dir_acc: -Infinity }).kind).toBe('invalid');
  });

  it('lets infinities through, one value per objective', () => {
    const loss = { name: 'loss', direction: 'minimize', weights: { loss: 1 } } as const;
    const judged = objectiveValues([score, loss], { auc: 1, dir_acc: 1, loss: Infinity });
    expect(judged).toEqual({ kind: 'values', values: [1, Infinity] });
  });
});
