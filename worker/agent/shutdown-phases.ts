/**
 * The end of a worker in three steps (operations: graceful shutdown): no new trials; then running trials are given back;
 * then what could not be told or given back is left to its leases.
 */
import type { Clock } from '../../shared/platform/clock.js';
import { releaseTimeoutMs, trainerStopGraceMs } from '../limits.js';

export interface ShutdownPhases {
  readonly stopping: AbortSignal;
  readonly ending: AbortSignal;
  readonly over: AbortSignal;
}

export interface ShutdownOptions {
  readonly clock: Clock;
  /** Begins the end. */
  readonly stopping: AbortSignal;
  /** Begins it, and goes to the second step at once. */
  readonly hurry: AbortSignal;
  /** Between the first step and the second, ms. */
  readonly drainMs: number;
  /** Everything has ended: the clock is not needed any more. */
  readonly settled: AbortSignal;
}

/** The signals of the three steps. */
export function shutdownPhases(options: ShutdownOptions): ShutdownPhases {
  const { clock, hurry, drainMs, settled } = options;
  const stopping = AbortSignal.any([options.stopping, hurry]);
  const ending = new AbortController();
  const over = new AbortController();
  const run = async (): Promise<void> => {
    if (drainMs > 0) await clock.sleep(drainMs, AbortSignal.any([hurry, settled]));
    ending.abort();
    await clock.sleep(trainerStopGraceMs + releaseTimeoutMs, settled);
    over.abort();
  };
  if (stopping.aborted) void run();
  else stopping.addEventListener('abort', () => void run(), { once: true });
  return { stopping, ending: ending.signal, over: over.signal };
}
