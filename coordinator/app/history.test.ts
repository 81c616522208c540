import { expect, it } from 'vitest';
import { studyId } from '../../shared/core/ids.js';
import { smallStudy, testApp } from '../../test/helpers/app.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import type { Storage } from '../storage/port.js';
import { Histories } from './history.js';
import { tell } from './tell.js';

/** A store with one study, this many of its trials finished. */
async function storeWith(finished: number): Promise<Storage> {
  const app = testApp(createMemoryStorage());
  await app.register('w1', 8e9);
  await app.create(smallStudy());
  for (let trial = 0; trial < finished; trial += 1) {
    const outcome = await app.ask();
    if (outcome.kind !== 'assigned') throw new Error(outcome.reason);
    const { token } = outcome.assignment;
    await tell(app.context, {
      token,
      outcome: { kind: 'completed', metrics: { auc: trial, dir_acc: trial } },
      peakMemoryBytes: null,
    });
  }
  return app.context.storage;
}

it('begins anew when the study has finished fewer trials than it knows of: the database was put back', async () => {
  const histories = new Histories();
  const reasonsIn = (storage: Storage) =>
    storage.inStudy(studyId(1), async (transaction) => (await histories.upToDate(transaction)).reasons);
  expect(await reasonsIn(await storeWith(3))).toEqual({ finished: 3 });
  expect(await reasonsIn(await storeWith(2))).toEqual({ finished: 2 });
});
