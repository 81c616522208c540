/**
 * A joint Parzen estimator (tpe.md §7): a mixture whose kernels are products over the parameters of one-dimensional
 * kernels with the same index. Dependence between parameters is carried by the shared index alone.
 */
import type { Parameter, Space } from '../../space/parameter.js';
import type { Mt19937 } from '../mt19937.js';
import type { EstimatorRules } from './estimator-rules.js';
import { makeKernels, type Kernels } from './kernels.js';
import { logSumExp } from './special-functions.js';
import { mixtureWeights } from './weights.js';

/** Internal values, one array per parameter of the space, all of the same length. */
export type Columns = readonly Float64Array[];

/** Index of the kernel for u ∈ [0, 1): the number of normalised cumulative weights ≤ u (tpe.md §11). */
function chooseKernels(weights: Float64Array, count: number, rng: Mt19937): Uint32Array {
  let sum = 0;
  const cumulative = weights.map((weight) => (sum += weight)).map((partial) => partial / sum);
  const chosen = new Uint32Array(count);
  for (let j = 0; j < count; j++) {
    const u = rng.nextDouble();
    let k = 0;
    while (k < weights.length - 1 && (cumulative[k] ?? 1) <= u) k += 1;
    chosen[j] = k;
  }
  return chosen;
}

export class ParzenEstimator {
  /** One per observation, the prior's last; they sum to 1. */
  readonly weights: Float64Array;
  readonly kernels: readonly Kernels[];
  readonly #space: readonly Parameter[];
  readonly #logWeights: Float64Array;

  /**
   * `space` without single parameters, sorted by name; `observations` in number order, one column per parameter;
   * `observationWeights` as long as a column.
   */
  constructor(space: Space, observations: Columns, observationWeights: Float64Array, rules: EstimatorRules) {
    this.#space = space;
    this.weights = mixtureWeights(observationWeights, rules.priorWeight);
    this.#logWeights = this.weights.map((weight) => Math.log(weight));
    this.kernels = space.map((parameter, j) =>
      makeKernels(parameter, observations[j] ?? new Float64Array(0), space.length, rules),
    );
  }

  /**
   * `count` candidates. Draws `count · (1 + d)` doubles: the kernel indices, then each categorical parameter in
   * space order, then each numeric one (tpe.md §8 and §11).
   */
  sample(count: number, rng: Mt19937): Columns {
    const chosen = chooseKernels(this.weights, count, rng);
    const columns: Float64Array[] = this.#space.map(() => new Float64Array(0));
    for (const categorical of [true, false]) {
      this.#space.forEach((parameter, j) => {
        if ((parameter.kind === 'categorical') !== categorical) return;
        columns[j] = this.kernels[j]?.sample(chosen, rng) ?? new Float64Array(0);
      });
    }
    return columns;
  }

  /** ln of the mixture's density at one point, given by its internal values in space order (tpe.md §9). */
  logDensity(point: readonly number[]): number {
    const terms = this.#logWeights.slice();
    this.kernels.forEach((kernels, j) => {
      kernels.logDensities(point[j] ?? 0).forEach((logDensity, k) => {
        terms[k] = (terms[k] ?? 0) + logDensity;
      });
    });
    return logSumExp(terms);
  }
}
