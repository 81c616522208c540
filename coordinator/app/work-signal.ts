import type { Clock } from '../../shared/platform/clock.js';

/**
 * Wakes those who wait for a change of any study in this process: held asks, watchers. Only a hint: whoever is woken
 * looks at stored state, and polls now and then for what other replicas did.
 */
export class WorkSignal {
  readonly #waiting = new Set<AbortController>();

  /** Something changed: a trial was told, released or enqueued, or a study was steered. */
  notify(): void {
    const woken = [...this.#waiting];
    this.#waiting.clear();
    for (const controller of woken) controller.abort();
  }

  /** Resolves at the next `notify`, after `ms`, or when `signal` aborts; never rejects. */
  async wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    const controller = new AbortController();
    this.#waiting.add(controller);
    await clock.sleep(ms, AbortSignal.any([controller.signal, signal]));
    this.#waiting.delete(controller);
  }
}
