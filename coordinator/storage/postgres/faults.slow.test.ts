/** What the store does when the database fails: what is retried, what is told, and that nothing happens twice. */
import net from 'node:net';
import path from 'node:path';
import pg, { type ClientConfig } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { leaseToken, requestId } from '../../../shared/core/ids.js';
import { silentLog } from '../../../shared/platform/log.js';
import {
  attemptOf,
  created,
  leased,
  running,
  t0,
  waiting,
  worker,
} from '../../../test/contract/storage-fixtures.js';
import { run, startTestPostgres, type TestPostgres } from '../../../test/helpers/postgres.js';
import { StorageOpenError } from '../errors.js';
import { StorageUnavailable, type Storage } from '../port.js';
import { migrate } from './migrate.js';
import { migrations, type Migration } from './migrations/migrations.js';
import { openPostgres } from './open-postgres.js';

let server: TestPostgres;
let database: ClientConfig;
let storage: Storage;
beforeAll(async () => {
  server = await startTestPostgres();
});
afterAll(() => server.stop());
beforeEach(async () => {
  database = await server.freshDatabase();
  storage = await openPostgres({ connection: database, log: silentLog });
});
afterEach(() => storage.close());

/** Ends every other connection to the test's database; answers how many. */
async function endConnections(): Promise<number> {
  const rows = await run(
    database,
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'`,
  );
  return rows.length;
}

/** Makes the first `times` inserts of a trial fail with this error code. */
async function failInserts(times: number, code: string): Promise<void> {
  await run(
    database,
    `create sequence failures;
     create function fail() returns trigger language plpgsql as $$ begin
       if nextval('failures') <= ${times} then raise exception 'made to fail' using errcode = '${code}'; end if;
       return new;
     end $$;
     create trigger fail before insert on parzen.trials for each row execute function fail()`,
  );
}

describe('a connection that is lost', () => {
  it('before the commit: the transaction runs again and happens once', async () => {
    const study = await created(storage);
    let runs = 0;
    const trial = await storage.inStudy(study.id, async (transaction) => {
      runs += 1;
      const inserted = await transaction.insertTrial(running('once'));
      await transaction.insertAttempt(attemptOf(inserted));
      if (runs === 1) expect(await endConnections()).toBeGreaterThan(0);
      await transaction.running();
      return inserted;
    });
    expect(runs).toBe(2);
    expect(trial?.number).toBe(0);
    expect(await storage.listTrials(study.id, { fromNumber: 0, limit: 9 })).toEqual([trial]);
    expect((await storage.findStudy('demo'))?.nextNumber).toBe(1);
  });

  it('while nothing is sent, or while idle: neither ends the process nor shows', async () => {
    const study = await created(storage);
    await storage.listWorkers();
    for (let round = 0; round < 3; round += 1) {
      await endConnections();
      await storage.putWorker(worker(`w${round}`));
      let runs = 0;
      await storage.inStudy(study.id, async (transaction) => {
        runs += 1;
        if (runs > 1) return;
        await endConnections();
        await new Promise((resolve) => setTimeout(resolve, 20));
        await transaction.setStudy({ trialsMax: 10 + round });
      });
    }
    expect(await storage.listWorkers()).toHaveLength(3);
  });

  it('during the commit: the outcome is unknown, nothing runs twice, and the ids find it', async () => {
    const study = await created(storage);
    const proxy = await startProxy(database);
    const behind = await openPostgres({ connection: proxy.connection, log: silentLog });
    try {
      proxy.cutAtCommit();
      let runs = 0;
      const lost = behind.inStudy(study.id, async (transaction) => {
        runs += 1;
        const trial = await transaction.insertTrial(running('maybe'));
        await transaction.insertAttempt(attemptOf(trial));
      });
      await expect(lost).rejects.toThrow(StorageUnavailable);
      await expect(lost).rejects.toThrow(/may or may not have happened/);
      expect(runs).toBe(1);
      // This commit arrived; the store works again at once.
      const again = await behind.inStudy(study.id, (transaction) =>
        transaction.attemptByRequest(requestId('request-maybe')),
      );
      expect(again).toMatchObject({ number: 0, token: 'maybe' });
    } finally {
      await behind.close();
      await proxy.close();
    }
  });

  it('to a server that stays away: one clear error after some seconds', async () => {
    const connection = { host: '127.0.0.1', port: 1, user: 'someone', password: 'secret', database: 'db' };
    const startMs = performance.now();
    const opening = openPostgres({ connection, log: silentLog });
    await expect(opening).rejects.toThrow(StorageUnavailable);
    await expect(opening).rejects.toThrow(
      /127\.0\.0\.1:1\/db cannot be reached .*check that PostgreSQL runs/,
    );
    await expect(opening).rejects.not.toThrow(/secret/);
    expect(performance.now() - startMs).toBeLessThan(10_000);
  });
});

describe('an error of the server', () => {
  it('that is a conflict: the transaction runs again', async () => {
    const study = await created(storage);
    for (const code of ['40001', '40P01', '55P03']) {
      await failInserts(2, code);
      let runs = 0;
      const trial = await storage.inStudy(study.id, (transaction) => {
        runs += 1;
        return transaction.insertTrial(waiting());
      });
      expect(runs).toBe(3);
      expect((await storage.findStudy('demo'))?.nextNumber).toBe((trial?.number ?? -1) + 1);
      await run(database, 'drop trigger fail on parzen.trials; drop function fail; drop sequence failures');
    }
  });

  it('that will not pass: no retry, a clear error, and the store goes on', async () => {
    const study = await created(storage);
    await failInserts(1, '53100');
    let runs = 0;
    const full = storage.inStudy(study.id, (transaction) => {
      runs += 1;
      return transaction.insertTrial(waiting());
    });
    await expect(full).rejects.toThrow(StorageUnavailable);
    await expect(full).rejects.toThrow(/disk .* is full/);
    expect(runs).toBe(1);
    expect(
      await storage.inStudy(study.id, (transaction) => transaction.insertTrial(waiting())),
    ).toMatchObject({
      number: 0,
    });
  });

  it('in a caller that hides errors: nothing is committed', async () => {
    const study = await created(storage);
    await failInserts(1, '22000');
    const hidden = storage.inStudy(study.id, async (transaction) => {
      await transaction.insertTrial(waiting());
      await transaction.setStudy({ state: 'PAUSED' });
      await transaction.running().catch(() => []);
      return 'all is well';
    });
    await expect(hidden).rejects.toThrow(/made to fail/);
    expect(await storage.findStudy('demo')).toEqual(study);
  });

  it('of a write that nobody waits for: the commit fails', async () => {
    const study = await created(storage);
    await failInserts(1, '22000');
    const work = storage.inStudy(study.id, (transaction) => transaction.insertTrial(waiting()));
    await expect(work).rejects.toThrow(/made to fail/);
    expect(await storage.listTrials(study.id, { fromNumber: 0, limit: 1 })).toEqual([]);
  });
});

describe('several processes on one database', () => {
  it('serialise transactions on a study', async () => {
    const study = await created(storage);
    const others = await Promise.all(
      [1, 2, 3].map(() => openPostgres({ connection: database, log: silentLog })),
    );
    const numbers = await Promise.all(
      [storage, ...others].flatMap((each, process) =>
        Array.from({ length: 15 }, (_, index) =>
          each.inStudy(study.id, async (transaction) => {
            const trial = await transaction.insertTrial(running(`${process}-${index}`));
            await transaction.updateTrial({
              ...trial,
              state: 'COMPLETE',
              lease: null,
              finishedAtMs: t0,
              values: [trial.number],
            });
            return trial.number;
          }),
        ),
      ),
    );
    expect([...numbers].sort((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 60 }, (_, n) => n),
    );
    const finished = await storage.inStudy(study.id, (transaction) => transaction.finishedAfter(0, 100));
    expect(finished?.map(({ finishSequence }) => finishSequence)).toEqual(
      numbers.map((_, index) => index + 1),
    );
    await Promise.all(others.map((other) => other.close()));
  });

  it('extend and report while transactions change the same trials, without a deadlock', async () => {
    const study = await created(storage);
    const tokens = Array.from({ length: 20 }, (_, index) => `t${index}`);
    for (const token of tokens) await leased(storage, study.id, token);
    const other = await openPostgres({ connection: database, log: silentLog });
    const heartbeats = Array.from({ length: 20 }, (_, round) =>
      other.extendLeases(tokens.map(leaseToken), t0 + 100_000 + round),
    );
    const reports = tokens.map((token) => other.report(leaseToken(token), { step: 1, metrics: {} }, t0 + 1));
    const changes = Array.from({ length: 10 }, (_, round) =>
      storage.inStudy(study.id, async (transaction) => {
        const trials = [...(await transaction.running())].sort(
          (a, b) => ((a.number * 7 + round) % 5) - ((b.number * 7 + round) % 5),
        );
        for (const { number } of trials) {
          const trial = await transaction.trial(number);
          if (trial !== null) await transaction.updateTrial({ ...trial, message: `round ${round}` });
        }
      }),
    );
    const [answers] = await Promise.all([
      Promise.all(heartbeats),
      Promise.all(reports),
      Promise.all(changes),
    ]);
    expect(new Set(answers.flat())).toEqual(new Set(['ok']));
    const [stats] = await run(
      database,
      'select deadlocks from pg_stat_database where datname = current_database()',
    );
    expect(Number(stats?.['deadlocks'])).toBe(0);
    await other.close();
  });

  it('migrate an empty database once', async () => {
    const empty = await server.emptyDatabase();
    const stores = await Promise.all(
      [1, 2, 3, 4, 5].map(() => openPostgres({ connection: empty, log: silentLog })),
    );
    await Promise.all(stores.map((each) => each.close()));
    expect(await run(empty, 'select id, name from parzen.migrations order by id')).toEqual(
      migrations.map(({ id, name }) => ({ id, name })),
    );
  });
});

describe('migrations', () => {
  const extra: Migration = {
    id: migrations.length + 1,
    name: 'extra',
    sql: 'create table parzen.extra ()',
    sha256: 'x',
  };

  async function withClient<T>(use: (client: pg.Client) => Promise<T>): Promise<T> {
    const client = new pg.Client(database);
    await client.connect();
    return use(client).finally(() => client.end());
  }

  it('apply what is missing, all or nothing', async () => {
    expect(await withClient((client) => migrate(client))).toBe(0);
    const broken: Migration = {
      ...extra,
      id: extra.id + 1,
      sql: 'create table parzen.other (); select 1 / 0',
    };
    await expect(withClient((client) => migrate(client, [...migrations, extra, broken]))).rejects.toThrow(
      /division/,
    );
    expect(await run(database, `select to_regclass('parzen.extra') as extra`)).toEqual([{ extra: null }]);
    expect(await withClient((client) => migrate(client, [...migrations, extra]))).toBe(1);
    expect(await withClient((client) => migrate(client, [...migrations, extra]))).toBe(0);
  });

  it('refuse a schema that is newer or was made by something else', async () => {
    await withClient((client) => migrate(client, [...migrations, extra]));
    const newer = openPostgres({ connection: database, log: silentLog });
    await expect(newer).rejects.toThrow(StorageOpenError);
    await expect(newer).rejects.toThrow(/newer than this program.*"extra"/);
    await run(database, `delete from parzen.migrations where name = 'extra'`);
    await run(database, `update parzen.migrations set sha256 = 'edited'`);
    await expect(openPostgres({ connection: database, log: silentLog })).rejects.toThrow(
      /made by a different parzen/,
    );
  });

  it('work for a user without the right to create schemas, once the schema is there', async () => {
    await run(
      database,
      `do $$ begin create role plain login; exception when duplicate_object then null; end $$;
       grant usage on schema parzen to plain; grant all on all tables in schema parzen to plain`,
    );
    const plain = await openPostgres({ connection: { ...database, user: 'plain' }, log: silentLog });
    await created(plain);
    await plain.close();
    const empty = { ...(await server.emptyDatabase()), user: 'plain' };
    await expect(openPostgres({ connection: empty, log: silentLog })).rejects.toThrow(
      /right to create a schema/,
    );
  });
});

describe('opening', () => {
  it('says what is wrong with the URL or the database', async () => {
    const missing = openPostgres({
      connection: { ...server.connection, database: 'missing' },
      log: silentLog,
    });
    await expect(missing).rejects.toThrow(StorageOpenError);
    await expect(missing).rejects.toThrow(/"missing" does not exist.*create the database first/);
    const url = openPostgres({
      connection: { connectionString: 'postgres://user:pa:ss@ho st:x/db' },
      log: silentLog,
    });
    await expect(url).rejects.toThrow(/URL cannot be read.*postgres:\/\/USER/);
  });

  it('makes every connection durable', async () => {
    await run(database, 'alter role postgres set synchronous_commit = off').catch(() => undefined);
    try {
      const other = await openPostgres({ connection: database, log: silentLog });
      const study = await created(other, 'durable');
      await run(
        database,
        `create table seen (setting text);
         create function see() returns trigger language plpgsql as $$ begin
           insert into seen values (current_setting('synchronous_commit')); return new; end $$;
         create trigger see_insert before insert on parzen.trials for each row execute function see();
         create trigger see_update before update on parzen.trials for each row execute function see()`,
      );
      await leased(other, study.id, 'a');
      await other.report(leaseToken('a'), { step: 1, metrics: {} }, t0);
      await other.close();
      expect(await run(database, 'select distinct setting from seen')).toEqual([{ setting: 'on' }]);
    } finally {
      await run(database, 'alter role postgres reset synchronous_commit');
    }
  });
});

interface Proxy {
  readonly connection: ClientConfig;
  /** The next commit reaches the server; its connection ends before the answer arrives. */
  cutAtCommit(): void;
  close(): Promise<void>;
}

/** A TCP way to the server's socket that can lose an answer. */
async function startProxy(target: ClientConfig): Promise<Proxy> {
  let cut = false;
  const socket = path.join(target.host ?? '', `.s.PGSQL.${target.port ?? 5432}`);
  const listener = net.createServer((near) => {
    const far = net.connect(socket);
    let deaf = false;
    near.on('data', (data: Buffer) => {
      if (cut && data.includes('commit\0')) {
        cut = false;
        deaf = true;
      }
      far.write(data);
    });
    far.on('data', (data: Buffer) => (deaf ? near.destroy() : near.write(data)));
    for (const [one, other] of [[near, far] as const, [far, near] as const]) {
      one.on('error', () => undefined);
      one.on('close', () => other.end());
    }
  });
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    connection: { ...target, host: '127.0.0.1', port: address.port },
    cutAtCommit: () => (cut = true),
    close: () => new Promise((resolve) => listener.close(() => resolve())),
  };
}
