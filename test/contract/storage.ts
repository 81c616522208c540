/**
 * The storage port's rules as tests. Every implementation runs all of them:
 * `describeStorageContract('memory', …)`, `describeStorageContract('PostgreSQL', …)`.
 */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { leaseToken, requestId, studyId, trialNumber, workerId } from '../../shared/core/ids.js';
import { StorageUnavailable, type Storage, type StudyTransaction } from '../../coordinator/storage/port.js';
import { describeArtifacts } from './storage-artifacts.js';
import { describeGroups } from './storage-groups.js';
import { describeDatasets, describeWorkers } from './storage-datasets.js';
import { describeLeases } from './storage-leases.js';
import { describeOrder } from './storage-order.js';
import { describeOverview } from './storage-overview.js';
import { describeTokens } from './storage-tokens.js';
import { describePages, describeValues } from './storage-values.js';
import {
  attemptOf,
  completed,
  created,
  leased,
  newStudy,
  running,
  t0,
  waiting,
  type CurrentStorage,
} from './storage-fixtures.js';

/** Opens an empty store. The suite closes it. */
export type OpenStorage = () => Promise<Storage>;

export function describeStorageContract(name: string, open: OpenStorage): void {
  describe(`storage contract: ${name}`, () => {
    let storage: Storage;
    beforeEach(async () => {
      storage = await open();
    });
    afterEach(() => storage.close());
    const current = (): Storage => storage;
    describeStudies(current);
    describeTransactions(current);
    describeOrder(current);
    describeGroups(current);
    describeValues(current);
    describePages(current);
    describeLeases(current);
    describeArtifacts(current);
    describeOverview(current);
    describeWorkers(current);
    describeDatasets(current);
    describeTokens(current);

    it('tells the time, which goes on', async () => {
      const first = await storage.nowMs();
      expect(Math.abs(first - Date.now())).toBeLessThan(60_000);
      await vi.waitFor(async () => expect(await storage.nowMs()).toBeGreaterThan(first));
    });

    it('refuses work after it was closed', async () => {
      await storage.close();
      await expect(storage.listStudies()).rejects.toBeInstanceOf(StorageUnavailable);
      await expect(storage.inStudy(studyId(1), () => Promise.resolve(1))).rejects.toBeInstanceOf(
        StorageUnavailable,
      );
    });
  });
}

function describeStudies(storage: CurrentStorage): void {
  it('creates a study with its defaults and finds it again', async () => {
    const given = newStudy('demo');
    const study = await storage().createStudy(given);
    expect(study).toEqual({
      ...given,
      id: study?.id,
      state: 'RUNNING',
      trialsMax: 10,
      nextNumber: 0,
      finishSequence: 0,
    });
    expect(await storage().findStudy('demo')).toEqual(study);
    expect(await storage().findStudy('other')).toBeNull();
  });

  it('keeps the order of keys in a definition, on which sums of weights depend', async () => {
    await created(storage());
    const study = await storage().findStudy('demo');
    expect(JSON.stringify(study?.definition)).toBe(JSON.stringify(newStudy('demo').definition));
  });

  it('creates a study only once per name, also when asked at the same time', async () => {
    const results = await Promise.all(
      Array.from({ length: 5 }, () => storage().createStudy(newStudy('demo'))),
    );
    expect(results.filter((study) => study !== null)).toHaveLength(1);
    expect(await storage().listStudies()).toHaveLength(1);
    expect(await storage().createStudy(newStudy('Demo'))).not.toBeNull();
  });

  it('stores enqueued trials as waiting ones with the first numbers', async () => {
    const study = await created(storage(), 'demo', { enqueue: [{ x: 7, kind: 'a' }, { kind: null }] });
    expect(study.nextNumber).toBe(2);
    const trials = await storage().listTrials(study.id, { fromNumber: 0, limit: 10 });
    expect(trials).toEqual([
      { ...waiting({ given: { x: 7, kind: 'a' }, params: null }), number: 0, finishSequence: null },
      { ...waiting({ given: { kind: null }, params: null }), number: 1, finishSequence: null },
    ]);
    const next = await storage().inStudy(study.id, (transaction) => transaction.insertTrial(running('t')));
    expect(next?.number).toBe(2);
  });

  it('lists studies by id and changes their state and budget', async () => {
    const first = await created(storage(), 'zz');
    const second = await created(storage(), 'aa');
    expect((await storage().listStudies()).map(({ id }) => id)).toEqual([first.id, second.id]);
    await storage().inStudy(first.id, async (transaction) => {
      await transaction.setStudy({ state: 'PAUSED' });
      await transaction.setStudy({ trialsMax: 99 });
      expect(transaction.study()).toMatchObject({ state: 'PAUSED', trialsMax: 99 });
    });
    expect(await storage().findStudy('zz')).toEqual({ ...first, state: 'PAUSED', trialsMax: 99 });
    expect(await storage().findStudy('aa')).toEqual(second);
  });

  it('deletes a study with all it owns, and only that one', async () => {
    const study = await created(storage());
    const other = await created(storage(), 'other');
    await leased(storage(), other.id, 'kept');
    const trial = await leased(storage(), study.id, 'gone');
    await storage().report(leaseToken('gone'), { step: 1, metrics: { a: 1 } }, t0);
    await storage().inStudy(study.id, (transaction) =>
      transaction.insertLateResult({
        number: trial.number,
        token: leaseToken('gone'),
        worker: workerId('w'),
        receivedAtMs: t0,
        outcome: 'finished',
        metrics: {},
        message: '',
      }),
    );
    const seen: unknown[] = [];
    const keep = storage().deleteStudy(study.id, (found) => {
      seen.push(found);
      throw new Error('keep it');
    });
    await expect(keep).rejects.toThrow('keep it');
    expect(await storage().findStudy('demo')).toMatchObject({ id: study.id });
    expect(seen).toEqual([{ state: 'RUNNING', running: (await storage().countTrials(study.id)).RUNNING }]);
    expect(await storage().deleteStudy(study.id)).toBe(true);
    expect(await storage().deleteStudy(study.id)).toBe(false);
    expect(await storage().findStudy('demo')).toBeNull();
    expect(await storage().listTrials(study.id, { fromNumber: 0, limit: 10 })).toEqual([]);
    expect(await storage().listReports(study.id, trial.number)).toEqual([]);
    expect(await storage().listLateResults(study.id)).toEqual([]);
    expect(await storage().findLease(leaseToken('gone'))).toBeNull();
    expect(await storage().report(leaseToken('gone'), { step: 2, metrics: {} }, t0)).toBe('lost');
    expect(await storage().findLease(leaseToken('kept'))).not.toBeNull();
    // Name, tokens and request ids are free again.
    const again = await created(storage());
    expect(again.id).toBeGreaterThan(study.id);
    await leased(storage(), again.id, 'gone');
  });

  it('answers for a study that does not exist', async () => {
    const nowhere = studyId(4_711);
    expect(await storage().inStudy(nowhere, () => Promise.resolve('never'))).toBeNull();
    expect(await storage().deleteStudy(nowhere)).toBe(false);
    expect(await storage().listTrials(nowhere, { fromNumber: 0, limit: 1 })).toEqual([]);
    expect(await storage().countTrials(nowhere)).toMatchObject({ WAITING: 0, COMPLETE: 0 });
    expect(await storage().listAttempts(nowhere, trialNumber(0))).toEqual([]);
  });
}

function describeTransactions(storage: CurrentStorage): void {
  it('leaves nothing of a transaction that rejects', async () => {
    const study = await created(storage(), 'demo', { enqueue: [{ x: 1 }] });
    const before = await leased(storage(), study.id, 'before');
    const failure = new Error('changed my mind');
    const work = async (transaction: StudyTransaction): Promise<void> => {
      await transaction.setStudy({ state: 'STOPPED', trialsMax: 3 });
      const trial = await transaction.insertTrial(running('lost'));
      await transaction.insertAttempt(attemptOf(trial));
      await transaction.updateTrial({ ...before, ...completed() });
      await transaction.endAttempt(leaseToken('before'), {
        endedAtMs: t0,
        outcome: 'finished',
        message: 'm',
        peakMemoryBytes: 1,
      });
      throw failure;
    };
    await expect(storage().inStudy(study.id, work)).rejects.toBe(failure);
    expect(await storage().findStudy('demo')).toEqual({ ...study, nextNumber: 2 });
    const trials = await storage().listTrials(study.id, { fromNumber: 0, limit: 10 });
    expect(trials.map(({ state }) => state)).toEqual(['WAITING', 'RUNNING']);
    expect(await storage().findLease(leaseToken('lost'))).toBeNull();
    expect(await storage().listAttempts(study.id, before.number)).toEqual([attemptOf(before)]);
    // The number of the trial that never was is given again.
    expect((await leased(storage(), study.id, 'next')).number).toBe(2);
  });

  it('reads its own changes', async () => {
    const study = await created(storage(), 'demo', { enqueue: [{ x: 1 }, { x: 2 }] });
    await storage().inStudy(study.id, async (transaction) => {
      const first = await transaction.nextWaiting(null);
      if (first === null) throw new Error('nothing waits');
      const started = { ...running('own'), number: first.number };
      await transaction.updateTrial(started);
      await transaction.insertAttempt(attemptOf({ ...started, finishSequence: null }));
      expect((await transaction.nextWaiting(null))?.number).toBe(1);
      expect((await transaction.running()).map(({ number }) => number)).toEqual([0]);
      expect((await transaction.attemptByToken(leaseToken('own')))?.number).toBe(0);
      expect((await transaction.attemptByRequest(requestId('request-own')))?.number).toBe(0);
      await transaction.updateTrial({ ...started, ...completed() });
      await transaction.insertTrial(running('second'));
      expect(transaction.study()).toMatchObject({ nextNumber: 3, finishSequence: 1 });
      expect((await transaction.finishedAfter(0, 5)).map(({ number }) => number)).toEqual([0]);
      expect((await transaction.running()).map(({ number }) => number)).toEqual([2]);
      expect(await transaction.trial(trialNumber(9))).toBeNull();
    });
    expect(await storage().findStudy('demo')).toMatchObject({ nextNumber: 3, finishSequence: 1 });
  });

  it('runs transactions of one study one after the other', async () => {
    const study = await created(storage());
    let inside = 0;
    const numbers = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        storage().inStudy(study.id, async (transaction) => {
          inside += 1;
          expect(inside).toBe(1);
          const seen = transaction.study().nextNumber;
          const trial = await transaction.insertTrial(running(`token-${index}`));
          expect(trial.number).toBe(seen);
          await new Promise((resolve) => setTimeout(resolve, 1));
          inside -= 1;
          return trial.number;
        }),
      ),
    );
    expect([...numbers].sort((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 20 }, (_, n) => n),
    );
  });

  it('lets transactions of different studies run at the same time', async () => {
    const first = await created(storage(), 'first');
    const second = await created(storage(), 'second');
    await storage().inStudy(first.id, async () => {
      const other = await storage().inStudy(second.id, (transaction) =>
        Promise.resolve(transaction.study().definition.name),
      );
      expect(other).toBe('second');
      // Reading beside an open transaction works as well.
      expect(await storage().listWorkers()).toEqual([]);
    });
  });

  it('shows nothing of an open transaction to others', async () => {
    const study = await created(storage());
    await storage().inStudy(study.id, async (transaction) => {
      await transaction.insertTrial(waiting());
      await transaction.setStudy({ state: 'PAUSED' });
      expect(await storage().listTrials(study.id, { fromNumber: 0, limit: 10 })).toEqual([]);
      expect(await storage().findStudy('demo')).toEqual(study);
    });
    expect(await storage().findStudy('demo')).toMatchObject({ state: 'PAUSED', nextNumber: 1 });
  });

  it('fails as a whole when one operation failed, even when its error was caught', async () => {
    const study = await created(storage());
    const trial = await leased(storage(), study.id, 'taken');
    const work = async (transaction: StudyTransaction): Promise<string> => {
      const inserted = await transaction.insertTrial(running('mine'));
      await transaction
        .insertAttempt(attemptOf(inserted, { requestId: requestId('request-taken') }))
        .catch(() => 0);
      return 'done';
    };
    await expect(storage().inStudy(study.id, work)).rejects.toThrow(/request/);
    expect((await storage().findStudy('demo'))?.nextNumber).toBe(trial.number + 1);
  });

  it('refuses to be used after its function has settled', async () => {
    const study = await created(storage());
    let escaped: StudyTransaction | null = null;
    await storage().inStudy(study.id, (transaction) => {
      escaped = transaction;
      return Promise.resolve();
    });
    await expect(escaped!.running()).rejects.toThrow(/settles/);
    await expect(escaped!.insertTrial(waiting())).rejects.toThrow(/settles/);
    expect(() => escaped!.study()).toThrow(/settles/);
    expect(await storage().listTrials(study.id, { fromNumber: 0, limit: 1 })).toEqual([]);
  });

  it('hands out copies: nobody changes the store through what it was given', async () => {
    const given = { x: 1 };
    const study = await created(storage());
    const trial = await leased(storage(), study.id, 'copy', { given, params: given, values: [1] });
    given.x = 2;
    const tamper = (target: object): void => {
      try {
        Object.assign(target, { x: 3, params: {}, values: [9] });
      } catch {
        // Frozen: as good as a copy.
      }
    };
    const [listed] = await storage().listTrials(study.id, { fromNumber: 0, limit: 1 });
    for (const target of [listed, listed?.params, trial, trial.params]) tamper(target ?? {});
    const [stored] = await storage().listTrials(study.id, { fromNumber: 0, limit: 1 });
    expect(stored).toMatchObject({ given: { x: 1 }, params: { x: 1 }, values: [1] });
  });
}
