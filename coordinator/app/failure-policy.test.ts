/** What a study file says of failures is what happens, and every reason can be told from every other. */
import { describe, expect, it } from 'vitest';
import { testApp, type TestApp } from '../../test/helpers/app.js';
import type { AttemptOutcome, FailureReason } from '../../shared/core/study/trial.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import { studyOf as definitionOf } from '../study-file/study-file.test-helper.js';
import type { Assignment } from './assignment.js';
import { reclaim, release } from './release.js';
import { stopStudy } from './steer-study.js';
import { listTrials, viewStudy } from './study-view.js';
import { tell } from './tell.js';

const file = (failure: string): string => `name: s
direction: maximize
objective: { auc: 1 }
trials: 40
sampler: { type: random, seed: 1 }
space: { x: { low: 0.0, high: 1.0 } }
trainer: instant
failure: ${failure}
`;

/** A study from its file, and one worker with 8 GB. */
async function studyOf(failure: string, trials?: number): Promise<TestApp> {
  const app = testApp(createMemoryStorage());
  await app.register('w1', 8e9);
  await app.create(definitionOf(file(failure)), trials);
  return app;
}

async function leased(app: TestApp, worker = 'w1'): Promise<Assignment> {
  const outcome = await app.ask({ worker });
  if (outcome.kind !== 'assigned') throw new Error(`nothing to do: ${outcome.reason}`);
  return outcome.assignment;
}

const trialOf = async ({ context }: TestApp, number: number) =>
  (await listTrials(context, 's', { fromNumber: number, limit: 1, states: [] })).trials[0];

/** Ends an attempt for this reason, as whoever finds out about it does. */
async function end(app: TestApp, { token }: Assignment, reason: FailureReason): Promise<void> {
  const { context, clock } = app;
  if (reason === 'preempted') await release(context, token, 'preempted');
  else if (reason === 'lost') {
    clock.advance(46_000);
    await reclaim(context);
  } else {
    const outcome: AttemptOutcome = { kind: 'failed', reason, message: reason };
    await tell(context, { token, outcome, peakMemoryBytes: null });
  }
}

describe('the failure policy of a study file', () => {
  it.each([
    ['{}', 'error', 2, { state: 'FAIL' }],
    ['{ error_retries: 0 }', 'error', 1, { state: 'FAIL' }],
    ['{ error_retries: 3 }', 'error', 4, { state: 'FAIL' }],
    ['{}', 'timeout', 2, { state: 'FAIL' }],
    ['{ timeout_retries: 2 }', 'timeout', 3, { state: 'FAIL' }],
    ['{}', 'lost', 6, { state: 'FAIL' }],
    ['{}', 'preempted', 6, { state: 'FAIL' }],
    ['{ lost_retries: 1 }', 'preempted', 2, { state: 'FAIL' }],
    ['{}', 'diverged', 1, { state: 'COMPLETE', values: [0] }],
    ['{ diverged_value: -2.5 }', 'diverged', 1, { state: 'COMPLETE', values: [-2.5] }],
    ['{ diverged: prune }', 'diverged', 1, { state: 'PRUNED', values: [] }],
    ['{ diverged: fail }', 'diverged', 1, { state: 'FAIL', values: [] }],
    ['{}', 'infeasible', 1, { state: 'FAIL', values: [] }],
    ['{}', 'oom', 1, { state: 'PRUNED' }],
    ['{ oom: prune }', 'oom', 1, { state: 'PRUNED' }],
    ['{ oom: fail }', 'oom', 1, { state: 'FAIL' }],
  ] as const)(
    '%s: a trial that ends by %s ends for good at attempt %i',
    async (failure, reason, attempts, ending) => {
      const app = await studyOf(failure);
      for (let attempt = 1; attempt <= attempts; attempt += 1) {
        if (attempt > 1) expect(await trialOf(app, 0)).toMatchObject({ state: 'WAITING', reason });
        const assignment = await leased(app);
        expect(assignment).toMatchObject({ number: 0, attempt });
        await end(app, assignment, reason);
      }
      expect(await trialOf(app, 0)).toMatchObject({ ...ending, reason, attempt: attempts });
      expect((await leased(app)).number).toBe(1);
    },
  );

  it('sends the limits of time to the worker', async () => {
    const app = await studyOf('{ stall_timeout: 90s, trial_timeout: 2h }');
    expect(await leased(app)).toMatchObject({ stallTimeoutSeconds: 90, trialTimeoutSeconds: 7_200 });
  });

  it('sends an out-of-memory to strictly more memory, step by step, and prunes it at the top', async () => {
    const app = await studyOf('{}');
    for (const [worker, bytes] of [
      ['same', 8e9],
      ['double', 16e9],
      ['top', 24e9],
    ] as const)
      await app.register(worker, bytes);
    await end(app, await leased(app), 'oom');
    // Neither the same worker nor one with as much memory gets it.
    expect([(await leased(app)).number, (await leased(app, 'same')).number]).toEqual([1, 2]);
    const second = await leased(app, 'double');
    expect(second).toMatchObject({ number: 0, attempt: 2 });
    await end(app, second, 'oom');
    expect((await leased(app, 'double')).number).toBe(3);
    const third = await leased(app, 'top');
    expect(third).toMatchObject({ number: 0, attempt: 3 });
    await end(app, third, 'oom');
    expect(await trialOf(app, 0)).toMatchObject({ state: 'PRUNED', reason: 'oom' });
  });

  it("does not hold an out-of-memory on a shared GPU to be the trial's own, for some attempts", async () => {
    const app = await studyOf('{ lost_retries: 2 }');
    await app.register('shared', 8e9, { sharedGpu: true });
    for (const attempt of [1, 2]) {
      const assignment = await leased(app, 'shared');
      expect(assignment).toMatchObject({ number: 0, attempt });
      await end(app, assignment, 'oom');
      // No more memory is asked for: whoever comes gets it.
      expect(await trialOf(app, 0)).toMatchObject({ state: 'WAITING', reason: 'oom' });
    }
    await end(app, await leased(app), 'oom');
    expect(await trialOf(app, 0)).toMatchObject({ state: 'PRUNED', reason: 'oom', attempt: 3 });
    const strict = await studyOf('{ oom: prune }');
    await strict.register('shared', 8e9, { sharedGpu: true });
    await end(strict, await leased(strict, 'shared'), 'oom');
    expect(await trialOf(strict, 0)).toMatchObject({ state: 'PRUNED', reason: 'oom' });
  });

  it.each([
    [{ study: 's', trainers: ['hermite', 'instant'] }, 'WAITING'],
    [{ study: 'other' }, 'PRUNED'],
    [{ trainers: ['hermite'] }, 'PRUNED'],
  ] as const)('a larger worker of %o: %s', async (offers, state) => {
    const app = await studyOf('{}');
    await app.register('big', 24e9, offers);
    await end(app, await leased(app), 'oom');
    expect(await trialOf(app, 0)).toMatchObject({ state, reason: 'oom' });
  });

  it('gives up a waiting trial when the larger worker has turned to another study', async () => {
    const app = await studyOf('{}', 1);
    await app.register('big', 24e9);
    await end(app, await leased(app), 'oom');
    expect(await app.ask()).toMatchObject({ reason: 'needs-more-memory' });
    await app.register('big', 24e9, { study: 'other' });
    app.clock.advance(60_000);
    expect(await app.ask()).toMatchObject({ reason: 'over' });
    expect(await viewStudy(app.context, 's')).toMatchObject({ state: 'FINISHED', counts: { PRUNED: 1 } });
  });

  it.each([
    [9, 'WAITING'],
    [11, 'PRUNED'],
  ] as const)(
    'hopes for a larger worker that was last heard of %i minutes ago: %s',
    async (minutes, state) => {
      const app = await studyOf('{}');
      await app.register('big', 24e9);
      app.clock.advance(minutes * 60_000);
      await end(app, await leased(app), 'oom');
      expect(await trialOf(app, 0)).toMatchObject({ state, reason: 'oom' });
    },
  );

  it('tells every reason apart, for trials and for attempts', async () => {
    const app = await studyOf('{ error_retries: 0, timeout_retries: 0, lost_retries: 0 }');
    for (const reason of ['oom', 'diverged', 'infeasible', 'error', 'timeout', 'lost', 'preempted'] as const)
      await end(app, await leased(app), reason);
    const told = async (outcome: AttemptOutcome): Promise<void> => {
      const { token } = await leased(app);
      await tell(app.context, { token, outcome, peakMemoryBytes: null });
    };
    await told({ kind: 'completed', metrics: { auc: 0.5 } });
    await told({ kind: 'pruned' });
    await leased(app);
    await stopStudy(app.context, 's');
    const once = Object.fromEntries(
      [
        ...['finished', 'pruner', 'oom', 'diverged', 'infeasible'],
        ...['error', 'timeout', 'lost', 'preempted', 'cancelled'],
      ].map((reason) => [reason, 1]),
    );
    const view = await viewStudy(app.context, 's');
    expect(view.reasons).toEqual(once);
    expect(view.attempts).toEqual(once);
    expect(view.counts).toMatchObject({ COMPLETE: 2, PRUNED: 2, FAIL: 5, CANCELLED: 1 });
  });
});
