/** Transactions that are sent behind the commit of the one before: what becomes of them, and of those who wait beside them. */
import type { ClientConfig } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../shared/platform/log.js';
import { created, waiting } from '../../../test/contract/storage-fixtures.js';
import { run, startTestPostgres, type TestPostgres } from '../../../test/helpers/postgres.js';
import { StorageUnavailable, type Storage, type StudyRecord } from '../port.js';
import { openPostgres } from './open-postgres.js';

let server: TestPostgres;
let database: ClientConfig;
let storage: Storage;
let study: StudyRecord;
beforeAll(async () => {
  server = await startTestPostgres();
});
afterAll(() => server.stop());
beforeEach(async () => {
  database = await server.freshDatabase();
  storage = await openPostgres({ connection: database, log: silentLog });
  study = await created(storage);
});

const insert = (store: Storage, { id } = study): Promise<number | null> =>
  store.inStudy(id, async (transaction) => (await transaction.insertTrial(waiting())).number);

/** A call whose transaction stays open until it is told to end; the others made meanwhile come behind it. */
function gated(
  store: Storage,
  { id } = study,
): { readonly done: Promise<number | null>; readonly open: () => void } {
  let open: () => void = () => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const done = store.inStudy(id, async (transaction) => {
    const { number } = await transaction.insertTrial(waiting());
    await gate;
    return number;
  });
  return { done, open: () => open() };
}

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 20));

const stored = async (): Promise<readonly number[]> =>
  (await run(database, 'select number from parzen.trials order by number')).map(({ number }) =>
    Number(number),
  );

describe('a transaction behind another one', () => {
  it('does what it would have done later', async () => {
    const first = gated(storage);
    await turn();
    const behind = [insert(storage), insert(storage)];
    first.open();
    expect(await Promise.all([first.done, ...behind])).toEqual([0, 1, 2]);
    expect(await stored()).toEqual([0, 1, 2]);
    const commitment = await storage.inStudy(study.id, (transaction) =>
      Promise.resolve(transaction.commitment),
    );
    expect(commitment?.continues).toBe(true);
    expect(storage.connections()?.busy).toBe(0);
    await storage.close();
  });

  it('is taken back where that one fails at its commit, and runs again', async () => {
    await run(
      database,
      `create sequence failures;
       create function fail() returns trigger language plpgsql as $$ begin
         if nextval('failures') <= 1 then raise exception 'made to fail'; end if;
         return new;
       end $$;
       create trigger fail before insert on parzen.trials for each row execute function fail()`,
    );
    const first = gated(storage);
    await turn();
    const behind = [insert(storage), insert(storage)];
    first.open();
    await expect(first.done).rejects.toThrow('made to fail');
    expect(await Promise.all(behind)).toEqual([0, 1]);
    expect(await stored()).toEqual([0, 1]);
    expect(storage.connections()?.busy).toBe(0);
    await storage.close();
  });

  it('does not keep the store from closing', async () => {
    const first = gated(storage);
    await turn();
    const behind = insert(storage);
    const heard = behind.catch((error: unknown) => error);
    const closed = storage.close();
    first.open();
    expect(await first.done).toBe(0);
    await closed;
    expect(await heard).toBeInstanceOf(StorageUnavailable);
    expect(await stored()).toEqual([0]);
  });
});

describe('closing', () => {
  it('waits for calls that wait for a connection', async () => {
    const names = Array.from({ length: 9 }, (_, index) => `other-${index}`);
    const [last, ...others] = await Promise.all(names.map((name) => created(storage, name)));
    const held = others.map((other) => gated(storage, other));
    await turn();
    const waits = insert(storage, last);
    await turn();
    const closed = storage.close();
    held.forEach(({ open }) => open());
    expect(await Promise.all([waits, ...held.map(({ done }) => done)])).toEqual(names.map(() => 0));
    await closed;
    await expect(insert(storage)).rejects.toThrow('the store is closed');
  });
});

describe('a process that has always more to do', () => {
  it('leaves others their turn', async () => {
    const other = await openPostgres({ connection: database, log: silentLog });
    let busy = true;
    let transactions = 0;
    const ended: Promise<unknown>[] = [];
    // Each call makes another one, so that one waits at every commit.
    const call = (): void => {
      const made = storage.inStudy(study.id, async (transaction) => {
        transactions += 1;
        if (busy) call();
        await transaction.setStudy({ trialsMax: 100 + transactions });
      });
      ended.push(made);
    };
    await insert(other);
    call();
    const waits: number[] = [];
    for (let calls = 0; calls < 5; calls += 1) {
      const before = transactions;
      await insert(other);
      waits.push(transactions - before);
    }
    busy = false;
    while (ended.length > 0) await Promise.all(ended.splice(0));
    await Promise.all([storage.close(), other.close()]);
    // On one core, at real-time priority, one waited for 1,666 before turns were kept for others (then for 51).
    expect(Math.max(...waits)).toBeLessThan(300);
  });
});
