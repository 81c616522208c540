import { describe, expect, it } from 'vitest';
import { leaseToken, requestId, trialNumber, workerId, type StudyId } from '../../shared/core/ids.js';
import { trialReasons } from '../../shared/core/study/trial.js';
import { RequestTaken, type LateResult } from '../../coordinator/storage/port.js';
import {
  attemptOf,
  completed,
  created,
  finish,
  lease,
  leased,
  running,
  t0,
  waiting,
  type CurrentStorage,
} from './storage-fixtures.js';

export function describeLeases(storage: CurrentStorage): void {
  describe('leases', () => {
    it('stores reports while the lease holds, once per step', async () => {
      const study = await created(storage());
      const trial = await leased(storage(), study.id, 'a');
      const report = (step: number, loss: number) =>
        storage().report(leaseToken('a'), { step, metrics: { loss } }, t0 + 50_000 + step);
      expect(await report(2, 0.2)).toBe('ok');
      expect(await report(1, 0.1)).toBe('ok');
      expect(await report(5, NaN)).toBe('ok');
      expect(await report(2, 0.22)).toBe('ok');
      expect(await storage().listReports(study.id, trial.number)).toEqual([
        { step: 1, metrics: { loss: 0.1 } },
        { step: 2, metrics: { loss: 0.22 } },
        { step: 5, metrics: { loss: NaN } },
      ]);
      const [stored] = await storage().listTrials(study.id, { fromNumber: 0, limit: 1 });
      expect(stored?.lastReport).toEqual({ step: 5, metrics: { loss: NaN } });
      expect(stored?.lease?.expiresAtMs).toBe(t0 + 50_005);
      expect(await report(5, 0.5)).toBe('ok');
      const [again] = await storage().listTrials(study.id, { fromNumber: 0, limit: 1 });
      expect(again?.lastReport).toEqual({ step: 5, metrics: { loss: 0.5 } });
    });

    it('answers lost for a lease that is gone, and stores nothing', async () => {
      const study = await created(storage());
      await leased(storage(), study.id, 'a');
      await finish(storage(), study.id, trialNumber(0));
      expect(await storage().report(leaseToken('a'), { step: 1, metrics: {} }, t0)).toBe('lost');
      expect(await storage().report(leaseToken('never'), { step: 1, metrics: {} }, t0)).toBe('lost');
      expect(await storage().listReports(study.id, trialNumber(0))).toEqual([]);
    });

    it('starts a new attempt without the reports of the one before', async () => {
      const study = await created(storage());
      const trial = await leased(storage(), study.id, 'a');
      await storage().report(leaseToken('a'), { step: 9, metrics: { loss: 9 } }, t0);
      await storage().inStudy(study.id, async (transaction) => {
        const stored = await transaction.trial(trial.number);
        if (stored === null) throw new Error('the trial is gone');
        expect(stored.lastReport?.step).toBe(9);
        const back = await transaction.updateTrial({
          ...stored,
          state: 'WAITING',
          reason: 'lost',
          lease: null,
        });
        expect(back.lastReport?.step).toBe(9);
        const next = { ...back, state: 'RUNNING', attempt: 2, lease: lease('b') } as const;
        const again = await transaction.updateTrial(next);
        expect(again.lastReport).toBeNull();
        await transaction.insertAttempt(attemptOf(again));
      });
      expect(await storage().listReports(study.id, trial.number)).toEqual([]);
      expect(await storage().report(leaseToken('b'), { step: 1, metrics: { loss: 1 } }, t0)).toBe('ok');
      expect(await storage().report(leaseToken('a'), { step: 10, metrics: {} }, t0)).toBe('lost');
      expect(await storage().listReports(study.id, trial.number)).toEqual([
        { step: 1, metrics: { loss: 1 } },
      ]);
      const [stored] = await storage().listTrials(study.id, { fromNumber: 0, limit: 1 });
      expect(stored?.lastReport?.step).toBe(1);
      expect((await storage().listAttempts(study.id, trial.number)).map(({ token }) => token)).toEqual([
        'a',
        'b',
      ]);
    });

    it('extends the leases that hold and answers per token, in order', async () => {
      const study = await created(storage());
      const other = await created(storage(), 'other');
      await leased(storage(), study.id, 'a');
      await leased(storage(), study.id, 'b', { cancelRequested: true });
      await leased(storage(), other.id, 'c');
      await leased(storage(), study.id, 'done');
      await finish(storage(), study.id, trialNumber(2));
      const tokens = ['c', 'none', 'b', 'a', 'done', 'a'].map(leaseToken);
      expect(await storage().extendLeases(tokens, t0 + 99_000)).toEqual([
        'ok',
        'lost',
        'cancel',
        'ok',
        'lost',
        'ok',
      ]);
      expect(await storage().extendLeases([], t0)).toEqual([]);
      // A replica whose clock is behind takes nothing away.
      expect(await storage().extendLeases(['c', 'a'].map(leaseToken), t0 + 98_000)).toEqual(['ok', 'ok']);
      expect(await storage().report(leaseToken('c'), { step: 1, metrics: {} }, t0 + 1)).toBe('ok');
      const [elsewhere] = await storage().listTrials(other.id, { fromNumber: 0, limit: 1 });
      expect(elsewhere?.lease?.expiresAtMs).toBe(t0 + 99_000);
      const trials = await storage().listTrials(study.id, { fromNumber: 0, limit: 9 });
      expect(trials.map((trial) => trial.lease?.expiresAtMs ?? null)).toEqual([
        t0 + 99_000,
        t0 + 99_000,
        null,
      ]);
      expect(await storage().report(leaseToken('b'), { step: 1, metrics: {} }, t0)).toBe('cancel');
    });

    it('waits with heartbeats and reports until a transaction on the trial has ended', async () => {
      const study = await created(storage());
      const trial = await leased(storage(), study.id, 'a');
      const pending: Promise<unknown>[] = [];
      await storage().inStudy(study.id, async (transaction) => {
        const stored = await transaction.trial(trial.number);
        if (stored === null) throw new Error('the trial is gone');
        pending.push(
          storage().extendLeases([leaseToken('a')], t0 + 1_000_000),
          storage().report(leaseToken('a'), { step: 1, metrics: {} }, t0 + 1_000_000),
        );
        await new Promise((resolve) => setTimeout(resolve, 50));
        await transaction.updateTrial({ ...stored, state: 'WAITING', reason: 'lost', lease: null });
      });
      expect(await Promise.all(pending)).toEqual([['lost'], 'lost']);
      const [after] = await storage().listTrials(study.id, { fromNumber: 0, limit: 1 });
      expect(after).toMatchObject({ state: 'WAITING', lease: null, lastReport: null });
    });

    it('lists expired leases, oldest first', async () => {
      const study = await created(storage());
      const other = await created(storage(), 'other');
      await leased(storage(), study.id, 'late', { lease: lease('late', { expiresAtMs: t0 + 30 }) });
      await leased(storage(), study.id, 'early', { lease: lease('early', { expiresAtMs: t0 + 10 }) });
      await leased(storage(), other.id, 'middle', { lease: lease('middle', { expiresAtMs: t0 + 20 }) });
      await leased(storage(), other.id, 'alive', { lease: lease('alive', { expiresAtMs: t0 + 40 }) });
      expect(await storage().expiredLeases(t0 + 40, 10)).toEqual([
        { study: study.id, number: 1, token: 'early' },
        { study: other.id, number: 0, token: 'middle' },
        { study: study.id, number: 0, token: 'late' },
      ]);
      expect(await storage().expiredLeases(t0 + 40, 2)).toHaveLength(2);
      expect(await storage().expiredLeases(t0 + 10, 10)).toEqual([]);
      await storage().extendLeases([leaseToken('early')], t0 + 99);
      expect((await storage().expiredLeases(t0 + 40, 1)).map(({ token }) => token)).toEqual(['middle']);
    });

    it('finds attempts by request in any study, and by token in their own', async () => {
      const study = await created(storage());
      const other = await created(storage(), 'other');
      const trial = await leased(storage(), study.id, 'a');
      const found = await storage().inStudy(study.id, async (transaction) => [
        await transaction.attemptByRequest(requestId('request-a')),
        await transaction.attemptByToken(leaseToken('a')),
        await transaction.attemptByRequest(requestId('request-b')),
        await transaction.attemptByToken(leaseToken('b')),
      ]);
      const place = { study: study.id, number: trial.number, token: 'a' };
      expect(found).toEqual([place, attemptOf(trial), null, null]);
      const elsewhere = await storage().inStudy(other.id, async (transaction) => [
        await transaction.attemptByRequest(requestId('request-a')),
        await transaction.attemptByToken(leaseToken('a')),
      ]);
      expect(elsewhere).toEqual([place, null]);
      expect(await storage().findLease(leaseToken('a'))).toEqual(place);
      expect(await storage().findLease(leaseToken('b'))).toBeNull();
      const requests = ['request-b', 'request-a'].map(requestId);
      expect([...(await storage().findRequests(requests))]).toEqual([['request-a', place]]);
      expect((await storage().findRequests([])).size).toBe(0);
    });

    it('gives a token and a request id only once, over all studies', async () => {
      const study = await created(storage());
      const other = await created(storage(), 'other');
      await leased(storage(), study.id, 'a');
      const again = (id: StudyId, token: string, request: string) =>
        storage().inStudy(id, async (transaction) => {
          const trial = await transaction.insertTrial(running(token));
          await transaction.insertAttempt(attemptOf(trial, { requestId: requestId(request) }));
        });
      await expect(again(study.id, 'a', 'fresh')).rejects.toThrow(/token/);
      await expect(again(other.id, 'a', 'fresh')).rejects.toThrow(/token/);
      await expect(again(other.id, 'b', 'request-a')).rejects.toThrow(RequestTaken);
      await expect(again(study.id, 'b', 'request-a')).rejects.toThrow(RequestTaken);
      await again(other.id, 'b', 'fresh');
    });

    it('finds a trial by the request that enqueued it, once per study', async () => {
      const study = await created(storage());
      const other = await created(storage(), 'other');
      const enqueueRequestId = requestId('enqueue-1');
      const enqueue = (id: StudyId) =>
        storage().inStudy(id, (transaction) => transaction.insertTrial(waiting({ enqueueRequestId })));
      const find = (id: StudyId, request: string) =>
        storage().inStudy(id, (transaction) => transaction.trialByEnqueueRequest(requestId(request)));
      expect(await find(study.id, 'enqueue-1')).toBeNull();
      const trial = await enqueue(study.id);
      expect(trial).toMatchObject({ number: 0, enqueueRequestId });
      expect(await find(study.id, 'enqueue-1')).toEqual(trial);
      expect(await find(study.id, 'enqueue-2')).toBeNull();
      expect(await find(other.id, 'enqueue-1')).toBeNull();
      await expect(enqueue(study.id)).rejects.toThrow(/enqueue/);
      expect(await enqueue(other.id)).toMatchObject({ number: 0, enqueueRequestId });
    });

    it('counts ended attempts by outcome', async () => {
      const study = await created(storage());
      for (const [index, outcome] of [...trialReasons, 'oom' as const, null].entries()) {
        const token = `t${index}`;
        await leased(storage(), study.id, token);
        if (outcome === null) continue;
        const end = { endedAtMs: t0 + 1, outcome, message: '', peakMemoryBytes: null };
        await storage().inStudy(study.id, (transaction) => transaction.endAttempt(leaseToken(token), end));
      }
      expect(await storage().countAttempts(study.id)).toEqual({
        ...Object.fromEntries(trialReasons.map((reason) => [reason, 1])),
        oom: 2,
      });
      expect(await storage().countAttempts((await created(storage(), 'other')).id)).toEqual({});
    });

    it('knows what runs under a lease, and keeps what was reported when that is completed', async () => {
      const study = await created(storage());
      const first = await leased(storage(), study.id, 'a');
      const second = await leased(storage(), study.id, 'b');
      const found = (token: string) =>
        storage().inStudy(study.id, (transaction) => transaction.leased(leaseToken(token)), {
          leased: leaseToken(token),
        });
      expect(await found('a')).toMatchObject({ trial: { number: first.number }, attempt: { token: 'a' } });
      expect(await found('unknown')).toBeNull();
      const lastReport = { step: 3, metrics: { auc: 0.7 } };
      await storage().report(leaseToken('a'), lastReport, t0 + 90_000);
      const complete = (token: string) =>
        storage().inStudy(
          study.id,
          async (transaction) => {
            const held = await transaction.leased(leaseToken(token));
            if (held === null) throw new Error('the lease is held');
            await transaction.updateTrial({ ...held.trial, ...completed() });
            const end = {
              endedAtMs: t0 + 9,
              outcome: 'finished',
              message: '',
              peakMemoryBytes: null,
            } as const;
            await transaction.endAttempt(leaseToken(token), end);
            expect(await transaction.leased(leaseToken(token))).toBeNull();
          },
          { leased: leaseToken(token) },
        );
      await complete('a');
      const trials = await storage().listTrials(study.id, { fromNumber: 0, limit: 9 });
      expect(trials[0]).toMatchObject({ state: 'COMPLETE', lease: null, lastReport });
      expect(trials[1]).toEqual(second);
      expect(await found('a')).toBeNull();
      await expect(complete('a')).rejects.toThrow(/held/);
    });

    it('shows a trial as it is stored to whoever asks for it, whatever is known of its lease', async () => {
      const study = await created(storage());
      const trial = await leased(storage(), study.id, 'a');
      const lastReport = { step: 3, metrics: { auc: 0.7 } };
      await storage().report(leaseToken('a'), lastReport, t0 + 90_000);
      const seen = await storage().inStudy(study.id, async (transaction) => {
        await transaction.leased(leaseToken('a'));
        const stored = await transaction.trial(trial.number);
        if (stored === null) throw new Error('the trial is there');
        return transaction.updateTrial({ ...stored, ...completed([]), state: 'PRUNED', reason: 'pruner' });
      });
      expect(seen).toMatchObject({ state: 'PRUNED', lastReport });
      expect(await storage().listTrials(study.id, { fromNumber: 0, limit: 9 })).toEqual([seen]);
    });

    it('ends an attempt once', async () => {
      const study = await created(storage());
      const trial = await leased(storage(), study.id, 'a');
      const end = { endedAtMs: t0 + 9, outcome: 'oom', message: 'too big', peakMemoryBytes: 7.9e9 } as const;
      const endIt = (token: string) =>
        storage().inStudy(study.id, (transaction) => transaction.endAttempt(leaseToken(token), end));
      await endIt('a');
      expect(await storage().listAttempts(study.id, trial.number)).toEqual([attemptOf(trial, end)]);
      await expect(endIt('a')).rejects.toThrow(/attempt/);
      await expect(endIt('unknown')).rejects.toThrow(/attempt/);
      const nowhere = storage().inStudy(study.id, (transaction) =>
        transaction.insertAttempt(
          attemptOf({ ...trial, number: trialNumber(77) }, { token: leaseToken('z') }),
        ),
      );
      await expect(nowhere).rejects.toThrow(/trial/);
    });

    it('keeps late results as evidence, in the order in which they came', async () => {
      const study = await created(storage());
      await storage().inStudy(study.id, (transaction) => transaction.insertTrial(waiting()));
      const late = (token: string, change: Partial<LateResult> = {}): LateResult => ({
        number: trialNumber(0),
        token: leaseToken(token),
        worker: workerId('worker-1'),
        receivedAtMs: t0,
        outcome: 'finished',
        metrics: { loss: NaN, auc: 0.5 },
        message: '',
        ...change,
      });
      const second = late('y', { outcome: 'oom', message: 'no memory', metrics: {} });
      await storage().inStudy(study.id, async (transaction) => {
        await transaction.insertLateResult(late('z'));
        await transaction.insertLateResult(second);
      });
      await storage().inStudy(study.id, (transaction) =>
        transaction.insertLateResult(late('z', { message: 'again' })),
      );
      expect(await storage().listLateResults(study.id)).toEqual([late('z'), second]);
      expect(await storage().listTrials(study.id, { fromNumber: 0, limit: 1 })).toMatchObject([
        { state: 'WAITING', metrics: {} },
      ]);
    });
  });
}
