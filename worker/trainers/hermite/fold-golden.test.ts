import { beforeAll, describe, expect, test } from 'vitest';
import type { Candles } from '../../../shared/core/market/candles.js';
import { auc } from '../../../shared/core/metrics/auc.js';
import { parseEvaluation } from '../../../shared/core/trainers/evaluation-settings.js';
import { parseHermiteParams } from '../../../shared/core/trainers/hermite-settings.js';
import type { SettingRecord } from '../../../shared/core/trainers/setting-schema.js';
import { evaluateFold } from '../../market/evaluate-fold.js';
import type { FoldPlan } from '../../market/fold-plan.js';
import { prepareFold, prepareTrialData, type PartData } from '../../market/prepare-trial-data.js';
import type { Runtime } from '../runtime/runtime.js';
import { createWasmRuntime } from '../runtime/wasm-runtime.js';
import {
  flattenWeights,
  goldenPresent,
  goldenTitle,
  largestError,
  readGolden,
  type GoldenWeights,
} from './golden.test-helper.js';
import { parameterLayout } from './layout.js';
import { predict } from './network.js';
import { createRandom } from './random.js';
import { foldSettings, modelShape } from './run-fold.js';
import { trainFold } from './train-fold.js';

type Range = readonly [number, number];
type Outputs = Readonly<Record<'mu' | 'logvar' | 'logit', readonly number[]>>;

interface GoldenCase {
  readonly name: string;
  readonly window: number;
  readonly fold: { readonly train: Range; readonly calibration: Range; readonly validation: Range };
  readonly model: SettingRecord;
  readonly training: Readonly<Record<string, number | string>>;
  readonly evaluation: Readonly<Record<'alpha' | 'cost_bps', number>> & {
    readonly conformal_residual: string;
  };
  readonly strategy: Readonly<Record<'confidence_margin' | 'kelly_clip' | 'conformal_p_min', number>> & {
    readonly thresholds: readonly number[];
    readonly use_conformal_gate: boolean;
  };
  readonly initial_weights: GoldenWeights;
  readonly pos_weight: number | null;
  readonly epochs_run: number;
  readonly trace_f64: Readonly<
    Record<
      | 'train_loss'
      | 'train_nll'
      | 'train_cls'
      | 'train_brier'
      | 'val_loss'
      | 'val_nll'
      | 'val_cls'
      | 'val_brier'
      | 'val_auc'
      | 'lr_after_epoch',
      readonly number[]
    >
  >;
  readonly outputs_f64: { readonly validation: Outputs; readonly calibration: Outputs };
  readonly candidates: Readonly<Record<string, { readonly auc_midrank: number }>>;
  readonly chosen: string;
  readonly metrics: Readonly<Record<string, number | null>>;
}

interface Golden {
  readonly candles: Readonly<
    Record<'open_time_ms' | 'open' | 'high' | 'low' | 'close' | 'volume' | 'close_time_ms', number[]>
  >;
  readonly cases: readonly GoldenCase[];
}

function candlesOf({ candles }: Golden): Candles {
  const column = (values: number[]) => Float64Array.from(values);
  const none = column(candles.close).fill(0);
  return {
    openTimeMs: column(candles.open_time_ms),
    open: column(candles.open),
    high: column(candles.high),
    low: column(candles.low),
    close: column(candles.close),
    volume: column(candles.volume),
    closeTimeMs: column(candles.close_time_ms),
    quoteVolume: none,
    tradeCount: none,
    takerBuyBase: none,
    takerBuyQuote: none,
  };
}

const earlyStopMetrics: Readonly<Record<string, string>> = { AUC: 'auc', DirAcc: 'dir_acc' };

function settingsOf(golden: GoldenCase) {
  const { strategy } = golden;
  // Shuffling and initial weights are given, so the seed has nothing left to decide.
  const { early_stop_metric: metric, ...rest } = golden.training;
  const training = Object.fromEntries(Object.entries(rest).filter(([key]) => key !== 'seed'));
  const parsed = parseEvaluation({
    profile: 'v6',
    v6_ignored_keys: false,
    // The plan is replaced by the golden ranges; only its own refusal has to be kept away.
    min_calib_size: 0,
    alpha: golden.evaluation.alpha,
    cost_bps: golden.evaluation.cost_bps,
    conformal_residual: golden.evaluation.conformal_residual,
    ...(strategy.use_conformal_gate
      ? { gate: 'v6-realised', conformal_p_min: strategy.conformal_p_min }
      : { gate: 'none' }),
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const params = parseHermiteParams(
    {
      ...golden.model,
      ...training,
      dropout: 0,
      confidence_margin: strategy.confidence_margin,
      kelly_clip: strategy.kelly_clip,
      feature_window: golden.window,
      ...(metric === undefined ? {} : { early_stop_metric: earlyStopMetrics[metric] ?? 'loss' }),
    },
    parsed.evaluation,
  );
  if (!params.ok) throw new Error(JSON.stringify(params.problems));
  return { evaluation: parsed.evaluation, params: { ...params.params, thresholds: strategy.thresholds } };
}

const range = ([from, to]: Range) => ({ from, to });

describe.skipIf(!goldenPresent)(goldenTitle('golden fold_train.json'), () => {
  const golden = goldenPresent ? (readGolden('fold_train.json') as Golden) : null;
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await createWasmRuntime();
  });

  test.each([0, 1, 2, 3])('complete fold %i', async (index) => {
    const fold = golden!.cases[index]!;
    const { evaluation, params } = settingsOf(fold);
    const prepared = prepareTrialData(candlesOf(golden!), fold.window, evaluation);
    if (prepared.kind === 'refused') throw new Error(prepared.message);
    const { data } = prepared;
    const plan: FoldPlan = {
      id: 0,
      train: range(fold.fold.train),
      earlyStop: range(fold.fold.validation),
      calibration: range(fold.fold.calibration),
      test: range(fold.fold.validation),
    };
    const parts = prepareFold(data, plan);
    const settings = foldSettings({ params, data }, parts);
    expect(settings.loss.posWeight).toBeCloseTo(fold.pos_weight ?? 1, 7);

    const layout = parameterLayout(modelShape(params, data.contextWidth));
    const network = { runtime, layout };
    const part = ({ rows }: PartData) => ({
      rows,
      y: Float32Array.from(rows, (row) => parts.targets[row]!),
    });
    const { parameters, looks, diverged } = await trainFold({
      network,
      settings,
      data: { inputs: parts.input, train: part(parts.train), earlyStop: part(parts.earlyStop) },
      initial: flattenWeights(layout, fold.initial_weights),
      random: createRandom(1),
      pause: () => Promise.resolve(),
    });
    expect(diverged).toBe(false);
    expect(looks.length).toBe(fold.epochs_run);

    const trace = fold.trace_f64;
    looks.forEach((look, epoch) => {
      const figures: [number, keyof typeof trace][] = [
        [look.train.total, 'train_loss'],
        [look.train.nll, 'train_nll'],
        [look.train.cls, 'train_cls'],
        [look.train.brier, 'train_brier'],
        [look.earlyStop.total, 'val_loss'],
        [look.earlyStop.nll, 'val_nll'],
        [look.earlyStop.cls, 'val_cls'],
        [look.earlyStop.brier, 'val_brier'],
        [look.auc, 'val_auc'],
      ];
      for (const [actual, name] of figures) {
        const tolerance = name === 'val_auc' ? 1e-9 : 1e-4;
        expect(Math.abs(actual - trace[name][epoch]!), `${name} of epoch ${epoch}`).toBeLessThan(tolerance);
      }
      expect(Math.abs(look.learningRate / trace.lr_after_epoch[epoch]! - 1)).toBeLessThan(1e-5);
    });

    const forecasts = ({ rows }: PartData) =>
      predict(network, parameters, { inputs: parts.input, rows }, () => Promise.resolve());
    const validation = await forecasts(parts.test);
    const calibration = await forecasts(parts.calibration);
    for (const head of ['mu', 'logvar', 'logit'] as const) {
      expect(largestError(validation[head], fold.outputs_f64.validation[head]), head).toBeLessThan(1e-4);
      expect(largestError(calibration[head], fold.outputs_f64.calibration[head]), head).toBeLessThan(1e-4);
    }

    const outcome = evaluateFold({
      calibration: { outputs: calibration, data: parts.calibration },
      test: { outputs: validation, data: parts.test },
      targetScale: parts.targetScale,
      secondsPerStep: data.secondsPerStep,
      params,
      evaluation,
    });
    if (outcome.kind === 'diverged') throw new Error(outcome.message);
    expect(outcome.calibrator).toBe(fold.chosen);
    expect(auc(outcome.predictions.probability, outcome.predictions.up)).toBeCloseTo(
      fold.candidates[fold.chosen]!.auc_midrank,
      9,
    );
    // What the original derived from the same outputs, as far as its sort does not matter.
    for (const name of [
      'DirAcc',
      'Brier',
      'ECE',
      'MAE_return',
      'RMSE_return',
      'Sharpe_strategy',
      'Turnover',
    ]) {
      const expected = fold.metrics[name];
      const actual = outcome.metrics[name]!;
      if (expected === null) expect(actual, name).toBeNaN();
      else expect(Math.abs(actual - expected!) / Math.max(1, Math.abs(expected!)), name).toBeLessThan(1e-4);
    }
  });
});
