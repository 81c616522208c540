import { describe, expect, it } from 'vitest';
import { created } from '../../../test/contract/storage-fixtures.js';
import { describeStorageContract } from '../../../test/contract/storage.js';
import { describeReplicaContract } from '../../../test/contract/storage-replicas.js';
import { createMemoryDatabase, createMemoryStorage } from './create-memory-storage.js';

describeStorageContract('memory', () => Promise.resolve(createMemoryStorage()));

describeReplicaContract('memory', () => {
  const database = createMemoryDatabase();
  return Promise.resolve([database.open(), database.open()]);
});

describe('a database in memory', () => {
  it('is shared by its handles and outlives each', async () => {
    const database = createMemoryDatabase();
    const first = database.open();
    const study = await created(first);
    await first.close();
    expect(await database.open().findStudy('demo')).toEqual(study);
  });
});
