import { describe, expect, it } from 'vitest';
import { smallStudy } from '../../test/helpers/app.js';
import { metricColumns } from './result-commands.js';

const trials = (...names: readonly string[]): { metrics: Record<string, number> }[] =>
  names.map((name) => ({ metrics: { [name]: 1 } }));

describe('metricColumns', () => {
  it("shows the objective's metrics, the headline ones and others by name, six in all", () => {
    const definition = smallStudy({
      objectives: [{ name: 'score', direction: 'maximize', weights: { mcc: 0.7, dir_acc: 0.3 } }],
    });
    const reported = trials(
      'accuracy',
      'zeta',
      'brier',
      'auc',
      'mcc',
      'sharpe',
      'dir_acc',
      'auc_se',
      'auc_mcc_cov',
    );
    expect(metricColumns({ definition }, reported)).toEqual([
      ...['mcc', 'dir_acc', 'auc', 'sharpe', 'accuracy', 'brier'],
    ]);
    expect(metricColumns({ definition }, trials('loss', 'auc'))).toEqual(['auc', 'loss']);
  });
});
