/**
 * The one-dimensional kernels of a Parzen estimator: one per observation in number order and the prior as the last
 * one (tpe.md §7). `NumericKernels` are truncated normals on the modelling scale, `CategoricalKernels` are rows of
 * probabilities. This is the plain path, written to be read; `projection/` holds the fast one that must agree with it.
 */
import { assert } from '../../assert.js';
import type { CategoricalParameter, NumericParameter, Parameter } from '../../space/parameter.js';
import { modellingScale, toModellingScale, type ModellingScale } from '../modelling-scale.js';
import type { Mt19937 } from '../mt19937.js';
import { clip, roundHalfEven } from '../rounding.js';
import { bandwidths } from './bandwidth.js';
import type { EstimatorRules } from './estimator-rules.js';
import { logSqrtTwoPi } from './special-functions.js';
import { logMass, TruncatedNormal } from './truncated-normal.js';

/** The kernels of one parameter; points and observations are internal values. */
export interface Kernels {
  /** One value per candidate, drawn from the kernel chosen for it; one double of the stream each. */
  sample(chosen: Uint32Array, rng: Mt19937): Float64Array;
  /** ln f of the point under every kernel, the prior last. */
  logDensities(point: number): Float64Array;
}

/** The point of the parameter's own scale for a draw from the modelling scale (tpe.md §8.4 and §8.5). */
export function fromModellingScale(parameter: NumericParameter, y: number): number {
  const { low, high, step } = parameter;
  const x = parameter.log ? Math.exp(y) : y;
  if (step === null) return clip(x, low, high);
  return clip(low + step * roundHalfEven((x - low) / step), low, high);
}

export class NumericKernels implements Kernels {
  readonly means: Float64Array;
  readonly sigmas: Float64Array;
  readonly #parameter: NumericParameter;
  readonly #scale: ModellingScale;
  /** M((lo − μ)/σ, (hi − μ)/σ) per kernel: what truncation leaves of its mass; computed when a density is asked for. */
  #logMasses: Float64Array | null = null;
  readonly #distributions: (TruncatedNormal | undefined)[] = [];

  /** `d` is the number of parameters in the joint space. */
  constructor(parameter: NumericParameter, observations: Float64Array, d: number, rules: EstimatorRules) {
    const n = observations.length;
    const scale = modellingScale(parameter);
    const points = observations.map((x) => toModellingScale(parameter, x));
    this.#parameter = parameter;
    this.#scale = scale;
    this.means = new Float64Array(n + 1);
    this.means.set(points);
    this.means[n] = (scale.lo + scale.hi) / 2;
    this.sigmas = new Float64Array(n + 1);
    this.sigmas.set(bandwidths(points, scale, d, rules));
    this.sigmas[n] = scale.hi - scale.lo;
  }

  sample(chosen: Uint32Array, rng: Mt19937): Float64Array {
    const values = new Float64Array(chosen.length);
    for (let j = 0; j < chosen.length; j++) {
      const k = chosen[j] ?? 0;
      const q = this.#distribution(k).quantile(rng.nextDouble());
      values[j] = fromModellingScale(this.#parameter, (this.means[k] ?? 0) + (this.sigmas[k] ?? 1) * q);
    }
    return values;
  }

  /** The kernel's distribution, kept because an estimator is drawn from many times. */
  #distribution(k: number): TruncatedNormal {
    const { lo, hi } = this.#scale;
    const mean = this.means[k] ?? 0;
    const sigma = this.sigmas[k] ?? 1;
    return (this.#distributions[k] ??= new TruncatedNormal((lo - mean) / sigma, (hi - mean) / sigma));
  }

  logDensities(point: number): Float64Array {
    const half = this.#parameter.step === null ? null : this.#parameter.step / 2;
    const { lo, hi } = this.#scale;
    this.#logMasses ??= this.means.map((mean, k) => {
      const sigma = this.sigmas[k] ?? 1;
      return logMass((lo - mean) / sigma, (hi - mean) / sigma);
    });
    const logMasses = this.#logMasses;
    return this.means.map((mean, k) => {
      const sigma = this.sigmas[k] ?? 1;
      const logMassInRange = logMasses[k] ?? 0;
      // A kernel so far outside that no mass of it can be seen in the range says nothing about any point.
      if (logMassInRange === -Infinity) return -Infinity;
      if (half === null) return this.#continuous(point, mean, sigma) - logMassInRange;
      const lower = toModellingScale(this.#parameter, point - half);
      const upper = toModellingScale(this.#parameter, point + half);
      return logMass((lower - mean) / sigma, (upper - mean) / sigma) - logMassInRange;
    });
  }

  /** ln of the untruncated normal density; −∞ outside the range. */
  #continuous(point: number, mean: number, sigma: number): number {
    const y = toModellingScale(this.#parameter, point);
    if (y < this.#scale.lo || y > this.#scale.hi) return -Infinity;
    const z = (y - mean) / sigma;
    return -0.5 * z * z - logSqrtTwoPi - Math.log(sigma);
  }
}

export class CategoricalKernels implements Kernels {
  /** Index of the choice of each observation's kernel. */
  readonly #observations: Float64Array;
  readonly #choiceCount: number;
  /** Probability of the kernel's own choice, and of each other one. */
  readonly #own: number;
  readonly #other: number;

  constructor(parameter: CategoricalParameter, observations: Float64Array, rules: EstimatorRules) {
    const share = rules.priorWeight / (observations.length + 1);
    const total = 1 + parameter.choices.length * share;
    this.#observations = observations;
    this.#choiceCount = parameter.choices.length;
    this.#own = (share + 1) / total;
    this.#other = share / total;
  }

  /** P(choice) under kernel k (tpe.md §7.4). */
  probability(k: number, choice: number): number {
    const own = this.#observations[k];
    if (own === undefined) return 1 / this.#choiceCount;
    return own === choice ? this.#own : this.#other;
  }

  sample(chosen: Uint32Array, rng: Mt19937): Float64Array {
    const values = new Float64Array(chosen.length);
    for (let j = 0; j < chosen.length; j++) {
      const k = chosen[j] ?? 0;
      const u = rng.nextDouble();
      // The last cumulative sum counts as exactly 1, hence is never below u.
      let choice = 0;
      let cumulative = this.probability(k, 0);
      while (choice < this.#choiceCount - 1 && cumulative < u) {
        choice += 1;
        cumulative += this.probability(k, choice);
      }
      values[j] = choice;
    }
    return values;
  }

  logDensities(point: number): Float64Array {
    const kernels = this.#observations.length + 1;
    return new Float64Array(kernels).map((_, k) => Math.log(this.probability(k, point)));
  }
}

/** The kernels of any parameter that is not single-valued; see `NumericKernels`. */
export function makeKernels(
  parameter: Parameter,
  observations: Float64Array,
  d: number,
  rules: EstimatorRules,
): Kernels {
  if (parameter.kind === 'categorical') {
    assert(parameter.choices.length > 1, `parameter ${parameter.name} has one choice and is never modelled`);
    return new CategoricalKernels(parameter, observations, rules);
  }
  return new NumericKernels(parameter, observations, d, rules);
}
