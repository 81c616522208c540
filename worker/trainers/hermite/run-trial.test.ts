import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeCandles } from '../../../shared/core/market/candle-codec.js';
import { decodeForecasts } from '../../../shared/core/market/forecast-codec.js';
import { auc } from '../../../shared/core/metrics/auc.js';
import { directionAccuracy } from '../../../shared/core/metrics/direction.js';
import { mean } from '../../../shared/core/metrics/numbers.js';
import { makeSyntheticCandles } from '../../../shared/core/market/synthetic-market.js';
import type { ParameterValue } from '../../../shared/core/space/parameter.js';
import type { Metrics } from '../../../shared/core/study/trial.js';
import { TrialFailed, TrialStopped, type TrialJob } from '../port.js';
import type { Runtime } from '../runtime/runtime.js';
import { createWasmRuntime } from '../runtime/wasm-runtime.js';
import { createHermiteTrainer } from './run-trial.js';

const params = {
  feature_window: 8,
  hermite_version: 'probabilist',
  hermite_degree: 3,
  hermite_maps_a: 2,
  hermite_maps_b: 1,
  hermite_hidden_dim: 8,
  dropout: 0.1,
  lstm_hidden: 8,
  prob_source: 'logit',
  learning_rate: 0.01,
  weight_decay: 0.001,
  gradient_clip: 1,
  batch_size: 64,
  classification_loss: 'focal',
  focal_gamma: 1,
  reg_weight: 1,
  cls_weight: 1,
  unc_weight: 0.5,
  sign_hinge_weight: 0.5,
  threshold: 0.51,
  confidence_margin: 0.01,
  kelly_clip: 0.2,
  steps: 6,
  eval_every_steps: 3,
} as const;

const evaluation = {
  profile: 'honest',
  fold_count: 2,
  train_rows_min: 200,
  train_rows_max: 400,
  early_stop_rows: 100,
  calibration_rows: 300,
  test_rows: 100,
  holdout_rows: 0,
  window_max: 16,
  volume_window: 24,
} as const;

let folder: string;
let dataPath: string;
let runtime: Runtime;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'parzen-run-trial-'));
  dataPath = path.join(folder, 'candles');
  const market = { name: 'test', seed: 3, bars: 1300, volatility: 0.005, signal: 0.6 };
  writeFileSync(dataPath, encodeCandles(makeSyntheticCandles(market)));
  runtime = await createWasmRuntime();
});
afterAll(() => rmSync(folder, { recursive: true }));

const jobOf = (changes: Record<string, ParameterValue> = {}, extra: Partial<TrialJob> = {}): TrialJob => ({
  study: 'test',
  number: 4,
  attempt: 1,
  params: { ...params, ...changes },
  seed: 99,
  dataPath,
  evaluation,
  ...extra,
});

const goOn = (): Promise<boolean> => Promise.resolve(false);

const trainer = (on: Runtime = runtime) => createHermiteTrainer({ runtime: on, stopRequested: () => false });

async function metricsOf(job: TrialJob): Promise<Metrics> {
  const { metrics } = await trainer().run(job, goOn);
  // Everything but the time it took must be the same again.
  return Object.fromEntries(Object.entries(metrics).filter(([name]) => name !== 'seconds'));
}

describe('a trial', () => {
  test('reports after every fold, and finds the planted signal', async () => {
    const reports: [number, Metrics][] = [];
    const { metrics, peakMemoryBytes } = await trainer().run(
      jobOf({ steps: 60, eval_every_steps: 20 }),
      (step, figures) => {
        reports.push([step, figures]);
        return Promise.resolve(false);
      },
    );
    expect(reports.map(([step]) => step)).toEqual([0, 1]);
    for (const [, figures] of reports) {
      expect(Object.keys(figures)).toEqual(expect.arrayContaining(['auc', 'dir_acc', 'sharpe', 'trades']));
    }
    expect(metrics['auc']).toBeGreaterThan(0.6);
    expect(metrics['auc_se']).toBeGreaterThan(0);
    expect(metrics['optimiser_steps']).toBe(120);
    expect(metrics['test_rows']).toBe(200);
    expect(metrics['seconds']).toBeGreaterThan(0);
    expect(peakMemoryBytes).toBeGreaterThan(50e6);
  });

  test('leaves its forecasts, from which its figures can be computed again, unless the study drops them', async () => {
    for (const profile of [
      evaluation,
      { ...evaluation, sharpe_aggregation: 'v6-drop-nan', selection: 'v6-validation' },
    ]) {
      const { metrics, artifacts = [] } = await trainer().run(jobOf({}, { evaluation: profile }), goOn);
      expect(artifacts).toMatchObject([{ name: 'forecasts', layout: 'parzen-forecasts-v1' }]);
      const table = decodeForecasts(artifacts[0]!.content);
      expect(table).toMatchObject({ folds: [100, 100], horizon: 1, secondsPerStep: 3600 });
      const up = Array.from(table.y, (y) => (y > 0 ? 1 : 0));
      expect(directionAccuracy(table.probability, up)).toBeCloseTo(metrics['dir_acc']!, 12);
      const aucs = [0, 100].map((from) =>
        auc(table.score.slice(from, from + 100), up.slice(from, from + 100)),
      );
      expect(mean(aucs)).toBeCloseTo(metrics['auc']!, 12);
      const steps = table.anchorTimeMs.slice(1).map((time, row) => time - table.anchorTimeMs[row]!);
      expect([...new Set(steps.filter((_, row) => row !== 99))]).toEqual([3_600_000]);
    }
    const dropped = await trainer().run(
      jobOf({}, { evaluation: { ...evaluation, forecasts: 'drop' } }),
      goOn,
    );
    expect(dropped.artifacts).toBeUndefined();
  });

  test("gives back each fold's step, and tells the peak that its runtime measured", async () => {
    const held: string[] = [];
    const watched: Runtime = {
      ...runtime,
      peak: { reset: () => void held.push('reset'), read: () => 77 },
      compile: (step) => {
        held.push('compiled');
        return Object.assign(runtime.compile(step), { release: () => void held.push('released') });
      },
    };
    const { peakMemoryBytes } = await trainer(watched).run(jobOf(), goOn);
    expect(peakMemoryBytes).toBe(77);
    expect(held).toEqual(['reset', 'compiled', 'released', 'compiled', 'released']);
  });

  test('gives the same metrics again, others with another seed, and leaves no tensor behind', async () => {
    const before = runtime.memory();
    const first = await metricsOf(jobOf());
    expect(await metricsOf(jobOf())).toEqual(first);
    expect(await metricsOf(jobOf({}, { seed: 100 }))).not.toEqual(first);
    expect(runtime.memory()).toEqual(before);
  });

  // hermite-model.md §18.2: in the original, two of seventeen searched parameters had no effect.
  let unchanged: Metrics | undefined;
  test.each([
    ['feature_window', 16],
    ['hermite_version', 'physicist'],
    ['hermite_degree', 4],
    ['hermite_maps_a', 3],
    ['hermite_maps_b', 2],
    ['hermite_hidden_dim', 12],
    ['dropout', 0.2],
    ['lstm_hidden', 12],
    ['classification_loss', 'bce'],
    ['focal_gamma', 2],
    ['learning_rate', 0.005],
    ['weight_decay', 0.1],
    ['gradient_clip', 0.1],
    ['reg_weight', 2],
    ['cls_weight', 2],
    ['unc_weight', 0],
    ['sign_hinge_weight', 0],
    ['batch_size', 32],
    ['use_lstm', false],
    ['prob_source', 'cdf'],
    ['threshold', 0.6],
    ['confidence_margin', 0.1],
    ['kelly_clip', 0.05],
    ['steps', 9],
    ['scheduler_warmup_pct', 0.5],
  ])('%s has an effect', async (name, value) => {
    unchanged ??= await metricsOf(jobOf());
    expect(await metricsOf(jobOf({ [name]: value }))).not.toEqual(unchanged);
  });

  test('runs under the v6 profile, in epochs', async () => {
    const { metrics } = await trainer().run(
      jobOf(
        {},
        {
          params: { ...params, steps: null, eval_every_steps: null, num_epochs: 2 },
          evaluation: { profile: 'v6', min_calib_size: 100, fold_count: 2 },
        },
      ),
      goOn,
    );
    expect(metrics['folds']).toBe(2);
    expect(metrics['auc']).toBeGreaterThan(0);
  });
});

describe('a trial that cannot give a result', () => {
  const failure = async (job: TrialJob, on: Runtime = runtime): Promise<TrialFailed> => {
    const error: unknown = await trainer(on)
      .run(job, goOn)
      .then(
        () => null,
        (thrown: unknown) => thrown,
      );
    if (!(error instanceof TrialFailed)) throw new Error(`not a classified failure: ${String(error)}`);
    return error;
  };

  test('names every wrong parameter at once', async () => {
    const { reason, message } = await failure(jobOf({ hermite_degre: 3, dropout: 2 }));
    expect(reason).toBe('error');
    expect(message).toContain('parameter.hermite_degre: unknown key; did you mean hermite_degree?');
    expect(message).toContain('parameter.dropout: must be');
  });

  test('names wrong settings of the evaluation', async () => {
    const { message } = await failure(jobOf({}, { evaluation: { profile: 'honest', testrows: 5 } }));
    expect(message).toContain('evaluation.testrows: unknown key; did you mean test_rows?');
  });

  test('without a data set, or with bytes that are none', async () => {
    expect((await failure(jobOf({}, { dataPath: null }))).message).toContain('give the study a data set');
    const broken = path.join(folder, 'broken');
    writeFileSync(broken, 'open,high,low');
    expect((await failure(jobOf({}, { dataPath: broken }))).reason).toBe('error');
  });

  test('with too few candles is infeasible and says how many are needed', async () => {
    const { reason, message } = await failure(
      jobOf({}, { evaluation: { ...evaluation, train_rows_min: 5000, train_rows_max: 5000 } }),
    );
    expect(reason).toBe('infeasible');
    expect(message).toMatch(/folds need/);
  });

  test('diverges, as a state of its own or, under failure_value zero, as 0', async () => {
    const wild = { learning_rate: 10, gradient_clip: 1e6, weight_decay: 10, steps: 40, eval_every_steps: 40 };
    const huge = { ...wild, reg_weight: 1000, cls_weight: 1000, unc_weight: 1000 };
    const { reason } = await failure(jobOf(huge));
    expect(reason).toBe('diverged');
    const zero = { ...evaluation, failure_value: 'zero' } as const;
    const { metrics } = await trainer().run(jobOf(huge, { evaluation: zero }), goOn);
    expect(metrics).toEqual({ auc: 0, dir_acc: 0, sharpe: NaN });
  });

  test.each([
    [Object.assign(new Error('heap'), { code: 'ERR_WASM_OOM' }), 'oom'],
    [new RangeError('WebAssembly.Memory.grow(): Maximum memory size exceeded'), 'oom'],
    [new Error('memory access out of bounds'), 'oom'],
  ])('runs out of memory: %s', async (thrown, expected) => {
    const failing: Runtime = {
      ...runtime,
      lstmLast: () => {
        throw thrown;
      },
    };
    expect((await failure(jobOf(), failing)).reason).toBe(expected);
  });

  test('stops at a report, and between steps', async () => {
    await expect(trainer().run(jobOf(), () => Promise.resolve(true))).rejects.toThrow(TrialStopped);
    let asked = 0;
    const stopping = createHermiteTrainer({ runtime, stopRequested: () => (asked += 1) > 5 });
    await expect(stopping.run(jobOf(), goOn)).rejects.toThrow(TrialStopped);
    expect(asked).toBe(6);
  });
});
