import { beforeEach, describe, expect, it } from 'vitest';
import { leaseToken, requestId, trialNumber, workerId } from '../../shared/core/ids.js';
import { smallStudy, testApp, type TestApp } from '../../test/helpers/app.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import type { Storage } from '../storage/port.js';
import type { Assignment } from './assignment.js';
import { ask, type AskOutcome } from './ask.js';
import { enqueueTrial } from './enqueue-trial.js';
import { reconcileLeases } from './reconcile.js';
import { reclaim, reclaimFromTheDead, release, releaseByRequest } from './release.js';
import { heartbeat, report } from './report.js';
import { deleteStudy, pauseStudy, resumeStudy, stopStudy } from './steer-study.js';
import { listTrials, viewStudy } from './study-view.js';
import { tell } from './tell.js';

const good = { kind: 'completed', metrics: { auc: 0.6, dir_acc: 0.5, sharpe: NaN } } as const;

function assigned(outcome: AskOutcome): Assignment {
  if (outcome.kind !== 'assigned') throw new Error(`nothing to do: ${outcome.reason}`);
  return outcome.assignment;
}

describe("a trial's life", () => {
  let app: TestApp;
  const tellOf = ({ token }: Assignment, outcome: Parameters<typeof tell>[1]['outcome'] = good) =>
    tell(app.context, { token, outcome, peakMemoryBytes: null });
  const trial = async (number: number) =>
    (await listTrials(app.context, 'small', { fromNumber: number, limit: 1, states: [] })).trials[0];

  beforeEach(async () => {
    app = testApp(createMemoryStorage());
    await app.register('w1', 8e9);
    await app.create(smallStudy());
  });

  it('hands out each number once and ends with exactly the budget', async () => {
    const numbers: number[] = [];
    for (let i = 0; i < 5; i += 1) {
      const assignment = assigned(await app.ask());
      numbers.push(assignment.number);
      expect(assignment.params).toMatchObject({ batch: 512 });
      expect(await tellOf(assignment)).toEqual({ kind: 'recorded', state: 'COMPLETE' });
    }
    expect(numbers).toEqual([0, 1, 2, 3, 4]);
    expect(await app.ask()).toEqual({ kind: 'nothing', reason: 'over' });
    const study = await viewStudy(app.context, 'small');
    expect(study).toMatchObject({ state: 'FINISHED', counts: { COMPLETE: 5 }, reasons: { finished: 5 } });
    expect((await trial(2))?.values).toEqual([0.7 * 0.6 + 0.3 * 0.5]);
    expect((await trial(2))?.metrics['sharpe']).toBeNaN();
  });

  it('never gives out more than the budget, however many ask at once', async () => {
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => app.ask()));
    const numbers = outcomes.flatMap((o) => (o.kind === 'assigned' ? [o.assignment.number] : []));
    expect(numbers.sort()).toEqual([0, 1, 2, 3, 4]);
    expect(outcomes.filter((o) => o.kind === 'nothing' && o.reason === 'all-running')).toHaveLength(15);
  });

  it('gives nothing to a caller that has gone, though its ask shares a transaction that is under way', async () => {
    const [study] = await app.context.storage.listStudies();
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const held = (): { readonly done: Promise<unknown>; readonly open: () => void } => {
      let open: () => void = () => undefined;
      const gate = new Promise<void>((resolve) => (open = resolve));
      return { done: app.context.storage.inStudy(study!.id, () => gate), open: () => open() };
    };
    const [first, second] = [held(), held()];
    await turn();
    const third = held();
    const gone = new AbortController();
    const request = { requestId: requestId('gone'), workerId: workerId('w1'), study: null, trainers: [] };
    const asked = ask(app.context, { ...request, waitMs: 20_000 }, gone.signal);
    await turn();
    first.open();
    second.open();
    await turn();
    await turn();
    gone.abort();
    third.open();
    expect(await asked).toEqual({ kind: 'nothing', reason: 'all-running' });
    await Promise.all([first.done, second.done, third.done]);
    expect(assigned(await app.ask()).number).toBe(0);
  });

  it('gives a trial ahead only while one is left for everybody who runs one, and never holds such an ask', async () => {
    const ahead = (id: string) =>
      ask(
        app.context,
        { ...asking, requestId: requestId(id), waitMs: 20_000, ahead: true },
        new AbortController().signal,
      );
    const asking = { workerId: workerId('w1'), study: null, trainers: [] };
    assigned(await app.ask());
    assigned(await ahead('a1'));
    // Two run, three are left.
    assigned(await ahead('a2'));
    // Three run, two are left: they are for whoever is done first.
    const startedMs = app.clock.nowMs();
    expect(await ahead('a3')).toEqual({ kind: 'nothing', reason: 'all-running' });
    expect(app.clock.nowMs()).toBe(startedMs);
    // The same ask again, when there is more to give, is answered anew; an answer once given stays.
    expect(assigned(await ahead('a2')).number).toBe(2);
    expect([assigned(await app.ask()).number, assigned(await app.ask()).number]).toEqual([3, 4]);
    expect(await ahead('a4')).toEqual({ kind: 'nothing', reason: 'all-running' });
  });

  it('answers an ask that comes again while the coordinator stops as it was answered before', async () => {
    const first = assigned(await app.ask({ id: 'again' }));
    const stopping = AbortSignal.abort();
    const request = { workerId: workerId('w1'), study: null, waitMs: 1_000, trainers: [] };
    const again = (id: string) => ask(app.context, { ...request, requestId: requestId(id) }, stopping);
    expect(assigned(await again('again'))).toEqual(first);
    expect(await again('another')).toMatchObject({ kind: 'nothing' });
    expect(await again('another')).toMatchObject({ kind: 'nothing' });
  });

  it('takes a trial back that had not begun as often as need be, without counting', async () => {
    for (let attempt = 1; attempt <= 8; attempt += 1) {
      const { token } = assigned(await app.ask({ id: `r${attempt}` }));
      const returned =
        attempt % 2 === 0
          ? releaseByRequest(app.context, requestId(`r${attempt}`))
          : release(app.context, token, 'returned');
      expect(await returned).toBe(true);
    }
    expect(await trial(0)).toMatchObject({ state: 'WAITING', reason: 'returned', attempt: 8 });
    expect((await viewStudy(app.context, 'small')).attempts).toEqual({ returned: 8 });
    // Its own failures still have all their retries.
    const failed = { kind: 'failed', reason: 'error', message: '' } as const;
    expect(await tellOf(assigned(await app.ask()), failed)).toMatchObject({ state: 'WAITING' });
  });

  it('answers a repeated ask with the same assignment, and a repeated tell with the same result', async () => {
    const first = assigned(await app.ask({ id: 'r1' }));
    expect(assigned(await app.ask({ id: 'r1' }))).toEqual(first);
    expect(await tellOf(first)).toMatchObject({ kind: 'recorded' });
    expect(await tellOf(first)).toEqual({ kind: 'already-recorded', state: 'COMPLETE' });
    expect(await tellOf(first, { kind: 'failed', reason: 'error', message: 'late' })).toMatchObject({
      kind: 'already-recorded',
    });
    // The trial of that ask is over; the same request id must not lead to another one.
    expect(await app.ask({ id: 'r1' })).toEqual({ kind: 'nothing', reason: 'all-running' });
    expect((await viewStudy(app.context, 'small')).counts).toMatchObject({ COMPLETE: 1, RUNNING: 0 });
  });

  it('requeues a trial whose lease expired, with number and parameters kept, and keeps the late result as evidence', async () => {
    const lost = assigned(await app.ask());
    app.clock.advance(44_999);
    expect(await reclaim(app.context)).toBe(0);
    app.clock.advance(2);
    expect(await reclaim(app.context)).toBe(1);
    expect(await reclaim(app.context)).toBe(0);
    const again = assigned(await app.ask());
    expect(again).toMatchObject({ number: lost.number, params: lost.params, seed: lost.seed, attempt: 2 });
    expect(again.token).not.toBe(lost.token);
    expect(await tellOf(lost)).toEqual({ kind: 'lease-lost', state: 'RUNNING' });
    expect(await tellOf(lost)).toEqual({ kind: 'lease-lost', state: 'RUNNING' });
    expect(await tellOf(again)).toEqual({ kind: 'recorded', state: 'COMPLETE' });
    const studies = await app.context.storage.listStudies();
    expect(await app.context.storage.listLateResults(studies[0]!.id)).toHaveLength(1);
  });

  it('fails a trial that was lost more often than the policy allows', async () => {
    for (let attempt = 1; attempt <= 6; attempt += 1) {
      expect(assigned(await app.ask())).toMatchObject({ number: 0, attempt });
      app.clock.advance(50_000);
      expect(await reclaim(app.context)).toBe(1);
    }
    expect(await trial(0)).toMatchObject({ state: 'FAIL', reason: 'lost' });
    expect(assigned(await app.ask()).number).toBe(1);
  });

  it('keeps a lease alive by heartbeats and reports, and says when it is lost', async () => {
    const { token } = assigned(await app.ask());
    for (let beat = 0; beat < 10; beat += 1) {
      app.clock.advance(30_000);
      const reply = beat % 2 === 0 ? await heartbeat(app.context, workerId('w1'), [token]) : null;
      if (reply !== null) expect(reply).toEqual({ answers: ['ok'], knownWorker: true });
      else expect(await report(app.context, token, { step: beat, metrics: { auc: NaN } })).toBe('ok');
      expect(await reclaim(app.context)).toBe(0);
    }
    expect(await release(app.context, token, 'preempted')).toBe(true);
    expect(await release(app.context, token, 'preempted')).toBe(false);
    expect(await heartbeat(app.context, workerId('w1'), [token, leaseToken('never')])).toMatchObject({
      answers: ['lost', 'lost'],
    });
    expect(await report(app.context, token, { step: 99, metrics: {} })).toBe('lost');
    expect((await heartbeat(app.context, workerId('stranger'), [])).knownWorker).toBe(false);
  });

  it('retries an error once, then fails; a result without its metrics is an error', async () => {
    const first = assigned(await app.ask());
    expect(await tellOf(first, { kind: 'completed', metrics: { auc: 0.5 } })).toEqual({
      kind: 'recorded',
      state: 'WAITING',
    });
    const second = assigned(await app.ask());
    expect(second).toMatchObject({ number: 0, attempt: 2 });
    expect(await tellOf(second, { kind: 'failed', reason: 'error', message: 'boom' })).toMatchObject({
      state: 'FAIL',
    });
    expect(await trial(0)).toMatchObject({ state: 'FAIL', reason: 'error', message: 'boom', attempt: 2 });
  });

  it('sends an out-of-memory only to a worker with more memory, else prunes it', async () => {
    const oom = { kind: 'failed', reason: 'oom', message: 'no memory' } as const;
    expect(await tellOf(assigned(await app.ask()), oom)).toMatchObject({ state: 'PRUNED' });
    await app.register('big', 80e9);
    const failed = assigned(await app.ask());
    expect(await tellOf(failed, oom)).toMatchObject({ state: 'WAITING' });
    expect(assigned(await app.ask()).number).toBe(2);
    expect(assigned(await app.ask({ worker: 'big' }))).toMatchObject({ number: failed.number, attempt: 2 });
    expect(await viewStudy(app.context, 'small')).toMatchObject({ oomAttempts: 2, attempts: { oom: 2 } });
  });

  it('completes a diverged trial with the policy value', async () => {
    expect(
      await tellOf(assigned(await app.ask()), { kind: 'failed', reason: 'diverged', message: 'NaN' }),
    ).toMatchObject({ state: 'COMPLETE' });
    expect(await trial(0)).toMatchObject({ state: 'COMPLETE', reason: 'diverged', values: [0] });
  });

  it('refuses strangers, other trainers and unserved studies', async () => {
    expect(await app.ask({ worker: 'nobody' })).toEqual({ kind: 'nothing', reason: 'unknown-worker' });
    expect(await app.ask({ trainers: ['hermite'] })).toEqual({ kind: 'nothing', reason: 'no-study' });
    expect(await app.ask({ study: 'other' })).toEqual({ kind: 'nothing', reason: 'no-study' });
    const elsewhere = testApp(app.context.storage, new Set(['other']));
    expect(await elsewhere.ask()).toEqual({ kind: 'nothing', reason: 'no-study' });
  });

  it('pauses, resumes and stops', async () => {
    const running = assigned(await app.ask());
    await pauseStudy(app.context, 'small');
    expect(await app.ask()).toEqual({ kind: 'nothing', reason: 'paused' });
    await resumeStudy(app.context, 'small');
    assigned(await app.ask());
    await expect(deleteStudy(app.context, 'small')).rejects.toMatchObject({ code: 'failed-precondition' });
    await stopStudy(app.context, 'small');
    expect(await app.ask()).toEqual({ kind: 'nothing', reason: 'over' });
    expect(await tellOf(running)).toEqual({ kind: 'lease-lost', state: 'CANCELLED' });
    expect((await viewStudy(app.context, 'small')).counts).toMatchObject({ CANCELLED: 2, RUNNING: 0 });
    await deleteStudy(app.context, 'small');
    await expect(viewStudy(app.context, 'small')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('stops a study of 10,000 waiting trials with one look at them', async () => {
    const many = Array.from({ length: 10_000 }, () => ({ x: 0.5 }));
    await app.create(smallStudy({ name: 'many', trials: 20_000, enqueue: many }));
    const calls: Record<string, number> = {};
    const counted = <T extends object>(target: T): T =>
      new Proxy(target, {
        get: (_, key) => {
          const value: unknown = Reflect.get(target, key);
          if (typeof value !== 'function') return value;
          calls[String(key)] = (calls[String(key)] ?? 0) + 1;
          return (value as (...args: unknown[]) => unknown).bind(target);
        },
      });
    const { storage } = app.context;
    const inStudy: Storage['inStudy'] = (id, work, lookups) =>
      storage.inStudy(id, (transaction) => work(counted(transaction)), lookups);
    const observed = new Proxy(storage, {
      get: (target, key) =>
        key === 'inStudy'
          ? inStudy
          : (Reflect.get(target, key) as (...args: unknown[]) => unknown).bind(target),
    });
    await stopStudy({ ...app.context, storage: observed }, 'many');
    expect((await viewStudy(app.context, 'many')).counts).toMatchObject({ CANCELLED: 10_000, WAITING: 0 });
    expect(calls).toEqual({ study: 1, setStudy: 1, running: 1, waiting: 1, updateTrial: 10_000 });
  });

  it('case 16: of two that ask for the queue at once one gets the first, the other the next or a new one', async () => {
    const queued = [0.25, 0.75];
    for (const [i, x] of queued.entries())
      await enqueueTrial(app.context, 'small', { requestId: requestId(`q${i}`), params: { x } });
    const taken = await Promise.all([app.ask(), app.ask(), app.ask()]);
    const byNumber = taken.map(assigned).sort((a, b) => a.number - b.number);
    expect(byNumber.map(({ number }) => number)).toEqual([0, 1, 2]);
    expect(byNumber.slice(0, 2).map(({ params }) => params['x'])).toEqual(queued);
    expect(queued).not.toContain(byNumber[2]?.params['x']);
  });

  it('tries enqueued values first, fills the missing ones, and marks those off the grid', async () => {
    const enqueue = (id: string, params: Record<string, number | string>) =>
      enqueueTrial(app.context, 'small', { requestId: requestId(id), params });
    const first = assigned(await app.ask());
    expect(await enqueue('e1', { x: 5 })).toBe(1);
    expect(await enqueue('e1', { x: 5 })).toBe(1);
    await expect(enqueue('e2', { y: 1 })).rejects.toThrow(/'y' is not a parameter/);
    await expect(enqueue('e3', { c: 'd' })).rejects.toThrow(/'c'.*one of/);
    const given = assigned(await app.ask());
    expect(given).toMatchObject({ number: 1, params: { x: 5 } });
    expect(['a', 'b', 'c']).toContain(given.params['c']);
    expect(await trial(given.number)).toMatchObject({ offGrid: true });
    expect(await trial(first.number)).toMatchObject({ offGrid: false });
    for (let i = 0; i < 3; i += 1) await app.ask();
    await expect(enqueue('e4', { x: 0 })).rejects.toThrow(/no more trials/);
  });

  it('takes a trial back from a worker that cannot run trials as often as need be, without counting', async () => {
    for (let attempt = 1; attempt <= 12; attempt += 1) {
      const assignment = assigned(await app.ask());
      expect(assignment).toMatchObject({ number: 0, attempt });
      expect(await release(app.context, assignment.token, 'unfit')).toBe(true);
    }
    expect(await trial(0)).toMatchObject({ state: 'WAITING', reason: 'unfit' });
    expect((await viewStudy(app.context, 'small')).attempts).toEqual({ unfit: 12 });
  });

  it('takes back at once what local workers held that died with an earlier coordinator', async () => {
    await app.register('local-1');
    const dead = assigned(await app.ask({ worker: 'local-1' }));
    const alive = assigned(await app.ask());
    expect(await reclaimFromTheDead(app.context)).toBe(1);
    expect(assigned(await app.ask())).toMatchObject({ number: dead.number, attempt: 2 });
    expect(await tellOf(alive)).toMatchObject({ kind: 'recorded' });
  });

  it('stores what every suggestion saw', async () => {
    const a = assigned(await app.ask());
    const b = assigned(await app.ask());
    await tellOf(a);
    await app.ask();
    const [study] = await app.context.storage.listStudies();
    const [record] = await app.context.storage.listTrials(study!.id, { fromNumber: 2, limit: 1 });
    expect(record?.watermark).toEqual({ finishSequence: 1, running: [b.number] });
    expect(record?.number).toBe(trialNumber(2));
  });
});

describe('leases after an outage', () => {
  it('are not taken back before their workers could be heard again', async () => {
    const app = testApp(createMemoryStorage());
    await app.register('w1');
    await app.create(smallStudy());
    const running = assigned(await app.ask());
    const silent = assigned(await app.ask());
    // Ten minutes without any coordinator; then one starts, and one worker reports back within the lease time.
    app.clock.advance(600_000);
    const ended = new AbortController();
    const rounds: string[] = [];
    const clock = {
      nowMs: () => app.clock.nowMs(),
      sleep: async (ms: number): Promise<void> => {
        app.clock.advance(ms);
        if (app.clock.nowMs() >= startedAtMs + 30_000 && rounds.length === 0)
          rounds.push(
            (await tell(app.context, { token: running.token, outcome: good, peakMemoryBytes: null })).kind,
          );
        if (app.clock.nowMs() >= startedAtMs + 60_000) ended.abort();
      },
    };
    const startedAtMs = app.clock.nowMs();
    await reconcileLeases({ ...app.context, clock }, { intervalMs: 5_000, over: ended.signal });
    expect(rounds).toEqual(['recorded']);
    // The one that was never heard of again was taken back after one lease time.
    expect(assigned(await app.ask())).toMatchObject({ number: silent.number, attempt: 2 });
  });
});

describe('resuming a study', () => {
  it('refuses a budget below what was enqueued or given out', async () => {
    const app = testApp(createMemoryStorage());
    await app.register('w1');
    const definition = smallStudy({ enqueue: [{ x: 0 }, { x: 0.5 }, { x: 1 }] });
    await expect(app.create(definition, 2)).rejects.toThrow(/enqueues 3 trials.*budget of 2/);
    await app.create(definition, 4);
    for (let i = 0; i < 4; i += 1) assigned(await app.ask());
    await expect(app.create(definition, 3)).rejects.toThrow(/given out 4 trials.*--trials 4/);
  });

  it('goes on with the same definition, and a larger budget opens it again', async () => {
    const app = testApp(createMemoryStorage());
    await app.register('w1');
    await app.create(smallStudy(), 1);
    const only = assigned(await app.ask());
    await tell(app.context, { token: only.token, outcome: good, peakMemoryBytes: null });
    expect(await app.ask()).toMatchObject({ reason: 'over' });
    await app.create(smallStudy(), 1);
    expect(await app.ask()).toMatchObject({ reason: 'over' });
    await app.create(smallStudy(), 2);
    expect(assigned(await app.ask()).number).toBe(1);
  });

  it('refuses another definition and names what differs', async () => {
    const app = testApp(createMemoryStorage());
    await app.create(smallStudy());
    await expect(app.create(smallStudy({ fixed: { batch: 256 } }))).rejects.toThrow(/different fixed/);
    await expect(
      app.create(smallStudy({ trainer: 'hermite', evaluation: { profile: 'v6' } })),
    ).rejects.toThrow(/different trainer, evaluation/);
  });
});
