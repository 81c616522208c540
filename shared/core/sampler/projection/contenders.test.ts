import { describe, expect, it } from 'vitest';
import { Mt19937 } from '../mt19937.js';
import { contenders, type SummedMixture } from './contenders.js';
import type { Range } from './screen-memory.js';

/** How far rounding may put a sum off. */
const roundingMax = 1e-4;

/**
 * A mixture of kernels given by what each says about each candidate, that drops whatever it may drop: every kernel at or
 * below its part of the share of what the total is known to be.
 */
class WorstMixture implements SummedMixture {
  readonly count: number;
  readonly errorMax = roundingMax;
  readonly prior: Float64Array;
  readonly #kernels: readonly Float64Array[];
  readonly #rng: Mt19937;
  #taken: readonly number[] = [];
  /** Kernels added up, for all candidates together. */
  work = 0;

  constructor(kernels: readonly Float64Array[], prior: Float64Array, rng: Mt19937) {
    this.count = kernels.length;
    this.prior = prior;
    this.#kernels = kernels;
    this.#rng = rng;
  }

  sum(range: Range, totals: Float64Array, share: number): void {
    this.#taken = [...totals.keys()];
    this.addTo(totals, range, share);
  }

  take(candidates: readonly number[]): void {
    expect(candidates.length).toBeLessThanOrEqual(16);
    this.#taken = candidates;
  }

  addTo(totals: Float64Array, { from, to }: Range, share: number, known: Float64Array = totals): void {
    const least = known.slice();
    this.#taken.forEach((j, i) => {
      let sum = 0;
      for (const kernel of this.#kernels.slice(from, to)) {
        const value = kernel[j] ?? 0;
        if (value > (share * (least[i] ?? 0)) / (this.count + 1)) sum += value;
      }
      this.work += to - from;
      const rounding = 1 + (this.#rng.nextDouble() - 0.5) * roundingMax;
      totals[i] = ((totals[i] ?? 0) + sum) * rounding;
    });
  }

  exact(j: number): number {
    return this.#kernels.reduce((total, kernel) => total + (kernel[j] ?? 0), this.prior[j] ?? 0);
  }
}

/** Candidates whose scores lie within `spread` of each other, with kernels of which most are just small enough to be dropped. */
function closeRace(seed: number, spread: number, count: number) {
  const rng = new Mt19937(seed);
  const candidates = 64;
  const prior = new Float64Array(candidates).fill(1e-3);
  const tiny = Array.from({ length: candidates }, () => rng.nextDouble() * 1e-2);
  const kernels = Array.from({ length: count }, (_, k) =>
    Float64Array.from({ length: candidates }, (__, j) =>
      k % 50 === 49 ? rng.nextDouble() / (count / 50) : ((tiny[j] ?? 0) * 0.4) / count,
    ),
  );
  const mixture = new WorstMixture(kernels, prior, rng);
  const scores = Array.from({ length: candidates }, () => rng.nextDouble() * spread);
  const good = Float64Array.from(scores, (score, j) => Math.exp(score) * mixture.exact(j));
  const best = scores.indexOf(Math.max(...scores));
  return { mixture, good, best, scores };
}

describe('contenders', () => {
  it.each([1e-4, 3e-4, 1e-3, 0.01, 0.03, 0.1, 1, 5])(
    'have the best among them, scores within %d',
    (spread) => {
      for (let seed = 0; seed < 60; seed++) {
        const { mixture, good, best } = closeRace(seed, spread, [40, 300, 500][seed % 3] ?? 40);
        expect(contenders(good, mixture), `seed ${seed}`).toContain(best);
      }
    },
  );

  it('are few where the scores differ, found without adding everything up', () => {
    const { mixture, good, best } = closeRace(1, 60, 2_000);
    expect(contenders(good, mixture)).toEqual([best]);
    expect(mixture.work).toBeLessThan(64 * 2_000 * 0.5);
  });

  it('are in order', () => {
    const { mixture, good } = closeRace(2, 1e-4, 300);
    const found = contenders(good, mixture) ?? [];
    expect(found).toEqual(found.toSorted((a, b) => a - b));
    expect(found.length).toBeGreaterThan(10);
  });

  it('are unknown where a total is nothing, or not a number', () => {
    const { mixture, good } = closeRace(3, 1, 300);
    for (const total of [0, NaN, Infinity]) {
      const changed = good.slice();
      changed[7] = total;
      expect(contenders(changed, mixture)).toBeNull();
    }
  });
});
