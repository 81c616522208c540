import type { LeaseToken, WorkerId } from '../../shared/core/ids.js';
import type { LeaseAnswer, TrialReport } from '../storage/port.js';
import type { AppContext } from './context.js';

/** Stores intermediate metrics of a running trial and says whether to go on. A sign of life as well. */
export function report(context: AppContext, token: LeaseToken, report: TrialReport): Promise<LeaseAnswer> {
  return context.storage.report(token, report, context.clock.nowMs() + context.settings.leaseTtlMs);
}

export interface HeartbeatReply {
  /** One per lease, in the order given. */
  readonly answers: readonly LeaseAnswer[];
  /** False: the worker must register again. */
  readonly knownWorker: boolean;
}

/** Keeps a worker's leases alive. */
export function heartbeat(
  context: AppContext,
  worker: WorkerId,
  tokens: readonly LeaseToken[],
): Promise<HeartbeatReply> {
  return context.caches.life.write({ worker, tokens });
}
