import { afterAll, beforeAll } from 'vitest';
import { silentLog } from '../../../shared/platform/log.js';
import { describeStorageContract } from '../../../test/contract/storage.js';
import { describeReplicaContract } from '../../../test/contract/storage-replicas.js';
import { startTestPostgres, type TestPostgres } from '../../../test/helpers/postgres.js';
import { openPostgres } from './open-postgres.js';

let server: TestPostgres;
beforeAll(async () => {
  server = await startTestPostgres();
});
afterAll(() => server.stop());

describeStorageContract('PostgreSQL', async () =>
  openPostgres({ connection: await server.freshDatabase(), log: silentLog }),
);

describeReplicaContract('PostgreSQL', async () => {
  const connection = await server.freshDatabase();
  const open = () => openPostgres({ connection, log: silentLog });
  return [await open(), await open()];
});
