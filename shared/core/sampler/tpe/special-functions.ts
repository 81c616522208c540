/**
 * The error function and the normal distribution, to about 1e-15 relative, far tails included (tpe.md §10).
 *
 * erf and erfc are the rational Chebyshev approximations of W. J. Cody, "Rational Chebyshev approximations for the
 * error function", Mathematics of Computation 23 (1969): one for |x| ≤ 0.46875, one up to 4, one beyond. Numerators
 * and denominators are given by descending powers.
 */
const erfNumerator = [
  0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694,
];
const erfDenominator = [1, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171];
const middleNumerator = [
  2.1531153547440383e-8, 0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001,
  881.952221241769, 1712.0476126340707, 2051.0783778260716, 1230.3393547979972,
];
const middleDenominator = [
  1, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903, 3290.7992357334597,
  4362.619090143247, 3439.3676741437216, 1230.3393548037495,
];
const tailNumerator = [
  0.016315387137302097, 0.30532663496123236, 0.36034489994980445, 0.12578172611122926, 0.016083785148742275,
  0.0006587491615298378,
];
const tailDenominator = [
  1, 2.568520192289822, 1.8729528499234673, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918,
];

const inverseSqrtPi = 1 / Math.sqrt(Math.PI);
/** ln √(2π). */
export const logSqrtTwoPi = 0.5 * Math.log(2 * Math.PI);

/** The polynomial with these coefficients, highest power first, at x. */
function polynomial(coefficients: readonly number[], x: number): number {
  let sum = 0;
  for (const coefficient of coefficients) sum = sum * x + coefficient;
  return sum;
}

/** exp(−y²) for y ≥ 0. y² itself would be rounded; y is split so that the larger square is exact. */
function expMinusSquare(y: number): number {
  const coarse = Math.trunc(y * 16) / 16;
  return Math.exp(-coarse * coarse) * Math.exp(-(y - coarse) * (y + coarse));
}

/** erf(x) for |x| ≤ 0.46875. */
function erfNearZero(x: number): number {
  const square = x * x;
  return (x * polynomial(erfNumerator, square)) / polynomial(erfDenominator, square);
}

/** erfc(y) for y > 0.46875. */
function erfcPositive(y: number): number {
  if (y <= 4) {
    return (expMinusSquare(y) * polynomial(middleNumerator, y)) / polynomial(middleDenominator, y);
  }
  if (y > 27) return 0;
  const z = 1 / (y * y);
  const correction = (z * polynomial(tailNumerator, z)) / polynomial(tailDenominator, z);
  return (expMinusSquare(y) * (inverseSqrtPi - correction)) / y;
}

/** The error function. */
export function erf(x: number): number {
  if (Math.abs(x) <= 0.46875) return erfNearZero(x);
  return x > 0 ? 1 - erfcPositive(x) : erfcPositive(-x) - 1;
}

/** The complementary error function 1 − erf(x), accurate also where it is tiny. */
export function erfc(x: number): number {
  if (Math.abs(x) <= 0.46875) return 1 - erfNearZero(x);
  return x > 0 ? erfcPositive(x) : 2 - erfcPositive(-x);
}

/** Φ(x), the standard normal distribution function. */
export function normalCdf(x: number): number {
  return 0.5 * erfc(-x * Math.SQRT1_2);
}

/**
 * ln Φ(x) for any x: an asymptotic series where Φ itself would underflow (tpe.md §10.2), and 1 − Φ(−x) on the right,
 * where ln Φ(x) taken directly would keep few digits.
 */
export function logNormalCdf(x: number): number {
  if (x > 0) return Math.log1p(-normalCdf(-x));
  if (x > -20) return Math.log(normalCdf(x));
  if (x === -Infinity) return -Infinity;
  const inverseSquare = 1 / (x * x);
  let term = 1;
  let sum = 1;
  // Alternating asymptotic series; for x ≤ −20 it stops changing long before its terms grow again.
  for (let odd = 1; odd < 100; odd += 2) {
    term *= -odd * inverseSquare;
    const next = sum + term;
    if (next === sum) break;
    sum = next;
  }
  return -0.5 * x * x - Math.log(-x) - logSqrtTwoPi + Math.log(sum);
}

/** ln(e^x + e^y); −∞ when both are. */
export function logAddExp(x: number, y: number): number {
  const larger = Math.max(x, y);
  if (larger === -Infinity) return -Infinity;
  return larger + Math.log1p(Math.exp(Math.min(x, y) - larger));
}

/** Terms up to which `pairwiseSum` keeps eight running sums instead of halving. */
const summationBlock = 128;

/**
 * The sum in the order in which NumPy adds: halves down to blocks, eight running sums within a block. The rounding
 * error grows with the logarithm of the length only; and where two candidates score the same but for rounding (equal
 * counts of two choices), the tie falls to the same side as in Optuna.
 */
export function pairwiseSum(terms: Float64Array, start = 0, end = terms.length): number {
  const length = end - start;
  if (length > summationBlock) {
    const half = Math.floor(length / 2);
    const middle = start + half - (half % 8);
    return pairwiseSum(terms, start, middle) + pairwiseSum(terms, middle, end);
  }
  let sum = 0;
  let next = start;
  if (length >= 8) {
    const partial = terms.slice(start, start + 8);
    for (next = start + 8; next + 8 <= end; next += 8) {
      for (let j = 0; j < 8; j++) partial[j] = (partial[j] ?? 0) + (terms[next + j] ?? 0);
    }
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = partial;
    sum = a + b + (c + d) + (e + f + (g + h));
  }
  for (; next < end; next++) sum += terms[next] ?? 0;
  return sum;
}

/** ln Σ e^x with the maximum taken out; −∞ when every term is −∞ or there is none. */
export function logSumExp(terms: Float64Array): number {
  let largest = -Infinity;
  for (const term of terms) if (term > largest) largest = term;
  if (largest === -Infinity) return -Infinity;
  return largest + Math.log(pairwiseSum(terms.map((term) => Math.exp(term - largest))));
}
