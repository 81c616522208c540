/** The estimate against the measured peaks of real trials, each in a process of its own. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeCandles } from '../../../shared/core/market/candle-codec.js';
import { makeSyntheticCandles } from '../../../shared/core/market/synthetic-market.js';
import { silentLog } from '../../../shared/platform/log.js';
import { ChildTrainer } from '../child-trainer.js';
import { estimateMemory, totalMemory } from './estimate-memory.js';
import type { ModelShape } from './model-shape.js';
import { contextWidth } from './preflight.js';

const childPath = path.resolve(import.meta.dirname, '../../../dist/worker/trainers/child.js');

interface Case {
  readonly name: string;
  readonly shape: Omit<ModelShape, 'context' | 'version'>;
  readonly candles: number;
}

const cases: Case[] = [
  {
    name: 'small, many candles',
    shape: { window: 16, lstmHidden: 32, hidden: 64, degree: 4, mapsA: 4, mapsB: 1 },
    candles: 50_000,
  },
  {
    name: 'median',
    shape: { window: 136, lstmHidden: 64, hidden: 128, degree: 6, mapsA: 6, mapsB: 3 },
    candles: 5_000,
  },
  {
    name: 'without LSTM',
    shape: { window: 128, lstmHidden: null, hidden: 128, degree: 4, mapsA: 4, mapsB: 1 },
    candles: 5_000,
  },
];

describe('a trial needs about the memory that was estimated', () => {
  let folder: string;
  beforeAll(() => {
    if (!existsSync(childPath)) throw new Error('dist/ is missing: npm run build');
    folder = mkdtempSync(path.join(tmpdir(), 'parzen-memory-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test.each(cases)('$name', async ({ name, shape, candles }) => {
    const dataPath = path.join(folder, name);
    const market = { seed: 3, bars: candles, volatility: 0.005, signal: 0.5 };
    writeFileSync(dataPath, encodeCandles(makeSyntheticCandles(market)));
    const trainer = new ChildTrainer({ childPath, args: ['hermite', 'wasm'], log: silentLog });
    try {
      const result = await trainer.run(
        {
          ...{ study: 's', number: 0, attempt: 1, seed: 1, dataPath },
          params: {
            use_lstm: shape.lstmHidden !== null,
            ...(shape.lstmHidden === null ? {} : { lstm_hidden: shape.lstmHidden }),
            ...{
              feature_window: shape.window,
              hermite_hidden_dim: shape.hidden,
              hermite_degree: shape.degree,
            },
            ...{ hermite_maps_a: shape.mapsA, hermite_maps_b: shape.mapsB, batch_size: 512, steps: 4 },
          },
          evaluation: {
            ...{ fold_count: 2, train_rows_min: 600, early_stop_rows: 300, calibration_rows: 600 },
            ...{ test_rows: 600, holdout_rows: 0, window_max: 256 },
          },
        },
        {
          ...{ stallTimeoutMs: 240_000, trialTimeoutMs: 240_000 },
          ...{ onReport: () => undefined, signal: new AbortController().signal },
        },
      );
      if (result.kind !== 'done') throw new Error(JSON.stringify(result));
      const size = {
        shape: { ...shape, context: contextWidth, version: 'probabilist' },
        batchRows: 512,
        candles,
      } as const;
      const ratio = totalMemory(estimateMemory(size)) / (result.peakMemoryBytes ?? NaN);
      expect(ratio).toBeGreaterThan(0.8);
      expect(ratio).toBeLessThan(1.35);
    } finally {
      await trainer.kill();
    }
  });
});
