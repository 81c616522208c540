/** Calls on one study that are made at the same time, and so may share a transaction. */
import { describe, expect, it } from 'vitest';
import { leaseToken, requestId, trialNumber } from '../../shared/core/ids.js';
import { RequestTaken, type Commitment, type StudyTransaction } from '../../coordinator/storage/port.js';
import {
  attemptOf,
  completed,
  created,
  leased,
  running,
  waiting,
  type CurrentStorage,
} from './storage-fixtures.js';

/** Leases a new trial while the budget lasts; answers its number, or null. */
const ask = (token: string, budget: number) => async (transaction: StudyTransaction) => {
  if (transaction.study().nextNumber >= budget) return null;
  const trial = await transaction.insertTrial(running(token));
  await transaction.insertAttempt(attemptOf(trial));
  return trial.number;
};

export function describeGroups(storage: CurrentStorage): void {
  it('lists the waiting trials by number, with what the transaction did to them', async () => {
    const study = await created(storage());
    const list = async (transaction: StudyTransaction) =>
      (await transaction.waiting()).map(({ number, message }) => [number, message]);
    await storage().inStudy(study.id, async (transaction) => {
      expect(await list(transaction)).toEqual([]);
      for (const message of ['a', 'b', 'c']) await transaction.insertTrial(waiting({ message }));
      await transaction.insertTrial(running('busy'));
      expect(await list(transaction)).toEqual([
        [0, 'a'],
        [1, 'b'],
        [2, 'c'],
      ]);
    });
    await storage().inStudy(study.id, async (transaction) => {
      const [first, second] = await transaction.waiting();
      if (first === undefined || second === undefined) throw new Error('nothing waits');
      await transaction.updateTrial({ ...second, message: 'changed' });
      await transaction.updateTrial({ ...first, ...completed() });
      expect(await list(transaction)).toEqual([
        [1, 'changed'],
        [2, 'c'],
      ]);
    });
    expect(await storage().inStudy(study.id, list)).toEqual([
      [1, 'changed'],
      [2, 'c'],
    ]);
  });

  describe('calls made at the same time', () => {
    it('run in the order in which they came, and each sees what those before it wrote', async () => {
      const study = await created(storage());
      const seen = await Promise.all(
        Array.from({ length: 300 }, (_, index) =>
          storage().inStudy(study.id, async (transaction) => {
            const number = await ask(`t${index}`, 1_000)(transaction);
            return { number, running: (await transaction.runningParams()).map((each) => each.number) };
          }),
        ),
      );
      expect(seen.map((each) => each?.number)).toEqual(seen.map((_, index) => index));
      expect(seen.at(-1)?.running).toEqual(seen.map((_, index) => index));
      expect((await storage().findStudy('demo'))?.nextNumber).toBe(300);
    });

    it('keep a budget exactly', async () => {
      const study = await created(storage());
      const numbers = await Promise.all(
        Array.from({ length: 40 }, (_, index) => storage().inStudy(study.id, ask(`t${index}`, 25))),
      );
      expect(numbers.filter((number) => number !== null)).toEqual(Array.from({ length: 25 }, (_, n) => n));
      expect(await storage().countTrials(study.id)).toMatchObject({ RUNNING: 25 });
    });

    it('are not harmed by one that rejects, whether it wrote or not', async () => {
      const study = await created(storage());
      const failure = new Error('changed my mind');
      const results = await Promise.allSettled([
        storage().inStudy(study.id, ask('a', 10)),
        storage().inStudy(study.id, () => Promise.reject(failure)),
        storage().inStudy(study.id, ask('b', 10)),
        storage().inStudy(study.id, async (transaction) => {
          await ask('never', 10)(transaction);
          throw failure;
        }),
        storage().inStudy(study.id, ask('c', 10)),
      ]);
      expect(results.map((result) => (result.status === 'fulfilled' ? result.value : result.reason))).toEqual(
        [0, failure, 1, failure, 2],
      );
      const trials = await storage().listTrials(study.id, { fromNumber: 0, limit: 9 });
      expect(trials.map(({ lease }) => lease?.token)).toEqual(['a', 'b', 'c']);
      expect(await storage().findLease(leaseToken('never'))).toBeNull();
    });

    it('are not harmed by one that breaks a rule of the store', async () => {
      const study = await created(storage());
      const other = await created(storage(), 'other');
      await leased(storage(), other.id, 'taken');
      const results = await Promise.allSettled([
        storage().inStudy(study.id, ask('a', 10)),
        storage().inStudy(study.id, async (transaction) => {
          const trial = await transaction.insertTrial(running('b'));
          await transaction.insertAttempt(attemptOf(trial, { requestId: requestId('request-taken') }));
        }),
        storage().inStudy(study.id, (transaction) =>
          transaction.updateTrial({ ...waiting(), number: trialNumber(77) }),
        ),
        storage().inStudy(study.id, ask('c', 10)),
      ]);
      expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
      expect(results[1]).toMatchObject({ reason: expect.any(RequestTaken) });
      expect(await storage().countTrials(study.id)).toMatchObject({ RUNNING: 2 });
      expect((await storage().findStudy('demo'))?.nextNumber).toBe(2);
    });

    it('find what a copy of them did in the same moment', async () => {
      const study = await created(storage());
      const request = requestId('request-once');
      const once = async (transaction: StudyTransaction) => {
        const earlier = await transaction.attemptByRequest(request);
        if (earlier !== null) return earlier.number;
        return ask('once', 10)(transaction);
      };
      const copies = Array.from({ length: 4 }, () => storage().inStudy(study.id, once, { request }));
      expect(await Promise.all(copies)).toEqual([0, 0, 0, 0]);
      const end = (transaction: StudyTransaction) => async () => {
        const attempt = await transaction.attemptByToken(leaseToken('once'));
        const trial = await transaction.trial(trialNumber(0));
        if (trial === null || attempt === null || attempt.endedAtMs !== null) return 'already';
        await transaction.updateTrial({ ...trial, ...completed() });
        const ended = { endedAtMs: 1, outcome: 'finished', message: '', peakMemoryBytes: null } as const;
        await transaction.endAttempt(attempt.token, ended);
        return 'ended';
      };
      const token = leaseToken('once');
      const told = Array.from({ length: 3 }, () =>
        storage().inStudy(study.id, (transaction) => end(transaction)(), { token }),
      );
      expect(await Promise.all(told)).toEqual(['ended', 'already', 'already']);
    });

    it('lease, finish, requeue and lease again in one go', async () => {
      const study = await created(storage(), 'demo', { enqueue: [{ x: 1 }] });
      const results = await Promise.all([
        storage().inStudy(study.id, ask('a', 10)),
        storage().inStudy(study.id, async (transaction) => {
          const trial = await transaction.trial(trialNumber(1));
          return transaction.updateTrial({ ...trial!, ...completed([0.5]) });
        }),
        storage().inStudy(study.id, async (transaction) => {
          const trial = await transaction.nextWaiting(null);
          return transaction.updateTrial({ ...trial!, ...running('b'), number: trial!.number });
        }),
        storage().inStudy(study.id, async (transaction) => {
          const trial = await transaction.trial(trialNumber(0));
          return transaction.updateTrial({ ...trial!, state: 'WAITING', reason: 'lost', lease: null });
        }),
        storage().inStudy(study.id, async (transaction) => ({
          next: (await transaction.nextWaiting(null))?.number,
          running: await transaction.running(),
          finished: (await transaction.finishedAfter(0, 9)).map(({ number }) => number),
        })),
      ]);
      expect(results[4]).toEqual({ next: 0, running: [], finished: [1] });
      const stored = await storage().listTrials(study.id, { fromNumber: 0, limit: 9 });
      expect(stored).toEqual([results[3], results[1]]);
    });

    it('know the fate of their transaction', async () => {
      const study = await created(storage());
      const fates: Commitment[] = [];
      const note = (fail: boolean) => async (transaction: StudyTransaction) => {
        fates.push(transaction.commitment);
        expect(transaction.commitment.committed).toBe(false);
        const before = transaction.study().finishSequence;
        expect(transaction.commitment.finishSequenceBefore).toBe(before);
        await transaction.insertTrial(waiting({ ...completed() }));
        expect(transaction.commitment.finishSequenceBefore).toBe(before);
        if (fail) throw new Error('no');
      };
      await storage().inStudy(study.id, note(false));
      await storage()
        .inStudy(study.id, note(true))
        .catch(() => null);
      expect(fates.map(({ committed }) => committed)).toEqual([true, false]);
      expect(fates[1]?.finishSequenceBefore).toBe(1);
    });

    it('list what finished without waiting for a transaction', async () => {
      const study = await created(storage());
      for (let index = 0; index < 3; index += 1)
        await storage().inStudy(study.id, (transaction) =>
          transaction.insertTrial(waiting({ ...completed() })),
        );
      await storage().inStudy(study.id, async (transaction) => {
        await transaction.insertTrial(waiting({ ...completed() }));
        const listed = await storage().listFinished(study.id, 1, 9);
        expect(listed.map(({ finishSequence }) => finishSequence)).toEqual([2, 3]);
      });
      expect(await storage().listFinished(study.id, 0, 2)).toHaveLength(2);
    });
  });
}
