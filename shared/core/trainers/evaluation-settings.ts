/**
 * The `evaluation` section of a study with the Hermite trainer: which candles are trained and tested on, and how a forecast
 * is judged. Two profiles set everything at once, `honest` (the default) and `v6`, which restores the original's behaviour;
 * each switch of hermite-model.md §19 can also be set alone. Keys are snake_case in files (`sharpe_aggregation`).
 *
 * Honest sizes: five test blocks of 2,000 rows leave a standard error of about 0.006 on AUC (0.023 in the original), and
 * with 50 steps per fold a trial costs the original's 250 optimiser steps plus about a tenth for reading the other parts.
 * They need about 18,500 bars with the smallest training set, 31,000 with the largest (plus what gaps cost).
 */
import type { SettingProblem, SettingRecord, ValuesOf } from './setting-schema.js';
import {
  boolSetting,
  choiceSetting,
  floatSetting,
  intSetting,
  optionalIntSetting,
  parseSettings,
} from './setting-schema.js';

const rows = { low: 1, high: 10_000_000 };
const rowsOrNone = { low: 0, high: 10_000_000 };
const share = { low: 0, high: 1 };

/** Every key of the `evaluation` section, in the order in which documents list them. */
export const evaluationSpecs = {
  profile: choiceSetting(['honest', 'v6'], 'defaults of all other keys'),

  gate: choiceSetting(
    ['none', 'ex-ante', 'v6-realised'],
    'which forecasts may trade: all, those whose interval is narrow against |mu|, or (looks ahead) those that turned out plausible; §18.1',
  ),
  v6_ignored_keys: boolSetting(
    false,
    'ignore loss, gamma and strategy parameters as the original did; §18.2',
  ),
  selection: choiceSetting(
    ['nested', 'v6-validation'],
    'choose epoch, calibrator and threshold on parts of their own, or on the test rows; §18.3',
  ),
  folds: choiceSetting(
    ['fixed-times', 'v6-rolling', 'v6-single'],
    'fold boundaries: the same candles for every trial, or the original rules; §18.4',
  ),
  auc: choiceSetting(['mid-rank', 'time-order'], 'ranks of tied probabilities; §18.6'),
  sharpe_aggregation: choiceSetting(
    ['concatenated', 'v6-drop-nan', 'briefing-minus-10'],
    'Sharpe of a trial from its folds; §18.7',
  ),
  sharpe: choiceSetting(['bar-aware', 'v6'], 'annualisation, closing trade and drawdown; §18.8'),
  target_scale: choiceSetting(['standardised', 'raw'], 'unit of the training target; §18.9'),
  gaps: choiceSetting(['exclude', 'ignore'], 'samples whose window or target spans missing bars; §18.10'),
  failure_value: choiceSetting(['state', 'zero'], 'a failed trial is a state, or scores 0; §18.11'),
  seed_policy: choiceSetting(['derived', 'v6'], 'seed of a fold: from trial and fold, or 42 + fold; §18.12'),
  tests: choiceSetting(['textbook', 'v6'], 'forms of the statistical tests; §18.15'),
  scaler: choiceSetting(
    ['train', 'train+calibration'],
    'per column on training rows, or per flattened column on training and calibration rows; §18.18',
  ),
  label_precision: choiceSetting(['f64', 'f32'], 'precision of prices in labels; §18.18'),
  volume_feature: choiceSetting(
    ['relative-log', 'raw'],
    'log volume relative to its trailing mean, or volume unchanged; §18.18',
  ),

  horizon: intSetting(1, { low: 1, high: 1000 }, 'bars ahead'),
  fold_count: intSetting(5, { low: 1, high: 1000 }, 'number of folds (v6-rolling: at most this many)'),

  test_rows: intSetting(2000, rows, 'test rows per fold'),
  calibration_rows: intSetting(1000, rows, 'calibration rows per fold'),
  early_stop_rows: intSetting(1000, rows, 'early-stop rows per fold'),
  train_rows_min: intSetting(4000, rows, 'folds with fewer training rows are refused'),
  train_rows_max: optionalIntSetting(rows, 'at most this many (newest) training rows, null for all'),
  holdout_rows: intSetting(2000, rowsOrNone, 'last rows, never read by any trial'),
  window_max: intSetting(256, { low: 1, high: 100_000 }, 'largest feature_window of the study'),

  validation_split: floatSetting(
    0.2,
    { low: 0, high: 0.95 },
    'v6 folds: share of rows before the first block',
  ),
  val_block: intSetting(128, rows, 'v6 folds: rows of a validation block'),
  calibration_fraction: floatSetting(0.1, { low: 0, high: 0.5 }, 'v6 folds: share of the past'),
  min_calib_size: intSetting(256, rowsOrNone, 'v6 folds: least calibration rows'),

  calibrator: choiceSetting(
    ['cross-validated', 'raw', 'temperature', 'isotonic', 'temp_isotonic'],
    'probability calibration under nested selection: the best in cross-validation, or a fixed one',
  ),
  alpha: floatSetting(
    0.1,
    { low: 0, high: 0.999, lowExclusive: true },
    'miscoverage of the conformal interval',
  ),
  conformal_residual: choiceSetting(['abs', 'std_gauss'], 'residual of the conformal interval; §12'),
  conformal_p_min: floatSetting(0.05, share, 'gate v6-realised: smallest p-value that trades'),
  gate_width_ratio: floatSetting(
    1,
    { low: 0, high: 1e6, lowExclusive: true },
    'gate ex-ante: trade when the half width is at most this many |mu|; 1 = the interval excludes 0',
  ),
  cost_bps: floatSetting(5, { low: 0, high: 10_000 }, 'cost per unit of position change, basis points'),
  slippage_bps: floatSetting(0, { low: 0, high: 10_000 }, 'added to the cost, basis points'),
  forecasts: choiceSetting(
    ['keep', 'drop'],
    'keep what was forecast for each test row with the trial (36 bytes a row, 3 MiB at most), to compare trials by',
  ),
  n_bins: intSetting(15, { low: 1, high: 10_000 }, 'bins of the calibration figures'),
  freq_per_year: floatSetting(8760, { low: 0, high: 1e9, lowExclusive: true }, 'v6 Sharpe: steps per year'),
  volume_window: intSetting(168, { low: 1, high: 100_000 }, 'relative-log: candles of the trailing mean'),
  min_trades: intSetting(0, rowsOrNone, 'a trial with fewer trades is infeasible'),
  min_traded_folds: intSetting(0, { low: 0, high: 1000 }, 'a trial that trades in fewer folds is infeasible'),
} as const;

export type EvaluationSettings = ValuesOf<typeof evaluationSpecs>;

/** Training rows beyond this many are not visited within the default step budget, and old markets teach little. */
const trainRowsMaxHonest = 16_000;

const honestDefaults: SettingRecord = { train_rows_max: trainRowsMaxHonest };

/** hermite-model.md §19, third column. */
export const v6Defaults: SettingRecord = {
  gate: 'v6-realised',
  v6_ignored_keys: true,
  selection: 'v6-validation',
  folds: 'v6-rolling',
  auc: 'time-order',
  sharpe_aggregation: 'v6-drop-nan',
  sharpe: 'v6',
  target_scale: 'raw',
  gaps: 'ignore',
  failure_value: 'zero',
  seed_policy: 'v6',
  tests: 'v6',
  scaler: 'train+calibration',
  label_precision: 'f32',
  volume_feature: 'raw',
};

interface Relevance {
  readonly keys: readonly (keyof typeof evaluationSpecs)[];
  readonly used: (settings: EvaluationSettings) => boolean;
  readonly needs: string;
}

/** Keys that act only under some switch; given without it they would silently do nothing, so they are refused. */
const relevances: readonly Relevance[] = [
  {
    keys: [
      'test_rows',
      'calibration_rows',
      'early_stop_rows',
      'train_rows_min',
      'train_rows_max',
      'holdout_rows',
      'window_max',
    ],
    used: (s) => s.folds === 'fixed-times',
    needs: 'folds: fixed-times',
  },
  { keys: ['fold_count'], used: (s) => s.folds !== 'v6-single', needs: 'folds: fixed-times or v6-rolling' },
  {
    keys: ['validation_split', 'calibration_fraction', 'min_calib_size'],
    used: (s) => s.folds !== 'fixed-times',
    needs: 'folds: v6-rolling or v6-single',
  },
  { keys: ['val_block'], used: (s) => s.folds === 'v6-rolling', needs: 'folds: v6-rolling' },
  { keys: ['calibrator'], used: (s) => s.selection === 'nested', needs: 'selection: nested' },
  { keys: ['conformal_p_min'], used: (s) => s.gate === 'v6-realised', needs: 'gate: v6-realised' },
  { keys: ['gate_width_ratio'], used: (s) => s.gate === 'ex-ante', needs: 'gate: ex-ante' },
  { keys: ['freq_per_year'], used: (s) => s.sharpe === 'v6', needs: 'sharpe: v6' },
  {
    keys: ['volume_window'],
    used: (s) => s.volumeFeature === 'relative-log',
    needs: 'volume_feature: relative-log',
  },
];

/** The record without the keys that do nothing under its switches, which `parseEvaluation` would refuse. */
export function withoutIdleKeys(record: SettingRecord): SettingRecord {
  const defaults = record['profile'] === 'v6' ? v6Defaults : honestDefaults;
  const { values } = parseSettings(evaluationSpecs, record, defaults);
  const idle = new Set(relevances.filter(({ used }) => !used(values)).flatMap(({ keys }) => [...keys]));
  return Object.fromEntries(Object.entries(record).filter(([key]) => !idle.has(key as never)));
}

/** A conformal quantile from fewer residuals is not computed (hermite-model.md §12). */
export const conformalRowsMin = 256;

function crossChecks(record: SettingRecord, settings: EvaluationSettings): SettingProblem[] {
  const problems: SettingProblem[] = [];
  for (const { keys, used, needs } of relevances) {
    if (used(settings)) continue;
    for (const key of keys) {
      if (Object.hasOwn(record, key))
        problems.push({ key, message: `has no effect without ${needs}; remove it` });
    }
  }
  if (settings.folds === 'fixed-times') {
    const { trainRowsMin, trainRowsMax } = settings;
    if (trainRowsMax !== null && trainRowsMax < trainRowsMin) {
      problems.push({ key: 'train_rows_max', message: `must be at least train_rows_min (${trainRowsMin})` });
    }
    if (settings.gate === 'ex-ante' && settings.calibrationRows < conformalRowsMin) {
      problems.push({
        key: 'calibration_rows',
        message: `gate: ex-ante needs at least ${conformalRowsMin} calibration rows, not ${settings.calibrationRows}`,
      });
    }
  }
  if (settings.minTradedFolds > settings.foldCount) {
    problems.push({ key: 'min_traded_folds', message: `must be at most fold_count (${settings.foldCount})` });
  }
  return problems;
}

export type ParsedEvaluation =
  | { readonly ok: true; readonly evaluation: EvaluationSettings; readonly notices: readonly string[] }
  | { readonly ok: false; readonly problems: readonly SettingProblem[] };

/**
 * Reads the `evaluation` section of a study file or trial. Reports every unknown key, wrong type, value out of range and
 * key without effect at once; fills in the profile's defaults.
 */
export function parseEvaluation(record: SettingRecord): ParsedEvaluation {
  const defaults = record['profile'] === 'v6' ? v6Defaults : honestDefaults;
  const { values, problems } = parseSettings(evaluationSpecs, record, defaults);
  const all = [...problems, ...crossChecks(record, values)];
  return all.length === 0 ? { ok: true, evaluation: values, notices: [] } : { ok: false, problems: all };
}

/** The honest profile without changes. */
export const honestEvaluation: EvaluationSettings = parseSettings(evaluationSpecs, {}, honestDefaults).values;

/** The v6 profile without changes. */
export const v6Evaluation: EvaluationSettings = parseSettings(
  evaluationSpecs,
  { profile: 'v6' },
  v6Defaults,
).values;
