import { describe, expect, it } from 'vitest';
import type { FailurePolicy } from './definition.js';
import { reachableStates } from './reachable.js';

const policy: FailurePolicy = {
  oom: 'retry-bigger-gpu',
  diverged: 'value',
  divergedValue: 0,
  errorRetriesMax: 1,
  timeoutRetriesMax: 0,
  lostRetriesMax: 5,
  stallTimeoutSeconds: 60,
  trialTimeoutSeconds: 600,
};
const plain = (changed: Partial<FailurePolicy>) =>
  Object.fromEntries(
    [...reachableStates({ ...policy, ...changed })].map(([state, reasons]) => [
      state,
      [...reasons].map(String).sort(),
    ]),
  );

describe('states and reasons that a trial can have', () => {
  it('follow from the table and the policy', () => {
    expect(plain({})).toEqual({
      // No retry after a timeout.
      WAITING: ['error', 'lost', 'null', 'oom', 'preempted', 'returned', 'unfit'],
      RUNNING: ['null'],
      COMPLETE: ['diverged', 'finished'],
      PRUNED: ['oom', 'pruner'],
      FAIL: ['error', 'infeasible', 'lost', 'preempted', 'timeout'],
      CANCELLED: ['cancelled'],
    });
    expect(plain({ oom: 'fail', diverged: 'prune', lostRetriesMax: 0 })).toEqual({
      // A worker that cannot run trials, or gave one back before it began, counts against nothing.
      WAITING: ['error', 'null', 'returned', 'unfit'],
      RUNNING: ['null'],
      COMPLETE: ['finished'],
      PRUNED: ['diverged', 'pruner'],
      FAIL: ['error', 'infeasible', 'lost', 'oom', 'preempted', 'timeout'],
      CANCELLED: ['cancelled'],
    });
  });
});
