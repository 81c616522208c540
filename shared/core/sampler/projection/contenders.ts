/** Which candidates may be the best, found without adding up every kernel for every candidate. */
import { fineShare, roughShare, type OpenMixture } from './open-mixture.js';
import type { Range } from './screen-memory.js';
import { blockLanes } from './screen-program.js';

/**
 * Candidates whose screened scores are further below the best one's than so many errors of a logarithm cannot win: a
 * difference of two scores has four of these, and one is to spare.
 */
const errorsMax = 5;
/** So much more where kernels were dropped roughly: a sum may then be too small by twice the share. */
const roughMargin = 2 * roughShare;
/**
 * Parts of the kernels, newest first, after which candidates are dropped that can no longer win. More than a few thousand
 * take longer to add up for all candidates than it takes to lay out a few candidates once more.
 */
const parts = [1 / 4, 1 / 2, 1];
const partsOfMany = [1 / 8, 3 / 8, 5 / 8, 1];
const manyKernels = 5_000;
/** Candidates that are judged with all kernels first. */
const leadersMax = 16;
/** Fewer kernels are not worth several passes. */
const kernelsMin = 256;

/** What is asked of the bad mixture. */
export type SummedMixture = Pick<OpenMixture, 'count' | 'errorMax' | 'prior' | 'sum' | 'take' | 'addTo'>;

/** The sums of the bad mixture as they grow, and the bounds on the scores that follow from them. */
class GrowingSums {
  /** Upper bounds on ln l − ln g, but for rounding: kernels not yet added, or dropped, can only add to g. */
  readonly bounds: Float64Array;
  readonly #logGood: Float64Array;
  readonly #bad: SummedMixture;
  readonly #known: Float64Array;

  /** With the kernels of one range. */
  constructor(good: Float64Array, bad: SummedMixture, { range, share }: { range: Range; share: number }) {
    this.#logGood = good.map((total) => Math.log(total));
    this.#bad = bad;
    this.#known = bad.prior.slice();
    bad.sum(range, this.#known, share);
    this.bounds = good.map((_, j) => this.#score(j, this.#known[j] ?? 0));
  }

  #score(j: number, total: number): number {
    return (this.#logGood[j] ?? 0) - Math.log(total);
  }

  /** Adds a range of kernels to the sums of some candidates. */
  add(candidates: readonly number[], range: Range): void {
    this.#inGroups(candidates, (group) => {
      const totals = Float64Array.from(group, (j) => this.#known[j] ?? 0);
      this.#bad.addTo(totals, range, roughShare);
      return totals;
    });
  }

  /** Adds up everything anew, finely. */
  refine(candidates: readonly number[]): void {
    this.#inGroups(candidates, (group) => {
      const totals = Float64Array.from(group, (j) => this.#bad.prior[j] ?? 0);
      // What is known already tells which kernels matter.
      const known = Float64Array.from(group, (j) => this.#known[j] ?? 0);
      this.#bad.addTo(totals, { from: 0, to: this.#bad.count }, fineShare, known);
      return totals;
    });
  }

  #inGroups(candidates: readonly number[], sum: (group: readonly number[]) => Float64Array): void {
    for (let start = 0; start < candidates.length; start += blockLanes) {
      const group = candidates.slice(start, start + blockLanes);
      this.#bad.take(group);
      const totals = sum(group);
      group.forEach((j, i) => {
        this.#known[j] = totals[i] ?? 0;
        this.bounds[j] = this.#score(j, totals[i] ?? 0);
      });
    }
  }

  /** Those whose score may be within a margin of the best one's among them. */
  near(candidates: readonly number[], margin: number): number[] {
    const best = candidates.reduce((highest, j) => Math.max(highest, this.bounds[j] ?? 0), -Infinity);
    return candidates.filter((j) => (this.bounds[j] ?? 0) >= best - margin);
  }
}

/**
 * The candidates, in order, that may have the highest score, given the totals of the good mixture; null when a total is
 * not a positive number and nothing can be said.
 *
 * Part of the bad kernels already bounds every score from above, since the rest can only add to the bad mixture. The
 * newest weigh most and lie nearest, so they come first. The most promising candidates are then judged with all kernels;
 * the others go on part by part, for as long as their bound is not below the best score found. All this is done roughly;
 * if several are left, finely for these.
 */
export function contenders(good: Float64Array, bad: SummedMixture): number[] | null {
  const all = Array.from(good.keys());
  const margin = errorsMax * bad.errorMax;
  const isShort = good.length <= leadersMax || bad.count < kernelsMin;
  const shares = bad.count < manyKernels ? parts : partsOfMany;
  const starts = shares.map((share) => (isShort ? 0 : Math.floor(bad.count * (1 - share))));
  const sums = new GrowingSums(good, bad, {
    range: { from: starts[0] ?? 0, to: bad.count },
    share: isShort ? fineShare : roughShare,
  });
  const { bounds } = sums;
  if (!bounds.every((bound) => Number.isFinite(bound))) return null;
  if (isShort) return sums.near(all, margin);
  const byBound = all.toSorted((a, b) => (bounds[b] ?? 0) - (bounds[a] ?? 0));
  const leaders = byBound.slice(0, leadersMax);
  sums.add(leaders, { from: 0, to: starts[0] ?? 0 });
  const best = leaders.reduce((highest, j) => Math.max(highest, bounds[j] ?? 0), -Infinity);
  let others = byBound.slice(leadersMax);
  for (let i = 1; i < starts.length; i++) {
    others = others.filter((j) => (bounds[j] ?? 0) >= best - margin - roughMargin);
    if (others.length === 0) break;
    sums.add(others, { from: starts[i] ?? 0, to: starts[i - 1] ?? 0 });
  }
  const left = sums.near([...leaders, ...others], margin + roughMargin).sort((a, b) => a - b);
  if (left.length === 1) return left;
  sums.refine(left);
  return sums.near(left, margin);
}
