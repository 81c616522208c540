/**
 * What a mixture says about every candidate at once, relative to the prior, in single precision: l(x) or g(x) divided by
 * the prior's density at x, but for a factor per candidate that is the same for both mixtures and cancels in the score.
 */
import { smallestBandwidth, scottBandwidth } from '../tpe/bandwidth.js';
import type { EstimatorRules } from '../tpe/estimator-rules.js';
import { clip } from '../rounding.js';
import { CellsAxis } from './cells-axis.js';
import { massInRange, type CoordinateAxis } from './coordinate-axis.js';
import type { Observations } from './observations.js';
import { chunkLength, stageTables, type ProductSums } from './product-sums.js';

/** One mixture: its kernels by slot in number order, and their weights with the prior's last. */
export interface ScreenedMixture {
  readonly slots: Uint32Array;
  readonly weights: Float64Array;
  readonly isGood: Uint8Array;
  readonly good: boolean;
}

/** Share of the prior's part of a mixture that may be lost by dropping kernels. */
const droppedShare = 2e-5;
/** Products beyond this bound might overflow single precision. */
const productMax = 1e36;
/** The row of ones, for the prior. */
const priorRow = 0;

/** A kernel whose bandwidth is not its axis's common one: it needs a row of its own. */
interface OddKernel {
  readonly position: number;
  readonly axis: number;
  readonly class: number;
  readonly sigma: number;
}

export class MixtureScreen {
  readonly #observations: Observations;
  readonly #rules: EstimatorRules;
  readonly #sums: ProductSums;
  /** Parameters in the space. */
  readonly #d: number;

  constructor(observations: Observations, rules: EstimatorRules, d: number, sums: ProductSums) {
    this.#observations = observations;
    this.#rules = rules;
    this.#d = d;
    this.#sums = sums;
  }

  /**
   * One total per candidate, given as internal values by parameter of the space; null when single precision cannot hold
   * them. The axes must have been told the candidates.
   */
  totals(mixture: ScreenedMixture, candidates: readonly Float64Array[]): Float64Array | null {
    const { tables, coordinates } = this.#observations;
    const n = mixture.slots.length;
    const count = candidates[0]?.length ?? 0;
    const odd = this.#rules.bandwidth === 'neighbour' ? this.#oddKernels(mixture) : [];
    const { ids, used, firstRow } = this.#rowNumbers(mixture.slots);
    const rowCount = used.length;
    const sums = this.#sums;
    sums.begin({
      candidates: count,
      rows: rowCount + odd.length,
      tables: tables.length,
      coordinates: coordinates.length,
    });
    sums.rows.fill(0);
    sums.rows.fill(1, priorRow * sums.stride, (priorRow + 1) * sums.stride);
    odd.forEach(({ position, axis }, i) => {
      ids[position * tables.length + axis] = rowCount + i;
    });
    const largest = this.#fillRows({ used, firstRow, kernels: n + 1 });
    odd.forEach(({ axis, class: index, sigma }, i) => {
      const target = { rows: sums.rows, offset: (rowCount + i) * sums.stride };
      const top = tables[axis]?.fillRow(index, { kernels: n + 1, sigma }, target) ?? 1;
      largest[axis] = Math.max(largest[axis] ?? 1, top);
    });
    const kernels = this.#coordinateKernels(mixture);
    if (!this.#setThresholds(largest, kernels.weights)) return null;
    coordinates.forEach((axis, c) => {
      const column = candidates[axis.dimension];
      for (let j = 0; j < count; j++) sums.points[c * sums.stride + j] = axis.share(column?.[j] ?? 0);
    });
    return this.#run(n + 1, count, { ids, ...kernels });
  }

  /** Adds all kernels up, chunk by chunk. */
  #run(
    kernels: number,
    count: number,
    all: { ids: Uint32Array; weights: Float32Array; centres: Float32Array; scales: Float32Array },
  ): Float64Array {
    const sums = this.#sums;
    const { tables, coordinates } = this.#observations;
    const totals = new Float64Array(count);
    for (let start = 0; start < kernels; start += chunkLength) {
      const end = Math.min(start + chunkLength, kernels);
      sums.weights.set(all.weights.subarray(start, end));
      sums.ids.set(all.ids.subarray(start * tables.length, end * tables.length));
      sums.centres.set(all.centres.subarray(start * coordinates.length, end * coordinates.length));
      sums.scales.set(all.scales.subarray(start * coordinates.length, end * coordinates.length));
      sums.addChunk(end - start, totals);
    }
    return totals;
  }

  /** Bandwidth that kernels of a numeric parameter share, in units of the range. */
  #commonSigma(n: number): number {
    const smallest = smallestBandwidth(n, 1, this.#rules.magicClip);
    if (this.#rules.bandwidth === 'neighbour') return smallest;
    return clip(scottBandwidth(n, this.#d, 1), smallest, 1);
  }

  /** Row numbers of all kernels, the prior last, and which rows are used; row 0 is the prior's. */
  #rowNumbers(slots: Uint32Array): { ids: Uint32Array; used: Uint8Array; firstRow: number[] } {
    const { tables, classes } = this.#observations;
    const width = tables.length;
    const ids = new Uint32Array((slots.length + 1) * width);
    const firstRow: number[] = [];
    let rows = priorRow + 1;
    for (const axis of tables) {
      firstRow.push(rows);
      rows += axis.classes;
    }
    const used = new Uint8Array(rows);
    for (let t = 0; t < width; t++) {
      const first = firstRow[t] ?? 0;
      const classOfSlot = classes[t] ?? new Uint32Array(0);
      for (let k = 0; k < slots.length; k++) {
        const row = first + (classOfSlot[slots[k] ?? 0] ?? 0);
        ids[k * width + t] = row;
        used[row] = 1;
      }
    }
    return { ids, used, firstRow };
  }

  /** Fills the rows that are used; returns the largest entry per axis, at least the prior's 1. */
  #fillRows(rows: { used: Uint8Array; firstRow: readonly number[]; kernels: number }): number[] {
    const sums = this.#sums;
    const common = this.#commonSigma(rows.kernels - 1);
    return this.#observations.tables.map((axis, t) => {
      const W = axis instanceof CellsAxis ? axis.scale.hi - axis.scale.lo : 1;
      const mixture = { kernels: rows.kernels, sigma: common * W };
      const first = rows.firstRow[t] ?? 0;
      let largest = 1;
      for (let index = 0; index < axis.classes; index++) {
        if (rows.used[first + index] === 0) continue;
        const target = { rows: sums.rows, offset: (first + index) * sums.stride };
        largest = Math.max(largest, axis.fillRow(index, mixture, target));
      }
      return largest;
    });
  }

  /**
   * After each stage a kernel may be dropped when even the largest factors still to come could not make all dropped
   * kernels together matter. False when a product might overflow.
   */
  #setThresholds(largest: readonly number[], weights: Float32Array): boolean {
    const { thresholds } = this.#sums;
    const prior = weights[weights.length - 1] ?? 0;
    let heaviest = 0;
    for (const weight of weights) if (weight > heaviest) heaviest = weight;
    let bound = 1;
    for (let stage = thresholds.length - 1; stage >= 0; stage--) {
      thresholds[stage] = (droppedShare * prior) / weights.length / bound;
      for (let t = stage * stageTables; t < Math.min((stage + 1) * stageTables, largest.length); t++) {
        bound *= largest[t] ?? 1;
      }
    }
    return bound * heaviest * weights.length < productMax;
  }

  /** Weight, centres and scale factors of every kernel, the prior last (§9, the x-independent parts in the weight). */
  #coordinateKernels(mixture: ScreenedMixture): {
    weights: Float32Array;
    centres: Float32Array;
    scales: Float32Array;
  } {
    const { coordinates } = this.#observations;
    const { slots } = mixture;
    const n = slots.length;
    const width = coordinates.length;
    const weights = Float64Array.from(mixture.weights);
    const centres = new Float32Array((n + 1) * width);
    const scales = new Float32Array((n + 1) * width);
    coordinates.forEach((axis, c) => {
      const sigmas = this.#shareSigmas(axis, mixture);
      const priorDensity = kernelHeight(0.5, 1, axis.cellVariance);
      for (let k = 0; k <= n; k++) {
        const isPrior = k === n;
        const u = isPrior ? 0.5 : (axis.shares[slots[k] ?? 0] ?? 0);
        const sigma = isPrior ? 1 : (sigmas[k] ?? 1);
        centres[k * width + c] = u;
        // 2^−(d·s)² = exp(−d²/2σ²).
        scales[k * width + c] = Math.sqrt(0.5 * Math.LOG2E) / Math.sqrt(sigma * sigma + axis.cellVariance);
        weights[k] = (weights[k] ?? 0) * (kernelHeight(u, sigma, axis.cellVariance) / priorDensity);
      }
    });
    return { weights: Float32Array.from(weights), centres, scales };
  }

  /** Bandwidth of every observation's kernel on a coordinate axis, in shares of the range, by position. */
  #shareSigmas(axis: CoordinateAxis, mixture: ScreenedMixture): Float64Array {
    const n = mixture.slots.length;
    const common = this.#commonSigma(n);
    const sigmas = new Float64Array(n).fill(common);
    if (this.#rules.bandwidth === 'scott') return sigmas;
    const observations = this.#observations;
    const sorted = observations.sortedSlots(axis, mixture.isGood, mixture.good);
    const bySlot = new Float64Array(observations.numbers.length);
    for (let i = 0; i < n; i++) {
      const at = axis.shares[sorted[i] ?? 0] ?? 0;
      const below = i > 0 ? at - (axis.shares[sorted[i - 1] ?? 0] ?? 0) : n === 1 ? at : 0;
      const above = i < n - 1 ? (axis.shares[sorted[i + 1] ?? 0] ?? 0) - at : n === 1 ? 1 - at : 0;
      bySlot[sorted[i] ?? 0] = clip(Math.max(below, above), common, 1);
    }
    for (let k = 0; k < n; k++) sigmas[k] = bySlot[mixture.slots[k] ?? 0] ?? 1;
    return sigmas;
  }

  /** Kernels on table axes whose neighbours are further away than the smallest bandwidth. */
  #oddKernels(mixture: ScreenedMixture): OddKernel[] {
    const smallest = this.#commonSigma(mixture.slots.length);
    return this.#observations.tables.flatMap((axis, t) =>
      axis instanceof CellsAxis
        ? oddKernels(axis, this.#observations.classes[t] ?? new Uint32Array(0), mixture.slots, smallest).map(
            (kernel) => ({ ...kernel, axis: t }),
          )
        : [],
    );
  }
}

/** A kernel's density at its centre, but for constants: 1 / (σ_eff · mass in range). */
function kernelHeight(u: number, sigma: number, cellVariance: number): number {
  return 1 / (Math.sqrt(sigma * sigma + cellVariance) * massInRange(u, sigma));
}

/**
 * Bandwidths by neighbours where many observations are equal (tpe.md §7.3): of a run of equal ones only the first in
 * kernel order has the gap below it, only the last the gap above. `smallest` in shares of the range.
 */
function oddKernels(
  axis: CellsAxis,
  classOfSlot: Uint32Array,
  slots: Uint32Array,
  smallest: number,
): { position: number; class: number; sigma: number }[] {
  const first = new Int32Array(axis.classes).fill(-1);
  const last = new Int32Array(axis.classes).fill(-1);
  for (let k = 0; k < slots.length; k++) {
    const index = classOfSlot[slots[k] ?? 0] ?? 0;
    if ((first[index] ?? -1) < 0) first[index] = k;
    last[index] = k;
  }
  const { lo, hi } = axis.scale;
  const present = axis.classesByMean.filter((index) => (first[index] ?? -1) >= 0);
  const odd: { position: number; class: number; sigma: number }[] = [];
  const push = (position: number, index: number, gap: number): void => {
    const sigma = Math.min(gap, hi - lo);
    if (sigma > smallest * (hi - lo)) odd.push({ position, class: index, sigma });
  };
  present.forEach((index, i) => {
    const mean = axis.means[index] ?? 0;
    const below = i > 0 ? mean - (axis.means[present[i - 1] ?? 0] ?? 0) : 0;
    const above = i < present.length - 1 ? (axis.means[present[i + 1] ?? 0] ?? 0) - mean : 0;
    const [start = 0, end = 0] = [first[index], last[index]];
    if (slots.length === 1) push(start, index, Math.max(mean - lo, hi - mean));
    else if (start === end) push(start, index, Math.max(below, above));
    else {
      push(start, index, below);
      push(end, index, above);
    }
  });
  return odd;
}
