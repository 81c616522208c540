/** A mixture laid out for summation over ranges of its kernels, for all candidates or for a few of them. */
import type { RowPlan } from './row-plan.js';
import { chunkLength, type Region, type ScreenMemory } from './screen-memory.js';
import { stageTables } from './screen-program.js';

/** The kernels as the inner loop takes them: bad ones stand where their slots are, good ones one after the other. */
export interface Kernels {
  readonly count: number;
  readonly rows: Uint32Array;
  readonly centres: Float32Array;
  readonly weights: Float32Array;
  readonly scales: Float32Array;
}

/** A row number to be put back when the mixture is closed. */
export interface ReplacedRow {
  readonly at: number;
  readonly row: number;
}

/** Share of a total that may be lost by dropping kernels that hardly matter. */
const droppedShare = 2e-5;

export class OpenMixture {
  /** Positions of kernels run from 0 to here; the newest come last. */
  readonly count: number;
  /** The prior's part of every candidate's total. */
  readonly prior: Float64Array;
  readonly #kernels: Kernels;
  readonly #memory: ScreenMemory;
  readonly #plan: RowPlan;
  readonly #largest: readonly number[];
  readonly #replaced: readonly ReplacedRow[];

  /** `largest` is the largest entry of the rows of every table axis. */
  constructor(
    kernels: Kernels,
    rest: {
      memory: ScreenMemory;
      plan: RowPlan;
      prior: Float64Array;
      largest: readonly number[];
      replaced: readonly ReplacedRow[];
    },
  ) {
    this.count = kernels.count;
    this.prior = rest.prior;
    this.#kernels = kernels;
    this.#memory = rest.memory;
    this.#plan = rest.plan;
    this.#largest = rest.largest;
    this.#replaced = rest.replaced;
  }

  /** What kernels `from` to `to` add for every candidate; the prior is not among them. */
  sum(from: number, to: number): Float64Array {
    const { wide } = this.#memory;
    this.#setThresholds(wide, this.prior);
    return this.#run(wide, this.prior.length, from, to);
  }

  /** The same for at most sixteen candidates, whose totals are known to be at least `least`. */
  sumFor(
    candidates: readonly number[],
    least: readonly number[],
    range: { from: number; to: number },
  ): Float64Array {
    const { wide, narrow, shape } = this.#memory;
    const all = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
    const copy = (from: Column, to: Column, rows: readonly number[]): void => {
      copyColumns(
        { array: from, stride: wide.stride },
        { array: to, stride: narrow.stride },
        { rows, columns: candidates },
      );
    };
    copy(wide.rows, narrow.rows, this.#plan.writtenRows);
    copy(wide.points, narrow.points, all(shape.coordinates));
    copy(wide.grids, narrow.grids, all(shape.grids));
    copy(wide.factors, narrow.factors, all(shape.grids));
    this.#plan.carryOut(narrow);
    this.#setThresholds(narrow, least);
    return this.#run(narrow, candidates.length, range.from, range.to);
  }

  /** Puts back what the mixture borrowed. */
  close(): void {
    for (const { at, row } of this.#replaced) this.#kernels.rows[at] = row;
  }

  #run(region: Region, candidates: number, from: number, to: number): Float64Array {
    const memory = this.#memory;
    const { rows, centres, weights, scales } = this.#kernels;
    const { tables, coordinates } = memory.shape;
    const totals = new Float64Array(candidates);
    for (let start = from; start < to; start += chunkLength) {
      const end = Math.min(start + chunkLength, to);
      memory.weights.set(weights.subarray(start, end));
      memory.ids.set(rows.subarray(start * tables, end * tables));
      memory.centres.set(centres.subarray(start * coordinates, end * coordinates));
      memory.scales.set(scales.subarray(start * coordinates, end * coordinates));
      memory.addChunk(region, end - start, totals);
    }
    return totals;
  }

  /**
   * After each stage a kernel may be dropped when even the largest factors still to come could not make all dropped
   * kernels together matter beside what every total is known to reach.
   */
  #setThresholds({ thresholds }: Region, least: ArrayLike<number>): void {
    let known = Infinity;
    for (let j = 0; j < least.length; j++) known = Math.min(known, least[j] ?? 0);
    let bound = 1;
    for (let stage = thresholds.length - 1; stage >= 0; stage--) {
      thresholds[stage] = (droppedShare * known) / (this.count + 1) / bound;
      for (let t = stage * stageTables; t < Math.min((stage + 1) * stageTables, this.#largest.length); t++) {
        bound *= this.#largest[t] ?? 1;
      }
    }
  }
}

type Column = Float32Array | Int32Array;

/** Copies some columns of some rows into arrays of another width. */
function copyColumns(
  { array: from, stride: wide }: { array: Column; stride: number },
  { array: to, stride: narrow }: { array: Column; stride: number },
  { rows, columns }: { rows: readonly number[]; columns: readonly number[] },
): void {
  for (const row of rows) {
    for (let j = 0; j < columns.length; j++) to[row * narrow + j] = from[row * wide + (columns[j] ?? 0)] ?? 0;
  }
}
