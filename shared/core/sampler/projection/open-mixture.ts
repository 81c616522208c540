/** A mixture laid out for summation over ranges of its kernels, for all candidates or for a few of them. */
import { chunkLength, stageTables, type ProductSums } from './product-sums.js';

/** Where sums are made: for all candidates, and for a chosen few. */
export interface Sums {
  readonly wide: ProductSums;
  readonly narrow: ProductSums;
}

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
  readonly #sums: Sums;
  readonly #largest: readonly number[];
  readonly #replaced: readonly ReplacedRow[];

  /** `largest` is the largest entry of the rows of every table axis. */
  constructor(
    kernels: Kernels,
    rest: { sums: Sums; prior: Float64Array; largest: readonly number[]; replaced: readonly ReplacedRow[] },
  ) {
    this.count = kernels.count;
    this.prior = rest.prior;
    this.#kernels = kernels;
    this.#sums = rest.sums;
    this.#largest = rest.largest;
    this.#replaced = rest.replaced;
  }

  /** What kernels `from` to `to` add for every candidate; the prior is not among them. */
  sum(from: number, to: number): Float64Array {
    this.#setThresholds(this.#sums.wide, this.prior);
    return this.#run(this.#sums.wide, this.prior.length, from, to);
  }

  /** The same for some candidates, whose totals are known to be at least `least`. */
  sumFor(
    candidates: readonly number[],
    least: readonly number[],
    range: { from: number; to: number },
  ): Float64Array {
    const { wide, narrow } = this.#sums;
    const { tables, coordinates, rows } = wide.shape;
    narrow.begin({ candidates: candidates.length, rows, tables, coordinates });
    copyColumns(
      { from: wide.rows, stride: wide.stride },
      { to: narrow.rows, stride: narrow.stride },
      candidates,
    );
    copyColumns(
      { from: wide.points, stride: wide.stride },
      { to: narrow.points, stride: narrow.stride },
      candidates,
    );
    this.#setThresholds(narrow, least);
    return this.#run(narrow, candidates.length, range.from, range.to);
  }

  /** Puts back what the mixture borrowed. */
  close(): void {
    for (const { at, row } of this.#replaced) this.#kernels.rows[at] = row;
  }

  #run(sums: ProductSums, candidates: number, from: number, to: number): Float64Array {
    const { rows, centres, weights, scales } = this.#kernels;
    const { tables, coordinates } = sums.shape;
    const totals = new Float64Array(candidates);
    for (let start = from; start < to; start += chunkLength) {
      const end = Math.min(start + chunkLength, to);
      sums.weights.set(weights.subarray(start, end));
      sums.ids.set(rows.subarray(start * tables, end * tables));
      sums.centres.set(centres.subarray(start * coordinates, end * coordinates));
      sums.scales.set(scales.subarray(start * coordinates, end * coordinates));
      sums.addChunk(end - start, totals);
    }
    return totals;
  }

  /**
   * After each stage a kernel may be dropped when even the largest factors still to come could not make all dropped
   * kernels together matter beside what every total is known to reach.
   */
  #setThresholds(sums: ProductSums, least: ArrayLike<number>): void {
    const { thresholds } = sums;
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

/** Copies some columns of rows that are `stride` entries apart. */
function copyColumns(
  { from, stride: wide }: { from: Float32Array; stride: number },
  { to, stride: narrow }: { to: Float32Array; stride: number },
  columns: readonly number[],
): void {
  const rows = from.length / wide;
  for (let r = 0; r < rows; r++) {
    for (let j = 0; j < columns.length; j++) to[r * narrow + j] = from[r * wide + (columns[j] ?? 0)] ?? 0;
  }
}
