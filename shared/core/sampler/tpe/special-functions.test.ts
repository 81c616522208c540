import { describe, expect, it } from 'vitest';
import {
  erf,
  erfc,
  logAddExp,
  logNormalCdf,
  logSumExp,
  normalCdf,
  lowerNormalQuantile,
  pairwiseSum,
} from './special-functions.js';
import { logMass, TruncatedNormal } from './truncated-normal.js';

const truncatedNormalQuantile = (u: number, a: number, b: number): number =>
  new TruncatedNormal(a, b).quantile(u);

function expectRelative(actual: number, expected: number, tolerance: number): void {
  expect(Math.abs(actual - expected)).toBeLessThanOrEqual(tolerance * Math.abs(expected));
}

describe('erf and erfc', () => {
  // Computed with 50 decimal digits.
  it.each([
    [0.1, 0.1124629160182849, 0.8875370839817152],
    [0.46875, 0.49261347321793814, 0.5073865267820619],
    [1, 0.8427007929497149, 0.15729920705028513],
    [2.5, 0.999593047982555, 0.0004069520174449589],
    [4, 0.9999999845827421, 1.541725790028002e-8],
    [6, 1.0, 2.1519736712498913e-17],
    [20, 1, 5.395865611607901e-176],
  ])('at ±%d', (x, erfOfX, erfcOfX) => {
    expectRelative(erf(x), erfOfX, 1e-15);
    expectRelative(erf(-x), -erfOfX, 1e-15);
    expectRelative(erfc(x), erfcOfX, 1e-15);
    expectRelative(erfc(-x), 1 + erfOfX, 1e-15);
  });

  it('agree with their own derivative everywhere, the joints of the approximations included', () => {
    // Simpson's rule over a short interval against the difference: catches a wrong coefficient in any of the three.
    const density = (t: number): number => (2 / Math.sqrt(Math.PI)) * Math.exp(-t * t);
    for (let x = 0.0031; x < 6; x += 0.0437) {
      const h = 0.02;
      const integral = (h / 6) * (density(x) + 4 * density(x + h / 2) + density(x + h));
      expectRelative(erfc(x) - erfc(x + h), integral, 2e-6);
    }
  });
});

describe('normal distribution', () => {
  it.each([
    [-40, -804.6084420137538],
    [-20, -203.91715537109727],
    [-5, -15.064998393988724],
    [1, -0.1727537790234499],
    // The figure there is −Φ(−7); the logarithm is Φ(−7)²/2 further down.
    [7, -1.279812543885835e-12 * (1 + 1.279812543885835e-12 / 2)],
  ])('ln Φ(%d), golden (tpe.md §17)', (x, expected) => {
    expectRelative(logNormalCdf(x), expected, 1e-14);
  });

  it('is continuous where the formulas change', () => {
    for (const x of [-20, 0]) expectRelative(logNormalCdf(x - 1e-9), logNormalCdf(x + 1e-9), 1e-6);
    expect(normalCdf(0)).toBe(0.5);
    expect(logNormalCdf(-Infinity)).toBe(-Infinity);
    expect(logNormalCdf(Infinity)).toBe(-0);
    expect(logNormalCdf(-1e9)).toBeCloseTo(-5e17, -3);
  });
});

describe('normal quantile', () => {
  it('inverts the distribution function in all three of its ranges', () => {
    for (const p of [0.5, 0.4, 0.08, 0.075, 0.07, 1e-3, 1e-9, 2e-11, 1e-11, 1e-30, 1e-200, 1e-300]) {
      expectRelative(logNormalCdf(lowerNormalQuantile(p)), Math.log(p), 1e-14);
    }
    expect(lowerNormalQuantile(0.5)).toBe(0);
  });
});

describe('sums', () => {
  it('case 47: logsumexp with all −∞ is −∞, not NaN', () => {
    expect(logSumExp(Float64Array.of(-Infinity, -Infinity))).toBe(-Infinity);
    expect(logSumExp(new Float64Array(0))).toBe(-Infinity);
    expect(logAddExp(-Infinity, -Infinity)).toBe(-Infinity);
    expect(logSumExp(Float64Array.of(-1000, -1000))).toBeCloseTo(-1000 + Math.LN2, 12);
    expect(logAddExp(-1000, -Infinity)).toBe(-1000);
  });

  it('adds every term once, whatever the length', () => {
    for (const length of [0, 1, 7, 8, 9, 127, 128, 129, 136, 200, 256, 257, 1000, 4097]) {
      const terms = Float64Array.from({ length }, (_, i) => i + 1);
      expect(pairwiseSum(terms)).toBe((length * (length + 1)) / 2);
    }
  });
});

describe('mass of an interval', () => {
  it.each([
    [-1, 1, -0.38171514630212616, 1e-14],
    [2, 3, -3.8443534263342047, 1e-14],
    [-30, -29, -424.7874199097303, 1e-14],
    [5, 5.0000001, -29.5370344, 1e-9],
    [-9, 0, -0.6931471805599453, 1e-14],
  ])('M(%d, %d), golden (tpe.md §17)', (a, b, expected, tolerance) => {
    expectRelative(logMass(a, b), expected, tolerance);
  });

  it('case 48: both ends far out give a finite number or −∞, never NaN', () => {
    for (const [a, b] of [
      [38.5, 39],
      [-40, -39],
      [1e5, 1e5 + 1],
      [-1e200, -1e199],
      [1e200, Infinity],
      [-Infinity, -1e200],
      [3, 3],
    ] as const) {
      expect(logMass(a, b)).not.toBeNaN();
      expect(logMass(a, b)).toBeLessThan(0);
    }
    expect(logMass(3, 3)).toBe(-Infinity);
    expect(Number.isFinite(logMass(38.5, 39))).toBe(true);
  });
});

describe('quantile of the truncated normal', () => {
  it.each([
    [0.1, -1, 2, -0.704647821094745],
    [0.9, -1, 2, 1.2557153641502152],
    [0.5, 3, 9, 3.205154920598933],
    [0.5, -40, -30, -30.02307046782731],
  ])('Q(%d; %d, %d), golden (tpe.md §17)', (u, a, b, expected) => {
    expectRelative(truncatedNormalQuantile(u, a, b), expected, 1e-13);
  });

  it('case 49: u → 0 and u → 1 stay inside [a, b]', () => {
    for (const [a, b] of [
      [-1, 2],
      [-8, 8],
      [0, 1e-9],
      [3, 9],
      [-40, -30],
      [30, 40],
      [-100, 100],
    ] as const) {
      for (const u of [0, 5e-324, 2 ** -53, 1e-9, 0.3, 1 - 1e-9, 1 - 2 ** -53, 1]) {
        const x = truncatedNormalQuantile(u, a, b);
        expect(x).toBeGreaterThanOrEqual(a);
        expect(x).toBeLessThanOrEqual(b);
      }
      expect(truncatedNormalQuantile(0, a, b)).toBe(a);
      expect(truncatedNormalQuantile(1, a, b)).toBe(b);
    }
  });

  it('inverts the distribution function', () => {
    for (const [a, b] of [
      [-1, 2],
      [-6, 1],
      [0.5, 4],
      [-12, -7],
    ] as const) {
      for (let u = 0.01; u < 1; u += 0.07) {
        const x = truncatedNormalQuantile(u, a, b);
        expectRelative(Math.exp(logMass(a, x) - logMass(a, b)), u, 1e-10);
      }
    }
  });
});
