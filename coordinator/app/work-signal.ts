import type { StudyId } from '../../shared/core/ids.js';
import type { Clock } from '../../shared/platform/clock.js';

export interface WorkChange {
  /** The study whose trials changed; null when studies were made, steered or removed. */
  readonly study: StudyId | null;
  /** `work`: there may be something to hand out. `progress`: there is no more of it than before. */
  readonly what: 'work' | 'progress';
}

/**
 * Tells those who wait for a change of any study in this process: held asks, watchers. Only a hint: whoever is told
 * looks at stored state, and polls now and then for what other replicas did.
 */
export class WorkSignal {
  readonly #waiting = new Set<AbortController>();
  readonly #listeners: ((change: WorkChange) => void)[] = [];

  /** Something changed: a trial was told, released or enqueued, or a study was steered. */
  notify(study: StudyId | null = null, what: WorkChange['what'] = 'work'): void {
    for (const listener of this.#listeners) listener({ study, what });
    const woken = [...this.#waiting];
    this.#waiting.clear();
    for (const controller of woken) controller.abort();
  }

  /** Calls `listener` at every change. */
  listen(listener: (change: WorkChange) => void): void {
    this.#listeners.push(listener);
  }

  /** Resolves at the next `notify`, after `ms`, or when `signal` aborts; never rejects. */
  async wait(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
    const controller = new AbortController();
    this.#waiting.add(controller);
    await clock.sleep(ms, AbortSignal.any([controller.signal, signal]));
    this.#waiting.delete(controller);
  }
}
