/** The standard normal distribution truncated to an interval [a, b] (tpe.md §10.3 and §10.4). */
import { clip } from '../rounding.js';
import {
  logAddExp,
  logNormalCdf,
  logSqrtTwoPi,
  lowerNormalQuantile,
  normalCdf,
} from './special-functions.js';

/** Newton steps of the quantile function; 4 to 6 suffice. */
const newtonStepsMax = 100;
const newtonTolerance = 1e-8;
/** Narrower intervals around the centre would lose digits in the subtraction of two halves. */
const centralWidthMin = 0.1;

/** M for b ≤ 0, from the logarithms, so that two tiny masses keep their relative accuracy. */
function logMassLeft(a: number, b: number): number {
  const upper = logNormalCdf(b);
  const difference = logNormalCdf(a) - upper;
  // Both −∞: an interval so far out that its mass cannot be told from nothing.
  return Number.isNaN(difference) ? -Infinity : upper + Math.log1p(-Math.exp(difference));
}

/** M(a, b) = ln(Φ(b) − Φ(a)) for a ≤ b, never as a plain difference; −∞ for a = b. Never NaN. */
export function logMass(a: number, b: number): number {
  if (a === b) return -Infinity;
  if (b <= 0) return logMassLeft(a, b);
  if (a > 0) return logMassLeft(-b, -a);
  return Math.log1p(-normalCdf(a) - normalCdf(-b));
}

/** The x with ln Φ(x) = y, for y ≤ 0 (tpe.md §10.4). */
function inverseLogNormalCdf(y: number): number {
  const mirrored = y > -0.01;
  const z = mirrored ? Math.log(-Math.expm1(y)) : y;
  let x = z < -5 ? -Math.sqrt(-2 * (z + logSqrtTwoPi)) : (-Math.sqrt(3) / Math.PI) * Math.log(Math.expm1(-z));
  for (let i = 0; i < newtonStepsMax; i++) {
    const logCdf = logNormalCdf(x);
    const logDensity = -0.5 * x * x - logSqrtTwoPi;
    const step = (logCdf - z) * Math.exp(logCdf - logDensity);
    x -= step;
    if (!(Math.abs(step) >= newtonTolerance * Math.abs(x))) break;
  }
  return mirrored ? -x : x;
}

/** Q for an interval on one side of the centre, or nearly so, by Newton's method on logarithms (tpe.md §10.4). */
function quantileByNewton(u: number, a: number, b: number): number {
  const mass = logMass(a, b);
  return a < 0
    ? inverseLogNormalCdf(logAddExp(logNormalCdf(a), Math.log(u) + mass))
    : -inverseLogNormalCdf(logAddExp(logNormalCdf(-b), Math.log1p(-u) + mass));
}

/**
 * The distribution on [a, b], a ≤ b, made to be drawn from often: where the centre lies inside, as that of every
 * observation in range does, a draw is one closed formula instead of an iteration.
 */
export class TruncatedNormal {
  readonly #a: number;
  readonly #b: number;
  /** Mass left of a, mass right of b, and what is left between. */
  readonly #below: number;
  readonly #above: number;
  readonly #between: number;

  constructor(a: number, b: number) {
    this.#a = a;
    this.#b = b;
    this.#below = normalCdf(a);
    this.#above = normalCdf(-b);
    this.#between = 1 - this.#below - this.#above;
  }

  /**
   * Q(u; a, b): the u-quantile, 0 ≤ u ≤ 1. Always inside [a, b] and never NaN; where it cannot be told from a bound (u
   * within a few ulps of 0 or 1), the bound is returned.
   */
  quantile(u: number): number {
    const a = this.#a;
    const b = this.#b;
    if (u <= 0 || a === b) return a;
    if (u >= 1) return b;
    const x = a <= 0 && b >= 0 && b - a > centralWidthMin ? this.#central(u) : quantileByNewton(u, a, b);
    if (Number.isNaN(x)) return u < 0.5 ? a : b;
    return clip(x, a, b);
  }

  /** From the tail in which the point lies, so that no digits cancel. */
  #central(u: number): number {
    const lower = this.#below + u * this.#between;
    if (lower <= 0.5) return lowerNormalQuantile(lower);
    return -lowerNormalQuantile(this.#above + (1 - u) * this.#between);
  }
}
