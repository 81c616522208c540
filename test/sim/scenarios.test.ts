/** What the simulation found, each as the shortest story that leads there. The seeds are those that found it first. */
import { describe, expect, it } from 'vitest';
import { requestId } from '../../shared/core/ids.js';
import { silentLog } from '../../shared/platform/log.js';
import type { Assignment } from '../../coordinator/app/assignment.js';
import { ask, type AskOutcome } from '../../coordinator/app/ask.js';
import { enqueueTrial } from '../../coordinator/app/enqueue-trial.js';
import { reconcileLeases } from '../../coordinator/app/reconcile.js';
import { pauseStudy, resumeStudy, stopStudy } from '../../coordinator/app/steer-study.js';
import { viewStudy } from '../../coordinator/app/study-view.js';
import { tell } from '../../coordinator/app/tell.js';
import {
  createMemoryDatabase,
  createMemoryStorage,
} from '../../coordinator/storage/memory/create-memory-storage.js';
import { StorageUnavailable, type Storage } from '../../coordinator/storage/port.js';
import { CoordinatorClient } from '../../worker/agent/coordinator-client.js';
import { DatasetCache } from '../../worker/agent/dataset-cache.js';
import { Leases } from '../../worker/agent/leases.js';
import { runSlot } from '../../worker/agent/slot.js';
import type { TrialCalls } from '../../worker/agent/trial-calls.js';
import { AskResponse, TellResponse_Result, type TellRequest } from '../../shared/wire/gen/parzen/v1/trial.js';
import { TrialState } from '../../shared/wire/gen/parzen/v1/common.js';
import { smallStudy, testApp, type TestApp } from '../helpers/app.js';
import { withStorage } from './replaced-store.js';

function assigned(outcome: AskOutcome): Assignment {
  if (outcome.kind !== 'assigned') throw new Error(`nothing: ${outcome.reason}`);
  return outcome.assignment;
}

const failWith = (app: TestApp, { token }: Assignment, reason: 'oom' | 'error') =>
  tell(app.context, { token, outcome: { kind: 'failed', reason, message: reason }, peakMemoryBytes: null });

describe('an ask that is repeated while several studies are served', () => {
  // Seed 7: the repeated ask found work in the first study, and its id was taken by the second: UNKNOWN, worker dead.
  async function twoStudies(): Promise<TestApp> {
    const app = testApp(createMemoryStorage());
    await app.register('w1');
    await app.create(smallStudy({ name: 'first' }));
    await app.create(smallStudy({ name: 'second' }));
    await pauseStudy(app.context, 'first');
    return app;
  }

  it('gets the trial of the second study again, though the first has work by now', async () => {
    const app = await twoStudies();
    const given = assigned(await app.ask({ id: 'r1' }));
    expect(given.study).toBe('second');
    await resumeStudy(app.context, 'first');
    expect(assigned(await app.ask({ id: 'r1' }))).toEqual(given);
    expect((await viewStudy(app.context, 'first')).counts.RUNNING).toBe(0);
  });

  it('gets nothing, at once and from no study, when that trial has moved on', async () => {
    const app = await twoStudies();
    await failWith(app, assigned(await app.ask({ id: 'r1' })), 'error');
    await resumeStudy(app.context, 'first');
    const startedMs = app.clock.nowMs();
    const request = {
      requestId: requestId('r1'),
      workerId: (await app.context.storage.listWorkers())[0]!.id,
    };
    const answer = await ask(
      app.context,
      { ...request, study: null, waitMs: 20_000, trainers: [] },
      new AbortController().signal,
    );
    expect(answer).toEqual({ kind: 'nothing', reason: 'all-running' });
    expect(app.clock.nowMs() - startedMs).toBe(0);
    expect((await viewStudy(app.context, 'first')).counts.RUNNING).toBe(0);
  });
});

describe('a trial that waits for a GPU with more memory', () => {
  // Seed 26: the bigger GPU died, the trial waited for ever, and its study never ended.
  async function waiting(): Promise<TestApp> {
    const app = testApp(createMemoryStorage());
    await app.register('small', 8e9);
    await app.register('big', 24e9);
    await app.create(smallStudy(), 1);
    await failWith(app, assigned(await app.ask({ worker: 'small' })), 'oom');
    return app;
  }

  it('is kept for it while there is hope', async () => {
    const app = await waiting();
    app.clock.advance(9 * 60_000);
    expect(await app.ask({ worker: 'small' })).toEqual({ kind: 'nothing', reason: 'needs-more-memory' });
    expect(assigned(await app.ask({ worker: 'big' })).attempt).toBe(2);
  });

  it('is pruned when none has been seen for ten minutes, and the study ends', async () => {
    const app = await waiting();
    app.clock.advance(11 * 60_000);
    expect(await app.ask({ worker: 'small' })).toEqual({ kind: 'nothing', reason: 'over' });
    const [study] = await app.context.storage.listStudies();
    expect(study).toMatchObject({ state: 'FINISHED', finishSequence: 1 });
    const [trial] = await app.context.storage.listTrials(study!.id, { fromNumber: 0, limit: 1 });
    expect(trial).toMatchObject({
      state: 'PRUNED',
      reason: 'oom',
      message: 'oom (no GPU with more memory came)',
    });
  });
});

describe('a study that is stopped', () => {
  it('is stopped whole or not at all, when the store goes away in between', async () => {
    const database = createMemoryDatabase();
    const app = testApp(database.open());
    await app.register('w1');
    await app.create(smallStudy());
    assigned(await app.ask());
    await enqueueTrial(app.context, 'small', { requestId: requestId('e1'), params: { x: 0.5 } });
    // One transaction is answered, everything after it is refused.
    let transactions = 0;
    const inner = database.open();
    const storage: Storage = withStorage(inner, {
      inStudy: (id, work) => {
        transactions += 1;
        return transactions > 1 ? Promise.reject(new StorageUnavailable('gone')) : inner.inStudy(id, work);
      },
    });
    await stopStudy({ ...app.context, storage }, 'small').catch(() => undefined);
    const { state, counts } = await viewStudy(app.context, 'small');
    expect({ state, counts }).toMatchObject({
      state: 'STOPPED',
      counts: { RUNNING: 0, WAITING: 0, CANCELLED: 2 },
    });
  });
});

describe('a clock that is set back', () => {
  // A coordinator that counted its time of service on that clock looked at no lease for as long as the step was.
  it('delays the taking back of leases by one lease time, not by the step', async () => {
    const app = testApp(createMemoryStorage());
    await app.register('w1');
    await app.create(smallStudy());
    const hourMs = 3_600_000;
    const ended = new AbortController();
    let rounds = 0;
    const clock = {
      nowMs: () => app.clock.nowMs(),
      sleep: async (ms: number): Promise<void> => {
        app.clock.advance(ms);
        rounds += 1;
        if (rounds === 1) {
          app.clock.advance(-hourMs);
          assigned(await app.ask());
        }
        // Enough for the lease to run out twice.
        if (rounds === 20) ended.abort();
      },
    };
    await reconcileLeases({ ...app.context, clock }, { intervalMs: 5_000, over: ended.signal });
    expect(assigned(await app.ask())).toMatchObject({ number: 0, attempt: 2 });
  });
});

describe('a result that comes though the lease was lost', () => {
  // Seed 149: the heartbeat said "lost", the trainer finished before it could be stopped, the result was dropped.
  it('is told, so that it is kept as evidence', async () => {
    const app = testApp(createMemoryStorage());
    const stopping = new AbortController();
    const told: TellRequest[] = [];
    let asks = 0;
    const assignment = AskResponse.fromPartial({
      outcome: {
        $case: 'assignment',
        value: { study: 'small', leaseToken: 't1', attempt: 1, evaluationJson: '{}', trainer: 'instant' },
      },
    });
    const never = (): Promise<never> => Promise.reject(new Error('not expected'));
    const calls: TrialCalls = {
      ...{
        register: never,
        release: never,
        report: never,
        heartbeat: never,
        putArtifact: never,
        close: () => undefined,
      },
      ask: () => {
        asks += 1;
        if (asks > 1) stopping.abort();
        return Promise.resolve(asks > 1 ? AskResponse.fromPartial({}) : assignment);
      },
      tell: (request) => {
        told.push(request);
        return Promise.resolve({ result: TellResponse_Result.LEASE_LOST, state: TrialState.WAITING });
      },
      fetchDataset: () => {
        throw new Error('not expected');
      },
    };
    const { clock } = app;
    const client = new CoordinatorClient({ address: '', clock, log: silentLog, random: () => 0, calls });
    const leases = new Leases();
    await runSlot({
      ...{ client, leases, clock, log: silentLog, workerId: 'w1', study: null, trainers: [] },
      cache: new DatasetCache('/nowhere', client, silentLog),
      mintId: () => 'r1',
      random: () => 0.5,
      aheadRoundTrips: 0,
      ...{ stopping: stopping.signal, ending: stopping.signal, over: stopping.signal },
      register: never,
      runnerFor: () => ({
        run: () => {
          leases.answer('t1', 'lost');
          return Promise.resolve({ kind: 'done', metrics: { auc: 0.9 }, peakMemoryBytes: null });
        },
        kill: () => Promise.resolve(),
      }),
    });
    expect(told).toMatchObject([
      { leaseToken: 't1', outcome: { $case: 'completed', value: { metrics: { auc: 0.9 } } } },
    ]);
  });
});
