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
import type { Region } from './screen-memory.js';

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
interface StepTable {
  /** Mass of the cell m steps away at position points − 1 + m, for m of either sign. */
  readonly masses: Float32Array;
  /** 1 / the mass that a kernel on a grid point has in the whole range. */
  readonly perRange: Float64Array;
}

function stepTable(points: number, stepPerSigma: number): StepTable {
  const beyond = new Float64Array(points);
  const masses = new Float32Array(2 * points - 1);
  for (let m = 0; m < points; m++) {
    const tail = normalCdf(-(m + 0.5) * stepPerSigma);
    const mass = m === 0 ? 1 - 2 * tail : (beyond[m - 1] ?? 0) - tail;
    beyond[m] = tail;
    masses[points - 1 + m] = mass < ratioMin ? 0 : mass;
    masses[points - 1 - m] = mass < ratioMin ? 0 : mass;
  }
  const perRange = beyond.map((tail, point) => 1 / (1 - tail - (beyond[points - 1 - point] ?? 0)));
  return { masses, perRange };
}

/** The tables of one axis that a plan has so far, by bandwidth. */
export interface AxisTables {
  /** Number of the axis among those with tables. */
  readonly axis: number;
  readonly addresses: Map<number, number>;
}

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
  #values: Float64Array = new Float64Array(0);
  #grid = new Int32Array(0);
  #inversePrior = new Float64Array(0);
  #largestInversePrior = 0;
  /** Cell bounds of the candidates on the modelling scale; empty until a class needs them. */
  #lower: Float64Array = new Float64Array(0);
  #upper: Float64Array = new Float64Array(0);
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
    const values = columns[this.dimensions[0] ?? 0] ?? new Float64Array(0);
    if (this.#grid.length !== values.length) {
      this.#grid = new Int32Array(values.length);
      this.#inversePrior = new Float64Array(values.length);
    }
    this.#values = values;
    this.#lower = new Float64Array(0);
    this.#largestInversePrior = 0;
    for (let j = 0; j < values.length; j++) {
      const value = values[j] ?? 0;
      const point = this.#gridPoint(value);
      this.#grid[j] = point;
      const inversePrior = this.#inversePriorAt(value, point);
      this.#inversePrior[j] = inversePrior;
      if (inversePrior > this.#largestInversePrior) this.#largestInversePrior = inversePrior;
    }
  }

  /** Writes the candidates' positions and factors for the fill jobs of this axis. */
  place(region: Region, axis: number): void {
    const start = axis * region.stride;
    for (let j = 0; j < this.#grid.length; j++) {
      region.grids[start + j] = 4 * (this.#grid[j] ?? 0);
      region.factors[start + j] = this.#inversePrior[j] ?? 0;
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

  #inversePriorAt(value: number, point: number): number {
    const known = point < 0 ? 0 : (this.#inversePriorOfPoint[point] ?? 0);
    if (known > 0) return known;
    const { lo, hi } = this.scale;
    const half = this.#step / 2;
    const share = (x: number): number => (toModellingScale(this.#parameter, x) - lo) / (hi - lo) - 0.5;
    const inverse = intervalMass(-0.5, 0.5) / intervalMass(share(value - half), share(value + half));
    if (point >= 0) this.#inversePriorOfPoint[point] = inverse;
    return inverse;
  }

  #setBounds(): void {
    const half = this.#step / 2;
    this.#lower = this.#values.map((value) => toModellingScale(this.#parameter, value - half));
    this.#upper = this.#values.map((value) => toModellingScale(this.#parameter, value + half));
  }

  /**
   * Plans the row of a class with bandwidth σ; `tables` holds the addresses of this axis's tables in the plan so far.
   * Returns a bound on its entries.
   */
  plan(plan: RowPlan, kernel: { index: number; sigma: number; row: number }, tables: AxisTables): number {
    const { index, sigma, row } = kernel;
    const point = this.#gridOfClass[index] ?? -1;
    if (point < 0)
      return this.#writeCells(index, sigma, { rows: plan.region.rows, offset: plan.written(row) });
    const table = this.#table(sigma);
    let address = tables.addresses.get(sigma);
    if (address === undefined) {
      address = plan.table(table.masses);
      tables.addresses.set(sigma, address);
    }
    const perRange = table.perRange[point] ?? 0;
    const start = address + 4 * (this.#gridPoints - 1 - point);
    plan.fill(row, { address: start, axis: tables.axis }, perRange);
    return (table.masses[this.#gridPoints - 1] ?? 0) * perRange * this.#largestInversePrior;
  }

  #table(sigma: number): StepTable {
    const known = this.#tables.get(sigma);
    if (known !== undefined) return known;
    if (this.#tables.size >= tablesMax) this.#tables.clear();
    const table = stepTable(this.#gridPoints, this.#step / sigma);
    this.#tables.set(sigma, table);
    return table;
  }

  #writeCells(
    index: number,
    sigma: number,
    { rows, offset }: { rows: Float32Array; offset: number },
  ): number {
    const mean = this.means[index] ?? 0;
    const { lo, hi } = this.scale;
    const logInRange = logMass((lo - mean) / sigma, (hi - mean) / sigma);
    if (this.#lower.length === 0) this.#setBounds();
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
      rows[offset + j] = ratio < ratioMin ? 0 : ratio;
      if (ratio > largest) largest = ratio;
    }
    return largest;
  }
}
