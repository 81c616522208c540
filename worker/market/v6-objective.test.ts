import { describe, expect, it } from 'vitest';
import { v6Evaluation } from '../../shared/core/trainers/evaluation-settings.js';
import { parseHermiteParams } from '../../shared/core/trainers/hermite-settings.js';
import { goldenNumber, goldenTitle, haveGolden, near, readGolden } from './golden.test-helper.js';
import { stage1Attributes, stage1ValueV6, stage2BriefingValue, stage2ScriptV6 } from './v6-objective.js';

type N = number | string | null;
const expectNear = (actual: number, expected: N | undefined, tolerance: number) => {
  expect(near(actual, expected ?? null, tolerance), `${actual} ≈ ${String(expected)}`).toBe(true);
};

interface ObjectiveGolden {
  cases: {
    name: string;
    folds: Record<string, N>[] | null;
    stage1: { value: N; state: string; attrs: Record<string, N> };
    stage2_script: { value: N; attrs: Record<string, N> };
    stage2_briefing?: N;
  }[];
  stage1_suggested: Record<string, string | number>;
  stage1_effective: Record<'model' | 'training' | 'strategy', Record<string, unknown>>;
}

describe.skipIf(!haveGolden)(goldenTitle('objective of the original against the golden figures'), () => {
  const golden = (haveGolden ? readGolden('objective.json') : { cases: [] }) as ObjectiveGolden;
  const completed = golden.cases.filter(({ stage1 }) => stage1.state === 'complete');

  it.each(completed)('$name', ({ folds, stage1, stage2_script, stage2_briefing }) => {
    const records =
      folds?.map((fold) => Object.fromEntries(Object.entries(fold).map(([k, v]) => [k, goldenNumber(v)]))) ??
      null;
    expectNear(stage1ValueV6(records), stage1.value, 1e-11);
    const second = stage2ScriptV6(records);
    expectNear(second.value, stage2_script.value, 1e-11);
    if (records === null || records.length === 0) return;
    const first = stage1Attributes(records);
    expectNear(first.auc, stage1.attrs['auc'], 1e-11);
    expectNear(first.dirAcc, stage1.attrs['dir_acc'], 1e-11);
    expectNear(first.sharpe, stage1.attrs['sharpe'], 1e-11);
    expect([first.validAuc, first.validDirAcc]).toEqual([
      stage1.attrs['num_valid_auc'],
      stage1.attrs['num_valid_dir_acc'],
    ]);
    expectNear(stage2BriefingValue(records), stage2_briefing, 1e-11);
    expect(second.droppedSharpe).toBe(stage2_script.attrs['num_nan_sharpe']);
    if (second.validSharpe === 0) return;
    expectNear(second.sharpeMean, stage2_script.attrs['sharpe_mean'], 1e-11);
    expectNear(second.sharpeDeviation, stage2_script.attrs['sharpe_std'], 1e-11);
    expectNear(second.sharpeMin, stage2_script.attrs['sharpe_min'], 1e-11);
    expectNear(second.sharpeMax, stage2_script.attrs['sharpe_max'], 1e-11);
    expectNear(second.auc, stage2_script.attrs['auc'], 1e-11);
    expectNear(second.dirAcc, stage2_script.attrs['dir_acc'], 1e-11);
    if (second.warning !== 'sharpe_too_high')
      expect(second.warning).toBe(stage2_script.attrs['warning'] ?? null);
  });

  it('trains and trades with what the original made of a suggestion', () => {
    const { lr, grad_clip, ...rest } = golden.stage1_suggested;
    const fixed = { use_lstm: true, prob_source: 'pdf', batch_size: 512, threshold: 0.62, kelly_clip: 0.9 };
    const suggested = { ...rest, learning_rate: lr!, gradient_clip: grad_clip!, ...fixed };
    const parsed = parseHermiteParams(suggested, v6Evaluation);
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
    const { training, strategy, model } = golden.stage1_effective;
    expect(parsed.params).toMatchObject({
      classificationLoss: training['classification_loss'],
      focalGamma: training['focal_gamma'],
      learningRate: training['learning_rate'],
      gradientClip: training['gradient_clip'],
      patience: training['patience'],
      budget: { kind: 'epochs', epochs: training['num_epochs'] },
      thresholds: strategy['thresholds'],
      confidenceMargin: strategy['confidence_margin'],
      kellyClip: strategy['kelly_clip'],
      hermiteVersion: model['hermite_version'],
      hermiteMapsA: model['hermite_maps_a'],
      probSource: 'logit',
    });
  });
});
