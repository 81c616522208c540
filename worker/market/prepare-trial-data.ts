/** From candles to what a trial trains and is judged on. One fold at a time is turned into model input; the plan is shared. */
import type { Candles } from '../../shared/core/market/candles.js';
import { variance } from '../../shared/core/metrics/numbers.js';
import type { EvaluationSettings } from '../../shared/core/trainers/evaluation-settings.js';
import type { InputSource } from './batches.js';
import { inputSource } from './batches.js';
import { defaultWindows, stationaryFeatures } from './features.js';
import type { FoldPlan, FoldPlans } from './fold-plan.js';
import { planFolds } from './fold-plan.js';
import type { Samples } from './samples.js';
import { buildSamples } from './samples.js';
import type { FeatureColumns, Scaler } from './scaler.js';
import { fitScaler, fittedRowsHash, packColumns } from './scaler.js';
import type { RowRange } from './v6-splits.js';

/** The samples of one part of a fold, in time order. */
export interface PartData {
  /** Positions in the table of samples: what `InputSource.gather` takes and what `targets` is indexed by. */
  readonly rows: Int32Array;
  /** Anchor candle of each row. */
  readonly anchors: Uint32Array;
  /** Log return over the horizon. */
  readonly y: Float64Array;
  readonly up: Uint8Array;
  readonly anchorPrice: Float64Array;
  readonly anchorTimeMs: Float64Array;
  readonly targetTimeMs: Float64Array;
}

/** Everything that the folds of a trial share. */
export interface TrialData {
  readonly window: number;
  readonly contextWidth: number;
  readonly secondsPerStep: number;
  /** Without the hold-out period: what is not here cannot be read by mistake. */
  readonly samples: Samples;
  readonly folds: readonly FoldPlan[];
  /** Number of samples kept back at the end. */
  readonly holdoutRows: number;
  readonly columns: FeatureColumns;
  readonly evaluation: EvaluationSettings;
}

export interface PreparedFold {
  readonly id: number;
  readonly train: PartData;
  readonly earlyStop: PartData;
  readonly calibration: PartData;
  readonly test: PartData;
  readonly input: InputSource;
  readonly scaler: Scaler;
  /** Identity of the rows the scaler was fitted on. */
  readonly scalerRowsHash: string;
  /** Log return per unit of the targets: the training rows' deviation of y, or 1 with `target_scale: raw`. */
  readonly targetScale: number;
  /** `y / targetScale` of every sample. */
  readonly targets: Float64Array;
}

export type PreparedTrial =
  | { readonly kind: 'ready'; readonly data: TrialData }
  | { readonly kind: 'refused'; readonly message: string };

/**
 * Features, samples and fold plan of a trial with a window of `window` candles. Refused, with the remedy, when the window exceeds
 * `window_max` or the candles do not suffice; throws a `RangeError` for a table that is out of order or holds NaN. `planOf` makes the
 * plan from the number of samples where it is not that of the settings.
 */
export function prepareTrialData(
  candles: Candles,
  window: number,
  evaluation: EvaluationSettings,
  planOf: (rows: number) => FoldPlans = (rows) => planFolds(rows, window, evaluation),
): PreparedTrial {
  const fixed = evaluation.folds === 'fixed-times';
  if (fixed && window > evaluation.windowMax) {
    return {
      kind: 'refused',
      message: `feature_window is ${window}, above evaluation.window_max (${evaluation.windowMax}); raise window_max`,
    };
  }
  const samples = buildSamples(candles, {
    window: fixed ? evaluation.windowMax : window,
    horizon: evaluation.horizon,
    gaps: evaluation.gaps,
    labelPrecision: evaluation.labelPrecision,
  });
  const plan = planOf(samples.anchors.length);
  if (plan.kind === 'refused') return plan;
  const { volumeFeature, volumeWindow } = evaluation;
  const features = stationaryFeatures(candles, { ...defaultWindows, volume: volumeFeature, volumeWindow });
  const columns = packColumns(features);
  const { contextWidth } = columns;
  const { folds, holdout } = plan;
  return {
    kind: 'ready',
    data: {
      window,
      contextWidth,
      secondsPerStep: samples.secondsPerStep,
      samples: samplesBefore(samples, holdout.from),
      folds,
      holdoutRows: holdout.to - holdout.from,
      columns,
      evaluation,
    },
  };
}

const samplesBefore = (samples: Samples, to: number): Samples => ({
  anchors: samples.anchors.subarray(0, to),
  y: samples.y.subarray(0, to),
  up: samples.up.subarray(0, to),
  anchorPrice: samples.anchorPrice.subarray(0, to),
  anchorTimeMs: samples.anchorTimeMs.subarray(0, to),
  targetTimeMs: samples.targetTimeMs.subarray(0, to),
  secondsPerStep: samples.secondsPerStep,
});

function partOf(samples: Samples, rows: RowRange): PartData {
  const { from, to } = rows;
  return {
    rows: Int32Array.from({ length: to - from }, (_, i) => from + i),
    anchors: samples.anchors.subarray(from, to),
    y: samples.y.subarray(from, to),
    up: samples.up.subarray(from, to),
    anchorPrice: samples.anchorPrice.subarray(from, to),
    anchorTimeMs: samples.anchorTimeMs.subarray(from, to),
    targetTimeMs: samples.targetTimeMs.subarray(from, to),
  };
}

/** Rows of the ranges, ascending. */
const rowsOf = (ranges: readonly RowRange[]): Uint32Array =>
  Uint32Array.from(ranges.flatMap(({ from, to }) => Array.from({ length: to - from }, (_, i) => from + i)));

/** A flat market has no scale; it then stays as it is. */
function trainingScale(y: Float64Array): number {
  const deviation = Math.sqrt(variance(y, 0));
  return deviation > 0 ? deviation : 1;
}

/** The parts of fold `plan`, its scaler and its model input. Throws a `RangeError` without training rows. */
export function prepareFold(data: TrialData, plan: FoldPlan): PreparedFold {
  const { samples, columns, window, evaluation } = data;
  const train = partOf(samples, plan.train);
  if (train.anchors.length === 0)
    throw new RangeError(`fold ${plan.id} has no training rows; give more bars`);
  const perColumn = evaluation.scaler === 'train';
  const scalerRows = rowsOf(perColumn ? [plan.train] : [plan.train, plan.calibration]);
  const scalerAnchors = scalerRows.map((row) => samples.anchors[row] ?? 0);
  const scaler = fitScaler(columns, scalerAnchors, window, perColumn ? 'per-column' : 'per-lag');
  const targetScale = evaluation.targetScale === 'raw' ? 1 : trainingScale(train.y);
  return {
    id: plan.id,
    train,
    earlyStop: partOf(samples, plan.earlyStop),
    calibration: partOf(samples, plan.calibration),
    test: partOf(samples, plan.test),
    input: inputSource(columns, scaler, { anchors: samples.anchors, window }),
    scaler,
    scalerRowsHash: fittedRowsHash(scalerRows),
    targetScale,
    targets: samples.y.map((y) => y / targetScale),
  };
}
