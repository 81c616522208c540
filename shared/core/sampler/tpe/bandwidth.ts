/** Bandwidths of the kernels of one numeric parameter (tpe.md §7.3). */
import type { ModellingScale } from '../modelling-scale.js';
import { clip } from '../rounding.js';
import type { EstimatorRules } from './estimator-rules.js';

/** From this many kernels on, the lower bound of bandwidths stays at a hundredth of the range. */
const clipKernelsMax = 100;
/** Lower bound of bandwidths without magic clip. */
const bandwidthMin = 1e-12;

/** σ_min, the smallest bandwidth among `n` observations on a range of width `W`. */
export function smallestBandwidth(n: number, W: number, magicClip: boolean): number {
  return magicClip ? W / Math.min(clipKernelsMax, n + 2) : bandwidthMin;
}

/** Optuna 4's constant bandwidth before the clip: `n` observations, `d` parameters in the space, range width `W`. */
export function scottBandwidth(n: number, d: number, W: number): number {
  return 0.2 * Math.pow(Math.max(n, 1), -1 / (d + 4)) * W;
}

/** Positions of the observations in ascending order of value; equal ones in kernel order (tpe.md §7.3). */
function sortedOrder(observations: Float64Array): Uint32Array {
  const order = new Uint32Array(observations.length).map((_, i) => i);
  return order.sort((i, j) => (observations[i] ?? 0) - (observations[j] ?? 0) || i - j);
}

/** The larger of the gaps to both neighbours, in kernel order, before the clip. */
function neighbourBandwidths(
  observations: Float64Array,
  { lo, hi }: ModellingScale,
  endpoints: boolean,
): Float64Array {
  const n = observations.length;
  const order = sortedOrder(observations);
  const at = (position: number): number => {
    if (position < 0) return lo;
    if (position >= n) return hi;
    return observations[order[position] ?? 0] ?? 0;
  };
  const sigmas = new Float64Array(n);
  order.forEach((kernel, position) => {
    const below = at(position) - at(position - 1);
    const above = at(position + 1) - at(position);
    let sigma = Math.max(below, above);
    if (!endpoints && n >= 2 && position === 0) sigma = above;
    if (!endpoints && n >= 2 && position === n - 1) sigma = below;
    sigmas[kernel] = sigma;
  });
  return sigmas;
}

/**
 * σ of every observation's kernel, in kernel order; the prior's (the width of the range) is not among them.
 * `observations` are on the modelling scale; `d` counts the parameters of the joint space, categorical ones included.
 */
export function bandwidths(
  observations: Float64Array,
  scale: ModellingScale,
  d: number,
  rules: EstimatorRules,
): Float64Array {
  const n = observations.length;
  const W = scale.hi - scale.lo;
  const smallest = smallestBandwidth(n, W, rules.magicClip);
  const raw =
    rules.bandwidth === 'scott'
      ? new Float64Array(n).fill(scottBandwidth(n, d, W))
      : neighbourBandwidths(observations, scale, rules.endpoints);
  return raw.map((sigma) => clip(sigma, smallest, W));
}
