/**
 * The model of one space, kept from suggestion to suggestion. It decides exactly as `tpe/model.ts` does: the screen ranks
 * all candidates with a known error, and those that it cannot tell from the best are judged by the plain estimators.
 */
import type { Space } from '../../space/parameter.js';
import type { Mt19937 } from '../mt19937.js';
import type { RunningTrial } from '../sampler.js';
import { SamplerError } from '../sampler-error.js';
import type { EstimatorRules } from '../tpe/estimator-rules.js';
import { ParzenEstimator, type Columns } from '../tpe/parzen-estimator.js';
import { mixtureWeights, rampWeights } from '../tpe/weights.js';
import { contenders } from './contenders.js';
import type { GoodTrials } from './good-trials.js';
import { grown } from './growable.js';
import { MixtureScreen } from './mixture-screen.js';
import { Observations } from './observations.js';
import { PointReader } from './point-reader.js';
import type { ScreenMemory } from './screen-memory.js';
import type { TrialTable } from './trial-table.js';

/** No slot. */
const none = 0xffffffff;

/** The good trials that are observations of a space, and the estimator fitted to them. */
interface GoodSide {
  readonly slots: Uint32Array;
  readonly observationWeights: Float64Array;
  readonly estimator: ParzenEstimator;
}

export class SpaceModel {
  readonly #space: Space;
  readonly #rules: EstimatorRules;
  readonly #table: TrialTable;
  readonly #observations: Observations;
  readonly #screen: MixtureScreen;
  readonly #reader: PointReader;
  /** Rows of the table taken in so far. */
  #rowCount = 0;
  #rowOfSlot = new Uint32Array(0);
  #slotOfRow = new Uint32Array(0);
  #isGood = new Uint8Array(0);
  #goodTrials: GoodTrials | null = null;
  #goodSide: GoodSide | null = null;
  #running: { readonly number: number; readonly point: Float64Array }[] = [];

  /** `space` without single parameters, sorted by name. */
  constructor(space: Space, rules: EstimatorRules, table: TrialTable, memory: ScreenMemory) {
    this.#space = space;
    this.#rules = rules;
    this.#table = table;
    this.#observations = new Observations(space, rules);
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
    const columns = this.#space.map((parameter) => table.column(parameter.name));
    const point = new Float64Array(columns.length);
    this.#slotOfRow = grown(this.#slotOfRow, table.count);
    for (let row = this.#rowCount; row < table.count; row++) {
      columns.forEach((column, i) => {
        point[i] = column[row] ?? NaN;
      });
      if (point.some((value) => Number.isNaN(value))) {
        this.#slotOfRow[row] = none;
        continue;
      }
      const slot = this.#observations.count;
      this.#rowOfSlot = grown(this.#rowOfSlot, slot + 1);
      this.#rowOfSlot[slot] = row;
      this.#slotOfRow[row] = slot;
      this.#observations.add(table.number(row), point);
    }
    this.#rowCount = table.count;
  }

  #setRunning(running: readonly RunningTrial[]): void {
    this.#running = [];
    for (const { number, params } of running) {
      const point = this.#reader.read(params, number);
      if (point !== null) this.#running.push({ number, point });
    }
    this.#observations.setRunning(this.#running);
  }

  /** The estimator of the good trials; it is refitted only when they change. */
  #side(good: GoodTrials): GoodSide {
    if (this.#goodSide !== null && this.#goodTrials === good) return this.#goodSide;
    this.#isGood = grown(this.#isGood, this.#observations.numbers.length).fill(0);
    const kept = Array.from(good.rows.keys()).filter((i) => this.#slotOfRow[good.rows[i] ?? 0] !== none);
    const slots = Uint32Array.from(kept, (i) => this.#slotOfRow[good.rows[i] ?? 0] ?? 0);
    for (const slot of slots) this.#isGood[slot] = 1;
    const { weights } = good;
    const observationWeights =
      weights === null ? rampWeights(slots.length) : Float64Array.from(kept, (i) => weights[i] ?? 0);
    const estimator = this.#estimator(slots, observationWeights);
    this.#goodTrials = good;
    this.#goodSide = { slots, observationWeights, estimator };
    return this.#goodSide;
  }

  /** The plain estimator of the given slots. */
  #estimator(slots: Uint32Array, observationWeights: Float64Array): ParzenEstimator {
    const lasting = this.#observations.count;
    const columns = this.#space.map((parameter, i) => {
      const column = this.#table.column(parameter.name);
      return Float64Array.from(slots, (slot) =>
        slot < lasting
          ? (column[this.#rowOfSlot[slot] ?? 0] ?? NaN)
          : (this.#running[slot - lasting]?.point[i] ?? NaN),
      );
    });
    return new ParzenEstimator(this.#space, columns, observationWeights, this.#rules);
  }

  /** Position of the best candidate, the first one on a tie. */
  #best(side: GoodSide, columns: Columns, count: number): number {
    const bad = this.#observations.badSlots(this.#isGood);
    const contenders = distinct(columns, this.#contenders(side, bad, columns, count));
    if (contenders.length === 1) return contenders[0] ?? 0;
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
  #contenders(side: GoodSide, badSlots: Uint32Array, columns: Columns, count: number): number[] {
    const all = Array.from({ length: count }, (_, j) => j);
    if (count === 1 || !this.#observations.screenable) return all;
    for (const axis of this.#observations.tables) axis.setCandidates(columns);
    const { priorWeight } = this.#rules;
    const isGood = this.#isGood;
    const good = this.#screen.open(
      {
        slots: side.slots,
        weights: mixtureWeights(side.observationWeights, priorWeight),
        isGood,
        good: true,
      },
      columns,
    );
    if (good === null) return all;
    const goodTotals = good.sum(0, good.count).map((total, j) => total + (good.prior[j] ?? 0));
    good.close();
    const bad = this.#screen.open(
      {
        slots: badSlots,
        weights: mixtureWeights(rampWeights(badSlots.length), priorWeight),
        isGood,
        good: false,
      },
      columns,
    );
    if (bad === null) return all;
    const found = contenders(goodTotals, bad);
    bad.close();
    return found ?? all;
  }
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
