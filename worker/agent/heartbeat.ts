import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import type { CoordinatorClient } from './coordinator-client.js';
import type { Leases } from './leases.js';

export interface HeartOptions {
  readonly client: CoordinatorClient;
  readonly leases: Leases;
  readonly clock: Clock;
  readonly log: Log;
  readonly workerId: string;
  readonly intervalMs: number;
  readonly ended: AbortSignal;
}

/** Keeps the worker's leases alive until `ended` aborts, and passes on what the coordinator says of them. Never rejects. */
export async function keepBeating({
  client,
  leases,
  clock,
  log,
  workerId,
  intervalMs,
  ended,
}: HeartOptions): Promise<void> {
  while (!ended.aborted) {
    await clock.sleep(intervalMs, ended);
    const tokens = leases.tokens();
    try {
      const { answers } = await client.heartbeat(workerId, tokens);
      tokens.forEach((token, index) => leases.answer(token, answers[index] ?? 'ok'));
    } catch (error) {
      log.debug(
        { reason: error instanceof Error ? error.message : String(error) },
        'heartbeat not delivered',
      );
    }
  }
}
