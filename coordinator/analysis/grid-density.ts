/** Densities of a parameter's values on a coarse grid, as PED-ANOVA compares them (tpe.md §16.1, 5). */
import type { CategoricalParameter, NumericParameter, Parameter } from '../../shared/core/space/parameter.js';
import { toInternal } from '../../shared/core/space/parameter-values.js';
import type { ParameterValue } from '../../shared/core/space/parameter.js';
import { logMass } from '../../shared/core/sampler/tpe/truncated-normal.js';

/** Most points of a numeric grid. */
const gridPointsMax = 50;
/** Smallest bandwidth, in cells: half a cell holds 90 % of a kernel's mass. */
const sigmaMin = 0.5 / 1.64;

/** Points of the grid that a numeric parameter is looked at on. */
export function gridPoints(parameter: NumericParameter): number {
  const { low, high, log, step } = parameter;
  if (parameter.kind === 'int' && log) {
    return Math.min(Math.ceil(Math.log2(high - low + 1)) + 1, gridPointsMax);
  }
  if (step === null) return gridPointsMax;
  return Math.min(Math.round((high - low) / step) + 1, gridPointsMax);
}

/** Cell of a number, 0 to points − 1; halfway between two cells the lower one. */
function cellOf(value: number, parameter: NumericParameter, points: number): number {
  const scaled = (x: number): number => (parameter.log ? Math.log(x) : x);
  const width = (scaled(parameter.high) - scaled(parameter.low)) / (points - 1);
  const cell = Math.ceil((scaled(value) - scaled(parameter.low)) / width - 0.5);
  return Math.min(Math.max(cell, 0), points - 1);
}

/** How many values fall into each cell or are each choice; what its parameter cannot record is left out. */
function countValues(parameter: Parameter, values: readonly ParameterValue[]): number[] {
  const points = parameter.kind === 'categorical' ? parameter.choices.length : gridPoints(parameter);
  const counts = new Array<number>(points).fill(0);
  for (const value of values) {
    const internal = toInternal(parameter, value);
    if (internal === null) continue;
    const cell = parameter.kind === 'categorical' ? internal : cellOf(internal, parameter, points);
    counts[cell] = (counts[cell] ?? 0) + 1;
  }
  return counts;
}

/** Scott's rule of thumb with the smaller of the spread and the quartile distance, in cells. */
function commonSigma(counts: readonly number[], total: number): number {
  const mean = counts.reduce((sum, count, cell) => sum + count * cell, 0) / total;
  const squares = counts.reduce((sum, count, cell) => sum + count * (cell - mean) ** 2, 0);
  const deviation = Math.sqrt(squares / Math.max(1, total - 1));
  const occupied = counts.map((_, cell) => cell).filter((cell) => (counts[cell] ?? 0) > 0);
  let sum = 0;
  const cumulative = occupied.map((cell) => (sum += counts[cell] ?? 0));
  const last = occupied.length - 1;
  const lower = cumulative.findIndex((c) => c >= Math.floor(total / 4));
  const above = cumulative.findIndex((c) => c > Math.floor((3 * total) / 4));
  const quartiles = (occupied[above < 0 ? last : above] ?? 0) - (occupied[Math.max(lower, 0)] ?? 0);
  return Math.max(1.059 * Math.min(quartiles / 1.34, deviation) * total ** -0.2, sigmaMin);
}

/** Mass of every cell under a normal around `mean`, truncated to the grid. */
function normalCells(mean: number, sigma: number, points: number): number[] {
  const at = (x: number): number => (x - mean) / sigma;
  const inRange = logMass(at(-0.5), at(points - 0.5));
  return Array.from({ length: points }, (_, cell) =>
    Math.exp(logMass(at(cell - 0.5), at(cell + 0.5)) - inRange),
  );
}

/** The kernel rows of the occupied choices, and the prior's as the last one. */
function choiceRows(parameter: CategoricalParameter, occupied: readonly number[]): number[][] {
  const choices = parameter.choices.length;
  const share = 1 / (occupied.length + 1);
  const rows = occupied.map((own) =>
    parameter.choices.map((_, choice) => (share + (choice === own ? 1 : 0)) / (1 + choices * share)),
  );
  return [...rows, parameter.choices.map(() => 1 / choices)];
}

/**
 * Density of the values on the parameter's grid: one kernel per occupied cell or choice, weighted by its count, and the
 * prior with weight 1. Sums to 1. At least one value; the parameter has more than one.
 */
export function gridDensity(parameter: Parameter, values: readonly ParameterValue[]): number[] {
  const counts = countValues(parameter, values);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const points = counts.length;
  const occupied = counts.map((_, cell) => cell).filter((cell) => (counts[cell] ?? 0) > 0);
  const sigma = commonSigma(counts, total);
  const rows =
    parameter.kind === 'categorical'
      ? choiceRows(parameter, occupied)
      : [
          ...occupied.map((cell) => normalCells(cell, sigma, points)),
          normalCells((points - 1) / 2, points, points),
        ];
  const weights = [...occupied.map((cell) => counts[cell] ?? 0), 1];
  return counts.map((_, cell) =>
    rows.reduce((sum, row, k) => sum + ((weights[k] ?? 0) / (total + 1)) * (row[cell] ?? 0), 0),
  );
}
