import { expect, it } from 'vitest';
import { finishedEndings, requeueReasons } from './endings.js';

it('lists every way in which a trial can end or go back', () => {
  expect(finishedEndings.map(({ state, reason }) => `${state} ${reason}`).sort()).toEqual([
    ...['CANCELLED cancelled', 'COMPLETE diverged', 'COMPLETE finished'],
    ...[
      'FAIL diverged',
      'FAIL error',
      'FAIL infeasible',
      'FAIL lost',
      'FAIL oom',
      'FAIL preempted',
      'FAIL timeout',
    ],
    ...['PRUNED diverged', 'PRUNED oom', 'PRUNED pruner'],
  ]);
  expect([...requeueReasons].sort()).toEqual([
    ...['error', 'lost', 'oom', 'preempted', 'returned', 'timeout', 'unfit'],
  ]);
});
