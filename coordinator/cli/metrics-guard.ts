import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import type { MetricsGuard, MetricsRefusal } from '../../shared/platform/metrics-guard.js';
import { hashOfSecret, type AccessDecision, type TokenCheck } from '../app/tokens.js';
import { PeerLimits } from '../grpc/peer-limits.js';
import { StorageUnavailable } from '../storage/port.js';

/** Prometheus gives a scrape ten seconds: the store has this long to say who asks, ms. */
const storePatienceMs = 2_000;
/** Readers remembered for when the store is away. */
const readersMax = 64;

export interface MetricsGuardOptions {
  readonly check: Pick<TokenCheck, 'decide' | 'knows'>;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Lets in tokens of role read. While the store cannot be asked, those that were let in when it last could are let in
 * still: metrics are needed most then.
 */
export function readTokenGuard({ check, clock, log }: MetricsGuardOptions): MetricsGuard {
  const limits = new PeerLimits(clock);
  /** By the hash of their token. */
  const readers = new Set<string>();
  const refuse = (peer: string, refusal: MetricsRefusal): MetricsRefusal => {
    limits.refused(peer);
    log.warn({ page: '/metrics', peer, reason: refusal.message }, 'reader refused');
    return refusal;
  };
  return async (token, peer) => {
    // Others may share the address: whoever was let in before still is.
    if (!limits.mayTry(peer) && !check.knows(token))
      return { status: 429, message: 'too many refused requests from this address; wait a minute' };
    const reader = hashOfSecret(token ?? '');
    const decision = await decideInTime(check, token, clock);
    if (decision === null) {
      if (readers.has(reader)) return null;
      return { status: 503, message: 'the store that knows the tokens does not answer; try again' };
    }
    if (decision.kind === 'granted') {
      if (readers.size >= readersMax) readers.clear();
      readers.add(reader);
      return null;
    }
    readers.delete(reader);
    if (decision.kind === 'denied') return refuse(peer, { status: 403, message: decision.message });
    const message =
      token === null ? 'a token of role read is needed: authorization: Bearer TOKEN' : decision.message;
    return refuse(peer, { status: 401, message });
  };
}

/** Null when the store does not answer. */
async function decideInTime(
  check: Pick<TokenCheck, 'decide'>,
  token: string | null,
  clock: Clock,
): Promise<AccessDecision | null> {
  const patience = new AbortController();
  try {
    const late = clock.sleep(storePatienceMs, patience.signal).then(() => null);
    return await Promise.race([check.decide(token, 'read'), late]);
  } catch (error) {
    if (error instanceof StorageUnavailable) return null;
    throw error;
  } finally {
    patience.abort();
  }
}
