import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import { defaults } from '../config.js';
import { StorageUnavailable, type Storage } from '../storage/port.js';

export interface AwaitStorageOptions {
  /** For how long to try again, ms; 0: the first failure is the last. */
  readonly waitMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly stopping: AbortSignal;
}

/**
 * Opens the store, again and again while its server cannot be reached. Rejects with the last failure when the time is over or
 * `stopping` aborts, and at once with one that waiting does not mend: a wrong password, no such database, a folder in use.
 */
export async function awaitStorage(
  open: () => Promise<Storage>,
  { waitMs, clock, log, stopping }: AwaitStorageOptions,
): Promise<Storage> {
  const untilMs = clock.nowMs() + waitMs;
  let toldAtMs = -Infinity;
  for (;;) {
    try {
      return await open();
    } catch (error) {
      const nowMs = clock.nowMs();
      if (!(error instanceof StorageUnavailable) || nowMs >= untilMs || stopping.aborted) throw error;
      if (nowMs - toldAtMs >= defaults.waitingToldMs) {
        log.warn(
          { seconds: Math.round((untilMs - nowMs) / 1_000) },
          `waiting for the store: ${error.message}`,
        );
        toldAtMs = nowMs;
      }
    }
    await clock.sleep(defaults.storagePollIntervalMs, stopping);
  }
}
