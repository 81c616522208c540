import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { encodedCandleBytes } from '../../../shared/core/market/candle-codec.js';
import { makeSyntheticCandles } from '../../../shared/core/market/synthetic-market.js';
import { honestEvaluation } from '../../../shared/core/trainers/evaluation-settings.js';
import { prepareTrialData } from '../../market/prepare-trial-data.js';
import type { TrialJob } from '../port.js';
import { estimateMemory, totalMemory } from './estimate-memory.js';
import type { ModelShape } from './model-shape.js';
import { contextWidth, hermitePreflight } from './preflight.js';

const median: ModelShape = {
  ...{ window: 136, context: 18, lstmHidden: 64, hidden: 128, degree: 6 },
  ...{ version: 'physicist', mapsA: 6, mapsB: 3 },
};
const estimate = (shape: Partial<ModelShape> = {}, batchRows = 512, candles = 5_000) =>
  estimateMemory({ shape: { ...median, ...shape }, batchRows, candles });

describe('the memory estimate', () => {
  test('has the LSTM state of runtimes.md §4: 110 MB at median, 308 MB at large', () => {
    expect(estimate().lstm / 1e6).toBeCloseTo(110, -1);
    expect(estimate({ window: 256, lstmHidden: 96 }).lstm / 1e6).toBeCloseTo(308, -1);
    expect(estimate({ lstmHidden: null }).lstm).toBe(0);
  });

  test('is what a step of 512 rows takes of a GPU, as measured on an H200, and not less', () => {
    const sizes = [
      [18, { window: 16, lstmHidden: 32, mapsA: 4, mapsB: 1, hidden: 64, degree: 4 }],
      [139, { window: 136, lstmHidden: 64, mapsA: 6, mapsB: 3, hidden: 128, degree: 6 }],
      [369, { window: 256, lstmHidden: 96, mapsA: 9, mapsB: 5, hidden: 192, degree: 8 }],
    ] as const;
    for (const [mebibytes, shape] of sizes) {
      const { lstm, block, dense, tensors } = estimate({ ...shape, context: 12, version: 'probabilist' });
      const ratio = (lstm + block + dense + tensors) / 2 ** 20 / mebibytes;
      expect(ratio).toBeGreaterThan(1);
      expect(ratio).toBeLessThan(1.2);
    }
  });

  test('grows with every size that costs memory', () => {
    const before = totalMemory(estimate());
    const larger: Partial<ModelShape>[] = [
      { window: 137 },
      { lstmHidden: 72 },
      { hidden: 136 },
      { mapsA: 7 },
      { mapsB: 4 },
    ];
    for (const shape of larger) expect(totalMemory(estimate(shape))).toBeGreaterThan(before);
    expect(totalMemory(estimate({}, 1_024))).toBeGreaterThan(1.3 * before);
    expect(totalMemory(estimate({}, 512, 500_000))).toBeGreaterThan(before);
  });
});

const folder = mkdtempSync(path.join(tmpdir(), 'parzen-preflight-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the look before a trial starts', () => {
  const dataPath = path.join(folder, 'candles');
  writeFileSync(dataPath, Buffer.alloc(encodedCandleBytes(40_000)));
  const job = (params: TrialJob['params']): TrialJob => ({
    ...{ study: 's', number: 0, attempt: 1, params, seed: 1, dataPath, evaluation: {} },
  });
  const huge = job({ feature_window: 256, lstm_hidden: 96, batch_size: 8_192 });
  const gibibyte = 2 ** 30;
  const host = (bytes: number) => ({ hostMemoryBytes: bytes, gpuMemoryBytes: null });

  test('lets through what fits, and names what does not: how much, how much there is, what would help', () => {
    expect(hermitePreflight(huge, 'wasm', host(16 * gibibyte))).toBeNull();
    const refusal = hermitePreflight(huge, 'wasm', host(2 * gibibyte));
    expect(refusal).toMatch(
      /estimated 5\.\d\d GiB, but a trial may use 2\.00 GiB here; 4\.\d\d GiB of it is for 'lstm'/,
    );
    expect(refusal).toMatch(/batch_size, feature_window or lstm_hidden/);
  });

  test('reads the number of candles from the file', () => {
    expect(hermitePreflight(job({}), 'wasm', host(300 * 2 ** 20))).toBeNull();
    writeFileSync(dataPath, Buffer.alloc(encodedCandleBytes(400_000)));
    expect(hermitePreflight(job({}), 'wasm', host(300 * 2 ** 20))).toMatch(
      /'data': give the study fewer bars/,
    );
    writeFileSync(dataPath, Buffer.alloc(encodedCandleBytes(40_000)));
  });

  test('counts the GPU’s memory for runtimes that use it, and the machine’s for the others', () => {
    const memory = { hostMemoryBytes: 64 * gibibyte, gpuMemoryBytes: gibibyte };
    expect(hermitePreflight(huge, 'webgpu', memory)).toMatch(/1\.00 GiB on this GPU/);
    expect(hermitePreflight(huge, 'wasm', memory)).toBeNull();
    expect(hermitePreflight(huge, 'webgpu', { ...memory, gpuMemoryBytes: 8 * gibibyte })).toBeNull();
    expect(hermitePreflight(huge, 'webgpu', host(gibibyte))).toMatch(/here/);
  });

  test('leaves wrong parameters to the trainer', () => {
    expect(hermitePreflight(job({ lstm_hidden: 'many' }), 'wasm', host(1))).toBeNull();
    expect(hermitePreflight({ ...huge, evaluation: { profile: 'x' } }, 'wasm', host(1))).toBeNull();
  });

  test('knows how wide the context is', () => {
    const candles = makeSyntheticCandles({ seed: 1, bars: 2_000, volatility: 0.01, signal: 0 });
    const small = {
      trainRowsMin: 100,
      earlyStopRows: 100,
      calibrationRows: 100,
      testRows: 100,
      holdoutRows: 0,
    };
    const prepared = prepareTrialData(candles, 16, { ...honestEvaluation, ...small });
    if (prepared.kind === 'refused') throw new Error(prepared.message);
    expect(prepared.data.contextWidth).toBe(contextWidth);
  });
});
