import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import { leasesPerHeartbeatMax } from '../../shared/wire/limits.js';
import type { CoordinatorClient } from './coordinator-client.js';
import type { Leases } from './leases.js';
import { aborted, textOf } from './slot-options.js';

export interface HeartOptions {
  readonly client: CoordinatorClient;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Log;
  readonly workerId: string;
  readonly intervalMs: number;
  /** Called when the coordinator does not know this worker (any more). */
  readonly register: () => Promise<unknown>;
  readonly ended: AbortSignal;
}

/**
 * Keeps the worker's leases alive until `ended` aborts, and passes on what the coordinator says of them. A worker that is
 * not known any more (the store was put back to an earlier state) registers again. Never rejects.
 */
export async function keepBeating(options: HeartOptions): Promise<void> {
  const { leases, clock, log, intervalMs, ended } = options;
  let registering: Promise<unknown> | null = null;
  /** Intervals without a lease in a row. */
  let idle = 0;
  while (!aborted(ended)) {
    await clock.sleep(intervalMs, ended);
    if (aborted(ended)) return;
    const tokens = leases.tokens();
    idle = tokens.length === 0 ? idle + 1 : 0;
    // Without a lease there is only the word to be kept that the worker is there: twice in a lease time will do.
    if (idle % 2 === 1) continue;
    const known = await beat(options, tokens);
    if (known || registering !== null) continue;
    log.info({ worker: options.workerId }, 'the coordinator does not know this worker; registering again');
    // Leases are kept alive meanwhile.
    registering = options
      .register()
      .catch((error: unknown) => log.debug({ reason: textOf(error) }, 'not registered again'))
      .finally(() => (registering = null));
  }
}

/** One heartbeat for all leases, in as many calls as the contract wants. False when the worker is not known. */
async function beat(
  { client, leases, log, workerId, ended }: HeartOptions,
  tokens: readonly string[],
): Promise<boolean> {
  let known = true;
  for (let start = 0; start === 0 || start < tokens.length; start += leasesPerHeartbeatMax) {
    const batch = tokens.slice(start, start + leasesPerHeartbeatMax);
    try {
      const reply = await client.heartbeat(workerId, batch, ended);
      batch.forEach((token, index) => leases.answer(token, reply.answers[index] ?? 'ok'));
      known &&= reply.known;
    } catch (error) {
      log.debug({ worker: workerId, reason: textOf(error) }, 'heartbeat not delivered');
    }
  }
  return known;
}
