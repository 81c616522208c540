/**
 * Kernels whose bandwidth is not the smallest, where bandwidths follow the neighbours and many observations are equal
 * (tpe.md §7.3): of a run of equal ones only the first in kernel order has the gap below it, only the last the gap above.
 * Each needs a row of its own.
 */
import type { CellsAxis } from './cells-axis.js';
import type { ClassEnds } from './class-ends.js';

/** One odd kernel: its position among the mixture's kernels, the number of its axis, and its class there. */
export interface OddKernel {
  readonly position: number;
  readonly axis: number;
  readonly index: number;
  readonly sigma: number;
}

export class OddKernels {
  /** Entries that tables of masses for their bandwidths may need. */
  masses = 0;
  readonly #positions: number[] = [];
  readonly #axes: number[] = [];
  readonly #indices: number[] = [];
  readonly #sigmas: number[] = [];

  get count(): number {
    return this.#positions.length;
  }

  at(i: number): OddKernel {
    return {
      position: this.#positions[i] ?? 0,
      axis: this.#axes[i] ?? 0,
      index: this.#indices[i] ?? 0,
      sigma: this.#sigmas[i] ?? 1,
    };
  }

  /** Adds those of one axis in a mixture of `n` kernels; `smallest` is in shares of the range, `at` gives positions. */
  find(
    axis: CellsAxis,
    t: number,
    kernels: { ends: ClassEnds; n: number; smallest: number; at: (slot: number) => number },
  ): void {
    const { ends, n, smallest, at } = kernels;
    const { lo, hi } = axis.scale;
    const W = hi - lo;
    const sigmas = new Set<number>();
    const push = (slot: number, index: number, gap: number): void => {
      const sigma = Math.min(gap, W);
      if (sigma <= smallest * W) return;
      this.#positions.push(at(slot));
      this.#axes.push(t);
      this.#indices.push(index);
      this.#sigmas.push(sigma);
      sigmas.add(sigma);
    };
    const present = axis.classesByMean.filter((index) => ends.first(index) >= 0);
    for (let i = 0; i < present.length; i++) {
      const index = present[i] ?? 0;
      const first = ends.first(index);
      const last = ends.last(index);
      const below = i > 0 ? axis.distance(present[i - 1] ?? 0, index) : 0;
      const above = i < present.length - 1 ? axis.distance(index, present[i + 1] ?? 0) : 0;
      if (n === 1) push(first, index, Math.max((axis.means[index] ?? 0) - lo, hi - (axis.means[index] ?? 0)));
      else if (first === last) push(first, index, Math.max(below, above));
      else {
        push(first, index, below);
        push(last, index, above);
      }
    }
    this.masses += sigmas.size * axis.tableLength;
  }
}
