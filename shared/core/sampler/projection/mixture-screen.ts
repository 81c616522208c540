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
import { OpenMixture, type Kernels, type ReplacedRow, type Sums } from './open-mixture.js';

/** One mixture: its kernels by slot in number order, and their weights with the prior's last. */
export interface ScreenedMixture {
  readonly slots: Uint32Array;
  readonly weights: Float64Array;
  readonly isGood: Uint8Array;
  readonly good: boolean;
}

/** Products beyond this bound might overflow single precision. */
const productMax = 1e36;

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
  readonly #sums: Sums;
  /** Parameters in the space. */
  readonly #d: number;
  /** Scratch space for the bad kernels, kept because it is large. */
  #weights = new Float32Array(0);
  #scales = new Float32Array(0);

  constructor(observations: Observations, rules: EstimatorRules, d: number, sums: Sums) {
    this.#observations = observations;
    this.#rules = rules;
    this.#d = d;
    this.#sums = sums;
  }

  /**
   * Lays a mixture out for the given candidates (internal values by parameter of the space), which the axes must have
   * been told. It is good until the next one is opened. Null when single precision cannot hold its totals.
   */
  open(mixture: ScreenedMixture, candidates: readonly Float64Array[]): OpenMixture | null {
    const { tables, coordinates, rowCount } = this.#observations;
    const sums = this.#sums.wide;
    const count = candidates[0]?.length ?? 0;
    const odd = this.#rules.bandwidth === 'neighbour' ? this.#oddKernels(mixture) : [];
    sums.begin({
      candidates: count,
      rows: rowCount + odd.length,
      tables: tables.length,
      coordinates: coordinates.length,
    });
    for (const [c, axis] of coordinates.entries()) {
      const column = candidates[axis.dimension];
      for (let j = 0; j < count; j++) sums.points[c * sums.stride + j] = axis.share(column?.[j] ?? 0);
    }
    const kernels = this.#kernels(mixture);
    const largest = this.#fillRows(mixture);
    const replaced = this.#placeOdd(odd, kernels, { largest, mixture });
    let heaviest = 0;
    for (let k = 0; k < kernels.count; k++) heaviest = Math.max(heaviest, kernels.weights[k] ?? 0);
    const top = largest.reduce((product, entry) => product * entry, heaviest * (kernels.count + 1));
    if (top < productMax) {
      const prior = this.#priorTotals(count, mixture.weights[mixture.slots.length] ?? 0);
      return new OpenMixture(kernels, { sums: this.#sums, prior, largest, replaced });
    }
    for (const { at, row } of replaced) kernels.rows[at] = row;
    return null;
  }

  /** The prior's own part: 1 on the table axes, a normal around the middle on the others. */
  #priorTotals(count: number, weight: number): Float64Array {
    const { points, stride } = this.#sums.wide;
    const totals = new Float64Array(count);
    for (let j = 0; j < count; j++) {
      let squares = 0;
      for (const [c, axis] of this.#observations.coordinates.entries()) {
        squares += ((points[c * stride + j] ?? 0) - 0.5) ** 2 / (1 + axis.cellVariance);
      }
      totals[j] = weight * Math.exp(-0.5 * squares);
    }
    return totals;
  }

  /** Bandwidth that kernels of a numeric parameter share, in units of the range. */
  #commonSigma(n: number): number {
    const smallest = smallestBandwidth(n, 1, this.#rules.magicClip);
    if (this.#rules.bandwidth === 'neighbour') return smallest;
    return clip(scottBandwidth(n, this.#d, 1), smallest, 1);
  }

  /** Fills the rows that the mixture needs; returns the largest entry per axis, at least the prior's 1. */
  #fillRows({ slots, good }: ScreenedMixture): number[] {
    const { rows, stride } = this.#sums.wide;
    const { tables, firstRow } = this.#observations;
    const common = this.#commonSigma(slots.length);
    return tables.map((axis, t) => {
      const W = axis instanceof CellsAxis ? axis.scale.hi - axis.scale.lo : 1;
      const mixture = { kernels: slots.length + 1, sigma: common * W };
      const first = firstRow[t] ?? 0;
      // The few good kernels need few rows; the bad ones nearly all.
      const needed = good ? this.#classesOf(slots, t) : null;
      let largest = 1;
      for (let index = 0; index < axis.classes; index++) {
        if (needed !== null && !needed.has(index)) continue;
        largest = Math.max(largest, axis.fillRow(index, mixture, { rows, offset: (first + index) * stride }));
      }
      return largest;
    });
  }

  #classesOf(slots: Uint32Array, t: number): Set<number> {
    const { rows, tables, firstRow } = this.#observations;
    const needed = new Set<number>();
    for (const slot of slots) needed.add((rows[slot * tables.length + t] ?? 0) - (firstRow[t] ?? 0));
    return needed;
  }

  /** Gives odd kernels rows of their own, after all others; returns what to put back afterwards. */
  #placeOdd(
    odd: readonly OddKernel[],
    kernels: Kernels,
    { largest, mixture }: { largest: number[]; mixture: ScreenedMixture },
  ): ReplacedRow[] {
    const { tables, rowCount } = this.#observations;
    const { rows, stride } = this.#sums.wide;
    return odd.map(({ position, axis, class: index, sigma }, i) => {
      const target = { rows, offset: (rowCount + i) * stride };
      const top = tables[axis]?.fillRow(index, { kernels: mixture.slots.length + 1, sigma }, target) ?? 1;
      largest[axis] = Math.max(largest[axis] ?? 1, top);
      const kernel = mixture.good ? position : (mixture.slots[position] ?? 0);
      const at = kernel * tables.length + axis;
      const row = kernels.rows[at] ?? 0;
      kernels.rows[at] = rowCount + i;
      return { at, row };
    });
  }

  /** Weights, with the parts of the coordinate axes that depend on no candidate (§9), and where the rest is found. */
  #kernels(mixture: ScreenedMixture): Kernels {
    const { rows, centres, tables, coordinates, total } = this.#observations;
    const { slots, good } = mixture;
    const width = coordinates.length;
    const count = good ? slots.length : total;
    if (this.#weights.length < total) {
      this.#weights = new Float32Array(2 * total);
      this.#scales = new Float32Array(2 * total * width);
    }
    const weights = this.#weights.fill(0, 0, count);
    const scales = this.#scales;
    for (let k = 0; k < slots.length; k++) {
      weights[good ? k : (slots[k] ?? 0)] = mixture.weights[k] ?? 0;
    }
    for (const [c, axis] of coordinates.entries()) this.#setCoordinate(axis, c, { mixture, weights, scales });
    if (!good) return { count, rows, centres, weights, scales };
    const gathered = (
      from: Uint32Array | Float32Array,
      per: number,
      to: Uint32Array | Float32Array,
    ): void => {
      slots.forEach((slot, k) => to.set(from.subarray(slot * per, (slot + 1) * per), k * per));
    };
    const goodRows = new Uint32Array(count * tables.length);
    const goodCentres = new Float32Array(count * width);
    gathered(rows, tables.length, goodRows);
    gathered(centres, width, goodCentres);
    return { count, rows: goodRows, centres: goodCentres, weights, scales };
  }

  /** Multiplies the weights by the kernels' heights on one coordinate axis and sets their scale factors. */
  #setCoordinate(
    axis: CoordinateAxis,
    c: number,
    to: { mixture: ScreenedMixture; weights: Float32Array; scales: Float32Array },
  ): void {
    const { mixture, weights, scales } = to;
    const { slots, good } = mixture;
    const { shares, cellVariance } = axis;
    const width = this.#observations.coordinates.length;
    const common = this.#commonSigma(slots.length);
    const sigmas = this.#rules.bandwidth === 'neighbour' ? this.#shareSigmas(axis, mixture, common) : null;
    const priorHeight = kernelHeight(0.5, 1, cellVariance);
    // 2^−(d·s)² = exp(−d²/2σ²).
    const unit = Math.sqrt(0.5 * Math.LOG2E);
    const commonScale = unit / Math.sqrt(common * common + cellVariance);
    const commonHeight = 1 / Math.sqrt(common * common + cellVariance) / priorHeight;
    for (let k = 0; k < slots.length; k++) {
      const slot = slots[k] ?? 0;
      const index = good ? k : slot;
      const sigma = sigmas === null ? common : (sigmas[slot] ?? 1);
      const u = shares[slot] ?? 0;
      const isCommon = sigma === common;
      const height = isCommon
        ? commonHeight / massInRange(u, common)
        : kernelHeight(u, sigma, cellVariance) / priorHeight;
      weights[index] = (weights[index] ?? 0) * height;
      scales[index * width + c] = isCommon ? commonScale : unit / Math.sqrt(sigma * sigma + cellVariance);
    }
  }

  /** Bandwidth of every observation's kernel on a coordinate axis, in shares of the range, by slot. */
  #shareSigmas(axis: CoordinateAxis, mixture: ScreenedMixture, smallest: number): Float64Array {
    const observations = this.#observations;
    const { shares } = axis;
    const sorted = observations.sortedSlots(axis, mixture.isGood, mixture.good);
    const n = sorted.length;
    const bySlot = new Float64Array(observations.total);
    for (let i = 0; i < n; i++) {
      const at = shares[sorted[i] ?? 0] ?? 0;
      const below = i > 0 ? at - (shares[sorted[i - 1] ?? 0] ?? 0) : n === 1 ? at : 0;
      const above = i < n - 1 ? (shares[sorted[i + 1] ?? 0] ?? 0) - at : n === 1 ? 1 - at : 0;
      bySlot[sorted[i] ?? 0] = clip(Math.max(below, above), smallest, 1);
    }
    return bySlot;
  }

  /** Kernels on table axes whose neighbours are further away than the smallest bandwidth. */
  #oddKernels(mixture: ScreenedMixture): OddKernel[] {
    const smallest = this.#commonSigma(mixture.slots.length);
    const { rows, tables, firstRow } = this.#observations;
    return tables.flatMap((axis, t) => {
      if (!(axis instanceof CellsAxis)) return [];
      const classOf = (slot: number): number => (rows[slot * tables.length + t] ?? 0) - (firstRow[t] ?? 0);
      const odd = oddKernels(axis, classOf, mixture.slots, smallest);
      return odd.map((kernel) => ({ ...kernel, axis: t }));
    });
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
  classOf: (slot: number) => number,
  slots: Uint32Array,
  smallest: number,
): { position: number; class: number; sigma: number }[] {
  const first = new Int32Array(axis.classes).fill(-1);
  const last = new Int32Array(axis.classes).fill(-1);
  for (let k = 0; k < slots.length; k++) {
    const index = classOf(slots[k] ?? 0);
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
