import { describe, expect, it } from 'vitest';
import { leaseToken, studyId, workerId, type StudyId } from '../../shared/core/ids.js';
import { smallStudy, testApp } from '../../test/helpers/app.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import { StorageUnavailable, type Storage, type StudyTransaction } from '../storage/port.js';
import { Histories, HistoryBehind, type History } from './history.js';
import { tell } from './tell.js';
import { viewStudy } from './study-view.js';

/** More finished trials than are read in one go. */
const finished = 2_500;

async function insertFinished(
  transaction: StudyTransaction,
  state: 'COMPLETE' | 'FAIL' = 'COMPLETE',
): Promise<void> {
  await transaction.insertTrial({
    ...{
      state,
      reason: state === 'FAIL' ? 'error' : 'finished',
      params: { x: 0.5, c: 'a' },
      offGrid: false,
      given: null,
    },
    ...{ watermark: null, enqueueRequestId: null, values: [0.5], metrics: {}, attempt: 1, message: '' },
    ...{ retries: { error: 0, timeout: 0, lost: 0 }, memoryFloorBytes: null, cancelRequested: false },
    ...{
      lease: null,
      worker: workerId('w1'),
      lastReport: null,
      createdAtMs: 0,
      startedAtMs: 0,
      finishedAtMs: 0,
    },
  });
}

async function studyWithHistory(storage: Storage): Promise<StudyId> {
  const app = testApp(storage);
  await app.create(smallStudy({ trials: 2 * finished }));
  const [study] = await storage.listStudies();
  if (study === undefined) throw new Error('no study');
  await storage.inStudy(study.id, async (transaction) => {
    for (let each = 0; each < finished; each += 1) await insertFinished(transaction);
  });
  return study.id;
}

/** What `upToDate` reads while the study is locked: one row at least, to see that it is the study that it knows. */
async function underLock(storage: Storage, study: StudyId, histories: Histories) {
  let rows = 0;
  const best = await storage.inStudy(study, async (transaction) => {
    const counted = new Proxy(transaction, {
      get: (target, key: keyof StudyTransaction) => {
        if (key === 'commitment') return target.commitment;
        if (key !== 'finishedAfter') return target[key].bind(target);
        return async (...args: Parameters<StudyTransaction['finishedAfter']>) => {
          const page = await target.finishedAfter(...args);
          rows += page.length;
          return page;
        };
      },
    });
    const history = await histories.upToDate(counted);
    return history.states.COMPLETE;
  });
  return { rows, complete: best };
}

describe('a history', () => {
  it('is read outside of transactions where that takes long', async () => {
    const storage = createMemoryStorage();
    const study = await studyWithHistory(storage);
    const histories = new Histories();
    await expect(underLock(storage, study, histories)).rejects.toBeInstanceOf(HistoryBehind);
    const calls = Array.from({ length: 3 }, () =>
      histories.withHistory(storage, () => underLock(storage, study, histories)),
    );
    expect(await Promise.all(calls)).toEqual([1, 0, 0].map((rows) => ({ rows, complete: finished })));
  });

  it('is read there again after a transaction that it leant on came to nothing', async () => {
    const storage = createMemoryStorage();
    const study = await studyWithHistory(storage);
    const histories = new Histories();
    await histories.withHistory(storage, () => underLock(storage, study, histories));
    const rolledBack = storage.inStudy(study, async (transaction) => {
      await insertFinished(transaction);
      await insertFinished(transaction);
      await histories.upToDate(transaction);
      throw new Error('rolled back');
    });
    await expect(rolledBack).rejects.toThrow('rolled back');
    // Others finish where those did: as many as the projection knows of, and the last one alike.
    await storage.inStudy(study, async (transaction) => {
      await insertFinished(transaction, 'FAIL');
      await insertFinished(transaction);
    });
    const seen = await histories.withHistory(storage, () => underLock(storage, study, histories));
    expect(seen).toEqual({ rows: 1, complete: finished + 1 });
  });

  it('is read anew after a reading that failed half-way', async () => {
    const storage = createMemoryStorage();
    const study = await studyWithHistory(storage);
    const [record] = await storage.listStudies();
    const histories = new Histories();
    let pages = 0;
    const failing = new Proxy(storage, {
      get: (target, key: keyof Storage) => {
        if (key !== 'listFinished') return target[key].bind(target);
        return (...args: Parameters<Storage['listFinished']>) =>
          (pages += 1) === 2 ? Promise.reject(new StorageUnavailable('away')) : target.listFinished(...args);
      },
    });
    await expect(histories.prepare(failing, record!)).rejects.toThrow('away');
    await histories.prepare(failing, record!);
    expect(await underLock(storage, study, histories)).toEqual({ rows: 1, complete: finished });
  });

  it('gives up when readings never help', async () => {
    const call = histories().withHistory(createMemoryStorage(), () =>
      Promise.reject(new HistoryBehind({ id: 1, definition: smallStudy() } as never)),
    );
    await expect(call).rejects.toBeInstanceOf(StorageUnavailable);
  });
});

const histories = (): Histories => new Histories();

describe('a view of a study', () => {
  it('counts the workers that are there to stay', async () => {
    const app = testApp(createMemoryStorage());
    await app.create(smallStudy());
    await app.register('w1');
    const alive = async () => (await viewStudy(app.context, 'small')).workersAlive;
    expect(await alive()).toBe(1);
    await app.register('w2');
    expect(await alive()).toBe(2);
    await app.register('w2', null, { draining: true });
    expect(await alive()).toBe(1);
    app.clock.advance(app.context.settings.leaseTtlMs + 1);
    expect(await alive()).toBe(0);
  });

  it('counts states and reasons at one moment, though results come meanwhile', async () => {
    const inner = createMemoryStorage();
    const app = testApp(inner);
    await app.register('w1');
    await app.create(smallStudy());
    const tokens: string[] = [];
    for (let each = 0; each < 4; each += 1) {
      const outcome = await app.ask();
      if (outcome.kind === 'assigned') tokens.push(outcome.assignment.token);
    }
    const result = async (): Promise<void> => {
      const token = tokens.pop();
      if (token === undefined) return;
      const outcome = { kind: 'completed', metrics: { auc: 0.5, dir_acc: 0.5 } } as const;
      await tell(app.context, { token: leaseToken(token), outcome, peakMemoryBytes: null });
    };
    await result();
    const meanwhile: readonly (keyof Storage)[] = ['countTrials', 'countAttempts', 'listWorkers'];
    const storage = new Proxy(inner, {
      get: (target, key: keyof Storage) => {
        const method = (target[key] as (...args: unknown[]) => Promise<unknown>).bind(target);
        if (!meanwhile.includes(key)) return method;
        return async (...args: unknown[]) => {
          await result();
          return method(...args);
        };
      },
    });
    const { counts, reasons, best } = await viewStudy({ ...app.context, storage }, 'small');
    expect(tokens.length).toBeLessThan(3);
    expect({ counts, reasons }).toEqual({
      counts: { WAITING: 0, RUNNING: 3, COMPLETE: 1, PRUNED: 0, FAIL: 0, CANCELLED: 0 },
      reasons: { finished: 1 },
    });
    expect(best).toHaveLength(1);
  });
});

/** A store with one study, this many of its trials finished. */
async function storeWith(finished: number, score = (trial: number): number => trial): Promise<Storage> {
  const app = testApp(createMemoryStorage());
  await app.register('w1', 8e9);
  await app.create(smallStudy());
  for (let trial = 0; trial < finished; trial += 1) {
    const outcome = await app.ask();
    if (outcome.kind !== 'assigned') throw new Error(outcome.reason);
    const { token } = outcome.assignment;
    await tell(app.context, {
      token,
      outcome: { kind: 'completed', metrics: { auc: score(trial), dir_acc: score(trial) } },
      peakMemoryBytes: null,
    });
  }
  return app.context.storage;
}

it('forgets the study that it has not used for longest when all together know too many trials', async () => {
  const app = testApp(createMemoryStorage());
  await app.register('w1', 8e9);
  const names = ['a', 'b', 'c'];
  for (const name of names) {
    await app.create(smallStudy({ name }), 4);
    for (;;) {
      const outcome = await app.ask({ study: name });
      if (outcome.kind !== 'assigned') break;
      const { token } = outcome.assignment;
      const told = { kind: 'completed', metrics: { auc: 0.5, dir_acc: 0.5 } } as const;
      await tell(app.context, { token, outcome: told, peakMemoryBytes: null });
    }
  }
  const histories = new Histories(undefined, 8);
  const known = new Map<string, History>();
  /** Whether the study's history is the one that it was. */
  const isKept = async (name: string): Promise<boolean> => {
    const study = await app.context.storage.findStudy(name);
    const history = await app.context.storage.inStudy(study!.id, (each) => histories.upToDate(each));
    expect(history?.reasons).toEqual({ finished: 4 });
    const kept = known.get(name) === history;
    if (history !== null) known.set(name, history);
    return kept;
  };
  for (const name of ['a', 'b']) expect(await isKept(name)).toBe(false);
  // Both fit; b is now the one that was not used for longest when c comes.
  expect([await isKept('b'), await isKept('a'), await isKept('c')]).toEqual([true, true, false]);
  expect([await isKept('a'), await isKept('c'), await isKept('b')]).toEqual([true, true, false]);
});

it('begins anew when the study has finished fewer trials than it knows of: the database was put back', async () => {
  const histories = new Histories();
  const reasonsIn = (storage: Storage) =>
    storage.inStudy(studyId(1), async (transaction) => (await histories.upToDate(transaction)).reasons);
  expect(await reasonsIn(await storeWith(3))).toEqual({ finished: 3 });
  expect(await reasonsIn(await storeWith(2))).toEqual({ finished: 2 });
});

it('begins anew when the database was put back and others went past what it knows of', async () => {
  const histories = new Histories();
  const bestIn = (storage: Storage) =>
    storage.inStudy(studyId(1), async (transaction) => (await histories.upToDate(transaction)).best);
  expect(await bestIn(await storeWith(3))).toEqual([2]);
  // Trial 0 is another one there, and the best.
  expect(await bestIn(await storeWith(4, (trial) => -trial))).toEqual([0]);
});

it('says that a finished trial is missing, instead of reading the same page for ever', async () => {
  const storage = createMemoryStorage();
  await studyWithHistory(storage);
  const [record] = await storage.listStudies();
  let pages = 0;
  const torn = new Proxy(storage, {
    get: (target, key: keyof Storage) => {
      if (key !== 'listFinished') return target[key].bind(target);
      return async (study: StudyId, after: number, limit: number) => {
        pages += 1;
        if (pages > 5) throw new Error('read again and again');
        const page = await target.listFinished(study, after, limit + 1);
        return page.filter(({ finishSequence }) => finishSequence !== 2).slice(0, limit);
      };
    },
  });
  await expect(new Histories().prepare(torn, record!)).rejects.toThrow(
    'finish sequence 2 of study 1 is missing',
  );
});
