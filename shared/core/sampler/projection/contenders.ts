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
/** Part of the kernels, the newest, that all candidates are first compared by. */
const firstPart = 1 / 8;
/** Fewer kernels are not worth two passes. */
const kernelsMin = 256;

/** ln l − ln g per candidate. */
function scoresOf(good: Float64Array, bad: Float64Array): Float64Array {
  return good.map((total, j) => Math.log(total) - Math.log(bad[j] ?? 0));
}

/**
 * The candidates, in order, that may have the highest score, given the totals of the good mixture; null when a total is
 * not a positive number and nothing can be said.
 *
 * Part of the bad kernels already bounds every score from above, since the rest can only add to the bad mixture. The
 * newest weigh most and lie nearest, so an eighth of them says most. The most promising candidates are then judged in
 * full, the others only while their bound is not below the best score found.
 */
export function contenders(good: Float64Array, bad: OpenMixture): number[] | null {
  const count = good.length;
  const all = Array.from(good.keys());
  const isShort = count <= groupSize || bad.count < kernelsMin;
  const split = isShort ? 0 : Math.floor(bad.count * (1 - firstPart));
  const known = bad.sum(split, bad.count).map((total, j) => total + (bad.prior[j] ?? 0));
  const bounds = scoresOf(good, known);
  if (!bounds.every((bound) => Number.isFinite(bound))) return null;
  let best = -Infinity;
  const scores = new Map<number, number>();
  const byBound = all.toSorted((a, b) => (bounds[b] ?? 0) - (bounds[a] ?? 0));
  for (let start = 0; start < count; start += groupSize) {
    const group = byBound
      .slice(start, start + groupSize)
      .filter((j) => (bounds[j] ?? 0) >= best - scoreMargin);
    if (group.length === 0) break;
    const least = group.map((j) => known[j] ?? 0);
    const rest = isShort ? null : bad.sumFor(group, least, { from: 0, to: split });
    for (const [i, j] of group.entries()) {
      const score = Math.log(good[j] ?? 0) - Math.log((known[j] ?? 0) + (rest?.[i] ?? 0));
      scores.set(j, score);
      best = Math.max(best, score);
    }
  }
  return all.filter((j) => (scores.get(j) ?? -Infinity) >= best - scoreMargin);
}
