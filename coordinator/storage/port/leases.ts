import type { LeaseToken, RequestId } from '../../../shared/core/ids.js';
import type { LeaseAnswer } from '../../../shared/core/study/study.js';
import type { LeasePlace, TrialReport } from './trials.js';

/** What happens to leases outside of transactions on their study. */
export interface LeaseStore {
  /**
   * Stores a report if `token` is still the trial's lease, once per step (a repeated step overwrites), and moves the
   * lease's expiry, never back. Answers what the worker should do.
   */
  report(token: LeaseToken, report: TrialReport, leaseExpiresAtMs: number): Promise<LeaseAnswer>;
  /** Moves the expiry of every lease that still holds, never back. One answer per token, in order. */
  extendLeases(tokens: readonly LeaseToken[], leaseExpiresAtMs: number): Promise<readonly LeaseAnswer[]>;
  /** The trial that a token was ever given for; null when the token is unknown. */
  findLease(token: LeaseToken): Promise<LeasePlace | null>;
  /** The leases that these asks led to; requests that led to none are absent. */
  findRequests(requestIds: readonly RequestId[]): Promise<ReadonlyMap<RequestId, LeasePlace>>;
  /** Leases that ended before `nowMs`, oldest first, `limit` at most. */
  expiredLeases(nowMs: number, limit: number): Promise<readonly LeasePlace[]>;
}
