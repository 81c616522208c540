/**
 * A continuous parameter in the screen, or one with so many grid points that a cell's mass is its width times a density:
 * there the variance grows by step²/12 (Sheppard's correction), which is exact to the fourth power of step/σ. Values are
 * kept as shares u of the range, 0 at its lower bound on the modelling scale and 1 at the upper.
 */
import type { NumericParameter } from '../../space/parameter.js';
import { modellingScale, toModellingScale, type ModellingScale } from '../modelling-scale.js';
import { normalCdf } from '../tpe/special-functions.js';
import { grown } from './growable.js';

/** Φ(−s) for 0 ≤ s ≤ 9 in steps of 1/512; between them a straight line is off by 1.2e-7 at most. */
const tailStepsPerUnit = 512;
const tailMax = 9;
const tails = Float64Array.from({ length: tailMax * tailStepsPerUnit + 2 }, (_, i) =>
  normalCdf(-i / tailStepsPerUnit),
);

/** Φ(−s) for s ≥ 0, to 1.2e-7. */
function tail(s: number): number {
  if (s >= tailMax) return 0;
  const position = s * tailStepsPerUnit;
  const index = Math.trunc(position);
  const lower = tails[index] ?? 0;
  return lower + (position - index) * ((tails[index + 1] ?? 0) - lower);
}

/** Mass that a normal around u with deviation σ (both in shares of the range) has in the range, 0 ≤ u ≤ 1. */
export function massInRange(u: number, sigma: number): number {
  return 1 - tail(u / sigma) - tail((1 - u) / sigma);
}

/** 2^−(d·s)² = exp(−d²/2σ²). */
const unitScale = Math.sqrt(0.5 * Math.LOG2E);

export class CoordinateAxis {
  readonly dimension: number;
  readonly scale: ModellingScale;
  /** Variance that the cell adds, in shares of the range squared. */
  readonly cellVariance: number;
  /** Shares u by slot. */
  shares = new Float64Array(0);
  readonly #parameter: NumericParameter;
  /** The prior's density at its centre, but for constants. */
  readonly #priorHeight: number;

  constructor(dimension: number, parameter: NumericParameter) {
    this.dimension = dimension;
    this.scale = modellingScale(parameter);
    this.#parameter = parameter;
    const share = parameter.step === null ? 0 : parameter.step / (this.scale.hi - this.scale.lo);
    this.cellVariance = (share * share) / 12;
    this.#priorHeight = 1 / (Math.sqrt(1 + this.cellVariance) * massInRange(0.5, 1));
  }

  share(value: number): number {
    const { lo, hi } = this.scale;
    return (toModellingScale(this.#parameter, value) - lo) / (hi - lo);
  }

  /** Sets the share of a slot; returns whether the value lies in range. */
  set(slot: number, value: number): boolean {
    const share = this.share(value);
    this.shares = grown(this.shares, slot + 1);
    this.shares[slot] = share;
    return share >= 0 && share <= 1;
  }

  /** The density of the kernel around u at its centre, relative to the prior's at its own. */
  height(u: number, sigma: number): number {
    return this.peak(sigma) / massInRange(u, sigma);
  }

  /** The part of `height` that is the same for every u. */
  peak(sigma: number): number {
    return 1 / (Math.sqrt(sigma * sigma + this.cellVariance) * this.#priorHeight);
  }

  /** The factor s with which the inner loop wants distances from a centre. */
  scaleFactor(sigma: number): number {
    return unitScale / Math.sqrt(sigma * sigma + this.cellVariance);
  }
}
