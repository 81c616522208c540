import { describe, expect, it } from 'vitest';
import type { FailurePolicy } from './definition.js';
import { isFinished, transition, transitionTable, trialEvents, type TrialEvent } from './transition.js';
import { trialStates, type TrialState } from './trial.js';

const policy: FailurePolicy = {
  oom: 'retry-bigger-gpu',
  diverged: 'value',
  divergedValue: 0,
  errorRetriesMax: 1,
  timeoutRetriesMax: 1,
  lostRetriesMax: 5,
  stallTimeoutSeconds: 60,
  trialTimeoutSeconds: 600,
};
const fresh = { error: 0, timeout: 0, lost: 0 };
const at = (state: TrialState, event: TrialEvent, change: Partial<Parameters<typeof transition>[2]> = {}) =>
  transition(state, event, { policy, retries: fresh, biggerGpuExists: false, ...change });

// The table of architecture §5, written out a second time and independently: what is not listed is refused.
const expected: Record<string, TrialState> = {
  'WAITING lease': 'RUNNING',
  'WAITING cancel': 'CANCELLED',
  'WAITING give-up': 'PRUNED',
  'RUNNING complete': 'COMPLETE',
  'RUNNING prune': 'PRUNED',
  'RUNNING oom': 'PRUNED',
  'RUNNING diverged': 'COMPLETE',
  'RUNNING infeasible': 'FAIL',
  'RUNNING error': 'WAITING',
  'RUNNING timeout': 'WAITING',
  'RUNNING lost': 'WAITING',
  'RUNNING preempted': 'WAITING',
  'RUNNING unfit': 'WAITING',
  'RUNNING returned': 'WAITING',
  'RUNNING cancel': 'CANCELLED',
};

describe('the trial state machine', () => {
  for (const state of trialStates)
    for (const event of trialEvents)
      it(`${state} × ${event}`, () => {
        const moved = at(state, event);
        const to = expected[`${state} ${event}`];
        expect(moved.kind === 'moved' ? moved.state : 'refused').toBe(to ?? 'refused');
        expect(transitionTable[state][event] === 'refused').toBe(to === undefined);
      });

  it('never leaves a finished state', () => {
    for (const state of trialStates.filter(isFinished))
      for (const event of trialEvents) expect(at(state, event)).toEqual({ kind: 'refused' });
  });

  it('sends an out-of-memory to a larger GPU when there is one, and prunes it otherwise', () => {
    expect(at('RUNNING', 'oom', { biggerGpuExists: true })).toMatchObject({
      state: 'WAITING',
      reason: 'oom',
    });
    expect(at('RUNNING', 'oom')).toMatchObject({ state: 'PRUNED', reason: 'oom' });
    const pruning = { ...policy, oom: 'prune' } as const;
    expect(at('RUNNING', 'oom', { biggerGpuExists: true, policy: pruning })).toMatchObject({
      state: 'PRUNED',
    });
    expect(at('RUNNING', 'oom', { policy: { ...policy, oom: 'fail' } })).toMatchObject({ state: 'FAIL' });
  });

  it('completes a diverged trial with the policy value, or as told', () => {
    expect(at('RUNNING', 'diverged')).toMatchObject({
      state: 'COMPLETE',
      reason: 'diverged',
      useDivergedValue: true,
    });
    expect(at('RUNNING', 'diverged', { policy: { ...policy, diverged: 'prune' } })).toMatchObject({
      state: 'PRUNED',
    });
    expect(at('RUNNING', 'diverged', { policy: { ...policy, diverged: 'fail' } })).toMatchObject({
      state: 'FAIL',
    });
  });

  it('counts each reason against its own retries', () => {
    const once = at('RUNNING', 'error');
    expect(once).toMatchObject({ state: 'WAITING', retries: { error: 1, timeout: 0, lost: 0 } });
    expect(at('RUNNING', 'error', { retries: { error: 1, timeout: 0, lost: 0 } })).toMatchObject({
      state: 'FAIL',
    });
    expect(at('RUNNING', 'timeout', { retries: { error: 1, timeout: 0, lost: 4 } })).toMatchObject({
      state: 'WAITING',
    });
    expect(at('RUNNING', 'lost', { retries: { error: 1, timeout: 1, lost: 4 } })).toMatchObject({
      state: 'WAITING',
    });
    for (const uncounted of ['unfit', 'returned'] as const)
      expect(at('RUNNING', uncounted, { retries: { error: 0, timeout: 0, lost: 5 } })).toMatchObject({
        state: 'WAITING',
        reason: uncounted,
        retries: { error: 0, timeout: 0, lost: 5 },
      });
    expect(at('RUNNING', 'preempted', { retries: { error: 0, timeout: 0, lost: 5 } })).toMatchObject({
      state: 'FAIL',
    });
  });
});
