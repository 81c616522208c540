/** A mixture laid out for summation over ranges of its kernels, for all candidates or for a few of them. */
import type { RowPlan } from './row-plan.js';
import type { Block, Range, ScreenMemory } from './screen-memory.js';
import { blockLanes, stageTables } from './screen-program.js';

/**
 * Share of a total that may be lost by dropping kernels that hardly matter: for bounds, which may be rough, and for sums
 * that are compared with each other.
 */
export const roughShare = 1e-2;
export const fineShare = 2e-5;

/**
 * How far the logarithm of a total, summed finely, may be off: at all by sums (1.5e-5), the power series (2.5e-6), dropped
 * kernels (4e-5) and those that are taken as nearer than they are (1e-6).
 */
const baseError = 6e-5;
/**
 * And for every coordinate axis by heights (1e-5), by Sheppard's correction (1.3e-5 five deviations away), and by rounding
 * of coordinates, which with the smallest bandwidth puts distances off by 6e-6 deviations. That counts as much as a kernel
 * is away. A height is at most 76 on each of c axes; so kernels that matter beside the prior have Σ z² < 16 + 8.7 c and
 * Σ |z| < √(c·(16 + 8.7 c)): 3e-5 for one axis, 1.8e-5 for each of many.
 */
const coordinateError = 5e-5;
/** And for every table axis by rounding of its rows. */
const tableError = 5e-7;

export class OpenMixture {
  /** Positions of kernels run from 0 to here; the newest mostly come last. */
  readonly count: number;
  /** The prior's part of every candidate's total. */
  readonly prior: Float64Array;
  readonly #memory: ScreenMemory;
  readonly #plan: RowPlan;
  /** Products begin as large as they may, for the small ones would become denormal numbers, which are slow. */
  readonly #headroom: number;
  /** Product of the largest entries of all rows of a stage and the stages after it, by stage; at last 1. */
  readonly #bounds: readonly number[];

  /**
   * `largest` is the largest entry of the rows of every table axis; what a kernel adds to a total, in units of the
   * prior's part, may be multiplied by `headroom` without overflow.
   */
  constructor(
    count: number,
    rest: {
      memory: ScreenMemory;
      plan: RowPlan;
      prior: Float64Array;
      largest: readonly number[];
      headroom: number;
    },
  ) {
    this.count = count;
    this.prior = rest.prior;
    this.#memory = rest.memory;
    this.#plan = rest.plan;
    this.#headroom = rest.headroom;
    const tables = rest.largest.length;
    const bounds = Array.from({ length: Math.ceil(tables / stageTables) + 1 }, () => 1);
    let bound = 1;
    for (let t = tables - 1; t >= 0; t--) {
      bound *= rest.largest[t] ?? 1;
      if (t % stageTables === 0) bounds[t / stageTables] = bound;
    }
    this.#bounds = bounds;
  }

  /** How far the logarithm of a total may be off when it is summed finely. */
  get errorMax(): number {
    const { coordinates, tables } = this.#memory;
    return baseError + coordinateError * coordinates + tableError * tables;
  }

  /** Adds a range of kernels to the totals of all candidates; these begin with the prior's part, or more. */
  sum(range: Range, totals: Float64Array, share: number): void {
    this.#memory.wide.forEach((block, b) => {
      const part = totals.subarray(b * blockLanes, b * blockLanes + block.used);
      this.#add(block, part, { range, share, known: part });
    });
  }

  /** Takes at most sixteen candidates together, until the next are taken. */
  take(candidates: readonly number[]): void {
    const { wide, narrow } = this.#memory;
    narrow.take(candidates.length);
    for (let i = 0; i < candidates.length; i++) {
      const j = candidates[i] ?? 0;
      const from = wide[Math.trunc(j / blockLanes)];
      if (from === undefined) continue;
      const lane = j % blockLanes;
      for (const row of this.#plan.writtenRows) {
        narrow.rows[row * blockLanes + i] = from.rows[row * blockLanes + lane] ?? 0;
      }
      for (let c = 0; c < this.#memory.coordinates; c++) {
        narrow.points[c * blockLanes + i] = from.points[c * blockLanes + lane] ?? 0;
      }
      for (let a = 0; a < this.#memory.grids; a++) {
        narrow.grids[a * blockLanes + i] = from.grids[a * blockLanes + lane] ?? 0;
        narrow.factors[a * blockLanes + i] = from.factors[a * blockLanes + lane] ?? 0;
      }
    }
    this.#plan.carryOut(narrow);
  }

  /**
   * Adds a range of kernels to the totals of the candidates taken; `known` is what their totals are known to reach, at
   * least what they are.
   */
  addTo(totals: Float64Array, range: Range, share: number, known: Float64Array = totals): void {
    this.#add(this.#memory.narrow, totals, { range, share, known });
  }

  #add(
    block: Block,
    totals: Float64Array,
    { range, share, known }: { range: Range; share: number; known: Float64Array },
  ): void {
    for (let j = 0; j < totals.length; j++) block.units[j] = this.#headroom / (known[j] ?? 1);
    this.#setThresholds(block, share);
    this.#memory.add(block, range, totals);
  }

  /**
   * After each stage a kernel may be dropped when even the largest factors still to come could not make all dropped
   * kernels together matter beside what every total is known to reach, which is the unit.
   */
  #setThresholds({ thresholds }: Block, share: number): void {
    for (let stage = 0; stage < this.#bounds.length - 1; stage++) {
      thresholds[stage] = (this.#headroom * share) / (this.count + 1) / (this.#bounds[stage + 1] ?? 1);
    }
  }
}
