/**
 * Exact decimal arithmetic on the shortest decimal text of doubles. Grids of stepped floats need it: in binary,
 * 0.3 is not a third of 0.9, so `floor((0.9 - 0) / 0.3)` would lose a grid point (tpe.md §3).
 */

/** The number `mantissa · 10^exponent`. */
interface Decimal {
  readonly mantissa: bigint;
  readonly exponent: number;
}

/** Reads the shortest decimal text of a finite double, such as "0.01", "-2.5e-7" or "1e+21". */
function toDecimal(value: number): Decimal {
  const [digits = '0', power = '0'] = String(value).split('e');
  const [whole = '0', fraction = ''] = digits.split('.');
  return { mantissa: BigInt(whole + fraction), exponent: Number(power) - fraction.length };
}

/** Integers `mantissa` of the given numbers over one common power of ten. */
function align(values: readonly number[]): { mantissas: bigint[]; exponent: number } {
  const decimals = values.map(toDecimal);
  const exponent = Math.min(...decimals.map((d) => d.exponent));
  return { mantissas: decimals.map((d) => d.mantissa * 10n ** BigInt(d.exponent - exponent)), exponent };
}

/**
 * Steps of `step` that fit between `low` and `high`, and the last grid point, the double nearest to
 * `low + steps · step`. All finite, low ≤ high, step > 0.
 */
export function decimalGrid(low: number, high: number, step: number): { steps: number; last: number } {
  const { mantissas, exponent } = align([low, high, step]);
  const [first = 0n, end = 0n, width = 1n] = mantissas;
  const steps = (end - first) / width;
  return { steps: Number(steps), last: Number(`${String(first + steps * width)}e${exponent}`) };
}
