/**
 * What a mixture says about every candidate at once, relative to the prior, in single precision: l(x) or g(x) divided by
 * the prior's density at x, but for a factor per candidate that is the same for both mixtures and cancels in the score.
 */
import { smallestBandwidth, scottBandwidth } from '../tpe/bandwidth.js';
import type { EstimatorRules } from '../tpe/estimator-rules.js';
import { clip } from '../rounding.js';
import { CellsAxis, type AxisTables } from './cells-axis.js';
import { massInRange, type CoordinateAxis } from './coordinate-axis.js';
import type { Observations } from './observations.js';
import { OddKernels } from './odd-kernels.js';
import { OpenMixture, type Kernels, type ReplacedRow } from './open-mixture.js';
import { RowPlan } from './row-plan.js';
import { ChoicesAxis } from './screen-axis.js';
import type { ScreenMemory } from './screen-memory.js';

/** One mixture: its kernels by slot in number order, and their weights with the prior's last. */
export interface ScreenedMixture {
  readonly slots: Uint32Array;
  readonly weights: Float64Array;
  readonly isGood: Uint8Array;
  readonly good: boolean;
}

/** Products beyond this bound might overflow single precision. */
const productMax = 1e36;

export class MixtureScreen {
  readonly #observations: Observations;
  readonly #rules: EstimatorRules;
  readonly #memory: ScreenMemory;
  /** Parameters in the space. */
  readonly #d: number;
  /** Scratch space for the bad kernels, kept because it is large. */
  #weights = new Float32Array(0);
  #scales = new Float32Array(0);

  constructor(observations: Observations, rules: EstimatorRules, d: number, memory: ScreenMemory) {
    this.#observations = observations;
    this.#rules = rules;
    this.#d = d;
    this.#memory = memory;
  }

  /**
   * Lays a mixture out for the given candidates (internal values by parameter of the space), which the axes must have
   * been told. It is good until the next one is opened. Null when single precision cannot hold its totals.
   */
  open(mixture: ScreenedMixture, candidates: readonly Float64Array[]): OpenMixture | null {
    const { coordinates } = this.#observations;
    const count = candidates[0]?.length ?? 0;
    const odd = this.#oddKernels(mixture);
    this.#begin(count, odd);
    const { wide } = this.#memory;
    for (const [c, axis] of coordinates.entries()) {
      const column = candidates[axis.dimension];
      for (let j = 0; j < count; j++) wide.points[c * wide.stride + j] = axis.share(column?.[j] ?? 0);
    }
    const kernels = this.#kernels(mixture);
    const plan = new RowPlan(this.#memory);
    const { largest, replaced } = this.#planRows(plan, { mixture, odd, kernels });
    plan.carryOut(wide);
    let heaviest = 0;
    for (let k = 0; k < kernels.count; k++) heaviest = Math.max(heaviest, kernels.weights[k] ?? 0);
    const top = largest.reduce((product, entry) => product * entry, heaviest * (kernels.count + 1));
    if (top < productMax) {
      const prior = this.#priorTotals(count, mixture.weights[mixture.slots.length] ?? 0);
      return new OpenMixture(kernels, { memory: this.#memory, plan, prior, largest, replaced });
    }
    for (const { at, row } of replaced) kernels.rows[at] = row;
    return null;
  }

  /** Lays the memory out: rows of all classes, of odd kernels, and those that combinations of choices are made of. */
  #begin(candidates: number, odd: OddKernels): void {
    const { tables, coordinates, rowCount } = this.#observations;
    const cells = tables.filter((axis) => axis instanceof CellsAxis);
    const choices = tables.filter((axis) => axis instanceof ChoicesAxis);
    const extraRows = choices.reduce((sum, axis) => sum + axis.extraRows, 0);
    const tableLengths = cells.reduce((sum, axis) => sum + axis.tableLength, 0);
    this.#memory.begin({
      candidates,
      tables: tables.length,
      coordinates: coordinates.length,
      grids: cells.length,
      rows: rowCount + odd.count + extraRows,
      fills: rowCount + odd.count,
      multiplications: rowCount + extraRows,
      masses: tableLengths + odd.masses,
    });
  }

  /** The prior's own part: 1 on the table axes, a normal around the middle on the others. */
  #priorTotals(count: number, weight: number): Float64Array {
    const { points, stride } = this.#memory.wide;
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

  /** Plans all rows; returns bounds on the entries per axis, at least the prior's 1, and what odd kernels replaced. */
  #planRows(
    plan: RowPlan,
    { mixture, odd, kernels }: { mixture: ScreenedMixture; odd: OddKernels; kernels: Kernels },
  ): { largest: number[]; replaced: ReplacedRow[] } {
    const { tables, firstRow, rowCount } = this.#observations;
    const { rows, stride } = plan.region;
    rows.fill(1, plan.written(0), stride);
    const count = mixture.slots.length + 1;
    const common = this.#commonSigma(mixture.slots.length);
    const needed = mixture.good ? this.#neededRows(mixture.slots) : null;
    const largest = tables.map(() => 1);
    const tablesOf = new Map<number, AxisTables>();
    let extraRow = rowCount + odd.count;
    for (const [t, axis] of tables.entries()) {
      const first = firstRow[t] ?? 0;
      if (axis instanceof ChoicesAxis) {
        largest[t] = axis.plan(plan, { firstRow: first, extraRow }, count);
        extraRow += axis.extraRows;
      }
      if (!(axis instanceof CellsAxis)) continue;
      const axisTables = { axis: tablesOf.size, addresses: new Map<number, number>() };
      tablesOf.set(t, axisTables);
      axis.place(plan.region, axisTables.axis);
      const sigma = common * (axis.scale.hi - axis.scale.lo);
      for (let index = 0; index < axis.classes; index++) {
        // The few good kernels need few rows; the bad ones nearly all.
        if (needed !== null && needed[first + index] === 0) continue;
        const bound = axis.plan(plan, { index, sigma, row: first + index }, axisTables);
        largest[t] = Math.max(largest[t] ?? 1, bound);
      }
    }
    const replaced: ReplacedRow[] = [];
    for (let i = 0; i < odd.count; i++) {
      const { position, axis: t, index, sigma } = odd.at(i);
      const axis = tables[t];
      const axisTables = tablesOf.get(t);
      if (!(axis instanceof CellsAxis) || axisTables === undefined) continue;
      const bound = axis.plan(plan, { index, sigma, row: rowCount + i }, axisTables);
      largest[t] = Math.max(largest[t] ?? 1, bound);
      const kernel = mixture.good ? position : (mixture.slots[position] ?? 0);
      const at = kernel * tables.length + t;
      replaced.push({ at, row: kernels.rows[at] ?? 0 });
      kernels.rows[at] = rowCount + i;
    }
    return { largest, replaced };
  }

  /** 1 for every row that some slot refers to. */
  #neededRows(slots: Uint32Array): Uint8Array {
    const { rows, tables, rowCount } = this.#observations;
    const needed = new Uint8Array(rowCount);
    for (const slot of slots) {
      for (let t = 0; t < tables.length; t++) needed[rows[slot * tables.length + t] ?? 0] = 1;
    }
    return needed;
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
  #oddKernels({ slots }: ScreenedMixture): OddKernels {
    const odd = new OddKernels();
    if (this.#rules.bandwidth === 'scott') return odd;
    const smallest = this.#commonSigma(slots.length);
    const { rows, tables, firstRow } = this.#observations;
    for (const [t, axis] of tables.entries()) {
      if (!(axis instanceof CellsAxis)) continue;
      const first = firstRow[t] ?? 0;
      odd.find(axis, t, {
        slots,
        smallest,
        classOf: (slot) => (rows[slot * tables.length + t] ?? 0) - first,
      });
    }
    return odd;
  }
}

/** A kernel's density at its centre, but for constants: 1 / (σ_eff · mass in range). */
function kernelHeight(u: number, sigma: number, cellVariance: number): number {
  return 1 / (Math.sqrt(sigma * sigma + cellVariance) * massInRange(u, sigma));
}
