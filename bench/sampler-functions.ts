/** Fixed functions that samplers are compared on: all minimised, with a known or near-known least value. */
import type { Mt19937 } from '../shared/core/sampler/mt19937.js';
import { makeCategorical, makeFloat, makeInt } from '../shared/core/space/make-parameter.js';
import type { Params, Space } from '../shared/core/space/parameter.js';
import { v6Score, v6Space } from './sampler-study.js';

export interface TestFunction {
  readonly name: string;
  readonly space: Space;
  /** Noiseless value. */
  readonly value: (params: Params) => number;
  readonly least: number;
  /** Standard deviation of the noise that a trial sees. */
  readonly noise: number;
}

const floats = (count: number, low: number, high: number): Space =>
  Array.from({ length: count }, (_, i) => makeFloat({ name: `x${i}`, low, high }));
const numbers = (params: Params, count: number): number[] =>
  Array.from({ length: count }, (_, i) => Number(params[`x${i}`]));
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Optima lie at odd places: samplers that favour the middle of a range gain nothing by it. */
const shift = (i: number): number => 0.37 * Math.sin(3 * i + 1);

const sphere = (x: readonly number[]): number => sum(x.map((value, i) => (value - shift(i)) ** 2));

const rastrigin = (x: readonly number[]): number =>
  sum(x.map((value, i) => (value - shift(i)) ** 2 + 1 - Math.cos(2 * Math.PI * (value - shift(i)))));

const rosenbrock = (x: readonly number[]): number =>
  sum(x.slice(1).map((value, i) => 10 * (value - (x[i] ?? 0) ** 2) ** 2 + (1 - (x[i] ?? 0)) ** 2));

const ellipsoid = (x: readonly number[]): number =>
  sum(x.map((value, i) => 1000 ** (i / (x.length - 1)) * (value - shift(i)) ** 2));

function ackley(x: readonly number[]): number {
  const moved = x.map((value, i) => value - shift(i));
  const squares = sum(moved.map((value) => value * value)) / x.length;
  const waves = sum(moved.map((value) => Math.cos(2 * Math.PI * value))) / x.length;
  return -20 * Math.exp(-0.2 * Math.sqrt(squares)) - Math.exp(waves) + 20 + Math.E;
}

function branin([a = 0, b = 0]: readonly number[]): number {
  const inner = b - (5.1 / (4 * Math.PI ** 2)) * a * a + (5 / Math.PI) * a - 6;
  return inner ** 2 + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(a) + 10;
}

const hartmannHeights = [1, 1.2, 3, 3.2];
const hartmannWidths = [
  [10, 3, 17, 3.5, 1.7, 8],
  [0.05, 10, 17, 0.1, 8, 14],
  [3, 3.5, 1.7, 10, 17, 8],
  [17, 8, 0.05, 10, 0.1, 14],
];
const hartmannCentres = [
  [0.1312, 0.1696, 0.5569, 0.0124, 0.8283, 0.5886],
  [0.2329, 0.4135, 0.8307, 0.3736, 0.1004, 0.9991],
  [0.2348, 0.1451, 0.3522, 0.2883, 0.3047, 0.665],
  [0.4047, 0.8828, 0.8732, 0.5743, 0.1091, 0.0381],
];

function hartmann(x: readonly number[]): number {
  return -sum(
    hartmannHeights.map((height, k) => {
      const distance = sum(
        x.map((value, i) => (hartmannWidths[k]?.[i] ?? 0) * (value - (hartmannCentres[k]?.[i] ?? 0)) ** 2),
      );
      return height * Math.exp(-distance);
    }),
  );
}

/** A training run in miniature: a log rate, an int, a stepped float, and choices that shift the optimum. */
const mixedSpace: Space = [
  makeFloat({ name: 'rate', low: 1e-6, high: 1, log: true }),
  makeInt({ name: 'layers', low: 1, high: 12 }),
  makeFloat({ name: 'dropout', low: 0, high: 0.9, step: 0.05 }),
  makeInt({ name: 'width', low: 8, high: 2048, log: true }),
  makeCategorical('optimizer', ['sgd', 'adam', 'lion']),
  makeCategorical('activation', ['relu', 'gelu', 'tanh', 'silu', 'elu']),
];

function mixed(params: Params): number {
  const rateOptimum = { sgd: -1.5, adam: -3.2, lion: -4.1 }[String(params['optimizer'])] ?? 0;
  const activation =
    { relu: 0.1, gelu: 0, tanh: 0.4, silu: 0.02, elu: 0.2 }[String(params['activation'])] ?? 0;
  return (
    0.3 * (Math.log10(Number(params['rate'])) - rateOptimum) ** 2 +
    0.05 * (Number(params['layers']) - 5) ** 2 +
    2 * (Number(params['dropout']) - 0.25) ** 2 +
    0.2 * (Math.log2(Number(params['width'])) - 8) ** 2 +
    activation +
    (params['optimizer'] === 'sgd' ? 0.15 : params['optimizer'] === 'lion' ? 0.05 : 0)
  );
}

/** Eight choices of six each; pairs must fit together. */
const choiceSpace: Space = Array.from({ length: 8 }, (_, i) => makeCategorical(`x${i}`, [0, 1, 2, 3, 4, 5]));
const choices = (params: Params): number =>
  sum(
    numbers(params, 8).map((value, i, all) => {
      const partner = all[i ^ 1] ?? 0;
      return (
        (value === (i * 5) % 6 ? 0 : 0.5) +
        (i % 2 === 0 && (value + partner) % 6 !== (i * 11 + 5) % 6 ? 0.3 : 0)
      );
    }),
  );

const plain = (
  name: string,
  space: Space,
  of: (x: readonly number[]) => number,
  least = 0,
): TestFunction => ({
  name,
  space,
  value: (params) => of(numbers(params, space.length)),
  least,
  noise: 0,
});

const logSpace: Space = Array.from({ length: 6 }, (_, i) =>
  makeFloat({ name: `x${i}`, low: 1e-4, high: 1e2, log: true }),
);
const steppedSpace: Space = Array.from({ length: 6 }, (_, i) =>
  makeFloat({ name: `x${i}`, low: -2, high: 2, step: 0.1 }),
);
const intSpace: Space = Array.from({ length: 5 }, (_, i) => makeInt({ name: `x${i}`, low: -50, high: 50 }));

const v6: TestFunction = {
  name: 'v6 surrogate',
  space: v6Space,
  value: (params) => -v6Score(params),
  // Found by coordinate descent from sixty random starts.
  least: -0.949758,
  noise: 0,
};
const sphere5 = plain('sphere 5', floats(5, -5, 5), sphere);

export const testFunctions: readonly TestFunction[] = [
  sphere5,
  plain('ellipsoid 8', floats(8, -5, 5), ellipsoid),
  plain('rosenbrock 4', floats(4, -2, 2), rosenbrock),
  plain('rastrigin 5', floats(5, -5, 5), rastrigin),
  plain('ackley 6', floats(6, -20, 20), ackley),
  plain('hartmann 6', floats(6, 0, 1), hartmann, -3.32237),
  plain(
    'branin',
    [makeFloat({ name: 'x0', low: -5, high: 10 }), makeFloat({ name: 'x1', low: 0, high: 15 })],
    branin,
    0.397887,
  ),
  plain('log sphere 6', logSpace, (x) => sum(x.map((value, i) => (Math.log10(value) - 2 * shift(i)) ** 2))),
  plain('stepped rastrigin 6', steppedSpace, (x) =>
    sum(x.map((value) => (value - 0.5) ** 2 + 0.3 * (1 - Math.cos(6 * (value - 0.5))))),
  ),
  plain('int sphere 5', intSpace, (x) => sum(x.map((value, i) => ((value - 7 * i + 11) / 10) ** 2))),
  { name: 'mixed training', space: mixedSpace, value: mixed, least: 0, noise: 0 },
  { name: 'choices 8 × 6', space: choiceSpace, value: choices, least: 0.6, noise: 0 },
  v6,
  { ...sphere5, name: 'sphere 5, noisy', noise: 1 },
  { name: 'mixed, noisy', space: mixedSpace, value: mixed, least: 0, noise: 0.3 },
  { ...v6, name: 'v6, noisy', noise: 0.05 },
];

/** What a trial sees: the value with normal noise (Box and Muller). */
export function observed(test: TestFunction, params: Params, rng: Mt19937): number {
  const value = test.value(params);
  if (test.noise === 0) return value;
  const radius = Math.sqrt(-2 * Math.log(1 - rng.nextDouble()));
  return value + test.noise * radius * Math.cos(2 * Math.PI * rng.nextDouble());
}
