import type { LeaseToken, RequestId } from '../../shared/core/ids.js';
import type { AppContext } from './context.js';
import { settleAttempt } from './settle-attempt.js';

/**
 * Takes a trial back from the worker that holds its lease; it waits for another one. `preempted`: the worker gave it
 * back. `lost`: its lease expired. False when that lease was not held any more.
 */
export async function release(
  context: AppContext,
  token: LeaseToken,
  reason: 'preempted' | 'lost',
): Promise<boolean> {
  const lease = await context.storage.findLease(token);
  if (lease === null) return false;
  const nowMs = context.clock.nowMs();
  const released = await context.storage.inStudy(lease.study, async (transaction) => {
    const trial = await transaction.trial(lease.number);
    if (trial?.lease?.token !== token) return false;
    // A heartbeat may have come in between the look at expired leases and the study's lock.
    if (reason === 'lost' && trial.lease.expiresAtMs > nowMs) return false;
    const message = reason === 'lost' ? 'no heartbeat within the lease time' : 'released by its worker';
    await settleAttempt(transaction, trial, {
      outcome: { kind: 'failed', reason, message },
      peakMemoryBytes: null,
      nowMs,
      biggerGpuExists: false,
    });
    return true;
  });
  if (released === true) {
    context.log.info({ trial: lease.number, reason }, 'trial taken back');
    context.signal.notify();
  }
  return released ?? false;
}

/** Takes back what an ask was answered with, when the worker did not wait for the answer. False when there is nothing. */
export async function releaseByRequest(context: AppContext, request: RequestId): Promise<boolean> {
  for (const { id } of await context.storage.listStudies()) {
    const attempt = await context.storage.inStudy(id, (transaction) => transaction.attemptByRequest(request));
    if (attempt !== null) return release(context, attempt.token, 'preempted');
  }
  return false;
}

/** Leases looked at per round of `reclaim`. */
const reclaimBatch = 100;

/** Takes back every trial whose lease has expired. Any replica may do it at any time; doing it twice changes nothing. */
export async function reclaim(context: AppContext): Promise<number> {
  let reclaimed = 0;
  for (const { token } of await context.storage.expiredLeases(context.clock.nowMs(), reclaimBatch))
    if (await release(context, token, 'lost')) reclaimed += 1;
  return reclaimed;
}
