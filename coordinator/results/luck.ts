/**
 * What luck alone gives: the best of many equally good trials looks better than each of them (hermite-model.md §18, "How
 * much of the reported result is noise").
 */
import { normalTail } from '../../shared/core/metrics/special-functions.js';
import type { Direction } from '../../shared/core/sampler/sampler.js';

/** Beyond this many standard deviations both integrands below are under 1e-16 for every n up to 1e12. */
const reach = 12;
const intervals = 1200;

/**
 * Expected maximum of n independent standard normals, n ≥ 1; error below 1e-9 for n up to 1e9.
 *
 * For any random variable E[M] = ∫₀^∞ P(M > x) dx − ∫₋∞^0 P(M ≤ x) dx. With P(M ≤ x) = Φ(x)ⁿ and Φ(−x) = Q(x) = 1 − Φ(x):
 *   E = ∫₀^∞ [ 1 − (1 − Q(x))ⁿ − Q(x)ⁿ ] dx
 * (H. A. David and H. N. Nagaraja, Order Statistics, 3rd ed., 2003, §3.1), by Simpson's rule. The powers go through
 * log1p and expm1, so that nothing cancels where Q is tiny and n large.
 */
export function expectedNormalMaximum(n: number): number {
  if (!(n >= 1) || !Number.isFinite(n))
    throw new RangeError(`the number of draws is ${n}, expected at least 1`);
  const integrand = (x: number): number => {
    const tail = normalTail(x);
    return -Math.expm1(n * Math.log1p(-tail)) - tail ** n;
  };
  const width = reach / intervals;
  let sum = integrand(0) + integrand(reach);
  for (let i = 1; i < intervals; i++) sum += (i % 2 === 1 ? 4 : 2) * integrand(i * width);
  return (sum * width) / 3;
}

export interface Luck {
  readonly trials: number;
  readonly mean: number;
  /** Sample standard deviation. */
  readonly sd: number;
  /** Expected best of as many independent draws from a normal with this mean and sd. */
  readonly expectedBest: number;
}

/**
 * The luck line for these values (non-finite ones left out); null with fewer than two or when all are equal. The sd
 * holds real differences between configurations as well as noise, so a best below `expectedBest` shows no skill in
 * the search, while one above it is not yet a proof: trials of a learning sampler are not independent draws.
 */
export function luckOf(values: readonly number[], direction: Direction): Luck | null {
  const finite = values.filter(Number.isFinite);
  const trials = finite.length;
  if (trials < 2) return null;
  const mean = finite.reduce((sum, value) => sum + value, 0) / trials;
  const sd = Math.sqrt(finite.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (trials - 1));
  if (!(sd > 0) || !Number.isFinite(sd)) return null;
  const distance = expectedNormalMaximum(trials) * sd;
  return { trials, mean, sd, expectedBest: direction === 'maximize' ? mean + distance : mean - distance };
}
