/**
 * Bandwidths that follow the neighbours on one coordinate axis (tpe.md §7.3), kept up to date: a kernel that comes or goes
 * changes the bandwidths of its neighbours and of no others.
 */
import { clip } from '../rounding.js';
import type { CoordinateAxis } from './coordinate-axis.js';
import { firstWhere, grown, inserted } from './growable.js';

export class NeighbourBandwidths {
  readonly #axis: CoordinateAxis;
  /** Ascending by share, `#count` of them; in which order equal ones stand decides which has the outer gap. */
  #sorted = new Uint32Array(0);
  #count = 0;
  #smallest = 1;
  /** σ by slot in shares of the range. */
  sigmas = new Float64Array(0);
  readonly #isBefore: (a: number, b: number) => boolean;

  /** `isEarlier` is the kernel order, which decides between equal shares. */
  constructor(axis: CoordinateAxis, isEarlier: (a: number, b: number) => boolean) {
    this.#axis = axis;
    this.#isBefore = (a, b) => {
      const x = axis.shares[a] ?? 0;
      const y = axis.shares[b] ?? 0;
      return x < y || (x === y && isEarlier(a, b));
    };
  }

  /** Starts anew with the given slots, in kernel order. */
  reset(slots: Uint32Array, smallest: number): void {
    const { shares } = this.#axis;
    this.#smallest = smallest;
    // Sorting is stable: equal ones stay in kernel order.
    this.#sorted = new Uint32Array(slots).sort((a, b) => (shares[a] ?? 0) - (shares[b] ?? 0));
    this.#count = slots.length;
    for (let i = 0; i < this.#count; i++) this.#measure(i);
  }

  /** Adds a slot; calls back with every slot whose bandwidth is new. */
  add(slot: number, changed: (slot: number) => void): void {
    const place = firstWhere(this.#count, (i) => this.#isBefore(slot, this.#sorted[i] ?? 0));
    this.#sorted = inserted(this.#sorted, this.#count, place, slot);
    this.#count += 1;
    this.#measureAround(place - 1, place + 1, changed);
  }

  /** Takes a slot out; calls back with every slot whose bandwidth is new. */
  remove(slot: number, changed: (slot: number) => void): void {
    let place = firstWhere(this.#count, (i) => !this.#isBefore(this.#sorted[i] ?? 0, slot));
    while (place < this.#count && this.#sorted[place] !== slot) place += 1;
    this.#sorted.copyWithin(place, place + 1, this.#count);
    this.#count -= 1;
    this.#measureAround(place - 1, place, changed);
  }

  #measureAround(from: number, to: number, changed: (slot: number) => void): void {
    for (let i = Math.max(from, 0); i <= Math.min(to, this.#count - 1); i++) {
      this.#measure(i);
      changed(this.#sorted[i] ?? 0);
    }
  }

  /** The larger of the gaps to both neighbours; a bound of the range counts as one only for a kernel alone. */
  #measure(i: number): void {
    const { shares } = this.#axis;
    const n = this.#count;
    const slot = this.#sorted[i] ?? 0;
    const at = shares[slot] ?? 0;
    const below = i > 0 ? at - (shares[this.#sorted[i - 1] ?? 0] ?? 0) : n === 1 ? at : 0;
    const above = i < n - 1 ? (shares[this.#sorted[i + 1] ?? 0] ?? 0) - at : n === 1 ? 1 - at : 0;
    this.sigmas = grown(this.sigmas, slot + 1);
    this.sigmas[slot] = clip(Math.max(below, above), this.#smallest, 1);
  }
}
