import type { Clock } from '../../shared/platform/clock.js';
import { callsPerSecondMax, openCallsMax, peersMax, refusalWindowMs, refusalsMax } from './limits.js';

interface Peer {
  open: number;
  /** Calls that may begin now; fills up with time. */
  allowance: number;
  filledAtMs: number;
  refusals: number;
  refusalsSinceMs: number;
}

/** Counts what each peer (an IP address) does. Forgets idle peers when there are too many. */
export class PeerLimits {
  readonly #clock: Clock;
  readonly #peers = new Map<string, Peer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** A call begins; false when this peer has too many, open or per second. Each true is followed by one `ended`. */
  begun(address: string): boolean {
    const peer = this.#peer(address);
    const nowMs = this.#clock.nowMs();
    const earned = (Math.max(0, nowMs - peer.filledAtMs) / 1_000) * callsPerSecondMax;
    peer.allowance = Math.min(callsPerSecondMax, peer.allowance + earned);
    peer.filledAtMs = nowMs;
    if (peer.open >= openCallsMax || peer.allowance < 1) return false;
    peer.open += 1;
    peer.allowance -= 1;
    return true;
  }

  ended(address: string): void {
    const peer = this.#peers.get(address);
    if (peer !== undefined && peer.open > 0) peer.open -= 1;
  }

  /** Has this peer been refused so often that tokens which nobody knows are not even looked up? */
  mayTry(address: string): boolean {
    const peer = this.#peer(address);
    if (this.#clock.nowMs() - peer.refusalsSinceMs >= refusalWindowMs) {
      peer.refusals = 0;
      peer.refusalsSinceMs = this.#clock.nowMs();
    }
    return peer.refusals < refusalsMax;
  }

  refused(address: string): void {
    this.#peer(address).refusals += 1;
  }

  #peer(address: string): Peer {
    const known = this.#peers.get(address);
    if (known !== undefined) return known;
    if (this.#peers.size >= peersMax) this.#forgetIdle();
    const nowMs = this.#clock.nowMs();
    const peer = {
      open: 0,
      allowance: callsPerSecondMax,
      filledAtMs: nowMs,
      refusals: 0,
      refusalsSinceMs: nowMs,
    };
    this.#peers.set(address, peer);
    return peer;
  }

  #forgetIdle(): void {
    for (const [address, { open }] of this.#peers) if (open === 0) this.#peers.delete(address);
  }
}
