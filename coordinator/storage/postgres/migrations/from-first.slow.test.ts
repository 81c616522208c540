/**
 * A database of the first schema, with studies in every stage of their lives, brought up to date: `fixtures/schema-1.sql` is
 * what `pg_dump` made of it then, `fixtures/schema-1.json` what the store told of it. Neither changes any more.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { ClientConfig } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ask } from '../../../app/ask.js';
import { tell } from '../../../app/tell.js';
import { verifyStudy } from '../../../app/verify-study.js';
import { leaseToken, requestId, workerId } from '../../../../shared/core/ids.js';
import { silentLog } from '../../../../shared/platform/log.js';
import { testApp } from '../../../../test/helpers/app.js';
import { run, startTestPostgres, type TestPostgres } from '../../../../test/helpers/postgres.js';
import type { Storage } from '../../port.js';
import { openPostgres } from '../open-postgres.js';
import { migrations } from './migrations.js';

const fixture = (name: string): string =>
  readFileSync(path.join(import.meta.dirname, 'fixtures', name), 'utf8');

/** As `JSON.stringify` leaves it, with words for the numbers that JSON lacks. */
const plain = (value: unknown): unknown =>
  JSON.parse(
    JSON.stringify(value, (_, each: unknown) =>
      typeof each === 'number' && !Number.isFinite(each) ? String(each) : each,
    ),
  );

interface Told {
  readonly studies: readonly unknown[];
  readonly workers: readonly unknown[];
  readonly datasets: readonly { readonly hash: string }[];
}

async function everything(storage: Storage): Promise<Told> {
  const studies = [];
  for (const study of await storage.listStudies()) {
    const trials = await storage.listTrials(study.id, { fromNumber: 0, limit: 1_000 });
    const attempts = [];
    const reports = [];
    for (const { number } of trials) {
      attempts.push(...(await storage.listAttempts(study.id, number)));
      reports.push(...(await storage.listReports(study.id, number)));
    }
    studies.push({ study, trials, attempts, reports, late: await storage.listLateResults(study.id) });
  }
  return { studies, workers: await storage.listWorkers(), datasets: await storage.listDatasets() };
}

/** Tables, columns, indexes and rules of a database. */
const shape = (database: ClientConfig) =>
  run(
    database,
    `select 'column' as kind, table_name || '.' || column_name as name,
       concat_ws(' ', data_type, is_nullable, column_default, collation_name, is_identity) as what
     from information_schema.columns where table_schema = 'parzen'
     union all select 'index', indexname, indexdef from pg_indexes where schemaname = 'parzen'
     union all select 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
       from pg_constraint where connamespace = 'parzen'::regnamespace
     union all select 'options', relname, reloptions::text from pg_class where relnamespace = 'parzen'::regnamespace
     order by 1, 2`,
  );

let server: TestPostgres;
let database: ClientConfig;
beforeAll(async () => {
  server = await startTestPostgres();
});
afterAll(() => server.stop());
beforeEach(async () => {
  database = await server.emptyDatabase();
  await run(database, fixture('schema-1.sql'));
});

const opened = async <T>(use: (storage: Storage) => Promise<T>): Promise<T> => {
  const storage = await openPostgres({ connection: database, log: silentLog });
  return use(storage).finally(() => storage.close());
};

describe('a database of the first schema', () => {
  it('has the schema of a new one afterwards, and every migration on record', async () => {
    await opened(() => Promise.resolve());
    expect(await shape(database)).toEqual(await shape(await server.freshDatabase()));
    expect(await run(database, 'select id, name, sha256 from parzen.migrations order by id')).toEqual(
      migrations.map(({ id, name, sha256 }) => ({ id, name, sha256 })),
    );
  });

  it('keeps everything that was in it', async () => {
    const before = JSON.parse(fixture('schema-1.json')) as Told;
    await opened(async (storage) => {
      expect(plain(await everything(storage))).toMatchObject(before as never);
      const chunks = [];
      for await (const chunk of storage.readDataset(before.datasets[0]!.hash as never)) chunks.push(chunk);
      expect(Buffer.concat(chunks).toString('latin1')).toMatch(/^PZC1 not really candles/);
    });
  });

  it('tells apart why attempts were given back', async () => {
    await run(
      database,
      `update parzen.trial_attempts set message = 'released before it began' where token = 'id-38';
       update parzen.trials set reason = 'preempted', message = 'released by a worker that cannot run trials'
       where (study_id, number) = (1, 17)`,
    );
    await opened(() => Promise.resolve());
    expect(await run(database, `select outcome from parzen.trial_attempts where token = 'id-38'`)).toEqual([
      { outcome: 'returned' },
    ]);
    expect(
      await run(database, 'select reason from parzen.trials where (study_id, number) = (1, 17)'),
    ).toEqual([{ reason: 'unfit' }]);
  });

  it('is brought up to date once, however many coordinators start at the same time', async () => {
    const stores = await Promise.all(
      Array.from({ length: 4 }, () => openPostgres({ connection: database, log: silentLog })),
    );
    await Promise.all(stores.map((each) => each.close()));
    expect(await run(database, 'select id from parzen.migrations order by id')).toEqual(
      migrations.map(({ id }) => ({ id })),
    );
  });

  it('goes on with its studies: every suggestion, old and new, can be recomputed', async () => {
    await opened(async (storage) => {
      const app = testApp(storage);
      app.clock.advance(10_000_000);
      // Not the ids that the first program gave.
      const context = { ...app.context, mintToken: () => leaseToken(randomUUID()) };
      await app.register('gpu-3', 48e9);
      const numbers: number[] = [];
      for (let trial = 0; trial < 6; trial += 1) {
        const outcome = await ask(
          context,
          {
            ...{ requestId: requestId(`after-${trial}`), workerId: workerId('gpu-3'), study: 'under-way' },
            ...{ waitMs: 0, trainers: [], ahead: false },
          },
          new AbortController().signal,
        );
        if (outcome.kind !== 'assigned') throw new Error(outcome.reason);
        const { token, number } = outcome.assignment;
        numbers.push(number);
        const completed = { kind: 'completed', metrics: { auc: 0.6, dir_acc: 0.5 } } as const;
        expect(await tell(context, { token, outcome: completed, peakMemoryBytes: null })).toMatchObject({
          kind: 'recorded',
        });
      }
      // First the ones that waited, then new numbers.
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      expect(new Set(numbers).size).toBe(6);
      for (const study of ['under-way', 'over', 'stopped'])
        expect((await verifyStudy(context, study)).difference).toBeNull();
      expect((await verifyStudy(context, 'under-way')).suggestions).toBeGreaterThan(20);
    });
  });
});
