import type { LeaseAnswer } from '../../shared/core/study/study.js';

/** The leases that this worker holds, and the means to end their trials when the coordinator says so. */
export class Leases {
  readonly #held = new Map<string, AbortController>();

  /** Takes up a lease; the signal aborts when it is lost or cancelled. */
  hold(token: string): AbortSignal {
    const controller = new AbortController();
    this.#held.set(token, controller);
    return controller.signal;
  }

  drop(token: string): void {
    this.#held.delete(token);
  }

  tokens(): readonly string[] {
    return [...this.#held.keys()];
  }

  /** What the coordinator said of a lease. */
  answer(token: string, answer: LeaseAnswer): void {
    if (answer === 'ok') return;
    this.#held.get(token)?.abort(answer);
  }
}
