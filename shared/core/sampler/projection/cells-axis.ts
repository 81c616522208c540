/**
 * A stepped numeric parameter in the screen: its kernels are masses of cells (tpe.md §9). On an even grid all masses for
 * one bandwidth follow from the distances in steps, so that a whole table costs as many normal distribution functions as
 * the grid has points; on a log grid, and for observations between grid points, every mass is computed by itself.
 */
import type { NumericParameter } from '../../space/parameter.js';
import { modellingScale, toModellingScale, type ModellingScale } from '../modelling-scale.js';
import { normalCdf } from '../tpe/special-functions.js';
import { logMass } from '../tpe/truncated-normal.js';
import type { RowPlan } from './row-plan.js';
import { ratioMin, type TableAxis } from './screen-axis.js';
import type { Block } from './screen-memory.js';
import { blockLanes } from './screen-program.js';

/** Grids with more points are no table; see `CoordinateAxis`. */
export const gridPointsMax = 1024;
/** Distance from a grid point, in steps, within which an observation counts as lying on it. */
const onGridTolerance = 1e-6;
/** Bandwidths whose tables are kept. */
const tablesMax = 64;

/** Φ(b) − Φ(a) for a ≤ b, from the tail that keeps the most digits. */
function intervalMass(a: number, b: number): number {
  if (b <= 0) return normalCdf(b) - normalCdf(a);
  if (a > 0) return normalCdf(-a) - normalCdf(-b);
  return 1 - normalCdf(a) - normalCdf(-b);
}

/** What an even grid needs for one bandwidth. */
class StepTable {
  /** Mass of the cell m steps away at position points − 1 + m, for m of either sign. */
  readonly masses: Float32Array;
  /** 1 / the mass that a kernel on a grid point has in the whole range. */
  readonly perRange: Float64Array;
  readonly #beyond: Float64Array;

  constructor(points: number) {
    this.masses = new Float32Array(2 * points - 1);
    this.perRange = new Float64Array(points);
    this.#beyond = new Float64Array(points);
  }

  set(stepPerSigma: number): void {
    const { masses, perRange } = this;
    const beyond = this.#beyond;
    const points = beyond.length;
    let before = 0;
    for (let m = 0; m < points; m++) {
      const tail = normalCdf(-(m + 0.5) * stepPerSigma);
      const exact = m === 0 ? 1 - 2 * tail : before - tail;
      const mass = exact < ratioMin ? 0 : exact;
      beyond[m] = tail;
      before = tail;
      masses[points - 1 + m] = mass;
      masses[points - 1 - m] = mass;
    }
    for (let m = 0; m < points; m++) {
      perRange[m] = 1 / (1 - (beyond[m] ?? 0) - (beyond[points - 1 - m] ?? 0));
    }
  }
}

/** The tables of one axis that a plan has so far. */
export class AxisTables {
  /** Number of the axis among those with tables. */
  readonly axis: number;
  /** By bandwidth. */
  readonly addresses = new Map<number, number>();
  /** The one used last. */
  sigma = NaN;
  address = 0;
  table: StepTable | null = null;

  constructor(axis: number) {
    this.axis = axis;
  }
}

const none = new Float64Array(0);

export class CellsAxis implements TableAxis {
  readonly dimensions: readonly number[];
  readonly scale: ModellingScale;
  /** Mean of every class on the modelling scale. */
  readonly means: number[] = [];
  readonly #parameter: NumericParameter;
  readonly #step: number;
  /** Points of an even grid; 0 when the grid is not even. */
  readonly #gridPoints: number;
  /** Classes of values on no grid point. */
  readonly #classByValue = new Map<number, number>();
  /** Class of every grid point, −1 for none. */
  readonly #classOfPoint: Int32Array;
  /** Grid point of every class, −1 for one that lies on none. */
  readonly #gridOfClass: number[] = [];
  readonly #tables = new Map<number, StepTable>();
  /** 1 / the prior's mass of the cell, by grid point; 0 where not yet computed. */
  #inversePriorOfPoint: Float64Array;
  #values: Float64Array = none;
  #grid = new Int32Array(0);
  #inversePrior = new Float64Array(0);
  #largestInversePrior = 0;
  /** Cell bounds of the candidates on the modelling scale; empty until a class needs them. */
  #lower: Float64Array = none;
  #upper: Float64Array = none;
  #byMean: number[] = [];

  constructor(dimension: number, parameter: NumericParameter, step: number) {
    this.dimensions = [dimension];
    this.scale = modellingScale(parameter);
    this.#parameter = parameter;
    this.#step = step;
    const { low, high, log } = parameter;
    // Far from zero the doubles of a fine grid are not evenly spaced.
    const exactness = (Math.max(Math.abs(low), Math.abs(high)) / step) * Number.EPSILON;
    this.#gridPoints = log || exactness > onGridTolerance ? 0 : Math.round((high - low) / step) + 1;
    this.#inversePriorOfPoint = new Float64Array(this.#gridPoints);
    this.#classOfPoint = new Int32Array(this.#gridPoints).fill(-1);
  }

  get classes(): number {
    return this.means.length;
  }

  /** Classes in ascending order of their means. */
  get classesByMean(): readonly number[] {
    if (this.#byMean.length !== this.means.length) {
      this.#byMean = this.means.map((_, index) => index);
      this.#byMean.sort((a, b) => (this.means[a] ?? 0) - (this.means[b] ?? 0));
    }
    return this.#byMean;
  }

  classOf(values: ArrayLike<number>): number {
    const value = values[this.dimensions[0] ?? 0] ?? 0;
    const point = this.#gridPoint(value);
    const known = point >= 0 ? (this.#classOfPoint[point] ?? -1) : (this.#classByValue.get(value) ?? -1);
    if (known >= 0) return known;
    const index = this.means.length;
    if (point >= 0) this.#classOfPoint[point] = index;
    else this.#classByValue.set(value, index);
    this.means.push(toModellingScale(this.#parameter, value));
    this.#gridOfClass.push(point);
    return index;
  }

  #gridPoint(value: number): number {
    if (this.#gridPoints === 0) return -1;
    const steps = (value - this.#parameter.low) / this.#step;
    const nearest = Math.round(steps);
    const isOnGrid =
      Math.abs(steps - nearest) <= onGridTolerance && nearest >= 0 && nearest < this.#gridPoints;
    return isOnGrid ? nearest : -1;
  }

  setCandidates(columns: readonly Float64Array[]): void {
    const values = columns[this.dimensions[0] ?? 0] ?? none;
    if (this.#grid.length !== values.length) {
      this.#grid = new Int32Array(values.length);
      this.#inversePrior = new Float64Array(values.length);
    }
    this.#values = values;
    this.#lower = none;
    const { low } = this.#parameter;
    const step = this.#step;
    const points = this.#gridPoints;
    const known = this.#inversePriorOfPoint;
    const grid = this.#grid;
    const inversePrior = this.#inversePrior;
    let largest = 0;
    for (let j = 0; j < values.length; j++) {
      // As `#gridPoint`: a candidate of an even grid lies on it.
      const value = values[j] ?? 0;
      const steps = (value - low) / step;
      const nearest = Math.round(steps);
      const isOnGrid = points > 0 && Math.abs(steps - nearest) <= onGridTolerance && nearest >= 0;
      const point = isOnGrid && nearest < points ? nearest : -1;
      grid[j] = point;
      if (point < 0 || known[point] === 0) this.#findInversePrior(value, point, j);
      else inversePrior[j] = known[point] ?? 0;
      const inverse = inversePrior[j] ?? 0;
      if (inverse > largest) largest = inverse;
    }
    this.#largestInversePrior = largest;
  }

  /** Writes the candidates' positions and factors for the fill jobs of this axis. */
  place(blocks: readonly Block[], axis: number): void {
    const start = axis * blockLanes;
    for (let b = 0; b < blocks.length; b++) {
      const block = blocks[b];
      if (block === undefined) continue;
      for (let j = 0; j < block.used; j++) {
        block.grids[start + j] = 4 * (this.#grid[b * blockLanes + j] ?? 0);
        block.factors[start + j] = this.#inversePrior[b * blockLanes + j] ?? 0;
      }
    }
  }

  /** Entries of a table of masses; 0 when the grid is not even. */
  get tableLength(): number {
    return Math.max(0, 2 * this.#gridPoints - 1);
  }

  /** Distance between the means of two classes; on the grid a whole number of steps, so that few distances arise. */
  distance(below: number, above: number): number {
    const [a = -1, b = -1] = [this.#gridOfClass[below], this.#gridOfClass[above]];
    return a >= 0 && b >= 0 ? (b - a) * this.#step : (this.means[above] ?? 0) - (this.means[below] ?? 0);
  }

  #findInversePrior(value: number, point: number, j: number): void {
    const { lo, hi } = this.scale;
    const half = this.#step / 2;
    const share = (x: number): number => (toModellingScale(this.#parameter, x) - lo) / (hi - lo) - 0.5;
    const inverse = intervalMass(-0.5, 0.5) / intervalMass(share(value - half), share(value + half));
    if (point >= 0) this.#inversePriorOfPoint[point] = inverse;
    this.#inversePrior[j] = inverse;
  }

  #setBounds(): void {
    const half = this.#step / 2;
    this.#lower = this.#values.map((value) => toModellingScale(this.#parameter, value - half));
    this.#upper = this.#values.map((value) => toModellingScale(this.#parameter, value + half));
  }

  /**
   * Plans the rows of all classes with bandwidth σ, from `firstRow` on; those that `needed` has 0 for are left out.
   * `tables` holds the addresses of this axis's tables in the plan so far. Returns a bound on the entries.
   */
  planAll(
    plan: RowPlan,
    rows: { firstRow: number; needed: Uint8Array | null },
    sigma: number,
    tables: AxisTables,
  ): number {
    const { firstRow, needed } = rows;
    let largest = 0;
    for (let index = 0; index < this.means.length; index++) {
      if (needed !== null && needed[firstRow + index] === 0) continue;
      const point = this.#gridOfClass[index] ?? -1;
      if (point < 0) largest = Math.max(largest, this.#writeCells(plan, index, sigma, firstRow + index));
      else
        largest = Math.max(
          largest,
          this.#planCells(plan, point, firstRow + index, this.#bring(plan, sigma, tables)),
        );
    }
    return largest;
  }

  /** Plans one row for a class with a bandwidth of its own; as `planAll`. */
  planOdd(plan: RowPlan, odd: { index: number; row: number }, sigma: number, tables: AxisTables): number {
    const point = this.#gridOfClass[odd.index] ?? -1;
    if (point < 0) return this.#writeCells(plan, odd.index, sigma, odd.row);
    return this.#planCells(plan, point, odd.row, this.#bring(plan, sigma, tables));
  }

  /** The table of a bandwidth, put down in the plan. */
  #bring(plan: RowPlan, sigma: number, tables: AxisTables): AxisTables {
    if (tables.sigma === sigma) return tables;
    const table = this.#table(sigma);
    let address = tables.addresses.get(sigma);
    if (address === undefined) {
      address = plan.table(table.masses);
      tables.addresses.set(sigma, address);
    }
    tables.sigma = sigma;
    tables.address = address;
    tables.table = table;
    return tables;
  }

  #planCells(plan: RowPlan, point: number, row: number, { axis, address, table }: AxisTables): number {
    const perRange = table?.perRange[point] ?? 0;
    plan.fill(row, address + 4 * (this.#gridPoints - 1 - point), axis, perRange);
    return (table?.masses[this.#gridPoints - 1] ?? 0) * perRange * this.#largestInversePrior;
  }

  #table(sigma: number): StepTable {
    const known = this.#tables.get(sigma);
    if (known !== undefined) return known;
    let table: StepTable | undefined;
    if (this.#tables.size >= tablesMax) {
      // The oldest one is used again: common bandwidths never come back, and there is a new one for every suggestion.
      for (const [oldest, old] of this.#tables) {
        this.#tables.delete(oldest);
        table = old;
        break;
      }
    }
    table ??= new StepTable(this.#gridPoints);
    table.set(this.#step / sigma);
    this.#tables.set(sigma, table);
    return table;
  }

  #writeCells(plan: RowPlan, index: number, sigma: number, row: number): number {
    const mean = this.means[index] ?? 0;
    const { lo, hi } = this.scale;
    const logInRange = logMass((lo - mean) / sigma, (hi - mean) / sigma);
    if (this.#lower.length === 0) this.#setBounds();
    const ratios = new Float64Array(this.#lower.length);
    let largest = 0;
    for (let j = 0; j < this.#lower.length; j++) {
      const lower = ((this.#lower[j] ?? 0) - mean) / sigma;
      const upper = ((this.#upper[j] ?? 0) - mean) / sigma;
      // Near the mean a difference of masses is exact enough; far from it only the logarithm is left.
      const mass = intervalMass(lower, upper);
      const share =
        mass > 1e-200 && logInRange > -400
          ? mass / Math.exp(logInRange)
          : logInRange === -Infinity
            ? 0
            : Math.exp(logMass(lower, upper) - logInRange);
      const ratio = share * (this.#inversePrior[j] ?? 0);
      ratios[j] = ratio < ratioMin ? 0 : ratio;
      if (ratio > largest) largest = ratio;
    }
    plan.write(row, ratios);
    return largest;
  }
}
