import { describe, expect, it } from 'vitest';
import { Mt19937 } from '../mt19937.js';
import { chunkLength, ProductSums } from './product-sums.js';

describe('ProductSums', () => {
  const sums = new ProductSums();
  const rng = new Mt19937(11);

  it.each([
    [64, 15, 2, 700],
    [24, 3, 0, 5],
    [1, 0, 1, 40],
    [100, 1, 3, 513],
    [16, 0, 0, 7],
    [17, 2, 1, 1],
  ])('%d candidates, %d tables, %d coordinates, %d kernels', (...shape) => {
    const [candidates, tables, coordinates, kernels] = shape;
    const rows = 50;
    sums.begin({ candidates, rows, tables, coordinates });
    const { stride } = sums;
    sums.thresholds.fill(0);
    for (let i = 0; i < rows * stride; i++) sums.rows[i] = 0.2 + rng.nextDouble() * 3;
    for (let i = 0; i < coordinates * stride; i++) sums.points[i] = rng.nextDouble();
    const expected = new Float64Array(candidates);
    const totals = new Float64Array(candidates);
    for (let start = 0; start < kernels; start += chunkLength) {
      const length = Math.min(chunkLength, kernels - start);
      for (let k = 0; k < length; k++) {
        sums.weights[k] = rng.nextDouble();
        for (let t = 0; t < tables; t++) sums.ids[k * tables + t] = Math.floor(rng.nextDouble() * rows);
        for (let c = 0; c < coordinates; c++) {
          sums.centres[k * coordinates + c] = rng.nextDouble();
          sums.scales[k * coordinates + c] = 1 + rng.nextDouble() * 5;
        }
        for (let j = 0; j < candidates; j++) {
          let product = sums.weights[k] ?? 0;
          for (let t = 0; t < tables; t++)
            product *= sums.rows[(sums.ids[k * tables + t] ?? 0) * stride + j] ?? 0;
          let exponent = 0;
          for (let c = 0; c < coordinates; c++) {
            const distance = (sums.points[c * stride + j] ?? 0) - (sums.centres[k * coordinates + c] ?? 0);
            exponent += (distance * (sums.scales[k * coordinates + c] ?? 0)) ** 2;
          }
          expected[j] = (expected[j] ?? 0) + product * 2 ** -exponent;
        }
      }
      sums.addChunk(length, totals);
    }
    totals.forEach((total, j) => {
      expect(Math.abs(total / (expected[j] ?? 0) - 1)).toBeLessThan(2e-5);
    });
  });

  it('drops a kernel once its product is at or below the threshold for all candidates of a block', () => {
    sums.begin({ candidates: 20, rows: 2, tables: 5, coordinates: 0 });
    sums.rows.fill(0.5);
    sums.rows[3] = 0.75;
    sums.weights.fill(1);
    sums.ids.set([0, 0, 1, 1, 1]);
    const totals = (thresholds: number[]): number[] => {
      sums.thresholds.set(thresholds);
      const result = new Float64Array(20);
      sums.addChunk(1, result);
      return [...result];
    };
    const all = totals([0, 0]);
    expect([all[0], all[3], all[16]]).toEqual([1 / 32, 9 / 128, 1 / 32]);
    // After three rows candidate 3 has 9/32, the others 1/8: the second block of sixteen is dropped.
    expect(totals([0.2, 0])).toEqual(all.map((total, j) => (j < 16 ? total : 0)));
    expect(totals([0, 0.05])).toEqual(all.map((total, j) => (j < 16 ? total : 0)));
    expect(totals([0, 0.08])).toEqual(all.map(() => 0));
  });

  it('takes exponents beyond the range of single precision as nothing', () => {
    sums.begin({ candidates: 2, rows: 0, tables: 0, coordinates: 1 });
    sums.points.set([0, 100]);
    sums.weights[0] = 1;
    sums.centres[0] = 0;
    sums.scales[0] = 5;
    const totals = new Float64Array(2);
    sums.addChunk(1, totals);
    expect(totals[0]).toBe(1);
    expect(totals[1]).toBeLessThan(1e-30);
  });
});
