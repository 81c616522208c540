import { describe, expect, it } from 'vitest';
import { Mt19937, trialSeed } from './mt19937.js';

describe('Mt19937', () => {
  it('gives the reference outputs of the default seed 5489', () => {
    const rng = new Mt19937(5489);
    expect([rng.nextUint32(), rng.nextUint32(), rng.nextUint32()]).toEqual([
      3499211612, 581869302, 3890346734,
    ]);
    // The C++ standard names the 10,000th output of this generator.
    for (let i = 3; i < 9999; i++) rng.nextUint32();
    expect(rng.nextUint32()).toBe(4123659995);
  });

  it("draws the doubles of NumPy's RandomState", () => {
    expect([...new Mt19937(42).nextDoubles(4)]).toEqual([
      0.3745401188473625, 0.9507143064099162, 0.7319939418114051, 0.5986584841970366,
    ]);
    expect(new Mt19937(0).nextDouble()).toBe(0.5488135039273248);
    expect(new Mt19937(2 ** 32 - 1).nextDouble()).toBeLessThan(1);
  });

  it.each([-1, 2 ** 32, 1.5, NaN])('refuses seed %d', (seed) => {
    expect(() => new Mt19937(seed)).toThrow(RangeError);
  });
});

describe('trialSeed', () => {
  it('is one-to-one in the number and a 32-bit integer', () => {
    const seeds = new Set<number>();
    for (let number = 0; number < 100_000; number++) seeds.add(trialSeed(42, number));
    expect(seeds.size).toBe(100_000);
    for (const seed of seeds) expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true);
  });

  it('changes about half of the bits with any bit of seed or number', () => {
    const popcount = (x: number): number => {
      let bits = 0;
      for (let rest = x >>> 0; rest !== 0; rest &= rest - 1) bits++;
      return bits;
    };
    for (let bit = 0; bit < 32; bit++) {
      let bySeed = 0;
      let byNumber = 0;
      for (let i = 0; i < 500; i++) {
        const flipped = (i ^ (1 << bit)) >>> 0;
        bySeed += popcount(trialSeed(i, 7) ^ trialSeed(flipped, 7));
        byNumber += popcount(trialSeed(7, i) ^ trialSeed(7, flipped));
      }
      expect(bySeed / 500).toBeGreaterThan(14);
      expect(bySeed / 500).toBeLessThan(18);
      expect(byNumber / 500).toBeGreaterThan(14);
      expect(byNumber / 500).toBeLessThan(18);
    }
  });

  it('does not repeat one study in another: no shared stream among 200 studies of 200 trials', () => {
    const seeds = new Set<number>();
    for (let study = 0; study < 200; study++) {
      for (let number = 0; number < 200; number++) seeds.add(trialSeed(study, number));
    }
    // 40,000 draws from 2³² values: 0.19 collisions expected.
    expect(seeds.size).toBeGreaterThan(40_000 - 5);
  });

  it('stays what stored studies were made with', () => {
    expect([trialSeed(42, 0), trialSeed(42, 1), trialSeed(0, 0)]).toMatchInlineSnapshot(`
      [
        3332846997,
        3657427086,
        1595811728,
      ]
    `);
  });
});
