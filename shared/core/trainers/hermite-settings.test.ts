import { describe, expect, it } from 'vitest';
import { parseEvaluation, v6Evaluation, honestEvaluation } from './evaluation-settings.js';
import { checkHermiteParameter, parseHermiteParams } from './hermite-settings.js';
import type { SettingRecord } from './setting-schema.js';

const read = (record: SettingRecord, evaluation = honestEvaluation) => {
  const parsed = parseHermiteParams(record, evaluation);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed;
};
const problemsOf = (record: SettingRecord, evaluation = honestEvaluation) => {
  const parsed = parseHermiteParams(record, evaluation);
  return parsed.ok ? [] : parsed.problems;
};

/** The v4 warm start with the fixed values of the briefing (hermite-model.md §17.1, 17.2). */
const warmStart: SettingRecord = {
  hermite_version: 'probabilist',
  hermite_degree: 7,
  hermite_maps_a: 5,
  hermite_maps_b: 1,
  hermite_hidden_dim: 192,
  dropout: 0.05946113101962681,
  lstm_hidden: 48,
  classification_loss: 'focal',
  focal_gamma: 2.852771785107837,
  learning_rate: 1.8200268769372706e-5,
  weight_decay: 0.0475382203767255,
  gradient_clip: 3.2475220357203796,
  reg_weight: 2.953533795194038,
  cls_weight: 1.4018596189337287,
  unc_weight: 0.2071804671376801,
  sign_hinge_weight: 0.6247833248810852,
  feature_window: 227,
  use_lstm: true,
  prob_source: 'pdf',
  batch_size: 512,
  threshold: 0.6243501180239593,
  confidence_margin: 0.10478522730539439,
  kelly_clip: 0.9399874126598519,
};

describe('parameters of the Hermite trainer', () => {
  it('takes the warm start whole, under a budget of 50 steps per fold', () => {
    const { params, notices } = read(warmStart);
    expect(params).toMatchObject({
      hermiteMapsA: 5,
      classificationLoss: 'focal',
      focalGamma: 2.852771785107837,
      probSource: 'logit',
      thresholds: [0.6243501180239593],
      kellyClip: 0.9399874126598519,
      budget: { kind: 'steps', steps: 50, evalEverySteps: 10 },
    });
    expect(notices).toEqual([expect.stringContaining('pdf')]);
    expect(Object.keys(params)).not.toContain('numEpochs');
  });

  it('trades and trains as the original did under v6, and says so', () => {
    const { params, notices } = read(warmStart, v6Evaluation);
    expect(params).toMatchObject({
      classificationLoss: 'bce',
      focalGamma: 2,
      thresholds: [0.55, 0.6],
      confidenceMargin: 0.1,
      kellyClip: 0.5,
      budget: { kind: 'epochs', epochs: 25 },
    });
    expect(notices.filter((notice) => notice.includes('ignored'))).toHaveLength(5);
  });

  it('reports everything that is wrong at once', () => {
    const problems = problemsOf({
      hermite_degre: 5,
      dropout: 1.5,
      lstm_hidden: 12.5,
      use_lstm: 'yes',
      hermite_version: 'chebyshev',
      learning_rate: 0,
      steps: 50,
      num_epochs: 25,
      feature_window: 300,
    });
    expect(problems.map(({ key }) => key)).toEqual([
      'hermite_degre',
      'dropout',
      'lstm_hidden',
      'use_lstm',
      'hermite_version',
      'learning_rate',
      'num_epochs',
      'feature_window',
    ]);
    expect(problems[0]?.message).toContain('did you mean hermite_degree?');
    expect(problems[4]?.message).toContain('probabilist, physicist');
    expect(problems[7]?.message).toContain('window_max');
  });

  it('refuses a step interval under an epoch budget and NaN', () => {
    expect(problemsOf({ num_epochs: 3, eval_every_steps: 2 })).toHaveLength(1);
    expect(problemsOf({ dropout: Number.NaN })).toHaveLength(1);
    expect(problemsOf({ hermite_maps_a: 0, hermite_maps_b: 0 })).toHaveLength(1);
  });

  it('checks single values of a space', () => {
    expect(checkHermiteParameter('dropout', 0.4)).toBeNull();
    expect(checkHermiteParameter('prob_source', 'pdf')).toBeNull();
    expect(checkHermiteParameter('dropout', -0.1)).toContain('from 0 to 0.95');
    expect(checkHermiteParameter('lr', 0.1)).toContain('unknown key');
  });
});

describe('the evaluation section', () => {
  it('defaults to the honest profile', () => {
    expect(parseEvaluation({})).toEqual({ ok: true, evaluation: honestEvaluation, notices: [] });
    expect(honestEvaluation).toMatchObject({ gate: 'none', selection: 'nested', trainRowsMax: 16_000 });
  });

  it('sets every switch in profile v6, and each one alone', () => {
    expect(v6Evaluation).toMatchObject({
      gate: 'v6-realised',
      v6IgnoredKeys: true,
      selection: 'v6-validation',
      folds: 'v6-rolling',
      auc: 'time-order',
      sharpeAggregation: 'v6-drop-nan',
      sharpe: 'v6',
      targetScale: 'raw',
      gaps: 'ignore',
      failureValue: 'zero',
      seedPolicy: 'v6',
      tests: 'v6',
      scaler: 'train+calibration',
      labelPrecision: 'f32',
      volumeFeature: 'raw',
    });
    const alone = parseEvaluation({ auc: 'time-order' });
    expect(alone.ok && alone.evaluation).toEqual({ ...honestEvaluation, auc: 'time-order' });
    const back = parseEvaluation({ profile: 'v6', gate: 'none' });
    expect(back.ok && back.evaluation).toEqual({ ...v6Evaluation, gate: 'none' });
  });

  it('reports unknown keys, wrong values and keys without effect together', () => {
    const parsed = parseEvaluation({
      sharpeAggregation: 'concatenated',
      alpha: '0.1',
      val_block: 128,
      gate_width_ratio: 1,
      train_rows_min: 20_000,
    });
    expect(parsed.ok).toBe(false);
    const problems = parsed.ok ? [] : parsed.problems;
    expect(problems.map(({ key }) => key)).toEqual([
      'sharpeAggregation',
      'alpha',
      'val_block',
      'gate_width_ratio',
      'train_rows_max',
    ]);
    expect(problems[0]?.message).toContain('did you mean sharpe_aggregation?');
    expect(problems[2]?.message).toContain('folds: v6-rolling');
  });
});
