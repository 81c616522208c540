import type { NothingReason } from './ask.js';

/** An ask that is held. */
export interface HeldAsk {
  /** Memory of its worker's GPU, bytes; null when unknown. */
  readonly memoryBytes: number | null;
  /** Gives it the turn to look at the gate's study; it ends the turn with `Gate.end`. */
  readonly wake: (gate: StudyGate) => void;
}

/** How a look at a study ended: with a lease, with nothing and why, without an answer, or handed on to the next. */
export type LookEnd = 'assigned' | 'failed' | 'passed' | NothingReason;

export interface LookAtGate {
  /** What `begin` answered. */
  readonly changes: number;
  readonly memoryBytes: number | null;
  /** The ask had been woken for it. */
  readonly turn: boolean;
  readonly nowMs: number;
}

interface Closed {
  readonly reason: NothingReason;
  readonly memoryBytes: number;
  readonly atMs: number;
}

/** Held asks that may look at the same time when the looks before them found work. */
const burstMax = 64;

/**
 * What a coordinator knows of the work in one study: while it is closed there is nothing to do there as far as this
 * process knows, and asks are held without looking. When something may have changed one of them looks for all; where it
 * finds work the next two look, then four, and so on; where it finds none the others sleep on.
 */
export class StudyGate {
  readonly #held = new Set<HeldAsk>();
  readonly #closedMs: number;
  #closed: Closed | null = null;
  /** Counts what may have brought work. */
  #changes = 0;
  #turns = 0;
  #burst = 1;

  /** `closedMs`: how long a gate stays closed when nothing is heard. */
  constructor(closedMs: number) {
    this.#closedMs = closedMs;
  }

  get isUsed(): boolean {
    return this.#held.size > 0 || this.#turns > 0;
  }

  /** Why there is nothing to do here for a worker of this memory; null when it has to look. */
  reasonFor(memoryBytes: number | null, nowMs?: number): NothingReason | null {
    if (this.#closed === null) return null;
    const { reason, memoryBytes: tooSmall, atMs } = this.#closed;
    if (nowMs !== undefined && Math.abs(nowMs - atMs) >= this.#closedMs) return null;
    return reason !== 'needs-more-memory' || (memoryBytes ?? 0) <= tooSmall ? reason : null;
  }

  /** Holds an ask until it is woken or leaves; it may be woken at once. */
  join(ask: HeldAsk): void {
    this.#held.add(ask);
    if (this.#turns === 0) this.#wake(1);
  }

  leave(ask: HeldAsk): void {
    this.#held.delete(ask);
  }

  /** Something may have changed. */
  open(): void {
    this.#changes += 1;
    this.#closed = null;
    this.#burst = 1;
    if (this.#turns === 0) this.#wake(1);
  }

  /** Something has changed that brings no work, but the reason why there is none may be another now. */
  forget(): void {
    this.#closed = null;
  }

  /** Before a look: what `end` is to be told. */
  begin(): number {
    return this.#changes;
  }

  /** After a look. */
  end(end: LookEnd, look: LookAtGate): void {
    if (look.turn) this.#turns -= 1;
    if (end === 'failed') return;
    if (end === 'assigned') {
      if (!look.turn) return;
      this.#burst = Math.min(2 * this.#burst, burstMax);
      this.#wake(this.#burst - this.#turns);
      return;
    }
    if (end !== 'passed' && look.changes === this.#changes)
      this.#closed = { reason: end, memoryBytes: look.memoryBytes ?? 0, atMs: look.nowMs };
    if (this.#turns === 0) this.#wake(1);
  }

  /** Wakes asks that have reason to look. */
  #wake(count: number): void {
    let left = count;
    for (const ask of this.#held) {
      if (left <= 0) return;
      if (this.reasonFor(ask.memoryBytes) !== null) continue;
      this.#held.delete(ask);
      this.#turns += 1;
      left -= 1;
      ask.wake(this);
    }
  }
}
