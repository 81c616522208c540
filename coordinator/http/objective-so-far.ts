import { expectedNormalMaximum } from '../../shared/core/metrics/normal-maximum.js';
import type { Objective } from '../../shared/core/study/definition.js';
import type { ObjectiveOverview } from '../storage/port.js';

/** The best value of one objective, and what luck alone would give, as trials finish. */
export class ObjectiveSoFar {
  readonly name: string;
  readonly #sign: 1 | -1;
  #best: { readonly value: number; readonly atMs: number } | null = null;
  #count = 0;
  #mean = 0;
  /** Sum of the squared distances from the mean. */
  #squares = 0;

  constructor({ name, direction }: Pick<Objective, 'name' | 'direction'>) {
    this.name = name;
    this.#sign = direction === 'maximize' ? 1 : -1;
  }

  /** Takes in what finished since the last time. */
  add({ best, bestAtMs, count, mean, squares }: ObjectiveOverview): void {
    if (this.#best === null || this.#sign * best > this.#sign * this.#best.value)
      this.#best = { value: best, atMs: bestAtMs };
    if (count === 0) return;
    // Two samples as one (T. F. Chan, G. H. Golub, R. J. LeVeque, The American Statistician 37, 1983).
    const total = this.#count + count;
    const distance = mean - this.#mean;
    this.#mean += (distance * count) / total;
    this.#squares += squares + (distance * distance * this.#count * count) / total;
    this.#count = total;
  }

  get best(): { readonly value: number; readonly atMs: number } | null {
    return this.#best;
  }

  /**
   * Expected best of as many independent draws from a normal with the trials' mean and sample standard deviation; null with
   * fewer than two draws or when all are equal. The same figure as in a study's summary.
   */
  luck(): number | null {
    const sd = Math.sqrt(this.#squares / (this.#count - 1));
    if (this.#count < 2 || !(sd > 0) || !Number.isFinite(sd)) return null;
    return this.#mean + this.#sign * expectedNormalMaximum(this.#count) * sd;
  }
}
