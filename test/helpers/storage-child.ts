/**
 * A process that owns a store, for tests that kill it: `storage-child.ts LOCATION [ADDRESS]`. Opens the store, then
 * stores and finishes one trial after the other; prints `open` and, after each commit, `ack NUMBER`. Ends cleanly when
 * standard input ends. A refusal is printed as `failed NAME MESSAGE`.
 */
import type { StudyId } from '../../shared/core/ids.js';
import { silentLog } from '../../shared/platform/log.js';
import { announceCoordinator } from '../../coordinator/storage/embedded/announce.js';
import { openStorage } from '../../coordinator/storage/open-storage.js';
import { StorageUnavailable, type Storage } from '../../coordinator/storage/port.js';
import { attemptOf, completed, newStudy, running } from '../contract/storage-fixtures.js';

const [location = '', address] = process.argv.slice(2);

async function write(storage: Storage, stopped: () => boolean): Promise<void> {
  await storage.createStudy(newStudy('demo'));
  const study = await storage.findStudy('demo');
  if (study === null) throw new Error('the study is gone');
  while (!stopped())
    try {
      process.stdout.write(`ack ${await writeOne(storage, study.id)}\n`);
    } catch (error) {
      // The store is away for a moment: a later trial takes its turn.
      if (!(error instanceof StorageUnavailable)) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

async function writeOne(storage: Storage, study: StudyId): Promise<number> {
  const number = await storage.inStudy(study, async (transaction) => {
    const token = `${process.pid}-${transaction.study().nextNumber}`;
    const trial = await transaction.insertTrial(running(token));
    await transaction.insertAttempt(attemptOf(trial));
    return trial.number;
  });
  if (number === null) throw new Error('the study is gone');
  await storage.inStudy(study, async (transaction) => {
    const trial = await transaction.trial(number);
    if (trial === null) throw new Error('the trial is gone');
    // Finished already: a commit whose answer was lost.
    if (trial.lease === null) return;
    await transaction.updateTrial({ ...trial, ...completed([number]) });
    const end = { endedAtMs: 1, outcome: 'finished', message: '', peakMemoryBytes: null } as const;
    await transaction.endAttempt(trial.lease.token, end);
  });
  return number;
}

async function main(): Promise<void> {
  const storage = await openStorage(location, { log: silentLog });
  try {
    if (address !== undefined) announceCoordinator(location, address);
    process.stdout.write('open\n');
    let ended = false;
    process.stdin.on('end', () => (ended = true)).resume();
    await write(storage, () => ended);
  } finally {
    await storage.close();
  }
  process.stdout.write('closed\n');
}

await main().catch((error: unknown) => {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  process.stdout.write(`failed ${name} ${message}\n`);
});
