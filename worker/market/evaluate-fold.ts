/**
 * How a trained fold is judged (hermite-model.md §11–15). `evaluateFoldHonest` reads the test rows once, after calibrator, interval and
 * threshold were fixed on the calibration rows; `evaluateFoldV6` chooses calibrator and threshold on the test rows, as the original
 * did (§18.3). Every other switch (gate, AUC, Sharpe, tests) acts in both.
 */
import { auc, aucDeviation, type AucDeviation } from '../../shared/core/metrics/auc.js';
import { directionHits } from '../../shared/core/metrics/direction.js';
import type { EvaluationSettings } from '../../shared/core/trainers/evaluation-settings.js';
import { conformalRowsMin } from '../../shared/core/trainers/evaluation-settings.js';
import type { HermiteParams } from '../../shared/core/trainers/hermite-settings.js';
import type { CalibratorName, Calibrators } from './calibrators.js';
import { applyCalibrator, chooseByCrossValidation, chooseOnRows, fitCalibrators } from './calibrators.js';
import {
  conformalPValues,
  conformalQuantile,
  halfWidths,
  residuals,
  standardisedErrors,
} from './conformal.js';
import type { MetricRecord } from './forecast-record.js';
import { forecastRecord, intervalKey } from './forecast-record.js';
import type { PartData } from './prepare-trial-data.js';
import type { Forecasts, RawOutputs } from './probability.js';
import { firstNonFinite, toForecasts } from './probability.js';
import type { Accounting, Decisions, StrategyFigures } from './strategy.js';
import { alwaysLong, bestBySharpe, countReturns, decide, exAnteGate } from './strategy.js';

/** The network's outputs for a part and what belongs to its rows. */
export interface EvaluatedPart {
  readonly outputs: RawOutputs;
  readonly data: Omit<PartData, 'rows'>;
}

export interface FoldInput {
  readonly calibration: EvaluatedPart;
  readonly test: EvaluatedPart;
  /** Log return per unit of the network's targets. */
  readonly targetScale: number;
  readonly secondsPerStep: number;
  readonly params: Pick<HermiteParams, 'probSource' | 'thresholds' | 'confidenceMargin' | 'kellyClip'>;
  readonly evaluation: EvaluationSettings;
  /** Precision of the original to follow under v6 selection; its runs were `f32`. */
  readonly precision?: 'f32' | 'f64';
}

/** One row per test row; together with the trial's other folds the table that re-scoring needs. */
export interface TestPredictions {
  readonly anchorTimeMs: Float64Array;
  readonly targetTimeMs: Float64Array;
  readonly anchorPrice: Float64Array;
  readonly anchors: Uint32Array;
  readonly y: Float64Array;
  readonly up: Uint8Array;
  readonly mu: Float64Array;
  readonly logvar: Float64Array;
  readonly sigma: Float64Array;
  readonly logit: Float64Array;
  readonly score: Float64Array;
  readonly rawProbability: Float64Array;
  readonly probability: Float64Array;
  readonly lower: Float64Array;
  readonly upper: Float64Array;
  /** Known only afterwards; 1 without an interval. */
  readonly conformalP: Float64Array;
  readonly pitZ: Float64Array;
  /** Decided position of each row, before accounting picks the rows that trade. */
  readonly position: Float64Array;
}

/** Whether the interval can be trusted (hermite-model.md §12). */
export type CoverageFlag = 'ok' | 'insufficient_calibration' | 'coverage_out_of_band';

export interface FoldEvaluation {
  readonly kind: 'evaluated';
  readonly metrics: MetricRecord;
  readonly calibrator: CalibratorName;
  readonly temperature: number;
  readonly conformalQuantile: number;
  readonly threshold: number;
  /** Raw ECE above 0 and improved by less than a fifth. */
  readonly calibrationWarning: boolean;
  /** Nine in ten raw probabilities below 0.05, or above 0.95. */
  readonly probabilityCollapse: boolean;
  readonly coverageFlag: CoverageFlag;
  /** Of the uncalibrated score, mid-ranks, with its deviation; NaN with one class. */
  readonly scoreAuc: number;
  readonly scoreAucDeviation: AucDeviation;
  readonly hits: Float64Array;
  readonly strategy: StrategyFigures;
  readonly naiveLong: StrategyFigures;
  readonly predictions: TestPredictions;
}

export type FoldOutcome = FoldEvaluation | { readonly kind: 'diverged'; readonly message: string };

interface Interval {
  readonly quantile: number;
  readonly halfWidth: Float64Array;
  readonly pValues: Float64Array;
}

/** Everything that is known before a row of the test part is judged. */
interface Prepared {
  readonly calibration: Forecasts;
  readonly test: Forecasts;
  readonly fitted: Calibrators;
  readonly calibrationResiduals: Float64Array;
}

function prepare(input: FoldInput, precision: 'f32' | 'f64'): Prepared {
  const { targetScale, evaluation } = input;
  const options = { probSource: input.params.probSource, targetScale, precision };
  const calibration = toForecasts(input.calibration.outputs, options);
  const { y, up } = input.calibration.data;
  return {
    calibration,
    test: toForecasts(input.test.outputs, options),
    fitted: fitCalibrators(calibration, up, precision),
    calibrationResiduals: residuals(y, calibration.mu, calibration.sigma, evaluation.conformalResidual),
  };
}

/** Interval and after-the-fact p-values for forecasts `f` with outcomes `y`. */
function intervalFor(
  { calibrationResiduals }: Prepared,
  f: Forecasts,
  y: Float64Array,
  input: FoldInput,
): Interval {
  const { alpha, conformalResidual } = input.evaluation;
  if (calibrationResiduals.length < conformalRowsMin) {
    const none = new Float64Array(f.mu.length);
    return { quantile: NaN, halfWidth: none.fill(NaN), pValues: none.map(() => 1) };
  }
  const quantile = conformalQuantile(calibrationResiduals, alpha);
  return {
    quantile,
    halfWidth: halfWidths(quantile, f.sigma, conformalResidual),
    pValues: conformalPValues(calibrationResiduals, residuals(y, f.mu, f.sigma, conformalResidual)),
  };
}

function gateOf(evaluation: EvaluationSettings, f: Forecasts, interval: Interval): boolean[] | null {
  switch (evaluation.gate) {
    case 'none':
      return null;
    case 'ex-ante':
      return exAnteGate(f.mu, interval.halfWidth, evaluation.gateWidthRatio);
    case 'v6-realised':
      return Array.from(interval.pValues, (p) => p >= evaluation.conformalPMin);
  }
}

const accountingOf = ({ evaluation, secondsPerStep }: FoldInput, anchors: Uint32Array): Accounting =>
  evaluation.sharpe === 'v6'
    ? { form: 'v6', periodsPerYear: evaluation.freqPerYear }
    : { form: 'bar-aware', anchors, horizon: evaluation.horizon, secondsPerStep };

const costOf = ({ evaluation }: FoldInput): number => evaluation.costBps + evaluation.slippageBps;

interface StrategyRun extends StrategyFigures {
  readonly threshold: number;
  readonly decisions: Decisions;
}

/** One run per threshold, ascending, on the rows that `rows` gives. */
function strategyRuns(
  input: FoldInput,
  rows: {
    readonly probability: Float64Array;
    readonly gate: boolean[] | null;
    readonly data: EvaluatedPart['data'];
  },
): StrategyRun[] {
  const { thresholds, confidenceMargin, kellyClip } = input.params;
  return [...thresholds]
    .sort((a, b) => a - b)
    .map((threshold) => {
      const decisions = decide(rows.probability, rows.gate, { threshold, confidenceMargin, kellyClip });
      const accounting = accountingOf(input, rows.data.anchors);
      return { threshold, decisions, ...countReturns(decisions, rows.data.y, accounting, costOf(input)) };
    });
}

const strategyRecord = (chosen: StrategyRun, naiveLong: StrategyFigures): MetricRecord => ({
  Strategy_best_threshold: chosen.threshold,
  Sharpe_strategy: chosen.sharpe,
  MDD_strategy: chosen.maxDrawdown,
  Turnover: chosen.turnover,
  Strategy_active_fraction: chosen.activeFraction,
  Sharpe_naive_long: naiveLong.sharpe,
  Sharpe_naive_flat: 0,
});

const perThresholdRecord = (runs: readonly StrategyRun[]): MetricRecord =>
  Object.fromEntries(
    runs.flatMap(({ threshold, sharpe, turnover, hitRate }) => {
      const name = `Strat@${threshold.toFixed(2)}`;
      return [
        [`${name}_Sharpe`, sharpe],
        [`${name}_Turnover`, turnover],
        [`${name}_HitRate`, hitRate],
      ];
    }),
  );

const coverageTolerance = 0.02;

function coverageFlag(metrics: MetricRecord, alpha: number): CoverageFlag {
  const covered = metrics[intervalKey('Coverage', alpha)] ?? NaN;
  if (Number.isNaN(covered)) return 'insufficient_calibration';
  return Math.abs(covered - (1 - alpha)) <= coverageTolerance ? 'ok' : 'coverage_out_of_band';
}

function collapsed(probability: Float64Array): boolean {
  const share = (test: (p: number) => boolean): number =>
    probability.filter(test).length / probability.length;
  return share((p) => p < 0.05) > 0.9 || share((p) => p > 0.95) > 0.9;
}

const improvementMin = 0.2;

interface Judgement {
  readonly prepared: Prepared;
  readonly calibrator: CalibratorName;
  readonly calibrated: Float64Array;
  readonly interval: Interval;
  readonly runs: readonly StrategyRun[];
  readonly chosen: StrategyRun;
}

function predictionsOf(input: FoldInput, judgement: Judgement): TestPredictions {
  const { data } = input.test;
  const { test } = judgement.prepared;
  const { halfWidth, pValues } = judgement.interval;
  return {
    ...data,
    mu: test.mu,
    logvar: test.logvar,
    sigma: test.sigma,
    logit: test.logit,
    score: test.score,
    rawProbability: test.probability,
    probability: judgement.calibrated,
    lower: test.mu.map((mu, i) => mu - (halfWidth[i] ?? NaN)),
    upper: test.mu.map((mu, i) => mu + (halfWidth[i] ?? NaN)),
    conformalP: pValues,
    pitZ: standardisedErrors(data.y, test.mu, test.sigma),
    position: judgement.chosen.decisions.positions,
  };
}

function report(input: FoldInput, judgement: Judgement): FoldEvaluation {
  const { evaluation } = input;
  const { chosen, runs, calibrated, prepared } = judgement;
  const { data } = input.test;
  const predictions = predictionsOf(input, judgement);
  const naiveLong = alwaysLong(data.y, accountingOf(input, data.anchors), costOf(input));
  const raw = prepared.test.probability;
  const { alpha, horizon, nBins, auc: aucTies, tests } = evaluation;
  const metrics = {
    ...forecastRecord({ ...predictions, calibrated, raw }, { horizon, alpha, bins: nBins, aucTies, tests }),
    ...strategyRecord(chosen, naiveLong),
    ...perThresholdRecord(runs),
  };
  const rawEce = metrics['ECE_raw'] ?? NaN;
  const { score } = prepared.test;
  return {
    kind: 'evaluated',
    metrics,
    calibrator: judgement.calibrator,
    temperature: prepared.fitted.temperature,
    conformalQuantile: judgement.interval.quantile,
    threshold: chosen.threshold,
    calibrationWarning: rawEce > 0 && (rawEce - (metrics['ECE'] ?? NaN)) / rawEce < improvementMin,
    probabilityCollapse: collapsed(raw),
    coverageFlag: coverageFlag(metrics, alpha),
    scoreAuc: auc(score, data.up),
    scoreAucDeviation: aucDeviation(score, data.up, horizon),
    hits: directionHits(calibrated, data.up),
    strategy: chosen,
    naiveLong,
    predictions,
  };
}

function divergence(input: FoldInput): FoldOutcome | null {
  for (const part of ['calibration', 'test'] as const) {
    const row = firstNonFinite(input[part].outputs);
    if (row >= 0) return { kind: 'diverged', message: `forecast ${row} of the ${part} part is not finite` };
  }
  return null;
}

const runAt = (runs: readonly StrategyRun[], index: number): StrategyRun => {
  const run = runs[index];
  if (run === undefined) throw new RangeError('a strategy needs at least one threshold');
  return run;
};

/** Judges a fold as the original did: calibrator by Brier score and threshold by Sharpe on the test rows themselves. */
export function evaluateFoldV6(input: FoldInput): FoldOutcome {
  const diverged = divergence(input);
  if (diverged !== null) return diverged;
  const { data } = input.test;
  const prepared = prepare(input, input.precision ?? 'f32');
  const calibrator = chooseOnRows(prepared.fitted, prepared.test, data.up, input.evaluation.nBins);
  const calibrated = applyCalibrator(prepared.fitted, calibrator, prepared.test);
  const interval = intervalFor(prepared, prepared.test, data.y, input);
  const gate = gateOf(input.evaluation, prepared.test, interval);
  const runs = strategyRuns(input, { probability: calibrated, gate, data });
  const chosen = runAt(runs, bestBySharpe(runs));
  return report(input, { prepared, calibrator, calibrated, interval, runs, chosen });
}

/** The calibrator the settings ask for, known from the calibration rows alone. */
function calibratorBefore({ evaluation, calibration }: FoldInput, prepared: Prepared): CalibratorName {
  return evaluation.calibrator === 'cross-validated'
    ? chooseByCrossValidation(prepared.calibration, calibration.data.up, evaluation.horizon)
    : evaluation.calibrator;
}

/** Judges a fold without letting its test rows decide anything: they are read once. */
export function evaluateFoldHonest(input: FoldInput): FoldOutcome {
  const diverged = divergence(input);
  if (diverged !== null) return diverged;
  const prepared = prepare(input, 'f64');
  const calibrator = calibratorBefore(input, prepared);
  const run = (forecasts: Forecasts, data: EvaluatedPart['data']): StrategyRun[] => {
    const interval = intervalFor(prepared, forecasts, data.y, input);
    const gate = gateOf(input.evaluation, forecasts, interval);
    return strategyRuns(input, {
      probability: applyCalibrator(prepared.fitted, calibrator, forecasts),
      gate,
      data,
    });
  };
  // With several thresholds the calibration rows decide between them.
  const several = input.params.thresholds.length > 1;
  const index = several ? bestBySharpe(run(prepared.calibration, input.calibration.data)) : 0;
  const { data } = input.test;
  const chosen = runAt(run(prepared.test, data), index);
  return report(input, {
    prepared,
    calibrator,
    calibrated: applyCalibrator(prepared.fitted, calibrator, prepared.test),
    interval: intervalFor(prepared, prepared.test, data.y, input),
    runs: [chosen],
    chosen,
  });
}

/** Judges a fold by the study's `selection`. */
export const evaluateFold = (input: FoldInput): FoldOutcome =>
  input.evaluation.selection === 'nested' ? evaluateFoldHonest(input) : evaluateFoldV6(input);
