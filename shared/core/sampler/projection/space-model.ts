/**
 * The model of one space, kept from suggestion to suggestion. It decides exactly as `tpe/model.ts` does: the screen ranks
 * all candidates with a known error, and those that it cannot tell from the best are judged by the plain estimators.
 */
import { assert } from '../../assert.js';
import type { Space } from '../../space/parameter.js';
import type { Mt19937 } from '../mt19937.js';
import type { RunningTrial } from '../sampler.js';
import { SamplerError } from '../sampler-error.js';
import type { EstimatorRules } from '../tpe/estimator-rules.js';
import { ParzenEstimator, type Columns } from '../tpe/parzen-estimator.js';
import { mixtureWeights, rampWeights } from '../tpe/weights.js';
import { BadKernels } from './bad-kernels.js';
import { contenders } from './contenders.js';
import { fineShare } from './open-mixture.js';
import type { GoodTrials } from './good-trials.js';
import { grown } from './growable.js';
import { MixtureScreen } from './mixture-screen.js';
import { Observations } from './observations.js';
import { PointReader } from './point-reader.js';
import type { ScreenMemory } from './screen-memory.js';
import { isScreenableBy } from './screenable.js';
import { goodKernels, type ScreenedKernels } from './screened-kernels.js';
import type { TrialTable } from './trial-table.js';

/** No slot, or no row. */
const none = 0xffffffff;
/** From this share of new trials on, everything is computed anew. */
const manyShare = 1 / 16;

/** The good trials that are observations of a space, and the estimator fitted to them. */
interface GoodSide {
  readonly slots: Uint32Array;
  readonly observationWeights: Float64Array;
  readonly estimator: ParzenEstimator;
  /** For the screen, as of a version of the rows; made when first needed. */
  kernels: ScreenedKernels | null;
  rowsVersion: number;
}

/** A running trial that is an observation. */
interface RunningObservation {
  readonly slot: number;
  readonly point: Float64Array;
  /** The last suggestion that saw it. */
  seenBy: number;
}

export class SpaceModel {
  readonly #space: Space;
  readonly #rules: EstimatorRules;
  readonly #table: TrialTable;
  readonly #observations: Observations;
  readonly #bad: BadKernels;
  readonly #screen: MixtureScreen;
  readonly #reader: PointReader;
  /** Rows of the table taken in so far. */
  #rowCount = 0;
  /** Row of every slot with a finished trial. */
  #rowOfSlot = new Uint32Array(0);
  #slotOfRow = new Uint32Array(0);
  #goodTrials: GoodTrials | null = null;
  #goodSide: GoodSide | null = null;
  readonly #running = new Map<number, RunningObservation>();
  #suggestions = 0;

  /** `space` without single parameters, sorted by name. */
  constructor(space: Space, rules: EstimatorRules, table: TrialTable, memory: ScreenMemory) {
    assert(isScreenableBy(rules), 'the prior weighs 1, bandwidths are clipped, bounds are no neighbours');
    this.#space = space;
    this.#rules = rules;
    this.#table = table;
    this.#observations = new Observations(space, rules);
    this.#bad = new BadKernels(this.#observations, rules, space.length);
    this.#reader = new PointReader(space);
    this.#screen = new MixtureScreen(this.#observations, rules, space.length, memory);
  }

  /** The best of `count` candidates as internal values by name; `running` in number order, for the liar. */
  suggest(
    good: GoodTrials,
    running: readonly RunningTrial[],
    count: number,
    rng: Mt19937,
  ): Map<string, number> {
    this.#takeIn();
    const side = this.#side(good);
    this.#setRunning(running);
    const columns = side.estimator.sample(count, rng);
    const best = this.#best(side, columns, count);
    return new Map(this.#space.map((parameter, i) => [parameter.name, columns[i]?.[best] ?? 0]));
  }

  /** Takes in the trials that finished since the last suggestion. */
  #takeIn(): void {
    const table = this.#table;
    if (this.#rowCount === table.count) return;
    if (table.count - this.#rowCount > 8 + manyShare * this.#observations.count) this.#bad.expectMany();
    const columns = this.#space.map((parameter) => table.column(parameter.name));
    const point = new Float64Array(columns.length);
    this.#slotOfRow = grown(this.#slotOfRow, table.count);
    for (let row = this.#rowCount; row < table.count; row++) {
      for (let i = 0; i < columns.length; i++) point[i] = columns[i]?.[row] ?? NaN;
      const slot = point.some((value) => Number.isNaN(value)) ? none : this.#settle(table.number(row), point);
      this.#slotOfRow[row] = slot;
      if (slot === none) continue;
      this.#rowOfSlot = grown(this.#rowOfSlot, slot + 1);
      this.#rowOfSlot[slot] = row;
    }
    this.#rowCount = table.count;
  }

  /** The slot of a trial that has finished: its old one if it ran, until then a bad trial. */
  #settle(number: number, point: Float64Array): number {
    const running = this.#running.get(number);
    if (running !== undefined && isEqual(running.point, point)) {
      this.#running.delete(number);
      this.#observations.settle(running.slot);
      return running.slot;
    }
    const slot = this.#observations.add(number, point, false);
    this.#bad.add(slot);
    return slot;
  }

  /** Lets running trials join the bad ones, and leave them again when they no longer run. */
  #setRunning(running: readonly RunningTrial[]): void {
    this.#suggestions += 1;
    const seenBy = this.#suggestions;
    let seen = 0;
    for (const { number, params } of running) {
      const point = this.#reader.read(params, number);
      if (point === null) continue;
      seen += 1;
      const known = this.#running.get(number);
      if (known !== undefined && (known.point === point || isEqual(known.point, point))) {
        known.seenBy = seenBy;
        continue;
      }
      if (known !== undefined) this.#leave(number, known);
      const slot = this.#observations.add(number, point, true);
      this.#bad.add(slot);
      this.#running.set(number, { slot, point, seenBy });
    }
    if (seen === this.#running.size) return;
    for (const [number, known] of this.#running) if (known.seenBy !== seenBy) this.#leave(number, known);
  }

  #leave(number: number, { slot }: RunningObservation): void {
    this.#running.delete(number);
    this.#bad.remove(slot);
    this.#observations.remove(slot);
  }

  /** The estimator of the good trials; it is refitted only when they change. */
  #side(good: GoodTrials): GoodSide {
    if (this.#goodSide !== null && this.#goodTrials === good) return this.#goodSide;
    const kept = Array.from(good.rows.keys()).filter((i) => this.#slotOfRow[good.rows[i] ?? 0] !== none);
    const slots = Uint32Array.from(kept, (i) => this.#slotOfRow[good.rows[i] ?? 0] ?? 0);
    const isGood = new Set(slots);
    for (const slot of this.#goodSide?.slots ?? []) if (!isGood.has(slot)) this.#bad.add(slot);
    for (const slot of slots) if (this.#bad.has(slot)) this.#bad.remove(slot);
    const { weights } = good;
    const observationWeights =
      weights === null ? rampWeights(slots.length) : Float64Array.from(kept, (i) => weights[i] ?? 0);
    const estimator = this.#estimator(slots, observationWeights);
    this.#goodTrials = good;
    this.#goodSide = { slots, observationWeights, estimator, kernels: null, rowsVersion: 0 };
    return this.#goodSide;
  }

  /** The plain estimator of the given slots. */
  #estimator(slots: Uint32Array, observationWeights: Float64Array): ParzenEstimator {
    const running = new Map(Array.from(this.#running.values(), ({ slot, point }) => [slot, point]));
    const columns = this.#space.map((parameter, i) => {
      const column = this.#table.column(parameter.name);
      return Float64Array.from(
        slots,
        (slot) => running.get(slot)?.[i] ?? column[this.#rowOfSlot[slot] ?? 0] ?? NaN,
      );
    });
    return new ParzenEstimator(this.#space, columns, observationWeights, this.#rules);
  }

  /** Position of the best candidate, the first one on a tie. */
  #best(side: GoodSide, columns: Columns, count: number): number {
    const contenders = distinct(columns, this.#contenders(side, columns, count));
    if (contenders.length === 1) return contenders[0] ?? 0;
    const bad = this.#bad.slots();
    const badEstimator = this.#estimator(bad, rampWeights(bad.length));
    let best = contenders[0] ?? 0;
    let highest = -Infinity;
    for (const j of contenders) {
      const point = columns.map((column) => column[j] ?? 0);
      const score = side.estimator.logDensity(point) - badEstimator.logDensity(point);
      if (score > highest) {
        best = j;
        highest = score;
      }
    }
    return best;
  }

  /** Candidates that may be the best, in order. */
  #contenders(side: GoodSide, columns: Columns, count: number): number[] {
    const all = Array.from({ length: count }, (_, j) => j);
    if (count === 1 || !this.#observations.screenable) return all;
    for (const axis of this.#observations.tables) axis.setCandidates(columns);
    const good = this.#screen.open(this.#goodKernels(side), columns);
    if (good === null) return all;
    const goodTotals = good.prior.slice();
    good.sum({ from: 0, to: good.count }, goodTotals, fineShare);
    const bad = this.#screen.open(this.#bad.current(), columns);
    if (bad === null) return all;
    return contenders(goodTotals, bad) ?? all;
  }

  #goodKernels(side: GoodSide): ScreenedKernels {
    const { rowsVersion } = this.#observations;
    if (side.kernels !== null && side.rowsVersion === rowsVersion) return side.kernels;
    const { slots, observationWeights } = side;
    const weights = mixtureWeights(observationWeights, this.#rules.priorWeight);
    side.kernels = goodKernels(this.#observations, { slots, weights }, this.#space.length, this.#rules);
    side.rowsVersion = rowsVersion;
    return side.kernels;
  }
}

function isEqual(a: Float64Array, b: Float64Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i]);
}

/** Of equal candidates only the first: they score the same. */
function distinct(columns: Columns, candidates: readonly number[]): number[] {
  const kept: number[] = [];
  for (const j of candidates) {
    const isCopy = kept.some((i) => columns.every((column) => column[i] === column[j]));
    if (!isCopy) kept.push(j);
  }
  return kept;
}

/** Throws a `SamplerError` unless at least one candidate is asked for. */
export function checkCandidates(count: number): void {
  if (!Number.isInteger(count) || count < 1) {
    throw new SamplerError(`${count} candidates per suggestion; at least 1 is needed`);
  }
}
