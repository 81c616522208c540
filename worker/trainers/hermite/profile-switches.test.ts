/** Every switch of hermite-model.md §19 works alone, from either side, and moves what it is about and nothing else. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeCandles } from '../../../shared/core/market/candle-codec.js';
import { candleColumns, type Candles } from '../../../shared/core/market/candles.js';
import { makeSyntheticCandles } from '../../../shared/core/market/synthetic-market.js';
import type { Metrics } from '../../../shared/core/study/trial.js';
import { profileSwitches, switched } from '../../../shared/core/trainers/profile-switches.js';
import { parseEvaluation } from '../../../shared/core/trainers/evaluation-settings.js';
import type { TrialJob } from '../port.js';
import { createWasmRuntime } from '../runtime/wasm-runtime.js';
import { createHermiteTrainer } from './run-trial.js';

type Evaluation = TrialJob['evaluation'];

const params = {
  ...{ feature_window: 8, hermite_degree: 3, hermite_maps_a: 2, hermite_maps_b: 1, hermite_hidden_dim: 8 },
  ...{ lstm_hidden: 8, learning_rate: 0.05, batch_size: 64, classification_loss: 'focal', focal_gamma: 1 },
  ...{ threshold: 0.51, confidence_margin: 0.01, kelly_clip: 0.2, steps: 16, eval_every_steps: 8 },
  prob_source: 'logit',
};

const honest: Evaluation = {
  ...{ fold_count: 2, train_rows_min: 200, train_rows_max: 400, early_stop_rows: 100, calibration_rows: 300 },
  ...{ test_rows: 100, holdout_rows: 50, window_max: 16, volume_window: 24 },
  // Ties, which only one kind of AUC minds.
  calibrator: 'isotonic',
};

const original: Evaluation = { profile: 'v6', fold_count: 2, conformal_p_min: 0.5 };

/** A market with three bars missing: where gaps count. */
function gappedMarket(): Candles {
  const whole = makeSyntheticCandles({ seed: 3, bars: 1400, volatility: 0.005, signal: 0.6 });
  const kept = (_: number, row: number): boolean => row < 1080 || row > 1082;
  return Object.fromEntries(
    candleColumns.map((name) => [name, whole[name].filter(kept)]),
  ) as unknown as Candles;
}

let folder: string;
let metricsUnder: (evaluation: Evaluation) => Promise<Metrics>;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'parzen-switches-'));
  const dataPath = path.join(folder, 'candles');
  writeFileSync(dataPath, encodeCandles(gappedMarket()));
  const runtime = await createWasmRuntime();
  const trainer = createHermiteTrainer({ runtime, stopRequested: () => false });
  metricsUnder = async (evaluation) => {
    const job = { study: 'test', number: 4, attempt: 1, params, seed: 99, dataPath, evaluation };
    const { metrics } = await trainer.run(job, () => Promise.resolve(false));
    return Object.fromEntries(Object.entries(metrics).filter(([name]) => name !== 'seconds'));
  };
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Names of the metrics that differ, NaN being like NaN. */
const changed = (before: Metrics, after: Metrics): string[] =>
  [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (name) => !Object.is(before[name], after[name]),
  );

const money = ['sharpe', 'trades', 'exposure', 'net_return', 'max_drawdown', 'turnover_per_step', 'hit_rate'];
const ofForecasts = ['auc', 'dir_acc', 'brier', 'mae_return', 'optimiser_steps', 'test_rows'];
const ofTests = ['pt_p', 'dm_p_se', 'dm_p_ae', 'ljung_box_p'];

/** What must differ, and what must not, when the switch alone is as the original had it. */
const effects: Record<string, { readonly moves: readonly string[]; readonly keeps: readonly string[] }> = {
  gate: { moves: ['sharpe', 'trades'], keeps: ofForecasts },
  v6_ignored_keys: { moves: ['auc', 'trades'], keeps: ['test_rows', 'optimiser_steps'] },
  selection: { moves: ['brier', 'sharpe'], keeps: ['test_rows', 'optimiser_steps'] },
  folds: { moves: ['test_rows', 'auc'], keeps: [] },
  auc: { moves: ['auc'], keeps: ['dir_acc', 'test_rows'] },
  sharpe_aggregation: {
    moves: ['sharpe', 'valid_auc_folds'],
    keeps: [...ofForecasts, 'auc_se', 'trades', 'sharpe_pooled'],
  },
  sharpe: { moves: ['sharpe'], keeps: ofForecasts },
  target_scale: { moves: ['auc', 'mae_return'], keeps: ['test_rows', 'optimiser_steps'] },
  gaps: { moves: ['auc', 'mae_return'], keeps: ['test_rows'] },
  // Only a failure shows it: `diverges, as a state of its own or, under failure_value zero, as 0` in run-trial.test.ts.
  failure_value: { moves: [], keeps: [...ofForecasts, ...money, ...ofTests] },
  seed_policy: { moves: ['auc'], keeps: ['test_rows', 'optimiser_steps'] },
  tests: { moves: ['pt_p'], keeps: [...ofForecasts, ...money] },
  scaler: { moves: ['auc', 'mae_return'], keeps: ['test_rows', 'optimiser_steps'] },
  label_precision: { moves: ['mae_return'], keeps: ['test_rows', 'optimiser_steps'] },
  volume_feature: { moves: ['auc'], keeps: ['test_rows', 'optimiser_steps'] },
};

describe('each switch alone', () => {
  test('all of them are here', () => {
    expect(profileSwitches.map(({ name }) => name)).toEqual(Object.keys(effects));
  });

  let defaults: Metrics | undefined;
  test.each(profileSwitches)('$name: $v6', async ({ name, v6 }) => {
    defaults ??= await metricsUnder(honest);
    const { moves = [], keeps = [] } = effects[name] ?? {};
    const differing = changed(defaults, await metricsUnder(switched(honest, name, v6)));
    expect(differing).toEqual(expect.arrayContaining([...moves]));
    expect(differing.filter((metric) => keeps.includes(metric))).toEqual([]);
  });

  let v6Metrics: Metrics | undefined;
  test.each(profileSwitches)('$name: $standard within the profile v6', async ({ name, standard }) => {
    v6Metrics ??= await metricsUnder(original);
    const after = await metricsUnder(switched(original, name, standard));
    if (name === 'failure_value') expect(after).toEqual(v6Metrics);
    else expect(changed(v6Metrics, after)).not.toEqual([]);
  });

  test('leaves out only what would do nothing', () => {
    expect(switched(honest, 'folds', 'v6-rolling')).toEqual({
      ...{ fold_count: 2, volume_window: 24, calibrator: 'isotonic', folds: 'v6-rolling' },
    });
    expect(switched(honest, 'volume_feature', 'raw')).not.toHaveProperty('volume_window');
    for (const { name, v6 } of profileSwitches)
      expect(parseEvaluation(switched(honest, name, v6)).ok, name).toBe(true);
  });
});
