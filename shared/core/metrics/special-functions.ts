/** Tails of the distributions that tests refer to; erf and erfc are the sampler's. */
import { erfc } from '../sampler/tpe/special-functions.js';

export { erf, normalCdf } from '../sampler/tpe/special-functions.js';

/** Q(z), the probability that a standard normal exceeds z. */
export const normalTail = (z: number): number => 0.5 * erfc(z * Math.SQRT1_2);

/** Two-sided p-value of a standard normal statistic. */
export const normalTwoSided = (z: number): number => 2 * normalTail(Math.abs(z));

/** Coefficients B₂ₙ / (2n(2n−1)) of Stirling's series. */
const stirling = [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156];
/** From here on seven terms of the series are exact to double precision. */
const stirlingFrom = 12;

/** ln Γ(x) for x > 0, about 1e-15 relative to its size (absolute near 1 and 2). NaN otherwise. */
export function logGamma(x: number): number {
  if (!(x > 0)) return NaN;
  let shift = 1;
  let y = x;
  while (y < stirlingFrom) {
    shift *= y;
    y += 1;
  }
  const inverse = 1 / y;
  let power = inverse;
  let series = 0;
  for (const coefficient of stirling) {
    series += coefficient * power;
    power *= inverse * inverse;
  }
  return (y - 0.5) * Math.log(y) - y + 0.5 * Math.log(2 * Math.PI) + series - Math.log(shift);
}

const iterationsMax = 10_000;

/** Lower regularised incomplete gamma P(a, x) by its power series; for x < a + 1. */
function gammaSeries(a: number, x: number): number {
  let term = 1 / a;
  let sum = term;
  for (let k = 1; k < iterationsMax && term > sum * 1e-17; k++) {
    term *= x / (a + k);
    sum += term;
  }
  return sum * Math.exp(a * Math.log(x) - x - logGamma(a));
}

/** Upper regularised incomplete gamma Q(a, x) by its continued fraction (modified Lentz); for x ≥ a + 1. */
function gammaFraction(a: number, x: number): number {
  const tiny = 1e-300;
  let b = x + 1 - a;
  let c = 1 / tiny;
  let d = 1 / b;
  let value = d;
  for (let k = 1; k < iterationsMax; k++) {
    const numerator = -k * (k - a);
    b += 2;
    d = numerator * d + b;
    if (Math.abs(d) < tiny) d = tiny;
    c = b + numerator / c;
    if (Math.abs(c) < tiny) c = tiny;
    d = 1 / d;
    const factor = d * c;
    value *= factor;
    if (Math.abs(factor - 1) < 1e-16) break;
  }
  return value * Math.exp(a * Math.log(x) - x - logGamma(a));
}

/** Probability that a chi-square variable with `degrees` > 0 degrees of freedom exceeds `x`. */
export function chiSquareTail(x: number, degrees: number): number {
  if (Number.isNaN(x) || !(degrees > 0)) return NaN;
  if (x <= 0) return 1;
  if (x === Infinity) return 0;
  const a = degrees / 2;
  const half = x / 2;
  return half < a + 1 ? 1 - gammaSeries(a, half) : gammaFraction(a, half);
}

/**
 * Two-sided p-value of Student's t with `degrees` > 0 degrees of freedom, `I_{ν/(ν+t²)}(ν/2, ½)`. The small-sample
 * correction of Diebold-Mariano refers to it.
 */
export function studentTwoSided(t: number, degrees: number): number {
  if (Number.isNaN(t) || !(degrees > 0)) return NaN;
  if (!Number.isFinite(t)) return 0;
  return betaRegularised(degrees / (degrees + t * t), degrees / 2, 0.5);
}

/** Regularised incomplete beta I_x(a, b) by its continued fraction, on the side where it converges fast. */
function betaRegularised(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  const logFront = logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x);
  const front = Math.exp(logFront);
  if (x < (a + 1) / (a + b + 2)) return (front * betaFraction(x, a, b)) / a;
  return 1 - (front * betaFraction(1 - x, b, a)) / b;
}

function betaFraction(x: number, a: number, b: number): number {
  const tiny = 1e-300;
  const guard = (value: number): number => (Math.abs(value) < tiny ? tiny : value);
  let c = 1;
  let d = 1 / guard(1 - ((a + b) * x) / (a + 1));
  let value = d;
  for (let m = 1; m < iterationsMax; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / guard(1 + even * d);
    c = guard(1 + even / c);
    value *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / guard(1 + odd * d);
    c = guard(1 + odd / c);
    value *= d * c;
    if (Math.abs(d * c - 1) < 1e-16) break;
  }
  return value;
}
