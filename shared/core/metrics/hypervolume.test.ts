import { describe, expect, it } from 'vitest';
import { Mt19937 } from '../sampler/mt19937.js';
import { referencePoint, selectByHypervolume } from './hypervolume-subset.js';
import { hypervolume } from './hypervolume.js';
import { dominates, nonDominationRanks, paretoFront } from './pareto.js';

function randomPoints(count: number, d: number, seed: number, levels: number): number[][] {
  const rng = new Mt19937(seed);
  return Array.from({ length: count }, () =>
    Array.from({ length: d }, () => Math.floor(rng.nextDouble() * levels)),
  );
}

/** Counts the unit cells below the reference that some point dominates: the definition, for integer points. */
function countCells(points: number[][], reference: number, d: number): number {
  let count = 0;
  for (let cell = 0; cell < reference ** d; cell++) {
    const corner = Array.from({ length: d }, (_, j) => Math.floor(cell / reference ** j) % reference);
    if (points.some((point) => point.every((x, j) => x <= (corner[j] ?? 0)))) count++;
  }
  return count;
}

describe('hypervolume', () => {
  it('golden figures (tpe.md §17)', () => {
    expect(hypervolume([[1, 3], [2, 2], [3, 1]], [4, 4])).toBe(6); // prettier-ignore
    expect(hypervolume([[1, 2, 3], [2, 3, 1], [3, 1, 2]], [4, 4, 4])).toBe(13); // prettier-ignore
    const four = [[1, 2, 3, 1], [2, 3, 1, 2], [3, 1, 2, 3], [2, 2, 2, 2]]; // prettier-ignore
    expect(hypervolume(four, [4, 4, 4, 4])).toBe(32);
  });

  it.each([1, 2, 3, 4])('counts the cells of random lattices, %d objectives', (d) => {
    for (let seed = 0; seed < 30; seed++) {
      const points = randomPoints(1 + (seed % 12), d, seed, 6);
      expect(hypervolume(points, new Array<number>(d).fill(5))).toBe(countCells(points, 5, d));
    }
  });

  it('case 57: duplicates, dominated points and points on the reference add nothing; order does not matter', () => {
    const points = [[1, 2, 3], [2, 3, 1], [3, 1, 2]]; // prettier-ignore
    const more = [[4, 0, 0], [3, 3, 3], [1, 2, 3], [3, 1, 2], [2, 3, 1]]; // prettier-ignore
    expect(hypervolume([...points, ...more], [4, 4, 4])).toBe(13);
    expect(hypervolume([...points].reverse(), [4, 4, 4])).toBe(13);
    expect(() => hypervolume([[5, 0]], [4, 4])).toThrow('must not exceed the reference');
    expect(() => hypervolume([[NaN, 0]], [4, 4])).toThrow(RangeError);
  });

  it.each([3, 4])('of one and of two points is the closed form to the last bit, %d objectives', (d) => {
    const reference = [1.1, 2.3, 0.7, 1.9].slice(0, d);
    const box = (point: readonly number[]): number =>
      point.reduce((product, x, j) => product * ((reference[j] ?? 0) - x), 1);
    const rng = new Mt19937(d);
    for (let i = 0; i < 50; i++) {
      const draw = (): number[] => reference.map((r) => r * rng.nextDouble());
      const [p, q] = [draw(), draw()].sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0)) as [number[], number[]];
      expect(hypervolume([p], reference)).toBe(box(p));
      if (dominates(p, q)) continue;
      const both = box(p) + box(q) - box(p.map((x, j) => Math.max(x, q[j] ?? 0)));
      expect(hypervolume([q, p], reference)).toBe(both);
    }
  });

  it('handles emptiness and infinities', () => {
    expect(hypervolume([], [1, 1])).toBe(0);
    expect(hypervolume([[0, 0]], [Infinity, 1])).toBe(Infinity);
    expect(hypervolume([[-Infinity, 0]], [1, 1])).toBe(Infinity);
    expect(hypervolume([[-Infinity, 1]], [1, 1])).toBe(0);
    expect(hypervolume([[-Infinity, 1, 0]], [1, 1, 1])).toBe(Infinity);
  });
});

describe('domination', () => {
  it('golden ranks (tpe.md §17)', () => {
    const points = [[1, 1], [1, 1], [0, 3], [2, 0], [2, 2], [3, 3], [0, 4]]; // prettier-ignore
    expect([...nonDominationRanks(points)]).toEqual([0, 0, 0, 0, 1, 2, 1]);
    expect([...nonDominationRanks(points, 2)]).toEqual([0, 0, 0, 0, 1, 1, 1]);
    expect([...nonDominationRanks(points, 0)]).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });

  it.each([1, 2, 3, 4])('ranks are what peeling by definition gives, %d objectives', (d) => {
    for (let seed = 0; seed < 20; seed++) {
      const points = randomPoints(40, d, seed, 5);
      const ranks = nonDominationRanks(points);
      const left = new Set(points.map((_, i) => i));
      for (let rank = 0; left.size > 0; rank++) {
        const front = [...left].filter(
          (i) => ![...left].some((j) => dominates(points[j] ?? [], points[i] ?? [])),
        );
        for (const i of front) {
          expect(ranks[i]).toBe(rank);
          left.delete(i);
        }
      }
    }
  });

  it('the front holds each Pareto point once', () => {
    expect(paretoFront([[2, 0], [1, 1], [1, 1], [0, 3], [5, 5]])).toEqual([[0, 3], [1, 1], [2, 0]]); // prettier-ignore
    expect(dominates([1, 1], [1, 1])).toBe(false);
  });
});

describe('greedy subset', () => {
  it('golden picks (tpe.md §17)', () => {
    const front = [[0, 10], [1, 8], [3, 5], [4, 4.5], [7, 1], [9, 0.5]]; // prettier-ignore
    expect(referencePoint(front)[0]).toBeCloseTo(9.9, 14);
    expect(referencePoint(front)[1]).toBe(11);
    expect(selectByHypervolume(front, 4)).toEqual([2, 4, 1, 3]);
  });

  it('case 55: the reference point at zero and below', () => {
    const [x, y, z] = referencePoint([[1, -2, 0], [0.5, -5, -1]]); // prettier-ignore
    expect(x).toBeCloseTo(1.1, 15);
    expect(y).toBeCloseTo(-1.8, 15);
    expect(z).toBe(1e-12);
  });

  it.each([2, 3, 4])('is greedy by definition, %d objectives', (d) => {
    for (let seed = 0; seed < 25; seed++) {
      const front = paretoFront(randomPoints(60, d, seed, 9)).slice(0, 12);
      const reference = referencePoint(front);
      const count = Math.min(5, front.length - 1);
      const selected = selectByHypervolume(front, count);
      expect(new Set(selected).size).toBe(count);
      const volumeOf = (picks: number[]): number =>
        hypervolume(
          picks.map((k) => front[k] ?? []),
          reference,
        );
      selected.forEach((_, step) => {
        const before = selected.slice(0, step);
        const best = Math.max(...front.map((__, i) => volumeOf([...before, i])));
        // Equal gains may come out an ulp apart; what was taken must be as good as the best.
        expect(volumeOf(selected.slice(0, step + 1))).toBeGreaterThan(best * (1 - 1e-12));
      });
    }
  });

  it('a point of infinite volume comes first wherever it stands, then the others in lexicographic order', () => {
    // Without it (2, 1, 0) would gain more than (0, 5, 1).
    const front = [[0, 5, 1], [1, -Infinity, 3], [2, 1, 0]]; // prettier-ignore
    expect(selectByHypervolume(front, 1)).toEqual([1]);
    expect(selectByHypervolume(front, 2)).toEqual([1, 0]);
    expect(selectByHypervolume([front[1]!, front[2]!, front[0]!], 2)).toEqual([0, 2]);
  });

  it('two objectives: a gain that infinities make undefined comes before all, the first of them first', () => {
    // Once (1, −∞) is chosen, the others with −∞ gain ∞ − ∞.
    const points = [[0, 3], [1, -Infinity], [2, -Infinity], [2.1, -Infinity]]; // prettier-ignore
    expect(selectByHypervolume(points, 2)).toEqual([1, 2]);
    expect(selectByHypervolume(points, 3)).toEqual([1, 2, 3]);
  });

  it('duplicates come in only after all distinct points', () => {
    const points = [[1, 1], [1, 1], [0, 2], [1, 1]]; // prettier-ignore
    expect(selectByHypervolume(points, 4)).toEqual([0, 1, 2, 3]);
    expect([...selectByHypervolume(points, 3)].sort()).toEqual([0, 1, 2]);
    expect([...selectByHypervolume(points, 2)].sort()).toEqual([0, 2]);
  });
});
