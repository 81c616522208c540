/** Which candidates may be the best, found without adding up every kernel for every candidate. */
import type { OpenMixture } from './open-mixture.js';

/**
 * Candidates whose screened scores are further below the best one's cannot win. A mixture's logarithm is right to about
 * 1e-4: rounding of coordinates (3.6e-5 for a kernel six deviations away with the smallest bandwidth), of rows (2e-6), of
 * sums (1.5e-5), the power series (2.5e-6) and dropped kernels (4e-5). A difference of two scores has four of these.
 */
const scoreMargin = 5e-4;
/** Candidates that are judged together: as many as the inner loop takes at a time. */
const groupSize = 16;
/** Parts of the kernels, newest first, after which candidates are dropped that can no longer win. */
const parts = [1 / 8, 3 / 8, 5 / 8, 1];
/** Fewer kernels are not worth several passes. */
const kernelsMin = 256;

/** ln l − ln g per candidate. */
function scoresOf(good: Float64Array, bad: Float64Array): Float64Array {
  return good.map((total, j) => Math.log(total) - Math.log(bad[j] ?? 0));
}

/** The sums of the bad mixture as they grow, and the bounds on the scores that follow from them. */
class GrowingSums {
  readonly bounds: Float64Array;
  readonly #good: Float64Array;
  readonly #bad: OpenMixture;
  readonly #known: Float64Array;
  /** First kernel that every candidate's sum has. */
  readonly #from: number;

  constructor(good: Float64Array, bad: OpenMixture, from: number) {
    this.#good = good;
    this.#bad = bad;
    this.#from = from;
    this.#known = bad.sum(from, bad.count).map((total, j) => total + (bad.prior[j] ?? 0));
    this.bounds = scoresOf(good, this.#known);
  }

  /** Adds the kernels from `from` on to the sums of some candidates, which have those from `reached` on. */
  add(candidates: readonly number[], from: number, reached = this.#from): void {
    for (let start = 0; start < candidates.length; start += groupSize) {
      const group = candidates.slice(start, start + groupSize);
      const least = group.map((j) => this.#known[j] ?? 0);
      const added = this.#bad.sumFor(group, least, { from, to: reached });
      for (let i = 0; i < group.length; i++) {
        const j = group[i] ?? 0;
        const total = (this.#known[j] ?? 0) + (added[i] ?? 0);
        this.#known[j] = total;
        this.bounds[j] = Math.log(this.#good[j] ?? 0) - Math.log(total);
      }
    }
  }
}

/**
 * The candidates, in order, that may have the highest score, given the totals of the good mixture; null when a total is
 * not a positive number and nothing can be said.
 *
 * Part of the bad kernels already bounds every score from above, since the rest can only add to the bad mixture. The
 * newest weigh most and lie nearest, so they come first. The most promising candidates are then judged in full; the
 * others go on part by part, for as long as their bound is not below the best score found.
 */
export function contenders(good: Float64Array, bad: OpenMixture): number[] | null {
  const all = Array.from(good.keys());
  const isShort = good.length <= groupSize || bad.count < kernelsMin;
  const starts = isShort ? [0] : parts.map((part) => Math.floor(bad.count * (1 - part)));
  const sums = new GrowingSums(good, bad, starts[0] ?? 0);
  const { bounds } = sums;
  if (!bounds.every((bound) => Number.isFinite(bound))) return null;
  const byBound = all.toSorted((a, b) => (bounds[b] ?? 0) - (bounds[a] ?? 0));
  const leaders = isShort ? all : byBound.slice(0, groupSize);
  if (!isShort) sums.add(leaders, 0);
  const best = leaders.reduce((highest, j) => Math.max(highest, bounds[j] ?? 0), -Infinity);
  let threshold = best - scoreMargin;
  let others = isShort ? [] : byBound.slice(groupSize);
  for (let i = 1; i < starts.length; i++) {
    others = others.filter((j) => (bounds[j] ?? 0) >= threshold);
    if (others.length === 0) break;
    sums.add(others, starts[i] ?? 0, starts[i - 1]);
  }
  for (const j of others) threshold = Math.max(threshold, (bounds[j] ?? 0) - scoreMargin);
  const judged = new Set([...leaders, ...others]);
  return all.filter((j) => judged.has(j) && (bounds[j] ?? 0) >= threshold);
}
