import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/helpers/app.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import { StorageOpenError } from '../storage/errors.js';
import { StorageUnavailable } from '../storage/port.js';
import { awaitStorage } from './await-storage.js';

/** A store that fails so many times first. */
function setUp(failures: number, error: Error, waitMs = 600_000) {
  const clock = new ManualClock();
  const startMs = clock.nowMs();
  const warned: string[] = [];
  const ignore = (): void => undefined;
  const log = {
    ...{ debug: ignore, info: ignore, error: ignore },
    warn: (_: object, text: string): unknown => warned.push(text),
  };
  const stopping = new AbortController();
  const storage = createMemoryStorage();
  let tries = 0;
  const opened = awaitStorage(
    () => {
      tries += 1;
      return tries > failures ? Promise.resolve(storage) : Promise.reject(error);
    },
    { waitMs, clock, log, stopping: stopping.signal },
  );
  return { opened, storage, warned, stopping, tries: () => tries, waitedMs: () => clock.nowMs() - startMs };
}

const away = new StorageUnavailable('the database at db:5432 cannot be reached');

describe('waiting for the store', () => {
  it('goes on until it is there, and says so once a minute', async () => {
    const { opened, storage, warned, waitedMs } = setUp(70, away);
    expect(await opened).toBe(storage);
    expect(warned).toHaveLength(Math.floor(waitedMs() / 60_000) + 1);
    expect(warned.length).toBeGreaterThan(1);
    expect(warned[0]).toBe('waiting for the store: the database at db:5432 cannot be reached');
  });

  it('ends with the failure when its time is over', async () => {
    const { opened, waitedMs } = setUp(Infinity, away, 30_000);
    await expect(opened).rejects.toBe(away);
    expect(waitedMs()).toBe(30_000);
  });

  it('is not tried without time for it, nor for what waiting does not mend, nor when told to stop', async () => {
    const once = setUp(Infinity, away, 0);
    await expect(once.opened).rejects.toBe(away);
    const wrong = setUp(Infinity, new StorageOpenError('check user and password'));
    await expect(wrong.opened).rejects.toThrow('check user and password');
    const stopped = setUp(Infinity, away);
    stopped.stopping.abort();
    await expect(stopped.opened).rejects.toBe(away);
    expect([once.tries(), wrong.tries(), stopped.tries()]).toEqual([1, 1, 1]);
  });
});
