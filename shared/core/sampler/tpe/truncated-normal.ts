/** The standard normal distribution truncated to an interval [a, b] (tpe.md §10.3 and §10.4). */
import { clip } from '../rounding.js';
import { logAddExp, logNormalCdf, logSqrtTwoPi, normalCdf } from './special-functions.js';

/** Newton steps of the quantile function; 4 to 6 suffice. */
const newtonStepsMax = 100;
const newtonTolerance = 1e-8;

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

/**
 * Q(u; a, b): the u-quantile, 0 ≤ u ≤ 1, a ≤ b. Always inside [a, b] and never NaN; where the iteration cannot
 * separate the point from a bound (u within a few ulps of 0 or 1), the bound is returned.
 */
export function truncatedNormalQuantile(u: number, a: number, b: number): number {
  if (u <= 0 || a === b) return a;
  if (u >= 1) return b;
  const mass = logMass(a, b);
  const x =
    a < 0
      ? inverseLogNormalCdf(logAddExp(logNormalCdf(a), Math.log(u) + mass))
      : -inverseLogNormalCdf(logAddExp(logNormalCdf(-b), Math.log1p(-u) + mass));
  if (Number.isNaN(x)) return u < 0.5 ? a : b;
  return clip(x, a, b);
}
