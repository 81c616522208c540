/** Through the whole of a fold, training included: nothing looks ahead, and the test rows are read once, last. */
import { beforeAll, describe, expect, test, vi } from 'vitest';
import type { Candles } from '../../../shared/core/market/candles.js';
import { parseHermiteParams } from '../../../shared/core/trainers/hermite-settings.js';
import { market, ready, settings } from '../../market/market.test-helper.js';
import type { TrialData } from '../../market/prepare-trial-data.js';
import type * as BatchesModule from '../../market/batches.js';
import type { Runtime } from '../runtime/runtime.js';
import { createWasmRuntime } from '../runtime/wasm-runtime.js';
import { runFold } from './run-fold.js';

/** Rows whose inputs were read, in order. */
const gathered = vi.hoisted(() => [] as number[]);
vi.mock('../../market/batches.js', async (load) => {
  const original = await load<typeof BatchesModule>();
  return {
    ...original,
    inputSource: (...args: Parameters<typeof original.inputSource>) => {
      const source = original.inputSource(...args);
      const gather = (rows: ArrayLike<number>) => {
        gathered.push(...Array.from(rows));
        return source.gather(rows);
      };
      return { ...source, gather };
    },
  };
});

const evaluation = settings({ calibrator: 'temperature' });
const parsed = parseHermiteParams(
  {
    ...{ feature_window: 8, hermite_degree: 3, hermite_hidden_dim: 8, lstm_hidden: 8, learning_rate: 0.02 },
    ...{ batch_size: 64, steps: 12, eval_every_steps: 4, threshold: 0.5, confidence_margin: 0 },
  },
  evaluation,
);
if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
const { params } = parsed;

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createWasmRuntime();
});

async function judged(data: TrialData, id: number) {
  const plan = data.folds[id]!;
  const job = { runtime, params, data, seed: 3, pause: () => Promise.resolve(), enter: () => undefined };
  gathered.length = 0;
  const { evaluation: figures } = await runFold(job, plan);
  return { plan, figures, read: [...gathered] };
}

describe('a fold', () => {
  const candles = market(1200);

  test('takes the same positions whatever comes after them', async () => {
    const { plan, figures } = await judged(ready(candles, 8, evaluation), 1);
    const { position, probability } = figures.predictions;
    expect(position.some((size) => size > 0) && position.some((size) => size < 0)).toBe(true);
    // Another market from the 20th candle of the test block on: prices, volumes, everything.
    const known = 20;
    const data = ready(candles, 8, evaluation);
    const from = data.samples.anchors[plan.test.from + known]!;
    const other = market(1200, [], 9);
    const spliced = Object.fromEntries(
      Object.entries(candles).map(([name, column]: [string, Float64Array]) => {
        const later = other[name as keyof Candles];
        const timed = name.endsWith('TimeMs');
        return [name, timed ? column : column.map((value, t) => (t < from ? value : later[t]! * 1.5))];
      }),
    ) as unknown as Candles;
    const changed = (await judged(ready(spliced, 8, evaluation), 1)).figures.predictions;
    expect(changed.position.subarray(0, known)).toEqual(position.subarray(0, known));
    expect(changed.probability.subarray(0, known)).toEqual(probability.subarray(0, known));
    expect(changed.position.subarray(known)).not.toEqual(position.subarray(known));
  });

  test('reads its test rows once, after everything else, and never those of the hold-out', async () => {
    const data = ready(candles, 8, evaluation);
    for (const id of data.folds.keys()) {
      const { plan, read } = await judged(data, id);
      const testRows = Array.from({ length: plan.test.to - plan.test.from }, (_, i) => plan.test.from + i);
      expect(read.slice(-testRows.length)).toEqual(testRows);
      expect(read.filter((row) => row >= plan.test.from)).toHaveLength(testRows.length);
      // The early-stop rows, by contrast, are read at each of the three looks.
      expect(read.filter((row) => row === plan.earlyStop.from)).toHaveLength(3);
    }
  });

  test('under the original’s selection reads them at every look', async () => {
    const v6 = settings({ selection: 'v6-validation' });
    const { plan, read } = await judged(ready(candles, 8, v6), 1);
    expect(read.filter((row) => row === plan.test.from).length).toBeGreaterThan(3);
  });
});
