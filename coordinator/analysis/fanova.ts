/** fANOVA: the share of a random forest's variance that a parameter explains by itself (tpe.md §16.2). */
import { Mt19937 } from '../../shared/core/sampler/mt19937.js';
import { isSingle, parametersEqual } from '../../shared/core/space/make-parameter.js';
import { toInternal } from '../../shared/core/space/parameter-values.js';
import type { Parameter } from '../../shared/core/space/parameter.js';
import {
  ImportanceError,
  normalised,
  type AssessedStudy,
  type AssessedTrial,
  type Importances,
} from './importance.js';
import { growForest, type Sample, type Tree } from './regression-tree.js';

/**
 * Optuna grows 64 trees; what they say varies by a few hundredths from seed to seed. Four times as many halve that and
 * mean the same.
 */
const forestSettings = { trees: 256, depthMax: 64 };
/** Choices of one parameter that a tree may tell apart; every one more doubles the work. */
const choicesSplitMax = 16;

/** The box of values that a leaf stands for. */
export interface Leaf {
  readonly value: number;
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/** The features that stand for one parameter: itself, or a 0/1 column per choice. */
export interface FeatureGroup {
  readonly name: string;
  readonly features: readonly number[];
}

/** The leaves of a tree within the given bounds of its features. */
export function leavesOf(tree: Tree, low: Float64Array, high: Float64Array): Leaf[] {
  if (tree.kind === 'leaf') return [{ value: tree.value, low, high }];
  const { feature, threshold, left, right } = tree;
  return [
    ...leavesOf(left, low, high.with(feature, Math.min(high[feature] ?? 0, threshold))),
    ...leavesOf(right, low.with(feature, Math.max(low[feature] ?? 0, threshold)), high),
  ];
}

/** Volume of a leaf over some features. */
function volume(leaf: Leaf, features: Iterable<number>): number {
  let product = 1;
  for (const i of features) product *= (leaf.high[i] ?? 0) - (leaf.low[i] ?? 0);
  return product;
}

/** Variance of values with weights. */
function weightedVariance(values: readonly number[], weights: readonly number[]): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const mean = values.reduce((sum, value, i) => sum + value * (weights[i] ?? 0), 0) / total;
  return values.reduce((sum, value, i) => sum + (weights[i] ?? 0) * (value - mean) ** 2, 0) / total;
}

/** Cut points of the leaves along a feature, bounds included, ascending. */
function cuts(leaves: readonly Leaf[], feature: number): number[] {
  const points = new Set(leaves.flatMap((leaf) => [leaf.low[feature] ?? 0, leaf.high[feature] ?? 0]));
  return [...points].sort((a, b) => a - b);
}

/**
 * V_U: variance of the tree's mean over all other features, as a function of the features in U. The cells are the product
 * of the cuts along each feature of U; a leaf adds to all cells within its box. `volumes` are those of the leaves over
 * all features.
 */
export function marginalVariance(
  leaves: readonly Leaf[],
  volumes: readonly number[],
  group: readonly number[],
): number {
  const split: SplitFeatures = group
    .map((feature) => ({ feature, points: cuts(leaves, feature) }))
    .filter(({ points }) => points.length > 2)
    .map(({ feature, points }) => ({ feature, points, positions: new Map(points.map((x, i) => [x, i])) }));
  if (split.length > choicesSplitMax) {
    throw new ImportanceError(
      `a parameter with more than ${choicesSplitMax} choices that matter is too many for fANOVA; use PED-ANOVA`,
    );
  }
  const features = split.map(({ feature }) => feature);
  const cells = split.reduce((product, { points }) => product * (points.length - 1), 1);
  const sums = new Float64Array(cells);
  const weights = new Float64Array(cells);
  for (const [i, leaf] of leaves.entries()) {
    // Between two neighbouring numbers there is no threshold but one of them: such a leaf has no volume.
    if (!((volumes[i] ?? 0) > 0)) continue;
    const weight = (volumes[i] ?? 0) / volume(leaf, features);
    for (const cell of cellsOf(leaf, split)) {
      sums[cell] = (sums[cell] ?? 0) + weight * leaf.value;
      weights[cell] = (weights[cell] ?? 0) + weight;
    }
  }
  const sizes = Array.from(weights, (weight, cell) => cellSize(cell, split) * weight);
  return weightedVariance(
    Array.from(sums, (sum, cell) => sum / ((weights[cell] ?? 0) || 1)),
    sizes,
  );
}

type SplitFeatures = readonly {
  readonly feature: number;
  /** Cuts, ascending, and the position of each. */
  readonly points: readonly number[];
  readonly positions: ReadonlyMap<number, number>;
}[];

/** Numbers of the cells within a leaf's box; the last feature counts fastest. */
function cellsOf(leaf: Leaf, split: SplitFeatures): number[] {
  let cells = [0];
  for (const { feature, points, positions } of split) {
    const start = positions.get(leaf.low[feature] ?? 0) ?? 0;
    const end = positions.get(leaf.high[feature] ?? 0) ?? 0;
    const next: number[] = [];
    for (const cell of cells) {
      for (let step = start; step < end; step++) next.push(cell * (points.length - 1) + step);
    }
    cells = next;
  }
  return cells;
}

function cellSize(cell: number, split: SplitFeatures): number {
  let rest = cell;
  return split.reduceRight((size, { points }) => {
    const step = rest % (points.length - 1);
    rest = (rest - step) / (points.length - 1);
    return size * ((points[step + 1] ?? 0) - (points[step] ?? 0));
  }, 1);
}

/**
 * V_U / V per group, averaged over the trees that have any variance. Throws an `ImportanceError` when none has: the
 * outcome does not depend on the parameters at all.
 */
export function forestImportances(
  forest: readonly Tree[],
  groups: readonly FeatureGroup[],
  bounds: { readonly low: Float64Array; readonly high: Float64Array },
): ReadonlyMap<string, number> {
  const all = Array.from(bounds.low.keys());
  const sums = new Map(groups.map(({ name }) => [name, 0]));
  let counted = 0;
  for (const tree of forest) {
    const leaves = leavesOf(tree, bounds.low, bounds.high);
    const volumes = leaves.map((leaf) => volume(leaf, all));
    const total = weightedVariance(
      leaves.map((leaf) => leaf.value),
      volumes,
    );
    if (total === Infinity || Number.isNaN(total))
      throw new ImportanceError(
        'the values, or the ranges of the parameters, are too large or too small for fANOVA',
      );
    if (total === 0) continue;
    counted += 1;
    for (const { name, features } of groups) {
      sums.set(name, (sums.get(name) ?? 0) + marginalVariance(leaves, volumes, features) / total);
    }
  }
  if (counted === 0) {
    throw new ImportanceError('the values do not vary with the parameters: there is nothing to explain');
  }
  return new Map([...sums].map(([name, sum]) => [name, sum / counted]));
}

/** The parameters that all trials have with one distribution; those of `names` must be among them. */
function assessedParameters(
  study: AssessedStudy,
  trials: readonly AssessedTrial[],
  names: readonly string[] | undefined,
): Parameter[] {
  const asked = ({ space }: AssessedTrial): readonly Parameter[] => [...(space ?? []), ...study.space];
  const common = study.space.filter((parameter) =>
    trials.every((trial) => {
      const own = asked(trial).find(({ name }) => name === parameter.name);
      return (
        Object.hasOwn(trial.params, parameter.name) && own !== undefined && parametersEqual(own, parameter)
      );
    }),
  );
  const missing = names?.find((name) => !common.some((parameter) => parameter.name === name));
  if (missing !== undefined) {
    throw new ImportanceError(
      `parameter ${JSON.stringify(missing)} is not in every completed trial with one and the same distribution`,
    );
  }
  return names === undefined ? common : common.filter(({ name }) => names.includes(name));
}

interface Encoded {
  readonly sample: Sample;
  readonly groups: readonly FeatureGroup[];
  readonly low: Float64Array;
  readonly high: Float64Array;
}

/**
 * Numbers on their own scale, without logarithms; choices as a 0/1 column each. A value outside of its range, which an
 * enqueued trial may have, counts as the nearest end of the range: variance is measured within the ranges alone, and a
 * threshold beyond them would make boxes of negative volume.
 */
function encode(
  parameters: readonly Parameter[],
  trials: readonly AssessedTrial[],
  values: Float64Array,
): Encoded {
  const columns: Float64Array[] = [];
  const bounds: [number, number][] = [];
  const groups = parameters.map((parameter): FeatureGroup => {
    const internal = trials.map(({ params }) => toInternal(parameter, params[parameter.name] ?? null) ?? 0);
    const start = columns.length;
    if (parameter.kind === 'categorical') {
      for (const choice of parameter.choices.keys()) {
        columns.push(Float64Array.from(internal, (value) => Number(value === choice)));
        bounds.push([0, 1]);
      }
    } else {
      const { low, high } = parameter;
      columns.push(Float64Array.from(internal, (value) => Math.min(Math.max(value, low), high)));
      bounds.push([parameter.low, parameter.high]);
    }
    return {
      name: parameter.name,
      features: Array.from({ length: columns.length - start }, (_, i) => start + i),
    };
  });
  return {
    sample: { columns, values },
    groups,
    low: Float64Array.from(bounds, ([low]) => low),
    high: Float64Array.from(bounds, ([, high]) => high),
  };
}

/**
 * Importances of the given parameters, by default of all that every trial has. The forest is grown from `seed`. Throws an
 * `ImportanceError` with several objectives and no target, for a parameter that not every trial has in the same way, or
 * when the values do not vary.
 */
export function fanova(study: AssessedStudy, seed: number, names?: readonly string[]): Importances {
  const { directions, target } = study;
  if (directions.length > 1 && target === undefined) {
    throw new ImportanceError('with several objectives, say which value to explain (a target)');
  }
  const value = target ?? (({ values }: AssessedTrial): number => values[0] ?? NaN);
  const withNames = study.trials.filter(
    ({ params }) => names?.every((name) => Object.hasOwn(params, name)) ?? true,
  );
  const parameters = assessedParameters(study, withNames, names);
  const trials = withNames.filter((trial) => Number.isFinite(value(trial)));
  const raw = new Map(parameters.map(({ name }) => [name, 0]));
  const modelled = parameters.filter((parameter) => !isSingle(parameter));
  if (trials.length <= 1 || modelled.length === 0) return normalised(raw);
  const { sample, groups, low, high } = encode(modelled, trials, Float64Array.from(trials, value));
  const forest = growForest(sample, forestSettings, new Mt19937(seed));
  for (const [name, importance] of forestImportances(forest, groups, { low, high }))
    raw.set(name, importance);
  return normalised(raw);
}
