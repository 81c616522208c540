/**
 * What luck alone gives: the best of many equally good trials looks better than each of them (hermite-model.md §18, "How
 * much of the reported result is noise").
 */
import { expectedNormalMaximum } from '../../shared/core/metrics/normal-maximum.js';
import type { Direction } from '../../shared/core/sampler/sampler.js';

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
