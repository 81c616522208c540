import { setTimeout as sleep } from 'node:timers/promises';

/** Longest wait before each further try, ms; the real one is between half of it and all of it. */
const waitsMs = [25, 50, 100, 200, 400, 800, 1_000, 1_000];

/** No further try after this long; slow failures (a black hole that costs a time-out each) use it up first. */
const patienceMs = 10_000;

/**
 * Runs `operation` again while it fails with an error that `again` accepts, some seconds at most. Long enough for a
 * server that restarts (0.2 to 0.9 s measured); longer outages are the callers' to bridge.
 */
export async function retrying<T>(
  operation: () => Promise<T>,
  again: (error: unknown) => boolean,
): Promise<T> {
  const startMs = performance.now();
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await operation();
    } catch (error) {
      const waitMs = waitsMs[attempt];
      const patient = performance.now() - startMs < patienceMs;
      if (waitMs === undefined || !patient || !again(error)) throw error;
      await sleep(waitMs * (0.5 + 0.5 * Math.random()));
    }
  }
}
