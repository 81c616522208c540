import { StorageUnavailable } from '../storage/port.js';
import type { AppContext } from './context.js';
import { reclaim } from './release.js';

export interface ReconcileOptions {
  /** Between two rounds, ms. */
  readonly intervalMs: number;
  readonly over: AbortSignal;
}

/** A round that comes this many intervals late means that this process, or the machine, was asleep. */
const lateFactor = 3;

/**
 * Takes back expired leases, round after round, until `over` aborts. Only after this process has served with a healthy
 * store for one lease time without a break: while it was away (or the store was, or the machine slept) no heartbeat could
 * arrive, so a lease that ran out meanwhile says nothing about its worker, which may be about to tell a result.
 */
export async function reconcileLeases(
  context: AppContext,
  { intervalMs, over }: ReconcileOptions,
): Promise<void> {
  const { clock, log, settings } = context;
  let servingSinceMs = clock.nowMs();
  let lastRoundMs = servingSinceMs;
  while (!over.aborted) {
    try {
      // First of all, so that a step of the store's clock is seen before it makes leases look expired.
      await context.agreeOnTime?.();
      const nowMs = clock.nowMs();
      const sinceLastMs = nowMs - lastRoundMs;
      // A clock that was set back says as little about how long this process has served.
      if (sinceLastMs < 0 || sinceLastMs > intervalMs * lateFactor) servingSinceMs = nowMs;
      lastRoundMs = nowMs;
      // Also the look at the store that tells whether it is healthy.
      await context.storage.expiredLeases(nowMs, 1);
      if (nowMs - servingSinceMs >= settings.leaseTtlMs) await reclaim(context);
    } catch (error) {
      if (!(error instanceof StorageUnavailable)) throw error;
      log.warn({ reason: error.message }, 'the store is away; leases are not looked at');
      servingSinceMs = clock.nowMs();
    }
    await clock.sleep(intervalMs, over);
  }
}
