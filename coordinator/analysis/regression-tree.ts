/** Regression trees on bootstrap samples: the forest that fANOVA looks into (tpe.md §16.2). */
import type { Mt19937 } from '../../shared/core/sampler/mt19937.js';

/** Rows of feature values, each with one value to predict. */
export interface Sample {
  /** One array per feature, all of the same length. */
  readonly columns: readonly Float64Array[];
  readonly values: Float64Array;
}

/** A tree as nested splits: `x[feature] ≤ threshold` goes left. */
export type Tree =
  | { readonly kind: 'leaf'; readonly value: number }
  | {
      readonly kind: 'split';
      readonly feature: number;
      readonly threshold: number;
      readonly left: Tree;
      readonly right: Tree;
    };

export interface ForestSettings {
  readonly trees: number;
  readonly depthMax: number;
}

/** Errors below this share of the squares are rounding. */
const errorMin = 1e-12;

interface Split {
  readonly feature: number;
  readonly threshold: number;
  /** What the split takes off the sum of squared errors. */
  readonly gain: number;
}

/**
 * One tree while it grows. Every feature keeps the drawn rows in its own order; the rows of a node are one range of all
 * these orders, which a split divides in two without sorting again.
 */
class GrowingTree {
  readonly #sample: Sample;
  /** Row of the sample by draw. */
  readonly #rows: Uint32Array;
  /** Draws in ascending order of each feature. */
  readonly #orders: readonly Uint32Array[];
  readonly #isLeft: Uint8Array;
  readonly #scratch: Uint32Array;
  readonly #rng: Mt19937;

  constructor(sample: Sample, rows: Uint32Array, rng: Mt19937) {
    const draws = Uint32Array.from(rows.keys());
    this.#sample = sample;
    this.#rows = rows;
    this.#orders = sample.columns.map((column) => {
      const at = (draw: number): number => column[rows[draw] ?? 0] ?? 0;
      return draws.toSorted((a, b) => at(a) - at(b));
    });
    this.#isLeft = new Uint8Array(rows.length);
    this.#scratch = new Uint32Array(rows.length);
    this.#rng = rng;
  }

  /** Grows down to pure leaves, at most `depthMax` splits deep, over the draws of a range. */
  grow(start: number, end: number, depthMax: number): Tree {
    const [order = new Uint32Array(0)] = this.#orders;
    let sum = 0;
    let squares = 0;
    for (let i = start; i < end; i++) {
      const value = this.#sample.values[this.#rows[order[i] ?? 0] ?? 0] ?? 0;
      sum += value;
      squares += value * value;
    }
    const mean = sum / (end - start);
    const isPure = end - start < 2 || squares - sum * mean <= errorMin * squares;
    const split = depthMax === 0 || isPure ? null : this.#bestSplit(start, end, sum);
    if (split === null) return { kind: 'leaf', value: mean };
    const { feature, threshold } = split;
    const middle = this.#divide(start, end, split);
    return {
      kind: 'split',
      feature,
      threshold,
      left: this.grow(start, middle, depthMax - 1),
      right: this.grow(middle, end, depthMax - 1),
    };
  }

  /** The best split over all features, looked at in random order so that equal ones take turns. */
  #bestSplit(start: number, end: number, sum: number): Split | null {
    const features = Array.from(this.#orders.keys());
    let best: Split | null = null;
    for (let left = features.length; left > 0; left--) {
      const drawn = Math.floor(this.#rng.nextDouble() * left);
      const feature = features[drawn] ?? 0;
      features[drawn] = features[left - 1] ?? 0;
      best = this.#bestThreshold(feature, { start, end, sum }, best);
    }
    return best;
  }

  /** A better split at one feature than the best so far: halfway between two neighbours. */
  #bestThreshold(
    feature: number,
    { start, end, sum }: { start: number; end: number; sum: number },
    soFar: Split | null,
  ): Split | null {
    const order = this.#orders[feature] ?? new Uint32Array(0);
    const column = this.#sample.columns[feature] ?? new Float64Array(0);
    const { values } = this.#sample;
    const before = (sum * sum) / (end - start);
    let best = soFar;
    let left = 0;
    let row = this.#rows[order[start] ?? 0] ?? 0;
    for (let i = start + 1; i < end; i++) {
      left += values[row] ?? 0;
      const low = column[row] ?? 0;
      row = this.#rows[order[i] ?? 0] ?? 0;
      const high = column[row] ?? 0;
      if (low === high) continue;
      const right = sum - left;
      const gain = (left * left) / (i - start) + (right * right) / (end - i) - before;
      if (gain > (best?.gain ?? 0)) best = { feature, threshold: low + (high - low) / 2, gain };
    }
    return best;
  }

  /** Divides a range of all orders, each keeping its own; returns where the right part begins. */
  #divide(start: number, end: number, { feature, threshold }: Split): number {
    const column = this.#sample.columns[feature] ?? new Float64Array(0);
    const order = this.#orders[feature] ?? new Uint32Array(0);
    let middle = start;
    for (let i = start; i < end; i++) {
      const draw = order[i] ?? 0;
      const isLeft = (column[this.#rows[draw] ?? 0] ?? 0) <= threshold;
      this.#isLeft[draw] = isLeft ? 1 : 0;
      if (isLeft) middle += 1;
    }
    for (const draws of this.#orders) {
      let left = start;
      let right = 0;
      for (let i = start; i < end; i++) {
        const draw = draws[i] ?? 0;
        if (this.#isLeft[draw] === 1) draws[left++] = draw;
        else this.#scratch[right++] = draw;
      }
      draws.set(this.#scratch.subarray(0, right), left);
    }
    return middle;
  }
}

/** A forest: every tree sees as many rows as there are, drawn with replacement. At least one row and one feature. */
export function growForest(sample: Sample, settings: ForestSettings, rng: Mt19937): Tree[] {
  const n = sample.values.length;
  return Array.from({ length: settings.trees }, () => {
    const rows = new Uint32Array(n);
    for (let i = 0; i < n; i++) rows[i] = Math.floor(rng.nextDouble() * n);
    return new GrowingTree(sample, rows, rng).grow(0, n, settings.depthMax);
  });
}
