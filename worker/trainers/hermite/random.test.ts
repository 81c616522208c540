import { describe, expect, test } from 'vitest';
import { createRandom, fillDropoutMask, shuffle } from './random.js';

const draws = <T>(count: number, draw: () => T): T[] => Array.from({ length: count }, draw);
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

describe('random numbers of the trainer', () => {
  test('are a function of all seed words, in order', () => {
    const words = (...seed: number[]) => draws(4, createRandom(...seed).word);
    expect(words(1, 2)).toEqual(words(1, 2));
    const others = [words(1, 2), words(2, 1), words(1, 3), words(1), words(1, 2, 0), words(0), words()];
    expect(new Set(others.map((each) => each.join())).size).toBe(others.length);
  });

  test('filled in pieces are the same stream as word by word', () => {
    const filled = createRandom(1, 2);
    const pieces = [3, 0, 1, 5].map((length) => new Uint32Array(length));
    const first = filled.word();
    pieces.forEach((piece) => filled.fill(piece));
    const words = [first, ...pieces.flatMap((piece) => [...piece]), filled.word()];
    expect(words).toEqual(draws(11, createRandom(1, 2).word));
  });

  test('are uniform, also for neighbouring seeds', () => {
    const { uniform } = createRandom(42);
    const values = draws(40_000, uniform);
    const bins = new Array<number>(16).fill(0);
    values.forEach((value) => (bins[Math.floor(16 * value)]! += 1));
    // χ² with 15 degrees of freedom: 37.7 is its 99.9 % quantile.
    expect(bins.reduce((sum, count) => sum + (count - 2500) ** 2 / 2500, 0)).toBeLessThan(37.7);
    const firsts = Array.from({ length: 4000 }, (_, seed) => createRandom(seed).uniform());
    expect(Math.abs(mean(firsts) - 0.5)).toBeLessThan(4 / Math.sqrt(12 * 4000));
  });

  test('normal has mean 0, variance 1 and normal tails', () => {
    const values = draws(40_000, createRandom(7).normal);
    expect(Math.abs(mean(values))).toBeLessThan(0.02);
    expect(Math.abs(mean(values.map((value) => value * value)) - 1)).toBeLessThan(0.03);
    const beyond = values.filter((value) => Math.abs(value) > 1.959964).length / values.length;
    expect(Math.abs(beyond - 0.05)).toBeLessThan(0.005);
  });

  test('shuffle gives every order the same chance', () => {
    const counts = new Map<string, number>();
    const random = createRandom(3);
    for (let i = 0; i < 12_000; i += 1) {
      const items = Int32Array.of(0, 1, 2);
      shuffle(items, random);
      counts.set(items.join(), (counts.get(items.join()) ?? 0) + 1);
    }
    expect(counts.size).toBe(6);
    counts.forEach((count) => expect(Math.abs(count - 2000)).toBeLessThan(180));
  });

  test.each([0.01, 0.4])('dropout of %f drops that share and keeps the mean at 1', (rate) => {
    const mask = new Float32Array(200_001);
    fillDropoutMask(mask, rate, createRandom(9));
    const kept = Math.fround(1 / (1 - rate));
    const { word } = createRandom(9);
    const expected = draws(5, word).flatMap((bits) => [bits & 0xffff, bits >>> 16]);
    expect([...mask.slice(0, 10)]).toEqual(
      expected.map((draw) => (draw < Math.round(rate * 65536) ? 0 : kept)),
    );
    expect(new Set(mask)).toEqual(new Set([0, kept]));
    const dropped = mask.filter((value) => value === 0).length / mask.length;
    expect(Math.abs(dropped - rate)).toBeLessThan(4 * Math.sqrt((rate * (1 - rate)) / mask.length) + 1e-5);
  });
});
