import type { Clock, MonotonicClock } from '../../shared/platform/clock.js';
import type { Storage } from '../storage/port.js';

/**
 * The time that all replicas go by: that of the store's clock. Leases, signs of life and what else is compared across
 * processes are stored in it, so that a machine whose own clock is minutes off neither takes healthy leases nor gives
 * leases that others take.
 *
 * Between two measurements it follows the machine's monotonic clock, so setting the machine's clock changes nothing. A
 * measurement bounds the difference from both sides (the store answered after the question was sent, before the answer
 * arrived), and the difference in force is moved only as far as these bounds demand: a slow answer says little and spoils
 * nothing, and a store's clock that is set anew is followed at once.
 */
export class AgreedClock implements Clock {
  readonly #storage: Pick<Storage, 'nowMs'>;
  readonly #local: MonotonicClock;
  /** The store's clock minus the monotonic one, ms; null before the first measurement. */
  #aheadMs: number | null = null;

  constructor(storage: Pick<Storage, 'nowMs'>, local: MonotonicClock) {
    this.#storage = storage;
    this.#local = local;
  }

  /** The machine's own time until it was measured once. Whole, as messages and columns want it. */
  nowMs(): number {
    return Math.round(
      this.#aheadMs === null ? this.#local.nowMs() : this.#local.monotonicMs() + this.#aheadMs,
    );
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#local.sleep(ms, signal);
  }

  /** Measures against the store's clock. Rejects with `StorageUnavailable`; then nothing changes. */
  async agree(): Promise<void> {
    const sentMs = this.#local.monotonicMs();
    const storeMs = await this.#storage.nowMs();
    const atLeastMs = storeMs - this.#local.monotonicMs();
    const atMostMs = storeMs - sentMs;
    const guessMs = this.#aheadMs ?? (atLeastMs + atMostMs) / 2;
    this.#aheadMs = Math.min(Math.max(guessMs, atLeastMs), atMostMs);
  }
}
