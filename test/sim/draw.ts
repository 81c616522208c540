import { Mt19937 } from '../../shared/core/sampler/mt19937.js';

/** Everything that a simulation leaves to chance, from one seeded generator: the same seed, the same run. */
export class Draw {
  readonly #generator: Mt19937;

  /** 0 ≤ seed < 2³². */
  constructor(seed: number) {
    this.#generator = new Mt19937(seed);
  }

  /** Uniform on [0, 1). */
  unit(): number {
    return this.#generator.nextUint32() / 2 ** 32;
  }

  chance(probability: number): boolean {
    return probability > 0 && this.unit() < probability;
  }

  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1));
  }

  /** A whole number from `low` to `high`, small ones far more often: uniform in its logarithm. `low` ≥ 1. */
  skewed(low: number, high: number): number {
    return Math.round(low * (high / low) ** this.unit());
  }

  pick<T>(items: readonly [T, ...T[]]): T;
  pick<T>(items: readonly T[]): T | undefined;
  pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.unit() * items.length)];
  }
}
