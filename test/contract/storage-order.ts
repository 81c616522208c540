/** Order and states of trials: part of the storage contract. */
import { expect, it } from 'vitest';
import { trialNumber } from '../../shared/core/ids.js';
import type { StudyTransaction } from '../../coordinator/storage/port.js';
import {
  completed,
  created,
  finish,
  leased,
  running,
  waiting,
  type CurrentStorage,
} from './storage-fixtures.js';

export function describeOrder(storage: CurrentStorage): void {
  it('numbers finished trials in the order in which they finish', async () => {
    const study = await created(storage());
    for (const token of ['a', 'b', 'c', 'd']) await leased(storage(), study.id, token);
    expect((await finish(storage(), study.id, trialNumber(2))).finishSequence).toBe(1);
    expect((await finish(storage(), study.id, trialNumber(0), { state: 'PRUNED' })).finishSequence).toBe(2);
    await storage().inStudy(study.id, async (transaction) => {
      const last = await transaction.trial(trialNumber(3));
      const second = await transaction.trial(trialNumber(1));
      if (last === null || second === null) throw new Error('a trial is missing');
      // Touched first, finished last.
      await transaction.updateTrial({ ...second, message: 'touched' });
      await transaction.updateTrial({ ...last, ...completed(), state: 'FAIL', reason: 'error' });
      await transaction.updateTrial({ ...second, ...completed(), state: 'CANCELLED', reason: 'cancelled' });
    });
    const pages = await storage().inStudy(study.id, async (transaction) => ({
      all: await transaction.finishedAfter(0, 10),
      some: await transaction.finishedAfter(1, 2),
      none: await transaction.finishedAfter(4, 10),
    }));
    expect(pages?.all.map(({ number }) => number)).toEqual([2, 0, 3, 1]);
    expect(pages?.all.map(({ finishSequence }) => finishSequence)).toEqual([1, 2, 3, 4]);
    expect(pages?.some.map(({ finishSequence }) => finishSequence)).toEqual([2, 3]);
    expect(pages?.none).toEqual([]);
    expect((await storage().findStudy('demo'))?.finishSequence).toBe(4);
  });

  it('gives a finish sequence to a trial that is stored as finished', async () => {
    const study = await created(storage());
    const trial = await storage().inStudy(study.id, (transaction) =>
      transaction.insertTrial(waiting({ ...completed([1, 2]) })),
    );
    expect(trial).toMatchObject({ number: 0, finishSequence: 1, values: [1, 2] });
    expect(await storage().listTrials(study.id, { fromNumber: 0, limit: 1 })).toEqual([trial]);
  });

  it('never changes a finished trial', async () => {
    const study = await created(storage());
    await leased(storage(), study.id, 'a');
    const finished = await finish(storage(), study.id, trialNumber(0));
    const change = storage().inStudy(study.id, (transaction) =>
      transaction.updateTrial({ ...finished, message: 'too late' }),
    );
    await expect(change).rejects.toThrow(/finished/);
    const unread = storage().inStudy(study.id, async (transaction) => {
      const trial = await transaction.insertTrial(running('b'));
      await transaction.updateTrial({ ...trial, ...completed() });
      await transaction.updateTrial({ ...trial, ...completed([2]) });
    });
    await expect(unread).rejects.toThrow(/finished/);
    const atOnce = storage().inStudy(study.id, async (transaction) => {
      const trial = { ...(await transaction.insertTrial(running('c'))), ...completed() };
      await Promise.all([transaction.updateTrial(trial), transaction.trial(trial.number)]);
      await transaction.updateTrial(trial);
    });
    await expect(atOnce).rejects.toThrow(/finished/);
    expect(await storage().listTrials(study.id, { fromNumber: 0, limit: 9 })).toEqual([finished]);
    const waits = await leased(storage(), study.id, 'd');
    const readBeside = storage().inStudy(study.id, async (transaction) => {
      const trial = { ...waits, ...completed() };
      await Promise.all([transaction.updateTrial(trial), transaction.trial(trial.number)]);
      await transaction.updateTrial(trial);
    });
    await expect(readBeside).rejects.toThrow(/finished/);
  });

  it('refuses trials that contradict their state', async () => {
    const study = await created(storage());
    const insert = (trial: Parameters<StudyTransaction['insertTrial']>[0]) =>
      storage().inStudy(study.id, (transaction) => transaction.insertTrial(trial));
    await expect(insert(waiting({ state: 'RUNNING' }))).rejects.toThrow(/lease/);
    await expect(insert({ ...running('x'), state: 'WAITING' })).rejects.toThrow(/lease/);
    await expect(insert(running('x', { params: null }))).rejects.toThrow(/parameters/);
    await expect(insert(waiting({ state: 'FAIL' }))).rejects.toThrow(/finishing/);
    await expect(insert(waiting({ params: { x: NaN } }))).rejects.toThrow(/NaN/);
    await expect(
      storage().inStudy(study.id, (transaction) =>
        transaction.updateTrial({ ...waiting(), number: trialNumber(5) }),
      ),
    ).rejects.toThrow(/trial 5/);
    expect((await storage().findStudy('demo'))?.nextNumber).toBe(0);
  });

  it('hands out the waiting trial with the lowest number that the memory fits', async () => {
    const study = await created(storage());
    const next = async (memory: number | null) =>
      (await storage().inStudy(study.id, (transaction) => transaction.nextWaiting(memory)))?.number ?? null;
    expect(await next(null)).toBeNull();
    await storage().inStudy(study.id, async (transaction) => {
      await transaction.insertTrial(waiting({ memoryFloorBytes: 16_000_000_000 }));
      await transaction.insertTrial(waiting({ memoryFloorBytes: 8_000_000_000 }));
      await transaction.insertTrial(running('busy'));
    });
    expect(await next(null)).toBeNull();
    expect(await next(8_000_000_000)).toBeNull();
    expect(await next(8_000_000_001)).toBe(1);
    expect(await next(24_000_000_000)).toBe(0);
    await storage().inStudy(study.id, (transaction) => transaction.insertTrial(waiting()));
    expect(await next(null)).toBe(3);
    expect(await next(8_000_000_001)).toBe(1);
  });
}
