import type { LeaseToken, RequestId } from '../../shared/core/ids.js';
import type { TakenBackReason } from '../../shared/core/study/trial.js';
import { leaseName, type LogFields } from '../../shared/platform/log.js';
import type { AppContext } from './context.js';
import { settleAttempt } from './settle-attempt.js';

type TakenBack = 'preempted' | 'unfit' | 'returned' | 'lost' | 'gone';

/** What the attempt's row says. */
const takenBack = {
  preempted: { reason: 'preempted', message: 'released by its worker' },
  unfit: { reason: 'unfit', message: 'released by a worker that cannot run trials' },
  returned: { reason: 'returned', message: 'released before it began' },
  lost: { reason: 'lost', message: 'no heartbeat within the lease time' },
  gone: { reason: 'lost', message: 'its worker died with its coordinator' },
} as const satisfies Record<TakenBack, { reason: TakenBackReason; message: string }>;

/**
 * Takes a trial back from the worker that holds its lease; it waits for another one. `preempted`: the worker gave it
 * back. `unfit`: its worker cannot run trials at all. `returned`: it had not begun. `lost`: its lease expired. `gone`: its
 * worker is known to be dead, whatever the lease says. False when that lease was not held any more.
 */
export async function release(context: AppContext, token: LeaseToken, how: TakenBack): Promise<boolean> {
  const lease = await context.storage.findLease(token);
  if (lease === null) return false;
  const nowMs = context.clock.nowMs();
  const released = await context.storage.inStudy(
    lease.study,
    async (transaction): Promise<LogFields | null> => {
      const trial = await transaction.trial(lease.number);
      if (trial?.lease?.token !== token) return null;
      // A heartbeat may have come in between the look at expired leases and the study's lock.
      if (how === 'lost' && trial.lease.expiresAtMs > nowMs) return null;
      const { state } = await settleAttempt(transaction, trial, {
        outcome: { kind: 'failed', ...takenBack[how] },
        peakMemoryBytes: null,
        nowMs,
        biggerGpuExists: false,
      });
      return {
        ...{ study: transaction.study().definition.name, trial: trial.number, attempt: trial.attempt },
        ...{ worker: trial.lease.worker, lease: leaseName(token), how, state },
      };
    },
    { token },
  );
  if (released === null) return false;
  context.log.info(released, 'trial taken back');
  const endMs = context.clock.nowMs();
  context.tracer?.record({ name: 'release', token, startMs: nowMs, endMs, attributes: released });
  context.signal.notify(lease.study);
  return true;
}

/** Takes back what an ask was answered with, when the worker did not wait for the answer. False when there is nothing. */
export async function releaseByRequest(context: AppContext, request: RequestId): Promise<boolean> {
  const studies = await context.storage.listStudies();
  // After the list: what was leased in a study that hands out nothing any more is there by now.
  const answered = (await context.storage.findRequests([request])).get(request);
  if (answered !== undefined) return release(context, answered.token, 'returned');
  for (const { id, state } of studies) {
    if (state !== 'RUNNING') continue;
    // Inside a transaction, because that ask may be about to be answered.
    const place = await context.storage.inStudy(id, (transaction) => transaction.attemptByRequest(request));
    if (place !== null) return release(context, place.token, 'returned');
  }
  return false;
}

/** Leases looked at per round of `reclaim`. */
const reclaimBatch = 100;

/** Takes back every trial whose lease has expired. Any replica may do it at any time; doing it twice changes nothing. */
export async function reclaim(context: AppContext): Promise<number> {
  let reclaimed = 0;
  for (;;) {
    const expired = await context.storage.expiredLeases(context.clock.nowMs(), reclaimBatch);
    const released = await Promise.all(expired.map(({ token }) => release(context, token, 'lost')));
    const progress = released.filter(Boolean).length;
    reclaimed += progress;
    if (expired.length < reclaimBatch || progress === 0) return reclaimed;
  }
}

/** Workers that a coordinator starts for itself and that die with it have ids that begin so. */
export const localWorkerPrefix = 'local-';

/**
 * Takes back the trials of local workers that died with an earlier coordinator, without waiting for their leases. Only for
 * a store that this process owns alone, before it starts workers of its own.
 */
export async function reclaimFromTheDead(context: AppContext): Promise<number> {
  let reclaimed = 0;
  for (const { id } of await context.storage.listStudies()) {
    const running = await context.storage.inStudy(id, (transaction) => transaction.running());
    for (const { lease } of running ?? [])
      if (
        lease?.worker.startsWith(localWorkerPrefix) === true &&
        (await release(context, lease.token, 'gone'))
      )
        reclaimed += 1;
  }
  return reclaimed;
}
