import type { MonotonicClock } from '../../shared/platform/clock.js';
import type { Scheduler } from './scheduler.js';

/** Where virtual time starts, UTC. */
export const epochMs = Date.UTC(2030, 0, 1);

/**
 * One operating system process. Whatever reaches its code from outside (timers, messages, answers of the database)
 * passes `deliver`: a frozen process gets it when it is thawed, a dead one never. So a crash leaves the promises of
 * the process open for ever, as a crash does.
 */
export class SimProcess {
  readonly name: string;
  readonly #scheduler: Scheduler;
  readonly #crashListeners = new Set<() => void>();
  #alive = true;
  #frozen = false;
  #held: (() => void)[] = [];
  /** How far this machine's clock is ahead of the others', ms. */
  skewMs: number;

  constructor(scheduler: Scheduler, name: string, skewMs = 0) {
    this.#scheduler = scheduler;
    this.name = name;
    this.skewMs = skewMs;
  }

  get alive(): boolean {
    return this.#alive;
  }

  get frozen(): boolean {
    return this.#frozen;
  }

  readonly clock: MonotonicClock = {
    nowMs: () => epochMs + this.#scheduler.nowMs + this.skewMs,
    monotonicMs: () => this.#scheduler.nowMs,
    sleep: (ms, signal) =>
      new Promise((resolve) => {
        if (signal?.aborted === true) {
          resolve();
          return;
        }
        const end = (): void => {
          cancel();
          signal?.removeEventListener('abort', end);
          resolve();
        };
        const cancel = this.after(ms, end);
        signal?.addEventListener('abort', end, { once: true });
      }),
  };

  /** Runs `run` in this process: now, after its pause, or never. */
  deliver(run: () => void): void {
    if (!this.#alive) return;
    if (this.#frozen) this.#held.push(run);
    else run();
  }

  /** A timer of this process. Returns what cancels it. */
  after(ms: number, run: () => void): () => void {
    let cancelled = false;
    const cancel = this.#scheduler.after(ms, () => {
      this.deliver(() => {
        if (!cancelled) run();
      });
    });
    return () => {
      cancelled = true;
      cancel();
    };
  }

  /** Calls `listener`, outside of this process, when it dies. Returns what takes the listener off. */
  onCrash(listener: () => void): () => void {
    this.#crashListeners.add(listener);
    return () => this.#crashListeners.delete(listener);
  }

  /** Ends the process at once, wherever it is. */
  crash(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#held = [];
    const listeners = [...this.#crashListeners];
    this.#crashListeners.clear();
    for (const listener of listeners) listener();
  }

  freeze(): void {
    this.#frozen = true;
  }

  /** Goes on, with everything that arrived meanwhile, one step each. */
  thaw(): void {
    this.#frozen = false;
    const held = this.#held;
    this.#held = [];
    for (const run of held) this.#scheduler.after(0, () => this.deliver(run));
  }
}
