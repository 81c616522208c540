import { describe, expect, it } from 'vitest';
import { Mt19937 } from '../mt19937.js';
import { RowPlan } from './row-plan.js';
import { chunkLength, ScreenMemory } from './screen-memory.js';

const shape = { grids: 0, fills: 0, multiplications: 0, masses: 0 };

describe('summation', () => {
  const memory = new ScreenMemory();
  const rng = new Mt19937(11);

  it.each([
    [64, 15, 2, 700],
    [24, 3, 0, 5],
    [1, 0, 1, 40],
    [100, 1, 3, 513],
    [16, 0, 0, 7],
    [17, 2, 1, 1],
  ])(
    '%d candidates, %d tables, %d coordinates, %d kernels',
    (...[candidates, tables, coordinates, kernels]) => {
      const rows = 50;
      memory.begin({ ...shape, candidates, rows, tables, coordinates });
      const { wide } = memory;
      const { stride } = wide;
      wide.thresholds.fill(0);
      for (let i = 0; i < rows * stride; i++) wide.rows[i] = 0.2 + rng.nextDouble() * 3;
      for (let i = 0; i < coordinates * stride; i++) wide.points[i] = rng.nextDouble();
      const expected = new Float64Array(candidates);
      const totals = new Float64Array(candidates);
      for (let start = 0; start < kernels; start += chunkLength) {
        const length = Math.min(chunkLength, kernels - start);
        for (let k = 0; k < length; k++) {
          memory.weights[k] = rng.nextDouble();
          for (let t = 0; t < tables; t++) memory.ids[k * tables + t] = Math.floor(rng.nextDouble() * rows);
          for (let c = 0; c < coordinates; c++) {
            memory.centres[k * coordinates + c] = rng.nextDouble();
            memory.scales[k * coordinates + c] = 1 + rng.nextDouble() * 5;
          }
          for (let j = 0; j < candidates; j++) {
            let product = memory.weights[k] ?? 0;
            for (let t = 0; t < tables; t++) {
              product *= wide.rows[(memory.ids[k * tables + t] ?? 0) * stride + j] ?? 0;
            }
            let exponent = 0;
            for (let c = 0; c < coordinates; c++) {
              const distance =
                (wide.points[c * stride + j] ?? 0) - (memory.centres[k * coordinates + c] ?? 0);
              exponent += (distance * (memory.scales[k * coordinates + c] ?? 0)) ** 2;
            }
            expected[j] = (expected[j] ?? 0) + product * 2 ** -exponent;
          }
        }
        memory.addChunk(wide, length, totals);
      }
      totals.forEach((total, j) => {
        expect(Math.abs(total / (expected[j] ?? 0) - 1)).toBeLessThan(2e-5);
      });
    },
  );

  it('drops a kernel once its product is at or below the threshold for all candidates of a block', () => {
    memory.begin({ ...shape, candidates: 20, rows: 2, tables: 5, coordinates: 0 });
    const { wide } = memory;
    wide.rows.fill(0.5);
    wide.rows[3] = 0.75;
    memory.weights.fill(1);
    memory.ids.set([0, 0, 1, 1, 1]);
    const totals = (thresholds: number[]): number[] => {
      wide.thresholds.set(thresholds);
      const result = new Float64Array(20);
      memory.addChunk(wide, 1, result);
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
    memory.begin({ ...shape, candidates: 2, rows: 0, tables: 0, coordinates: 1 });
    memory.wide.points.set([0, 100]);
    memory.weights[0] = 1;
    memory.centres[0] = 0;
    memory.scales[0] = 5;
    const totals = new Float64Array(2);
    memory.addChunk(memory.wide, 1, totals);
    expect(totals[0]).toBe(1);
    expect(totals[1]).toBeLessThan(1e-30);
  });
});

describe('row plans', () => {
  it('fill rows from tables and multiply them, in both regions', () => {
    const memory = new ScreenMemory();
    const candidates = 21;
    memory.begin({
      candidates,
      tables: 1,
      coordinates: 0,
      grids: 2,
      rows: 5,
      fills: 2,
      multiplications: 2,
      masses: 12,
    });
    const plan = new RowPlan(memory);
    const { wide, narrow } = memory;
    for (const { grids, factors, stride } of [wide, narrow]) {
      for (let j = 0; j < stride; j++) {
        grids[stride + j] = 4 * (j % 5);
        factors[stride + j] = j < candidates ? 2 : 0;
      }
    }
    plan.table(Float32Array.of(9, 9, 9));
    const address = plan.table(Float32Array.of(1, 2, 3, 4, 5));
    plan.fill(1, { address, axis: 1 }, 10);
    for (const { rows, stride } of [wide, narrow]) {
      for (let j = 0; j < stride; j++) rows[2 * stride + j] = j;
    }
    plan.multiply(3, 1, 2);
    plan.multiply(4, 3, 3);
    for (const region of [wide, narrow]) {
      plan.carryOut(region);
      for (let j = 0; j < Math.min(candidates, region.candidates); j++) {
        const filled = 20 * ((j % 5) + 1);
        const row = (r: number): number | undefined => region.rows[r * region.stride + j];
        expect([row(1), row(3), row(4)]).toEqual([filled, filled * j, (filled * j) ** 2]);
      }
    }
  });
});
