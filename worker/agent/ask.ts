/** Asking for a trial, and giving back what will not be run. */
import type { Clock } from '../../shared/platform/clock.js';
import type { AskResponse, Assignment } from '../../shared/wire/gen/parzen/v1/trial.js';
import { releaseTimeoutMs } from '../limits.js';
import type { GiveBackReason } from './coordinator-client.js';
import { about, aborted, textOf, traceAttempt, type HeldTrial, type SlotOptions } from './slot-options.js';

/** Asks once; when the worker is stopped meanwhile, what the ask may have been answered with is given back. */
export async function ask(options: SlotOptions, ahead: boolean): Promise<AskResponse['outcome']> {
  const { client, stopping, log, trainers, workerId, study } = options;
  if (aborted(stopping)) return undefined;
  const requestId = options.mintId();
  try {
    return await client.ask({ requestId, workerId, study, trainers, ahead }, stopping);
  } catch (error) {
    if (!stopping.aborted) throw error;
  }
  try {
    await within(options.clock, releaseTimeoutMs, (signal) =>
      client.release({ $case: 'requestId', value: requestId }, 'unstarted', signal),
    );
  } catch (error) {
    const fields = { worker: workerId, request: requestId, reason: textOf(error) };
    log.debug(fields, 'an ask was left open; what it was answered with will expire');
  }
  return undefined;
}

/** Takes up the lease of an assignment, so that heartbeats keep it alive. */
export function hold(options: SlotOptions, assignment: Assignment): HeldTrial {
  options.log.debug(about(options, assignment), 'trial assigned');
  const { leases, clock } = options;
  return { assignment, signal: leases.hold(assignment.leaseToken), heldAtMs: clock.nowMs() };
}

/** Gives a trial back, once and within a limit; where that fails its lease will expire. Never rejects. */
export async function giveBack(options: SlotOptions, held: HeldTrial, why: GiveBackReason): Promise<void> {
  const { assignment } = held;
  const { client, clock, leases, log } = options;
  const { leaseToken } = assignment;
  leases.drop(leaseToken);
  const fields = { ...about(options, assignment), why };
  try {
    await within(clock, releaseTimeoutMs, (signal) =>
      client.release({ $case: 'leaseToken', value: leaseToken }, why, signal),
    );
    if (why === 'unstarted') log.debug(fields, 'trial given back');
    else log.info(fields, 'trial given back');
  } catch (error) {
    log.warn({ ...fields, reason: textOf(error) }, 'trial not given back; its lease will expire');
  } finally {
    traceAttempt(options, held, { reason: why });
  }
}

/** Runs `call` with a signal that aborts after `ms`. */
async function within<T>(clock: Clock, ms: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const patience = new AbortController();
  const settled = new AbortController();
  void clock.sleep(ms, settled.signal).then(() => patience.abort());
  try {
    return await call(patience.signal);
  } finally {
    settled.abort();
  }
}
