/** Which trials are best: by value with one objective, by domination with several. Pure, and the only place that decides it. */
import { nonDominationRanks } from '../metrics/pareto.js';
import type { Direction } from '../sampler/sampler.js';

/** What ranking looks at. A trial without exactly one value per direction, or with a NaN, is not ranked. */
export interface Rankable {
  readonly number: number;
  readonly values: readonly number[];
}

/**
 * The best trial of those with values, or with several directions the Pareto front in number order. Ties go to the lower
 * number; with several directions, trials with equal values all belong to the front. Empty when no trial can be ranked.
 */
export function bestTrials<T extends Rankable>(
  directions: readonly Direction[],
  trials: readonly T[],
): readonly T[] {
  const ranked = rankedByMerit(directions, trials, 1);
  return directions.length === 1
    ? ranked.slice(0, 1).map(({ trial }) => trial)
    : ranked.filter(({ rank }) => rank === 0).map(({ trial }) => trial);
}

/**
 * The best `count` trials, best first. With several directions: the Pareto front, then the front of the rest, and so on, each
 * in number order.
 */
export function topTrials<T extends Rankable>(
  directions: readonly Direction[],
  trials: readonly T[],
  count: number,
): readonly T[] {
  return rankedByMerit(directions, trials, count)
    .slice(0, count)
    .map(({ trial }) => trial);
}

/**
 * The best trials as they come in, in any order: what `bestTrials` says of all so far, at the cost of one look at the best
 * for each, and without keeping the others.
 */
export class BestSoFar {
  readonly #directions: readonly Direction[];
  #best: Rankable[] = [];

  constructor(directions: readonly Direction[]) {
    this.#directions = directions;
  }

  add({ number, values }: Rankable): void {
    if (values.length !== this.#directions.length || values.some(Number.isNaN)) return;
    if (this.#best.some((other) => this.#beats(other, { number, values }))) return;
    this.#best = this.#best.filter((other) => !this.#beats({ number, values }, other));
    this.#best.push({ number, values: [...values] });
  }

  /** In number order. */
  get trials(): readonly Rankable[] {
    return this.#best.toSorted((a, b) => a.number - b.number);
  }

  /** Whether one trial keeps another from being among the best: nowhere worse, and somewhere better or the only objective. */
  #beats(a: Rankable, b: Rankable): boolean {
    let isBetter = false;
    for (const [i, direction] of this.#directions.entries()) {
      const [x = NaN, y = NaN] = [a.values[i], b.values[i]];
      if (direction === 'maximize' ? x < y : x > y) return false;
      if (x !== y) isBetter = true;
    }
    return isBetter || (this.#directions.length === 1 && a.number < b.number);
  }
}

interface Ranked<T> {
  readonly trial: T;
  /** 0 is best. */
  readonly rank: number;
}

/** Trials by rank, then number. Ranks are exact for at least the first `enough` trials. */
function rankedByMerit<T extends Rankable>(
  directions: readonly Direction[],
  trials: readonly T[],
  enough: number,
): Ranked<T>[] {
  const rankable = trials.filter(
    ({ values }) => values.length === directions.length && !values.some(Number.isNaN),
  );
  // As losses, so that smaller is better throughout.
  const losses = rankable.map(({ values }) =>
    values.map((value, objective) => (directions[objective] === 'maximize' ? -value : value)),
  );
  if (directions.length === 1) {
    return rankable
      .map((trial, index) => ({ trial, loss: losses[index]?.[0] ?? Infinity }))
      .sort((a, b) => (a.loss === b.loss ? a.trial.number - b.trial.number : a.loss < b.loss ? -1 : 1))
      .map(({ trial }, rank) => ({ trial, rank }));
  }
  const ranks = nonDominationRanks(losses, enough);
  return rankable
    .map((trial, index) => ({ trial, rank: ranks[index] ?? Infinity }))
    .sort((a, b) => a.rank - b.rank || a.trial.number - b.trial.number);
}
