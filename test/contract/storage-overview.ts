import { describe, expect, it } from 'vitest';
import { workerId, type StudyId } from '../../shared/core/ids.js';
import type { OverviewRequest, Storage } from '../../coordinator/storage/port.js';
import {
  completed,
  created,
  finish,
  leased,
  running,
  t0,
  worker,
  type CurrentStorage,
} from './storage-fixtures.js';

const look = (storage: Storage, change: Partial<OverviewRequest> = {}) =>
  storage.overview({
    ...{ nowMs: t0 + 60_000, finishedSinceMs: t0, studiesMax: 10, workersSinceMs: t0, aliveSinceMs: t0 },
    ...{ known: new Map<StudyId, number>(), ...change },
  });

/** Finishes one more trial with these fields. */
const finishOne = async (storage: Storage, study: StudyId, token: string, change = {}): Promise<void> => {
  const { number } = await leased(storage, study, token);
  await finish(storage, study, number, change);
};

export function describeOverview(storage: CurrentStorage): void {
  describe('overview', () => {
    it('is of nothing when there is nothing', async () => {
      expect(await look(storage())).toEqual({
        ...{
          studies: [],
          studiesOmitted: 0,
          leaseOverdueMs: 0,
          workers: { idle: 0, busy: 0, draining: 0, lost: 0 },
        },
      });
    });

    it('counts trials by state and finds the best, in each direction', async () => {
      const objectives = [
        { name: 'up', direction: 'maximize', weights: { a: 1 } },
        { name: 'down', direction: 'minimize', weights: { b: 1 } },
      ] as const;
      const { id } = await created(storage(), 'two', { objectives, enqueue: [{ x: 0.5 }] });
      await finishOne(storage(), id, 'a', { ...completed([1, 1]), finishedAtMs: t0 + 10 });
      await finishOne(storage(), id, 'b', { ...completed([3, 5]), finishedAtMs: t0 + 11 });
      await finishOne(storage(), id, 'c', { ...completed([3, 1]), finishedAtMs: t0 + 12 });
      // A value that the failure policy set can be the best there is, but it is no draw.
      await finishOne(storage(), id, 'd', {
        ...completed([0, 0]),
        reason: 'diverged',
        finishedAtMs: t0 + 13,
      });
      await finishOne(storage(), id, 'e', { ...completed([-Infinity, 9]), finishedAtMs: t0 + 14 });
      await finishOne(storage(), id, 'f', { state: 'PRUNED', reason: 'oom', values: [] });
      await leased(storage(), id, 'g');
      const { studies } = await look(storage());
      expect(studies).toMatchObject([
        {
          ...{ id, name: 'two', state: 'RUNNING', sampler: 'random', trialsMax: 10, nextNumber: 8 },
          objectives: [
            { name: 'up', direction: 'maximize' },
            { name: 'down', direction: 'minimize' },
          ],
          ...{ finishSequence: 6, waiting: 1, running: 1, finished: { COMPLETE: 5, PRUNED: 1 } },
        },
      ]);
      const [up, down] = studies[0]!.values;
      expect(up).toMatchObject({ objective: 0, best: 3, bestAtMs: t0 + 11, count: 3 });
      expect(up!.mean).toBeCloseTo(7 / 3, 12);
      expect(up!.squares).toBeCloseTo(8 / 3, 12);
      expect(down).toMatchObject({ objective: 1, best: 0, bestAtMs: t0 + 13, count: 4, mean: 4 });
      expect(down!.squares).toBeCloseTo(44, 12);
    });

    it('reads values of any size: their best is told, and no spread that could not be worked out', async () => {
      const objectives = [
        { name: 'up', direction: 'maximize', weights: { a: 1 } },
        { name: 'down', direction: 'minimize', weights: { b: 1 } },
      ] as const;
      const { id } = await created(storage(), 'huge', { objectives });
      const rows = [
        [1e200, 1],
        [Number.MAX_VALUE, -1e300],
        [-1e300, 3],
        [5, Number.MAX_VALUE],
      ];
      for (const [index, row] of rows.entries())
        await finishOne(storage(), id, `huge-${index}`, completed(row));
      const { studies } = await look(storage());
      expect(studies[0]!.values).toMatchObject([
        { objective: 0, best: Number.MAX_VALUE, count: 4, mean: 5, squares: Infinity },
        { objective: 1, best: -1e300, count: 4, mean: 2, squares: Infinity },
      ]);
    });

    it('tells of what finished after the known moment only', async () => {
      const { id } = await created(storage());
      await finishOne(storage(), id, 'a', completed([2]));
      await finishOne(storage(), id, 'b', completed([1]));
      const since = await look(storage(), { known: new Map([[id, 1]]) });
      expect(since.studies[0]).toMatchObject({
        ...{ finishSequence: 2, finished: { COMPLETE: 1 }, values: [{ best: 1, count: 1, squares: 0 }] },
      });
      const nothingNew = await look(storage(), { known: new Map([[id, 2]]) });
      expect(nothingNew.studies[0]).toMatchObject({ finished: {}, values: [] });
    });

    it('leaves out studies that are over for long, and the oldest of too many', async () => {
      const ended = await created(storage(), 'ended');
      await finishOne(storage(), ended.id, 'a', { finishedAtMs: t0 + 10 });
      await storage().inStudy(ended.id, (transaction) => transaction.setStudy({ state: 'FINISHED' }));
      const paused = await created(storage(), 'paused');
      await storage().inStudy(paused.id, (transaction) => transaction.setStudy({ state: 'PAUSED' }));
      await created(storage(), 'going');
      const names = async (change: Partial<OverviewRequest>) => {
        const { studies, studiesOmitted } = await look(storage(), change);
        return [studies.map(({ name }) => name), studiesOmitted];
      };
      expect(await names({})).toEqual([['going', 'paused', 'ended'], 0]);
      expect(await names({ finishedSinceMs: t0 + 11 })).toEqual([['going', 'paused'], 0]);
      expect(await names({ studiesMax: 1 })).toEqual([['going'], 2]);
    });

    it('knows the oldest expired lease and what workers do', async () => {
      const { id } = await created(storage());
      await storage().inStudy(id, async (transaction) => {
        await transaction.insertTrial(running('old'));
        await transaction.insertTrial(running('older', { worker: workerId('worker-2') }));
      });
      for (const [name, lastSeenAtMs] of [
        ['worker-1', t0 + 100],
        ['idle', t0 + 100],
        ['lost', t0 + 50],
        ['forgotten', t0 - 1],
        ['draining', t0 + 100],
        ['gone', t0 + 50],
      ] as const)
        await storage().putWorker(
          worker(name, { lastSeenAtMs, draining: name === 'draining' || name === 'gone' }),
        );
      const overview = await look(storage(), { aliveSinceMs: t0 + 60 });
      expect(overview.leaseOverdueMs).toBe(15_000);
      expect(overview.workers).toEqual({ idle: 1, busy: 1, draining: 1, lost: 1 });
      expect((await look(storage(), { nowMs: t0 + 45_000 })).leaseOverdueMs).toBe(0);
    });
  });
}
