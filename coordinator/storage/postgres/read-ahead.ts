import type { PoolClient } from 'pg';
import {
  leaseToken,
  requestId,
  type LeaseToken,
  type RequestId,
  type StudyId,
} from '../../../shared/core/ids.js';
import { canonicalRequest, canonicalToken } from '../canonical.js';
import type { AttemptRecord, LeasePlace, Lookups, TrialRecord } from '../port.js';
import { query } from './query.js';
import {
  decodeAttempt,
  decodeLeasePlace,
  decodeTrial,
  type AttemptRow,
  type LeaseRow,
  type TrialRow,
} from './rows.js';
import { attemptsByTokens, leasesByRequests } from './statements/attempts.js';
import { lockLeased } from './statements/trials.js';

/** What was read together with the lock on the study. Null stands for what is not there. */
export interface ReadAhead {
  readonly requests: ReadonlyMap<RequestId, LeasePlace | null>;
  readonly attempts: Map<LeaseToken, AttemptRecord | null>;
  /** Locked. */
  readonly trials: readonly TrialRecord[];
}

export interface ReadAheadOptions {
  readonly lookups: readonly Lookups[];
  /** Need a lease that is asked for as `leased` not be read? */
  readonly isKnown: (token: LeaseToken) => boolean;
}

/** Sends the reads, without waiting: they run behind whatever was sent before. */
export async function readAhead(
  client: PoolClient,
  study: StudyId,
  { lookups, isKnown }: ReadAheadOptions,
): Promise<ReadAhead> {
  const requests = lookups.flatMap(({ request }) =>
    request === undefined ? [] : [canonicalRequest(request)],
  );
  const tokens = lookups.flatMap(({ token, leased }) => {
    const wanted = token ?? (leased === undefined || isKnown(leased) ? undefined : leased);
    return wanted === undefined ? [] : [canonicalToken(wanted)];
  });
  const [leases, attempts, trials] = await Promise.all([
    requests.length === 0
      ? []
      : query<LeaseRow & { readonly request_id: string }>(client, leasesByRequests, [requests]),
    tokens.length === 0 ? [] : query<AttemptRow>(client, attemptsByTokens, [study, tokens]),
    tokens.length === 0 ? [] : query<TrialRow>(client, lockLeased, [study, tokens]),
  ]);
  const placeOf = new Map<RequestId, LeasePlace | null>(requests.map((request) => [request, null]));
  for (const row of leases) placeOf.set(requestId(row.request_id), decodeLeasePlace(row));
  const attemptOf = new Map<LeaseToken, AttemptRecord | null>(tokens.map((token) => [token, null]));
  for (const row of attempts) attemptOf.set(leaseToken(row.token), decodeAttempt(row));
  return { requests: placeOf, attempts: attemptOf, trials: trials.map(decodeTrial) };
}

/** What two readings found. */
export const together = (first: ReadAhead, second: ReadAhead): ReadAhead => ({
  requests: new Map([...first.requests, ...second.requests]),
  attempts: new Map([...first.attempts, ...second.attempts]),
  trials: [...first.trials, ...second.trials],
});

/** Is the lease that will be asked for not among what was read? */
export const isUnread = ({ attempts }: ReadAhead, { leased }: Lookups): boolean =>
  leased !== undefined && !attempts.has(canonicalToken(leased));
