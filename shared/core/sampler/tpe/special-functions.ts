/**
 * The error function and the normal distribution, to about 1e-15 relative, far tails included (tpe.md §10).
 *
 * erf and erfc are the rational Chebyshev approximations of W. J. Cody, "Rational Chebyshev approximations for the
 * error function", Mathematics of Computation 23 (1969): one for |x| ≤ 0.46875, one up to 4, one beyond. The normal
 * quantile is M. J. Wichura's algorithm AS 241, Applied Statistics 37 (1988). Polynomials are written out in Horner form:
 * millions of them are evaluated per second.
 */
/** ln √(2π). */
export const logSqrtTwoPi = 0.5 * Math.log(2 * Math.PI);
const inverseSqrtPi = 1 / Math.sqrt(Math.PI);

/** exp(−y²) for y ≥ 0. y² itself would be rounded; y is split so that the larger square is exact. */
function expMinusSquare(y: number): number {
  const coarse = Math.trunc(y * 16) / 16;
  return Math.exp(-coarse * coarse) * Math.exp(-(y - coarse) * (y + coarse));
}

/** erf(x) for |x| ≤ 0.46875. */
function erfNearZero(x: number): number {
  const t = x * x;
  const numerator =
    (((0.18577770618460315 * t + 3.1611237438705655) * t + 113.86415415105016) * t + 377.485237685302) * t +
    3209.3775891384694;
  const denominator =
    (((t + 23.601290952344122) * t + 244.02463793444417) * t + 1282.6165260773723) * t + 2844.236833439171;
  return (x * numerator) / denominator;
}

/** erfc(y) for 0.46875 < y ≤ 4. */
function erfcMiddle(y: number): number {
  const numerator =
    (((((((2.1531153547440383e-8 * y + 0.5641884969886701) * y + 8.883149794388377) * y + 66.11919063714163) *
      y +
      298.6351381974001) *
      y +
      881.952221241769) *
      y +
      1712.0476126340707) *
      y +
      2051.0783778260716) *
      y +
    1230.3393547979972;
  const denominator =
    (((((((y + 15.744926110709835) * y + 117.6939508913125) * y + 537.1811018620099) * y +
      1621.3895745666903) *
      y +
      3290.7992357334597) *
      y +
      4362.619090143247) *
      y +
      3439.3676741437216) *
      y +
    1230.3393548037495;
  return (expMinusSquare(y) * numerator) / denominator;
}

/** erfc(y) for y > 4; 0 where it is below every double. */
function erfcTail(y: number): number {
  if (y > 27) return 0;
  const z = 1 / (y * y);
  const numerator =
    ((((0.016315387137302097 * z + 0.30532663496123236) * z + 0.36034489994980445) * z +
      0.12578172611122926) *
      z +
      0.016083785148742275) *
      z +
    0.0006587491615298378;
  const denominator =
    ((((z + 2.568520192289822) * z + 1.8729528499234673) * z + 0.5279051029514285) * z +
      0.06051834131244132) *
      z +
    0.0023352049762686918;
  return (expMinusSquare(y) * (inverseSqrtPi - (z * numerator) / denominator)) / y;
}

/** erfc(y) for y > 0.46875. */
function erfcPositive(y: number): number {
  return y <= 4 ? erfcMiddle(y) : erfcTail(y);
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

/** Of 0.180625 − (p − ½)² for p ≥ 0.075: the factor of p − ½. */
function quantileNearCentre(t: number): number {
  const numerator =
    ((((((2509.0809287301227 * t + 33430.57558358813) * t + 67265.7709270087) * t + 45921.95393154987) * t +
      13731.69376550946) *
      t +
      1971.5909503065513) *
      t +
      133.14166789178438) *
      t +
    3.3871328727963665;
  const denominator =
    ((((((5226.495278852854 * t + 28729.085735721943) * t + 39307.89580009271) * t + 21213.794301586597) * t +
      5394.196021424751) *
      t +
      687.1870074920579) *
      t +
      42.31333070160091) *
      t +
    1;
  return numerator / denominator;
}

/** Of √(−ln p) − 1.6 for √(−ln p) ≤ 5: minus the quantile. */
function quantileMiddle(t: number): number {
  const numerator =
    ((((((0.0007745450142783414 * t + 0.022723844989269184) * t + 0.2417807251774506) * t +
      1.2704582524523684) *
      t +
      3.6478483247632045) *
      t +
      5.769497221460691) *
      t +
      4.630337846156546) *
      t +
    1.4234371107496835;
  const denominator =
    ((((((1.0507500716444169e-9 * t + 0.0005475938084995345) * t + 0.015198666563616457) * t +
      0.14810397642748008) *
      t +
      0.6897673349851) *
      t +
      1.6763848301838038) *
      t +
      2.053191626637759) *
      t +
    1;
  return numerator / denominator;
}

/** Of √(−ln p) − 5 for √(−ln p) > 5: minus the quantile. */
function quantileTail(t: number): number {
  const numerator =
    ((((((2.0103343992922881e-7 * t + 2.7115555687434876e-5) * t + 0.0012426609473880784) * t +
      0.026532189526576124) *
      t +
      0.29656057182850487) *
      t +
      1.7848265399172913) *
      t +
      5.463784911164114) *
      t +
    6.657904643501103;
  const denominator =
    ((((((2.0442631033899397e-15 * t + 1.421511758316446e-7) * t + 1.8463183175100548e-5) * t +
      0.0007868691311456133) *
      t +
      0.014875361290850615) *
      t +
      0.1369298809227358) *
      t +
      0.599832206555888) *
      t +
    1;
  return numerator / denominator;
}

/** The standard normal quantile for 0 < p ≤ 0.5, hence ≤ 0, to about 1e-16 relative (AS 241). */
export function lowerNormalQuantile(p: number): number {
  const q = p - 0.5;
  if (q >= -0.425) return q * quantileNearCentre(0.180625 - q * q);
  const r = Math.sqrt(-Math.log(p));
  return r <= 5 ? -quantileMiddle(r - 1.6) : -quantileTail(r - 5);
}
