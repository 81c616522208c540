/**
 * How the parameters of a space enter the screen (`mixture-screen.ts`). A *table axis* has a class for every distinct
 * one-dimensional kernel mean; what a class says about every candidate is one row of numbers. All densities are taken
 * relative to the prior's, which keeps products of many of them within the range of single precision.
 */
import type { CategoricalParameter } from '../../space/parameter.js';
import type { RowPlan } from './row-plan.js';

/** One factor of every kernel that is read from a row. */
export interface TableAxis {
  /** Positions, in the space, of the parameters that this axis stands for. */
  readonly dimensions: readonly number[];
  /** Classes so far; they are only ever added. */
  readonly classes: number;
  /** The class of an observation, given by its internal values in space order; a new one if it is the first. */
  classOf(point: ArrayLike<number>): number;
  /** Takes the candidates of the next suggestion: one column of internal values per parameter of the space. */
  setCandidates(columns: readonly Float64Array[]): void;
}

/** Smaller ratios are written as 0: products of tiny numbers are slow to compute and add nothing. */
export const ratioMin = 1e-30;

/** Most combinations of choices that share one axis. */
const combinationsMax = 32;

/** Several categorical parameters: a class is a combination of choices, its row the product of their rows. */
export class ChoicesAxis implements TableAxis {
  readonly dimensions: readonly number[];
  readonly classes: number;
  readonly #counts: readonly number[];
  #candidates: readonly Float64Array[] = [];

  /** `counts[i]` is the number of choices of the parameter at `dimensions[i]`. */
  constructor(dimensions: readonly number[], counts: readonly number[]) {
    this.dimensions = dimensions;
    this.#counts = counts;
    this.classes = counts.reduce((product, count) => product * count, 1);
  }

  /** Rows that are needed beside those of the classes: of single choices, and of combinations of the first ones. */
  get extraRows(): number {
    let combinations = 1;
    let rows = 0;
    for (const [i, count] of this.#counts.entries()) {
      combinations *= count;
      const isLast = i === this.#counts.length - 1;
      if (!(isLast && i === 0)) rows += count;
      if (i > 0 && !isLast) rows += combinations;
    }
    return rows;
  }

  classOf(point: ArrayLike<number>): number {
    let index = 0;
    for (let i = 0; i < this.#counts.length; i++) {
      index = index * (this.#counts[i] ?? 1) + (point[this.dimensions[i] ?? 0] ?? 0);
    }
    return index;
  }

  setCandidates(columns: readonly Float64Array[]): void {
    this.#candidates = this.dimensions.map((dimension) => columns[dimension] ?? new Float64Array(0));
  }

  /**
   * Plans the rows of all classes, from `firstRow` on, for a mixture of `kernels` kernels; rows of single choices go to
   * `extraRow` and after. Returns the largest entry.
   */
  plan(plan: RowPlan, rows: { firstRow: number; extraRow: number }, kernels: number): number {
    let extra = rows.extraRow;
    let combinations = 1;
    let previous = 0;
    let largest = 1;
    for (const [i, count] of this.#counts.entries()) {
      const isLast = i === this.#counts.length - 1;
      const single = isLast && i === 0 ? rows.firstRow : extra;
      if (single === extra) extra += count;
      this.#writeChoices(plan, i, single, kernels);
      largest *= match(count, kernels);
      combinations *= count;
      if (i === 0) {
        previous = single;
        continue;
      }
      const combined = isLast ? rows.firstRow : extra;
      if (!isLast) extra += combinations;
      for (let index = 0; index < combinations; index++) {
        plan.multiply(combined + index, previous + Math.floor(index / count), single + (index % count));
      }
      previous = combined;
    }
    return largest;
  }

  /** tpe.md §7.4 relative to the prior's 1/C, for a mixture of K kernels with prior weight 1. */
  #writeChoices(plan: RowPlan, i: number, firstRow: number, kernels: number): void {
    const choices = this.#counts[i] ?? 1;
    const column = this.#candidates[i] ?? new Float64Array(0);
    const own = match(choices, kernels);
    const other = choices / kernels / (1 + choices / kernels);
    for (let choice = 0; choice < choices; choice++) plan.write(firstRow + choice, other);
    for (let j = 0; j < column.length; j++) plan.put(firstRow + (column[j] ?? 0), j, own);
  }
}

/** Probability of a kernel's own choice among C, relative to the prior's 1/C. */
function match(choices: number, kernels: number): number {
  return (choices * (1 + 1 / kernels)) / (1 + choices / kernels);
}

/** Puts categorical parameters together as long as few combinations arise; large ones stay alone. */
export function choicesAxes(
  parameters: readonly { dimension: number; parameter: CategoricalParameter }[],
): ChoicesAxis[] {
  const bySize = [...parameters].sort((a, b) => b.parameter.choices.length - a.parameter.choices.length);
  const groups: { dimensions: number[]; counts: number[]; combinations: number }[] = [];
  for (const { dimension, parameter } of bySize) {
    const count = parameter.choices.length;
    const group = groups.find(({ combinations }) => combinations * count <= combinationsMax);
    if (group === undefined) groups.push({ dimensions: [dimension], counts: [count], combinations: count });
    else {
      group.dimensions.push(dimension);
      group.counts.push(count);
      group.combinations *= count;
    }
  }
  return groups.map(({ dimensions, counts }) => new ChoicesAxis(dimensions, counts));
}
