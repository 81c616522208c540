/**
 * Rows that are otherwise than a transaction believes: somebody wrote past the study's lock, or the database was put back to an
 * earlier state under a running process. Nothing is built upon them.
 */
import type { ClientConfig } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { leaseToken, type StudyId } from '../../../shared/core/ids.js';
import { silentLog } from '../../../shared/platform/log.js';
import { completed, created, leased, t0, waiting } from '../../../test/contract/storage-fixtures.js';
import { run, startTestPostgres, type TestPostgres } from '../../../test/helpers/postgres.js';
import type { Storage } from '../port.js';
import { openPostgres } from './open-postgres.js';

let server: TestPostgres;
let database: ClientConfig;
let storage: Storage;
let study: StudyId;
beforeAll(async () => {
  server = await startTestPostgres();
});
afterAll(() => server.stop());
beforeEach(async () => {
  database = await server.freshDatabase();
  storage = await openPostgres({ connection: database, log: silentLog });
  study = (await created(storage)).id;
});
afterEach(() => storage.close());

describe('a write that is based on what is not so any more fails, and all that goes with it:', () => {
  it.each([
    ['the outcome', { message: 'ours' }],
    ['all', { attempt: 1, ...completed() }],
  ])('%s of a trial that has finished meanwhile', async (_, change) => {
    await storage.inStudy(study, (transaction) => transaction.insertTrial(waiting()));
    const written = storage.inStudy(study, async (transaction) => {
      const trial = await transaction.nextWaiting(null);
      if (trial === null) throw new Error('nothing waits');
      await run(
        database,
        `update parzen.trials set state = 'CANCELLED', finish_sequence = 7, finished_at_ms = 1, message = 'theirs'`,
      );
      await transaction.updateTrial({ ...trial, ...change });
      await transaction.insertTrial(waiting());
    });
    await expect(written).rejects.toThrow(/other rows than those that were read/);
    expect(await run(database, 'select number, state, message from parzen.trials')).toEqual([
      { number: 0, state: 'CANCELLED', message: 'theirs' },
    ]);
  });

  it('the end of an attempt that has ended meanwhile', async () => {
    await leased(storage, study, 'a');
    const written = storage.inStudy(study, async (transaction) => {
      await transaction.attemptByToken(leaseToken('a'));
      await run(
        database,
        `update parzen.trial_attempts set ended_at_ms = 1, outcome = 'lost', message = 'theirs'`,
      );
      await transaction.endAttempt(leaseToken('a'), {
        ...{ endedAtMs: t0, outcome: 'finished', message: 'ours', peakMemoryBytes: null },
      });
      await transaction.insertTrial(waiting());
    });
    await expect(written).rejects.toThrow(/other rows than those that were read/);
    expect(await run(database, 'select outcome, message from parzen.trial_attempts')).toEqual([
      { outcome: 'lost', message: 'theirs' },
    ]);
    expect((await storage.listTrials(study, { fromNumber: 0, limit: 9 })).length).toBe(1);
  });
});

it('a database that was put back to another state with as many changes is read anew', async () => {
  const look = () => storage.inStudy(study, (transaction) => transaction.nextWaiting(null));
  // From now on this process knows what waits.
  await look();
  await storage.inStudy(study, (transaction) => transaction.insertTrial(waiting({ message: 'before' })));
  expect(await look()).toMatchObject({ message: 'before' });
  await run(database, `update parzen.trials set message = 'put back'`);
  // Nobody has told that it is another state: the picture is believed.
  expect(await look()).toMatchObject({ message: 'before' });
  await run(database, 'update parzen.studies set change_tag = change_tag + 1');
  expect(await look()).toMatchObject({ message: 'put back' });
});
