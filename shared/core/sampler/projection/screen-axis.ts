/**
 * How the parameters of a space enter the screen (`mixture-screen.ts`). A *table axis* has a class for every distinct
 * one-dimensional kernel mean; what a class says about every candidate is one row of numbers. All densities are taken
 * relative to the prior's, which keeps products of many of them within the range of single precision.
 */
import type { CategoricalParameter } from '../../space/parameter.js';

/** Rows are written here: entry `offset + j` for candidate j. */
export interface RowTarget {
  readonly rows: Float32Array;
  readonly offset: number;
}

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
  /** Writes a class's row for a mixture of `kernels` kernels and bandwidth σ; returns its largest entry. */
  fillRow(index: number, mixture: { kernels: number; sigma: number }, target: RowTarget): number;
}

/** Smaller ratios are written as 0: products of tiny numbers are slow to compute and add nothing. */
export const ratioMin = 1e-30;

/** Most combinations of choices that share one axis. */
const combinationsMax = 32;

/** Several categorical parameters: a class is a combination of choices. */
export class ChoicesAxis implements TableAxis {
  readonly dimensions: readonly number[];
  readonly classes: number;
  readonly #counts: readonly number[];
  #candidates: readonly Float64Array[] = [];
  #kernels = 0;
  /** For every parameter, what each of its choices says about every candidate. */
  #ratios: readonly Float64Array[] = [];

  /** `counts[i]` is the number of choices of the parameter at `dimensions[i]`. */
  constructor(dimensions: readonly number[], counts: readonly number[]) {
    this.dimensions = dimensions;
    this.#counts = counts;
    this.classes = counts.reduce((product, count) => product * count, 1);
  }

  classOf(point: ArrayLike<number>): number {
    let index = 0;
    this.dimensions.forEach((dimension, i) => {
      index = index * (this.#counts[i] ?? 1) + (point[dimension] ?? 0);
    });
    return index;
  }

  setCandidates(columns: readonly Float64Array[]): void {
    this.#candidates = this.dimensions.map((dimension) => columns[dimension] ?? new Float64Array(0));
    this.#kernels = 0;
  }

  fillRow(index: number, { kernels }: { kernels: number }, { rows, offset }: RowTarget): number {
    if (kernels !== this.#kernels) this.#setRatios(kernels);
    const count = this.#candidates[0]?.length ?? 0;
    let rest = index;
    let isFirst = true;
    for (let i = this.dimensions.length - 1; i >= 0; i--) {
      const choices = this.#counts[i] ?? 1;
      const own = rest % choices;
      rest = (rest - own) / choices;
      const ratios = this.#ratios[i] ?? new Float64Array(0);
      const start = own * count;
      if (isFirst) for (let j = 0; j < count; j++) rows[offset + j] = ratios[start + j] ?? 0;
      else
        for (let j = 0; j < count; j++) rows[offset + j] = (rows[offset + j] ?? 0) * (ratios[start + j] ?? 0);
      isFirst = false;
    }
    // A kernel's own choices are its most probable ones.
    return this.#counts.reduce((product, choices) => product * match(choices, kernels), 1);
  }

  /** tpe.md §7.4 relative to the prior's 1/C, for a mixture of K kernels with prior weight 1. */
  #setRatios(kernels: number): void {
    this.#kernels = kernels;
    this.#ratios = this.#counts.map((choices, i) => {
      const column = this.#candidates[i] ?? new Float64Array(0);
      const count = column.length;
      const other = mismatch(choices, kernels);
      const ratios = new Float64Array(choices * count).fill(other);
      for (let j = 0; j < count; j++) ratios[(column[j] ?? 0) * count + j] = match(choices, kernels);
      return ratios;
    });
  }
}

/** Probability of a kernel's own choice among C, relative to the prior's 1/C. */
function match(choices: number, kernels: number): number {
  return (choices * (1 + 1 / kernels)) / (1 + choices / kernels);
}

/** Probability of any other choice, relative to the prior's. */
function mismatch(choices: number, kernels: number): number {
  return choices / kernels / (1 + choices / kernels);
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
