/** Time and waiting. The system clock in production, a virtual one in simulation. */
export interface Clock {
  /** UTC milliseconds, a whole number. */
  nowMs(): number;
  /** Resolves after `ms`, or at once when `signal` aborts; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** A clock that knows, too, how much time has passed. */
export interface MonotonicClock extends Clock {
  /** Milliseconds since any moment; setting the machine's clock does not move it, and it never goes back. */
  monotonicMs(): number;
}

export const systemClock: MonotonicClock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const end = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', end);
        resolve();
      };
      const timer = setTimeout(end, ms);
      signal?.addEventListener('abort', end, { once: true });
    }),
};
