/** A device that fails late must never be told as a model that fails, nor as a result. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeCandles } from '../../../shared/core/market/candle-codec.js';
import { makeSyntheticCandles } from '../../../shared/core/market/synthetic-market.js';
import { outcomeOf } from '../child.js';
import type { TrialJob } from '../port.js';
import type { Runtime, RuntimeFailure } from '../runtime/runtime.js';
import { createWasmRuntime } from '../runtime/wasm-runtime.js';
import { GpuError, classifyWebgpuError } from '../runtime/webgpu/errors.js';
import { createHermiteTrainer } from './run-trial.js';

const params = {
  ...{ feature_window: 8, hermite_degree: 2, hermite_maps_a: 1, hermite_maps_b: 1, hermite_hidden_dim: 8 },
  ...{ lstm_hidden: 8, learning_rate: 0.01, batch_size: 64, threshold: 0.51, steps: 4, eval_every_steps: 2 },
};

const evaluation = {
  ...{ fold_count: 1, train_rows_min: 200, train_rows_max: 300, early_stop_rows: 100, calibration_rows: 300 },
  ...{ test_rows: 100, holdout_rows: 0, window_max: 16, volume_window: 24 },
};

let folder: string;
let dataPath: string;
let wasm: Runtime;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'parzen-device-errors-'));
  dataPath = path.join(folder, 'candles');
  writeFileSync(
    dataPath,
    encodeCandles(makeSyntheticCandles({ seed: 3, bars: 1200, volatility: 0.005, signal: 0.6 })),
  );
  wasm = await createWasmRuntime();
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Failing {
  /** What the device says when asked for the n-th time, from 1; null while it knows of nothing. */
  readonly complaint: (asked: number) => RuntimeFailure | null;
  readonly factor?: number;
  readonly healthy?: boolean;
}

/** The wasm runtime, with wrong numbers and the complaints of a GPU, which come only when asked for. */
function failing({ complaint, factor = NaN, healthy = false }: Failing): Runtime {
  let asked = 0;
  return {
    ...wasm,
    lstmLast: (x, weights) => wasm.lstmLast(x, weights).mul(factor),
    healthy: () => healthy,
    classify: classifyWebgpuError,
    flushErrors: () => {
      asked += 1;
      const failure = complaint(asked);
      return failure === null
        ? Promise.resolve()
        : Promise.reject(new GpuError(failure, `complaint ${asked}`));
    },
  };
}

async function outcomeOn(runtime: Runtime, changes: TrialJob['evaluation'] = {}) {
  const trainer = createHermiteTrainer({ runtime, stopRequested: () => false });
  const reports: number[] = [];
  const job = { study: 'test', number: 4, attempt: 1, params, seed: 99, dataPath };
  const outcome = await outcomeOf(
    { trainer, peakMemory: () => null, healthy: () => runtime.healthy() },
    { ...job, evaluation: { ...evaluation, ...changes } },
    (step) => {
      reports.push(step);
      return Promise.resolve(false);
    },
  );
  return { outcome, reports };
}

test.each([
  ['oom', 'oom'],
  ['lost', 'error'],
  ['other', 'error'],
] as const)('NaN of a device with a complaint of %s is no divergence', async (failure, reason) => {
  for (const failure_value of ['fail', 'zero'] as const) {
    const { outcome } = await outcomeOn(failing({ complaint: () => failure }), { failure_value });
    expect(outcome).toMatchObject({ type: 'failed', reason, message: expect.stringContaining('complaint') });
  }
});

test('a complaint that comes after the look is asked for before divergence is told', async () => {
  const late = failing({ complaint: (asked) => (asked <= 1 ? null : 'oom') });
  expect((await outcomeOn(late, { failure_value: 'zero' })).outcome).toMatchObject({ reason: 'oom' });
});

test('finite wrong numbers are neither reported nor told', async () => {
  // Two looks; then the fold is judged, and the device is asked before anybody hears of it.
  const late = failing({ complaint: (asked) => (asked <= 2 ? null : 'oom'), factor: 1.1 });
  const { outcome, reports } = await outcomeOn(late);
  expect(outcome).toMatchObject({ type: 'failed', reason: 'oom' });
  expect(reports).toEqual([]);
});

test('a device that has failed without a word gives no result', async () => {
  const silent = failing({ complaint: () => null, factor: 1 });
  expect((await outcomeOn(silent)).outcome).toMatchObject({ type: 'failed', reason: 'error' });
  const diverged = failing({ complaint: () => null });
  expect((await outcomeOn(diverged, { failure_value: 'zero' })).outcome).toMatchObject({ reason: 'error' });
});

test('a device in order lets a model diverge, and lets it be judged', async () => {
  const nothing = { complaint: () => null, healthy: true };
  expect((await outcomeOn(failing(nothing))).outcome).toMatchObject({ reason: 'diverged' });
  const { outcome, reports } = await outcomeOn(failing({ ...nothing, factor: 1 }));
  expect(outcome).toMatchObject({ type: 'done' });
  expect(reports).toEqual([0]);
});
