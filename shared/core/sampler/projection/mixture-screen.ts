/**
 * What a mixture says about every candidate at once, relative to the prior, in single precision: l(x) or g(x) divided by
 * the prior's density at x, but for a factor per candidate that is the same for both mixtures and cancels in the score.
 */
import type { EstimatorRules } from '../tpe/estimator-rules.js';
import { AxisTables, CellsAxis } from './cells-axis.js';
import type { Observations } from './observations.js';
import { fineShare, OpenMixture } from './open-mixture.js';
import { RowPlan } from './row-plan.js';
import { ChoicesAxis } from './screen-axis.js';
import type { ScreenMemory } from './screen-memory.js';
import { blockBytes, blockLanes, powerUnit } from './screen-program.js';
import { commonBandwidth, type ScreenedKernels } from './screened-kernels.js';

/**
 * Products beyond this bound might overflow single precision. No mixture is opened whose kernels could add more than this
 * to the prior's part, so that kernels taken as nearer than they are (`exponentMax`) add less than
 * productMax · 2^−exponentMax = 7.2e-7 of it.
 */
export const productMax = 1e36;
/** With less room below that products could become denormal before they stop to matter. */
const headroomMin = 1;
/** How far apart denormal numbers are. */
const denormalGap = 2 ** -149;

export class MixtureScreen {
  readonly #observations: Observations;
  readonly #rules: EstimatorRules;
  readonly #memory: ScreenMemory;
  /** Parameters in the space. */
  readonly #d: number;
  readonly #cells: readonly CellsAxis[];
  readonly #choices: readonly ChoicesAxis[];

  constructor(observations: Observations, rules: EstimatorRules, d: number, memory: ScreenMemory) {
    this.#observations = observations;
    this.#rules = rules;
    this.#d = d;
    this.#memory = memory;
    this.#cells = observations.tables.filter((axis) => axis instanceof CellsAxis);
    this.#choices = observations.tables.filter((axis) => axis instanceof ChoicesAxis);
  }

  /**
   * Lays a mixture out for the given candidates (internal values by parameter of the space), which the axes must have
   * been told. It is good until the next one is opened. Null when single precision cannot hold its totals.
   */
  open(kernels: ScreenedKernels, candidates: readonly Float64Array[]): OpenMixture | null {
    const memory = this.#memory;
    this.#begin(candidates[0]?.length ?? 0, kernels);
    const plan = new RowPlan(memory);
    this.#placeCoordinates(candidates);
    this.#load(kernels);
    const largest = this.#planRows(plan, kernels);
    for (const block of memory.wide) plan.carryOut(block);
    const rows = largest.reduce((product, entry) => product * entry, 1);
    const prior = this.#priorTotals(candidates[0]?.length ?? 0, kernels.priorWeight);
    // Totals begin with the prior's part, and kernels are summed in units of that.
    const headroom =
      (productMax * prior.reduce((least, part) => Math.min(least, part), 1)) / (rows * kernels.totalWeight);
    // The inner loop multiplies what has coordinates with the power unit at last.
    const first = memory.coordinates > 0 ? headroom / powerUnit : headroom;
    // A product that the first rows made denormal might be made large again by the others.
    const lost = denormalGap * rows * (kernels.count + 1);
    if (!(headroom > headroomMin && lost <= fineShare * first)) return null;
    return new OpenMixture(kernels.count, { memory, plan, prior, largest, headroom: first });
  }

  /** Lays the memory out: rows of all classes, of odd kernels, and those that combinations of choices are made of. */
  #begin(candidates: number, { odd, count, scales }: ScreenedKernels): void {
    const { tables, coordinates, rowCount } = this.#observations;
    const extraRows = this.#choices.reduce((sum, axis) => sum + axis.extraRows, 0);
    const tableLengths = this.#cells.reduce((sum, axis) => sum + axis.tableLength, 0);
    this.#memory.begin({
      candidates,
      tables: tables.length,
      coordinates: coordinates.length,
      grids: this.#cells.length,
      rows: rowCount + odd.count + extraRows,
      fills: rowCount + odd.count,
      multiplications: rowCount + extraRows,
      masses: tableLengths + odd.masses,
      kernels: count,
      scaled: scales !== null,
    });
  }

  #placeCoordinates(candidates: readonly Float64Array[]): void {
    for (const [c, axis] of this.#observations.coordinates.entries()) {
      const column = candidates[axis.dimension];
      this.#memory.wide.forEach((block, b) => {
        for (let j = 0; j < block.used; j++) {
          block.points[c * blockLanes + j] = axis.share(column?.[b * blockLanes + j] ?? 0);
        }
      });
    }
  }

  /** Copies the kernels to where the inner loop reads them. */
  #load({ rows, centres, weights, scales, count, n }: ScreenedKernels): void {
    const memory = this.#memory;
    const { tables, coordinates } = this.#observations;
    memory.weights.set(weights.subarray(0, count));
    memory.ids.set(rows.subarray(0, count * tables.length));
    memory.centres.set(centres.subarray(0, count * coordinates.length));
    if (scales !== null) {
      memory.scales.set(scales.subarray(0, count * coordinates.length));
      return;
    }
    const common = commonBandwidth(n, this.#d, this.#rules);
    for (const [c, axis] of coordinates.entries()) memory.scales[c] = axis.scaleFactor(common);
  }

  /** The prior's own part: 1 on the table axes, a normal around the middle on the others. */
  #priorTotals(count: number, weight: number): Float64Array {
    const { coordinates } = this.#observations;
    const totals = new Float64Array(count);
    for (let j = 0; j < count; j++) {
      const block = this.#memory.wide[Math.trunc(j / blockLanes)];
      let squares = 0;
      for (let c = 0; c < coordinates.length; c++) {
        const distance = (block?.points[c * blockLanes + (j % blockLanes)] ?? 0) - 0.5;
        squares += (distance * distance) / (1 + (coordinates[c]?.cellVariance ?? 0));
      }
      totals[j] = weight * Math.exp(-0.5 * squares);
    }
    return totals;
  }

  /** Plans all rows and gives odd kernels theirs; returns bounds on the entries per axis, at least the prior's 1. */
  #planRows(plan: RowPlan, kernels: ScreenedKernels): number[] {
    const { tables, firstRow, rowCount } = this.#observations;
    const { odd, neededRows } = kernels;
    plan.write(0, 1);
    const common = commonBandwidth(kernels.n, this.#d, this.#rules);
    const largest = tables.map(() => 1);
    const tablesOf: (AxisTables | undefined)[] = [];
    let grids = 0;
    let extraRow = rowCount + odd.count;
    for (let t = 0; t < tables.length; t++) {
      const axis = tables[t];
      const first = firstRow[t] ?? 0;
      if (axis instanceof ChoicesAxis) {
        largest[t] = axis.plan(plan, { firstRow: first, extraRow }, kernels.n + 1);
        extraRow += axis.extraRows;
      }
      if (!(axis instanceof CellsAxis)) continue;
      const axisTables = new AxisTables(grids++);
      tablesOf[t] = axisTables;
      axis.place(plan.blocks, axisTables.axis);
      const sigma = common * (axis.scale.hi - axis.scale.lo);
      // The few good kernels need few rows; the bad ones nearly all.
      const bound = axis.planAll(plan, { firstRow: first, needed: neededRows }, sigma, axisTables);
      largest[t] = Math.max(1, bound);
    }
    for (let i = 0; i < odd.count; i++) {
      const { position, axis: t, index, sigma } = odd.at(i);
      const axis = tables[t];
      const axisTables = tablesOf[t];
      if (!(axis instanceof CellsAxis) || axisTables === undefined) continue;
      const bound = axis.planOdd(plan, { index, row: rowCount + i }, sigma, axisTables);
      largest[t] = Math.max(largest[t] ?? 1, bound);
      this.#memory.ids[position * tables.length + t] = (rowCount + i) * blockBytes;
    }
    return largest;
  }
}
