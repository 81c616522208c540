/**
 * For every class of a table axis the first and the last of a mixture's kernels in kernel order, kept up to date: where
 * bandwidths follow the neighbours, only these two may differ from the smallest (see `odd-kernels.ts`).
 */

/** What the ends are found in: slots in kernel order, and which of them are kernels. */
export interface KernelOrder {
  readonly order: Uint32Array;
  readonly count: number;
  readonly isMember: Uint8Array;
}

/** No slot. */
const none = -1;

export class ClassEnds {
  readonly #classOf: (slot: number) => number;
  /** Slots by class; −1 for a class without kernels. */
  readonly #first: number[] = [];
  readonly #last: number[] = [];
  readonly #counts: number[] = [];
  /** Classes whose first or last kernel is gone and has to be looked for. */
  readonly #staleFirst = new Set<number>();
  readonly #staleLast = new Set<number>();

  constructor(classOf: (slot: number) => number) {
    this.#classOf = classOf;
  }

  first(index: number): number {
    return this.#first[index] ?? none;
  }

  last(index: number): number {
    return this.#last[index] ?? none;
  }

  /** Starts anew with the given slots, in kernel order. */
  reset(slots: Uint32Array): void {
    this.#first.length = 0;
    this.#last.length = 0;
    this.#counts.length = 0;
    this.#staleFirst.clear();
    this.#staleLast.clear();
    for (const slot of slots) {
      const index = this.#reach(slot);
      if (this.#counts[index] === 0) this.#first[index] = slot;
      this.#last[index] = slot;
      this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    }
  }

  /** The class of a slot, with room for it. */
  #reach(slot: number): number {
    const index = this.#classOf(slot);
    while (this.#counts.length <= index) {
      this.#counts.push(0);
      this.#first.push(none);
      this.#last.push(none);
    }
    return index;
  }

  /** Adds a kernel; `isEarlier` is the kernel order. */
  add(slot: number, isEarlier: (a: number, b: number) => boolean): void {
    const index = this.#reach(slot);
    const isOnly = this.#counts[index] === 0;
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    if (isOnly || isEarlier(slot, this.first(index))) this.#first[index] = slot;
    if (isOnly || isEarlier(this.last(index), slot)) this.#last[index] = slot;
  }

  /** Takes a kernel out; whether its class has another first or last is found out by `settle`. */
  remove(slot: number): void {
    const index = this.#reach(slot);
    this.#counts[index] = (this.#counts[index] ?? 0) - 1;
    if (this.first(index) === slot) this.#staleFirst.add(index);
    if (this.last(index) === slot) this.#staleLast.add(index);
  }

  /** Looks for what has gone; nothing is added or removed in between. */
  settle({ order, count, isMember }: KernelOrder): void {
    const find = (stale: Set<number>, ends: number[], at: (i: number) => number): void => {
      for (const index of stale) {
        if (this.#counts[index] !== 0) continue;
        ends[index] = none;
        stale.delete(index);
      }
      for (let i = 0; i < count && stale.size > 0; i++) {
        const slot = order[at(i)] ?? 0;
        if (isMember[slot] !== 1) continue;
        const index = this.#classOf(slot);
        if (stale.delete(index)) ends[index] = slot;
      }
      stale.clear();
    };
    find(this.#staleFirst, this.#first, (i) => i);
    find(this.#staleLast, this.#last, (i) => count - 1 - i);
  }
}
