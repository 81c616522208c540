/**
 * What the slots of a worker spend their time on. A slot that does not train is idle for a reason that is often known only
 * afterwards (an ask is held until there is something to say), so idle time is kept back until the reason is known.
 */

/** Why a slot is idle, besides what a coordinator answers. */
export const idleReasons = [
  ...['handover', 'all_running', 'needs_more_memory', 'paused', 'over', 'no_study', 'unregistered'],
  ...['unreachable', 'draining'],
] as const;
export type IdleReason = (typeof idleReasons)[number];
export type Doing = 'training' | IdleReason;

interface Slot {
  training: boolean;
  /** Everything before is accounted for, ms. */
  sinceMs: number;
  /** End of the last trial; null before the first one. */
  endedAtMs: number | null;
}

export class SlotTimes {
  readonly #slots: readonly Slot[];
  readonly #nowMs: () => number;
  readonly #spend: (doing: Doing, seconds: number) => void;
  #reason: IdleReason | null = null;

  constructor(
    count: number,
    nowMs: () => number,
    /** Told of time spent, any number of times. */
    spend: (doing: Doing, seconds: number) => void,
  ) {
    this.#slots = Array.from({ length: count }, () => ({
      training: false,
      sinceMs: nowMs(),
      endedAtMs: null,
    }));
    this.#nowMs = nowMs;
    this.#spend = spend;
  }

  get training(): number {
    return this.#slots.filter(({ training }) => training).length;
  }

  /** A trial begins; answers the gap since the last one on this slot, seconds, null for the first. */
  begin(index: number): number | null {
    const slot = this.#slots[index];
    if (slot === undefined) return null;
    const nowMs = this.#nowMs();
    this.#account(slot, this.#reason ?? 'handover');
    slot.training = true;
    return slot.endedAtMs === null ? null : (nowMs - slot.endedAtMs) / 1_000;
  }

  end(index: number): void {
    const slot = this.#slots[index];
    if (slot === undefined) return;
    this.#account(slot, 'training');
    slot.training = false;
    slot.endedAtMs = this.#nowMs();
  }

  /** Idle slots are idle for this reason: those that were idle so far without a known one, too. Null: not known from here on. */
  idleFor(reason: IdleReason | null): void {
    const until = this.#reason ?? reason;
    if (until !== null) for (const slot of this.#slots) if (!slot.training) this.#account(slot, until);
    this.#reason = reason;
  }

  /** Accounts for all time up to now whose use is known. */
  collect(): void {
    for (const slot of this.#slots)
      if (slot.training) this.#account(slot, 'training');
      else if (this.#reason !== null) this.#account(slot, this.#reason);
  }

  #account(slot: Slot, doing: Doing): void {
    const nowMs = this.#nowMs();
    if (nowMs > slot.sinceMs) this.#spend(doing, (nowMs - slot.sinceMs) / 1_000);
    slot.sinceMs = nowMs;
  }
}
