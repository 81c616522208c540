/** Which rows of the table are good, kept up to date as trials finish (tpe.md §6). */
import type { Direction, FinishedTrial, TpeRules } from '../sampler.js';
import { violationOf } from '../tpe/feasibility.js';
import { goodTrialWeights } from '../tpe/good-weights.js';
import { goodCount, minimised, splitTrials } from '../tpe/split.js';
import { firstWhere, grown } from './growable.js';

/** The good trials of one moment; the same object for as long as they stay the same. */
export interface GoodTrials {
  /** Rows in number order. */
  readonly rows: Uint32Array;
  /** Weights in the same order; null: by age. */
  readonly weights: Float64Array | null;
}

/** Finds the good ones among the trials taken in so far. */
interface GoodFinder {
  /** Takes in the trial of the next row. */
  add(trial: FinishedTrial): void;
  find(): GoodTrials;
}

/** Parts of the queue of tpe.md §6.3. */
const feasibleComplete = 0;
const feasiblePruned = 1;
const infeasible = 2;

/**
 * One objective: a trial's place in the queue is a triple of numbers, and at most 25 trials are good, so that the best few
 * are kept as a list; it is searched anew only when their number changes.
 */
class BestByValue implements GoodFinder {
  readonly #direction: Direction;
  readonly #rules: TpeRules;
  #count = 0;
  #isConstrained = false;
  /** The good ones among the rows searched so far, best first. */
  #best: number[] = [];
  #searched = 0;
  /** Whether places in the queue have changed since. */
  #isReordered = false;
  #numbers = new Float64Array(0);
  #parts = new Uint8Array(0);
  /** Value, minus the last step, or violation, by part. */
  #firsts = new Float64Array(0);
  /** Last value of a pruned trial. */
  #seconds = new Float64Array(0);
  /** 1 for a trial without constraint values. */
  #unconstrained = new Uint8Array(0);

  constructor(direction: Direction, rules: TpeRules) {
    this.#direction = direction;
    this.#rules = rules;
  }

  add(trial: FinishedTrial): void {
    const row = this.#count;
    this.#count += 1;
    this.#numbers = grown(this.#numbers, this.#count);
    this.#parts = grown(this.#parts, this.#count);
    this.#firsts = grown(this.#firsts, this.#count);
    this.#seconds = grown(this.#seconds, this.#count);
    this.#unconstrained = grown(this.#unconstrained, this.#count);
    const { part, first, second } = this.#place(trial);
    this.#numbers[row] = trial.number;
    this.#parts[row] = part;
    this.#firsts[row] = first;
    this.#seconds[row] = second;
    this.#unconstrained[row] = trial.constraints === undefined ? 1 : 0;
    if (trial.constraints !== undefined && !this.#isConstrained) {
      this.#isConstrained = true;
      this.#isReordered = true;
    }
  }

  #place(trial: FinishedTrial): { part: number; first: number; second: number } {
    const violation = violationOf([], this.#rules)(trial);
    if (violation > 0) return { part: infeasible, first: violation, second: 0 };
    const key = (value: number): number => minimised([value], [this.#direction])[0] ?? 0;
    if (trial.state === 'COMPLETE')
      return { part: feasibleComplete, first: key(trial.values[0] ?? 0), second: 0 };
    const report = trial.lastReport;
    if (report === null) return { part: feasiblePruned, first: Infinity, second: 0 };
    const second = Number.isNaN(report.value) ? Infinity : key(report.value);
    return { part: feasiblePruned, first: -report.step, second };
  }

  find(): GoodTrials {
    const wanted = goodCount(this.#count, 1, this.#rules);
    // While the number of good trials stays, only a newcomer can be one.
    if (wanted !== this.#best.length || this.#isReordered) {
      this.#best = [];
      this.#searched = 0;
      this.#isReordered = false;
    }
    const best = this.#best;
    for (let row = this.#searched; row < this.#count; row++) {
      const worst = best.length === wanted ? (best[wanted - 1] ?? 0) : -1;
      if (worst >= 0 && (this.#isOut(row, worst) || !this.#isBefore(row, worst))) continue;
      const place = firstWhere(best.length, (i) => this.#isBefore(row, best[i] ?? 0));
      best.splice(place, 0, row);
      if (best.length > wanted) best.pop();
    }
    this.#searched = this.#count;
    const byNumber = best.toSorted((a, b) => (this.#numbers[a] ?? 0) - (this.#numbers[b] ?? 0));
    return { rows: Uint32Array.from(byNumber), weights: null };
  }

  /** Most trials are out by their value alone, which costs less to see than their whole place. */
  #isOut(row: number, worst: number): boolean {
    return (
      this.#parts[row] === feasibleComplete &&
      this.#parts[worst] === feasibleComplete &&
      (this.#firsts[row] ?? 0) > (this.#firsts[worst] ?? 0) &&
      !this.#isUnjudged(worst)
    );
  }

  #isBefore(a: number, b: number): boolean {
    const partA = this.#part(a);
    const partB = this.#part(b);
    if (partA !== partB) return partA < partB;
    const firstA = this.#first(a);
    const firstB = this.#first(b);
    if (firstA !== firstB) return firstA < firstB;
    const secondA = this.#seconds[a] ?? 0;
    const secondB = this.#seconds[b] ?? 0;
    if (partA === feasiblePruned && secondA !== secondB) return secondA < secondB;
    return (this.#numbers[a] ?? 0) < (this.#numbers[b] ?? 0);
  }

  /** By the rules of Optuna 4 a trial without values is infinitely violated once any trial has some. */
  #isUnjudged(row: number): boolean {
    return this.#isConstrained && this.#rules === 'optuna-4' && this.#unconstrained[row] === 1;
  }

  #part(row: number): number {
    return this.#isUnjudged(row) ? infeasible : (this.#parts[row] ?? 0);
  }

  #first(row: number): number {
    return this.#isUnjudged(row) ? Infinity : (this.#firsts[row] ?? 0);
  }
}

/** Several objectives: ranked anew whenever a trial has finished. */
class BestByDomination implements GoodFinder {
  readonly #directions: readonly Direction[];
  readonly #rules: TpeRules;
  /** In number order, without parameters: the table has them. */
  readonly #trials: FinishedTrial[] = [];
  readonly #rows = new Map<FinishedTrial, number>();

  constructor(directions: readonly Direction[], rules: TpeRules) {
    this.#directions = directions;
    this.#rules = rules;
  }

  add(trial: FinishedTrial): void {
    const judged = { ...trial, params: {} };
    const place = firstWhere(this.#trials.length, (i) => (this.#trials[i]?.number ?? 0) > trial.number);
    this.#rows.set(judged, this.#trials.length);
    this.#trials.splice(place, 0, judged);
  }

  find(): GoodTrials {
    const violation = violationOf(this.#trials, this.#rules);
    const { good } = splitTrials(this.#trials, this.#directions, this.#rules, violation);
    return {
      rows: Uint32Array.from(good, (trial) => this.#rows.get(trial) ?? 0),
      weights: goodTrialWeights(good, this.#directions, this.#rules, violation),
    };
  }
}

function isEqual(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export class GoodTrialsIndex {
  readonly #finder: GoodFinder;
  #isStale = true;
  #current: GoodTrials = { rows: new Uint32Array(0), weights: null };

  constructor(directions: readonly Direction[], rules: TpeRules) {
    const [direction = 'minimize'] = directions;
    this.#finder =
      directions.length === 1 ? new BestByValue(direction, rules) : new BestByDomination(directions, rules);
  }

  /** Takes in the trial of the next row of the table. */
  add(trial: FinishedTrial): void {
    this.#finder.add(trial);
    this.#isStale = true;
  }

  /** The good trials among all taken in so far. */
  current(): GoodTrials {
    if (!this.#isStale) return this.#current;
    this.#isStale = false;
    const fresh = this.#finder.find();
    const { rows, weights } = this.#current;
    const isSame = isEqual(rows, fresh.rows) && isEqual(weights ?? [], fresh.weights ?? []);
    if (!isSame) this.#current = fresh;
    return this.#current;
  }
}
