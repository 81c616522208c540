import { describe, expect, it } from 'vitest';
import { assert } from '../../assert.js';
import { Mt19937 } from '../mt19937.js';
import { productMax } from './mixture-screen.js';
import { fineShare } from './open-mixture.js';
import { RowPlan } from './row-plan.js';
import { ScreenMemory } from './screen-memory.js';
import { blockBytes, blockLanes, exponentMax, powerUnit } from './screen-program.js';

const shape = { grids: 0, fills: 0, multiplications: 0, masses: 0, scaled: true };

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
      const scaled = kernels % 2 === 0;
      memory.begin({ ...shape, candidates, rows, tables, coordinates, kernels, scaled });
      const units = Array.from({ length: candidates }, () => 1 + rng.nextDouble());
      for (const [b, block] of memory.wide.entries()) {
        block.thresholds.fill(0);
        for (let i = 0; i < rows * blockLanes; i++) block.rows[i] = 0.2 + rng.nextDouble() * 3;
        for (let i = 0; i < coordinates * blockLanes; i++) block.points[i] = rng.nextDouble();
        for (let j = 0; j < block.used; j++) block.units[j] = units[b * blockLanes + j] ?? 1;
      }
      for (let c = 0; c < coordinates; c++) memory.scales[c] = 1 + rng.nextDouble() * 5;
      const expected = new Float64Array(candidates);
      for (let k = 0; k < kernels; k++) {
        memory.weights[k] = rng.nextDouble();
        for (let t = 0; t < tables; t++)
          memory.ids[k * tables + t] = Math.floor(rng.nextDouble() * rows) * blockBytes;
        for (let c = 0; c < coordinates; c++) {
          memory.centres[k * coordinates + c] = rng.nextDouble();
          if (scaled) memory.scales[k * coordinates + c] = 1 + rng.nextDouble() * 5;
        }
      }
      for (let k = 0; k < kernels; k++) {
        for (let j = 0; j < candidates; j++) {
          const block = memory.wide[Math.floor(j / blockLanes)];
          const lane = j % blockLanes;
          let product = memory.weights[k] ?? 0;
          for (let t = 0; t < tables; t++) {
            product *= block?.rows[(memory.ids[k * tables + t] ?? 0) / 4 + lane] ?? 0;
          }
          let exponent = 0;
          for (let c = 0; c < coordinates; c++) {
            const distance =
              (block?.points[c * blockLanes + lane] ?? 0) - (memory.centres[k * coordinates + c] ?? 0);
            exponent += (distance * (memory.scales[(scaled ? k * coordinates : 0) + c] ?? 0)) ** 2;
          }
          expected[j] = (expected[j] ?? 0) + product * 2 ** -exponent;
        }
      }
      const totals = new Float64Array(candidates);
      const middle = Math.floor(kernels / 3);
      memory.wide.forEach((block, b) => {
        const part = totals.subarray(b * blockLanes, b * blockLanes + block.used);
        memory.add(block, { from: 0, to: middle }, part);
        memory.add(block, { from: middle, to: kernels }, part);
      });
      totals.forEach((total, j) => {
        expect(Math.abs(total / (expected[j] ?? 0) - 1)).toBeLessThan(2e-5);
      });
    },
  );

  it('drops a kernel once its product is at or below the threshold for all candidates of a block', () => {
    memory.begin({ ...shape, candidates: 20, rows: 2, tables: 5, coordinates: 0, kernels: 1 });
    for (const block of memory.wide) {
      block.rows.fill(0.5);
      block.units.fill(1, 0, block.used);
    }
    const [first] = memory.wide;
    if (first !== undefined) first.rows[3] = 0.75;
    memory.weights.fill(1);
    memory.ids.set([0, 0, blockBytes, blockBytes, blockBytes]);
    const totals = (thresholds: number[]): number[] => {
      const result = new Float64Array(20);
      memory.wide.forEach((block, b) => {
        block.thresholds.set(thresholds);
        memory.add(block, { from: 0, to: 1 }, result.subarray(b * blockLanes, b * blockLanes + block.used));
      });
      return [...result];
    };
    const all = totals([0, 0]);
    expect([all[0], all[3], all[16]]).toEqual([1 / 32, 9 / 128, 1 / 32]);
    // After three rows candidate 3 has 9/32, the others 1/8: the second block of sixteen is dropped.
    expect(totals([0.2, 0])).toEqual(all.map((total, j) => (j < 16 ? total : 0)));
    expect(totals([0, 0.05])).toEqual(all.map((total, j) => (j < 16 ? total : 0)));
    expect(totals([0, 0.08])).toEqual(all.map(() => 0));
  });

  it('takes exponents beyond the largest as the largest, up to the largest product', () => {
    memory.begin({ ...shape, candidates: 3, rows: 0, tables: 0, coordinates: 1, kernels: 1 });
    const [block] = memory.wide;
    assert(block !== undefined, 'there are candidates');
    block.points.set([0, 100, Math.sqrt(exponentMax - 5) / 5]);
    // As large as products may be, and as `MixtureScreen` has them begin.
    block.units.fill(1 / powerUnit);
    memory.weights[0] = productMax;
    memory.centres[0] = 0;
    memory.scales[0] = 5;
    const totals = new Float64Array(3);
    memory.add(block, { from: 0, to: 1 }, totals);
    expect((totals[0] ?? 0) / productMax).toBeCloseTo(1, 6);
    expect((totals[1] ?? 0) / (productMax * 2 ** -exponentMax)).toBeCloseTo(1, 4);
    expect((totals[2] ?? 0) / (productMax * 2 ** (5 - exponentMax))).toBeCloseTo(1, 3);
    // Beside the prior's part, 1, that is nothing.
    expect(totals[1]).toBeLessThan(fineShare / 20);
  });
});

describe('row plans', () => {
  it('fill rows from tables and multiply them, in every block', () => {
    const memory = new ScreenMemory();
    const candidates = 21;
    memory.begin({
      ...shape,
      ...{
        candidates,
        tables: 1,
        coordinates: 0,
        grids: 2,
        rows: 5,
        fills: 2,
        multiplications: 2,
        masses: 12,
      },
      kernels: 0,
    });
    const plan = new RowPlan(memory);
    const blocks = [...memory.wide, memory.narrow];
    memory.narrow.take(blockLanes);
    for (const { grids, factors, used } of blocks) {
      for (let j = 0; j < blockLanes; j++) {
        grids[blockLanes + j] = 4 * (j % 5);
        factors[blockLanes + j] = j < used ? 2 : 0;
      }
    }
    plan.table(Float32Array.of(9, 9, 9));
    const address = plan.table(Float32Array.of(1, 2, 3, 4, 5));
    plan.fill(1, address, 1, 10);
    for (const { rows } of blocks) for (let j = 0; j < blockLanes; j++) rows[2 * blockLanes + j] = j;
    plan.multiply(3, 1, 2);
    plan.multiply(4, 3, 3);
    for (const block of blocks) {
      plan.carryOut(block);
      for (let j = 0; j < block.used; j++) {
        const filled = 20 * ((j % 5) + 1);
        const row = (r: number): number | undefined => block.rows[r * blockLanes + j];
        expect([row(1), row(3), row(4)]).toEqual([filled, filled * j, (filled * j) ** 2]);
      }
    }
  });

  it('write rows where the candidates are', () => {
    const memory = new ScreenMemory();
    memory.begin({ ...shape, candidates: 18, tables: 1, coordinates: 0, rows: 2, kernels: 0 });
    const plan = new RowPlan(memory);
    plan.write(0, 7);
    plan.write(
      1,
      Array.from({ length: 18 }, (_, j) => j),
    );
    plan.put(1, 17, 99);
    const [first, second] = memory.wide;
    expect([first?.rows[0], first?.rows[15], second?.rows[1], second?.rows[2]]).toEqual([7, 7, 7, 0]);
    expect([first?.rows[16], first?.rows[31], second?.rows[16], second?.rows[17]]).toEqual([0, 15, 16, 99]);
    expect(plan.writtenRows).toEqual([0, 1]);
  });
});
