/**
 * The kernels of the bad mixture by slot, kept up to date while trials start, finish, and turn good or bad. A trial that
 * comes or goes changes the bandwidths of its neighbours only; what remains to be done for every suggestion is one pass
 * for the weights, which move with every trial (tpe.md §15).
 */
import type { EstimatorRules } from '../tpe/estimator-rules.js';
import { rampSteps } from '../tpe/weights.js';
import { CellsAxis } from './cells-axis.js';
import { ClassEnds } from './class-ends.js';
import { massInRange } from './coordinate-axis.js';
import { grown } from './growable.js';
import { NeighbourBandwidths } from './neighbour-bandwidths.js';
import type { Observations } from './observations.js';
import { commonBandwidth, oddKernels, type ScreenedKernels } from './screened-kernels.js';

/**
 * Relative change of the common bandwidth up to which heights are not computed anew: the mass of a kernel in the range,
 * which is what they depend on it for, changes by less than a third of that.
 */
const bandwidthDrift = 3e-5;

export class BadKernels {
  readonly #observations: Observations;
  readonly #rules: EstimatorRules;
  readonly #d: number;
  /** 1 for every slot that is a kernel. */
  #isMember = new Uint8Array(0);
  #n = 0;
  /** Product of the heights on all coordinate axes by slot; with a common bandwidth without their common part. */
  #heights = new Float64Array(0);
  #weights = new Float32Array(0);
  #scales = new Float32Array(0);
  readonly #neighbours: readonly NeighbourBandwidths[];
  /** Per table axis, where bandwidths follow the neighbours. */
  readonly #ends: readonly ClassEnds[];
  /** Common bandwidth that the heights, or smallest one that the neighbours' bandwidths, were computed with. */
  #bandwidth = NaN;
  /** Whether everything has to be computed anew. */
  #isStale = true;
  readonly #isEarlier: (a: number, b: number) => boolean;

  /** `d` parameters in the space. */
  constructor(observations: Observations, rules: EstimatorRules, d: number) {
    this.#observations = observations;
    this.#rules = rules;
    this.#d = d;
    this.#isEarlier = (a, b) => observations.isEarlier(a, b);
    const follows = rules.bandwidth === 'neighbour';
    const { coordinates, tables } = observations;
    this.#neighbours = follows
      ? coordinates.map((axis) => new NeighbourBandwidths(axis, this.#isEarlier))
      : [];
    this.#ends = follows ? tables.map((_, t) => new ClassEnds((slot) => observations.classOf(slot, t))) : [];
  }

  /** Makes ready for so many changes that computing everything anew is cheaper. */
  expectMany(): void {
    this.#isStale = true;
  }

  has(slot: number): boolean {
    return this.#isMember[slot] === 1;
  }

  /** Makes an observation a kernel. */
  add(slot: number): void {
    const { slotCount, coordinates } = this.#observations;
    this.#isMember = grown(this.#isMember, slotCount);
    this.#heights = grown(this.#heights, slotCount);
    this.#weights = grown(this.#weights, slotCount);
    if (this.#neighbours.length > 0) this.#scales = grown(this.#scales, slotCount * coordinates.length);
    this.#isMember[slot] = 1;
    this.#n += 1;
    if (this.#isStale) return;
    for (const neighbours of this.#neighbours) neighbours.add(slot, this.#changed);
    for (const [t, ends] of this.#ends.entries()) if (this.#hasEnds(t)) ends.add(slot, this.#isEarlier);
    this.#measure(slot);
  }

  /** Makes a kernel none; the observation is still there. */
  remove(slot: number): void {
    this.#isMember[slot] = 0;
    this.#weights[slot] = 0;
    this.#n -= 1;
    if (this.#isStale) return;
    for (const neighbours of this.#neighbours) neighbours.remove(slot, this.#changed);
    for (const [t, ends] of this.#ends.entries()) if (this.#hasEnds(t)) ends.remove(slot);
  }

  #hasEnds(t: number): boolean {
    return this.#observations.tables[t] instanceof CellsAxis;
  }

  readonly #changed = (slot: number): void => {
    this.#measure(slot);
  };

  /** Computes a slot's height, and its scales where they are its own. */
  #measure(slot: number): void {
    const { coordinates } = this.#observations;
    const width = coordinates.length;
    let height = 1;
    for (let c = 0; c < width; c++) {
      const axis = coordinates[c];
      if (axis === undefined) continue;
      const share = axis.shares[slot] ?? 0;
      const neighbours = this.#neighbours[c];
      if (neighbours === undefined) {
        height /= massInRange(share, this.#bandwidth);
        continue;
      }
      const sigma = neighbours.sigmas[slot] ?? 1;
      height *= axis.height(share, sigma);
      this.#scales[slot * width + c] = axis.scaleFactor(sigma);
    }
    this.#heights[slot] = height;
  }

  /** The kernels' slots in kernel order. */
  slots(): Uint32Array {
    const { order, count } = this.#observations;
    const slots = new Uint32Array(this.#n);
    let length = 0;
    for (let i = 0; i < count; i++) {
      const slot = order[i] ?? 0;
      if (this.#isMember[slot] === 1) slots[length++] = slot;
    }
    return slots;
  }

  /** The kernels as of now. */
  current(): ScreenedKernels {
    const { rows, centres, slotCount, coordinates } = this.#observations;
    const n = this.#n;
    const common = commonBandwidth(n, this.#d, this.#rules);
    this.#update(common);
    const follows = this.#rules.bandwidth === 'neighbour';
    const peak = follows ? 1 : coordinates.reduce((product, axis) => product * axis.peak(common), 1);
    const { totalWeight, priorWeight } = this.#weigh(peak);
    const at = (slot: number): number => slot;
    return {
      ...{ n, count: slotCount, rows, centres, weights: this.#weights, totalWeight, priorWeight },
      scales: follows ? this.#scales : null,
      odd: oddKernels(this.#observations, this.#ends, { n, smallest: common, at }),
      neededRows: null,
    };
  }

  /** Brings heights, bandwidths and ends up to date; `bandwidth` is the common or the smallest one. */
  #update(bandwidth: number): void {
    const { order, count } = this.#observations;
    const follows = this.#rules.bandwidth === 'neighbour';
    const drift = Math.abs(bandwidth / this.#bandwidth - 1);
    if (this.#isStale || !(follows ? drift === 0 : drift <= bandwidthDrift)) {
      this.#bandwidth = bandwidth;
      if (follows) {
        const slots = this.slots();
        for (const neighbours of this.#neighbours) neighbours.reset(slots, bandwidth);
        for (const [t, ends] of this.#ends.entries()) if (this.#hasEnds(t)) ends.reset(slots);
      }
      if (follows) this.#measureAll();
      else this.#measureCommon();
      this.#isStale = false;
    }
    const members = { order, count, isMember: this.#isMember };
    for (const ends of this.#ends) ends.settle(members);
  }

  #measureAll(): void {
    const { order, count } = this.#observations;
    for (let i = 0; i < count; i++) {
      const slot = order[i] ?? 0;
      if (this.#isMember[slot] === 1) this.#measure(slot);
    }
  }

  /** As `#measure` for all observations, kernels or not: with a common bandwidth that is a plain loop. */
  #measureCommon(): void {
    const { slotCount, coordinates } = this.#observations;
    const heights = this.#heights;
    const bandwidth = this.#bandwidth;
    heights.fill(1, 0, slotCount);
    for (const { shares } of coordinates) {
      for (let slot = 0; slot < slotCount; slot++) {
        heights[slot] = (heights[slot] ?? 1) / massInRange(shares[slot] ?? 0, bandwidth);
      }
    }
  }

  /** Sets all weights: the ramp over kernel order (tpe.md §7.1) times the heights and their common part. */
  #weigh(peak: number): { totalWeight: number; priorWeight: number } {
    const { order, count } = this.#observations;
    const heights = this.#heights;
    const weights = this.#weights;
    const isMember = this.#isMember;
    const { spaced, first, gap, sum } = rampSteps(this.#n);
    const total = this.#n === 0 ? 1 : sum + this.#rules.priorWeight;
    const unit = peak / total;
    let totalWeight = 0;
    let rank = 0;
    for (let i = 0; i < count; i++) {
      const slot = order[i] ?? 0;
      if (isMember[slot] !== 1) continue;
      const weight = (rank < spaced ? first + rank * gap : 1) * (heights[slot] ?? 0) * unit;
      weights[slot] = weight;
      totalWeight += weight;
      rank += 1;
    }
    return {
      totalWeight,
      priorWeight: this.#n === 0 ? 1 : this.#rules.priorWeight / total,
    };
  }
}
