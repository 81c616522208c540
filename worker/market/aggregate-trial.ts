/**
 * From judged folds to a trial's metrics (hermite-model.md §18.6–18.8, 18.18). By default test rows are pooled, a figure that is undefined
 * in some fold makes the trial infeasible instead of vanishing from a mean, and every headline carries its standard error.
 */
import type { BootstrapInterval } from '../../shared/core/metrics/block-bootstrap.js';
import { blockBootstrap, blockLengthFor } from '../../shared/core/metrics/block-bootstrap.js';
import { directionStandardError, majorityShare } from '../../shared/core/metrics/direction.js';
import { maxDrawdown } from '../../shared/core/metrics/drawdown.js';
import { mean, overlappingProducts } from '../../shared/core/metrics/numbers.js';
import { probabilisticSharpe, sharpeRatio, sharpeStandardError } from '../../shared/core/metrics/sharpe.js';
import { Mt19937 } from '../../shared/core/sampler/mt19937.js';
import type { EvaluationSettings } from '../../shared/core/trainers/evaluation-settings.js';
import type { FoldEvaluation } from './evaluate-fold.js';
import type { JudgedRows, MetricRecord } from './forecast-record.js';
import { forecastRecord, intervalKey } from './forecast-record.js';
import { stage1Attributes, stage2BriefingValue } from './v6-objective.js';

export type TrialOutcome =
  | { readonly kind: 'complete'; readonly metrics: MetricRecord }
  | { readonly kind: 'infeasible'; readonly message: string };

const concatFloat = (parts: readonly Float64Array[]): Float64Array =>
  Float64Array.from(parts.flatMap((p) => [...p]));

const bootstrapResamples = 200;

interface SharpeFigures {
  readonly value: number;
  readonly standardError: number;
  readonly interval: Pick<BootstrapInterval, 'low' | 'high'>;
}

/** Sharpe of all test returns in a row; exactly 0 without a trade, where the ratio itself has no value. */
function pooledSharpe(folds: readonly FoldEvaluation[], net: Float64Array, seed: number): SharpeFigures {
  const periods = folds[0]?.strategy.periodsPerYear ?? NaN;
  const value = sharpeRatio(net, periods);
  if (Number.isNaN(value)) return { value: 0, standardError: NaN, interval: { low: NaN, high: NaN } };
  const interval = blockBootstrap(net, (resample) => sharpeRatio(resample, periods), {
    random: new Mt19937(seed),
    resamples: bootstrapResamples,
    blockLength: blockLengthFor(net.length),
  });
  return { value, standardError: sharpeStandardError(net, periods), interval };
}

/** Score parts by pooling: mean AUC of the folds' own rankings (models differ between folds), hits over all test rows. */
function pooledScore(folds: readonly FoldEvaluation[], evaluation: EvaluationSettings): MetricRecord {
  const weights = folds.map(({ hits }) => hits.length);
  const rows = weights.reduce((sum, n) => sum + n, 0);
  const weighted = (figure: (fold: FoldEvaluation) => number): number =>
    folds.reduce((sum, fold, i) => sum + ((weights[i] ?? 0) / rows) * figure(fold), 0);
  const midRank = evaluation.auc === 'mid-rank';
  const hits = concatFloat(folds.map((fold) => fold.hits));
  const hitShare = mean(hits);
  const square = (x: number): number => x * x;
  return {
    auc: weighted((fold) => (midRank ? fold.scoreAuc : (fold.metrics['AUC'] ?? NaN))),
    auc_se: Math.sqrt(
      folds.reduce(
        (sum, { hits: { length }, scoreAucDeviation }) =>
          sum + square((length / rows) * scoreAucDeviation.standardError),
        0,
      ),
    ),
    dir_acc: hitShare,
    dir_acc_se: directionStandardError(hits, evaluation.horizon),
    auc_dir_acc_cov: weighted(({ hits: own, scoreAucDeviation: { shares } }) =>
      overlappingProducts(
        shares,
        own.map((hit) => (hit - hitShare) / rows),
        evaluation.horizon,
      ),
    ),
    test_rows: rows,
  };
}

/**
 * Score parts from whatever folds define them (`sharpe_aggregation` of the original, §18.7). Which AUC they are of is for `auc` to say:
 * with the original's, both are its plain means. Standard errors are given where they are of the same figure: not of a plain mean of
 * folds that differ in length, nor of AUC and hits together that come from different folds.
 */
function v6Score(folds: readonly FoldEvaluation[], evaluation: EvaluationSettings): MetricRecord {
  const records = folds.map(({ metrics }) => metrics);
  const { auc, dirAcc, validAuc, validDirAcc } = stage1Attributes(records);
  const defined = folds.filter(({ scoreAuc }) => !Number.isNaN(scoreAuc));
  const { auc_dir_acc_cov: covariance = NaN, ...all } = pooledScore(folds, evaluation);
  const together = defined.length === folds.length ? { auc_dir_acc_cov: covariance } : {};
  if (evaluation.auc === 'time-order') {
    const values = { auc, dir_acc: dirAcc, valid_auc_folds: validAuc, valid_dir_acc_folds: validDirAcc };
    const alike = validDirAcc === folds.length && new Set(folds.map(({ hits }) => hits.length)).size === 1;
    return alike && validAuc === folds.length
      ? { ...all, ...together, ...values }
      : { ...values, test_rows: all['test_rows'] ?? NaN };
  }
  // Without any, what the original has for none.
  const kept = defined.length > 0 ? pooledScore(defined, evaluation) : { auc, auc_se: NaN };
  return {
    ...all,
    ...together,
    ...{ auc: kept['auc'] ?? NaN, auc_se: kept['auc_se'] ?? NaN },
    ...{ valid_auc_folds: defined.length, valid_dir_acc_folds: validDirAcc },
  };
}

function sharpeMetrics(
  folds: readonly FoldEvaluation[],
  net: Float64Array,
  evaluation: EvaluationSettings,
  seed: number,
): MetricRecord {
  const records = folds.map(({ metrics }) => metrics);
  const pooled = pooledSharpe(folds, net, seed);
  const uncertainty = {
    sharpe_pooled: pooled.value,
    sharpe_se: pooled.standardError,
    sharpe_low: pooled.interval.low,
    sharpe_high: pooled.interval.high,
    sharpe_psr: probabilisticSharpe(pooled.value, pooled.standardError),
  };
  switch (evaluation.sharpeAggregation) {
    case 'concatenated':
      return { sharpe: pooled.value, ...uncertainty };
    case 'v6-drop-nan':
      return { sharpe: stage1Attributes(records).sharpe, ...uncertainty };
    case 'briefing-minus-10':
      return { sharpe: stage2BriefingValue(records), ...uncertainty };
  }
}

function pooledRows(folds: readonly FoldEvaluation[]): JudgedRows {
  const column = (
    name: 'y' | 'anchorPrice' | 'mu' | 'probability' | 'rawProbability' | 'lower' | 'upper',
  ): Float64Array => concatFloat(folds.map(({ predictions }) => predictions[name]));
  return {
    y: column('y'),
    up: Uint8Array.from(folds.flatMap(({ predictions }) => [...predictions.up])),
    anchorPrice: column('anchorPrice'),
    mu: column('mu'),
    calibrated: column('probability'),
    raw: column('rawProbability'),
    lower: column('lower'),
    upper: column('upper'),
  };
}

/** Tests and errors over all test rows together; a mean of fold p-values would say nothing. */
function pooledTests(folds: readonly FoldEvaluation[], evaluation: EvaluationSettings): MetricRecord {
  const rows = pooledRows(folds);
  const { horizon, alpha, nBins, tests } = evaluation;
  const record = forecastRecord(rows, { horizon, alpha, bins: nBins, aucTies: 'mid-rank', tests });
  const take = (key: string): number => record[key] ?? NaN;
  const majority = majorityShare(rows.up);
  return {
    majority_share: majority,
    dir_acc_excess: take('DirAcc') - majority,
    mae_return: take('MAE_return'),
    rmse_return: take('RMSE_return'),
    brier: take('Brier'),
    brier_raw: take('Brier_raw'),
    ece: take('ECE'),
    ece_raw: take('ECE_raw'),
    binom_p: take('Binom_p'),
    pt_p: take('PT_p'),
    dm_p_se: take('DM_p_SE'),
    dm_p_ae: take('DM_p_AE'),
    mz_slope: take('MZ_slope'),
    mz_f_p: take('MZ_F_p'),
    runs_p: take('Runs_p'),
    ljung_box_p: take('LjungBox_p'),
    conf_coverage: take(intervalKey('Coverage', alpha)),
    conf_width: take(intervalKey('Width', alpha)),
  };
}

function strategyMetrics(folds: readonly FoldEvaluation[], net: Float64Array): MetricRecord {
  const positions = concatFloat(folds.map(({ strategy }) => strategy.positions));
  const active = net.filter((_, t) => positions[t] !== 0);
  const trades = folds.reduce((sum, { strategy }) => sum + strategy.trades, 0);
  const long = concatFloat(folds.map(({ naiveLong }) => naiveLong.net));
  return {
    trades,
    no_trades: trades === 0 ? 1 : 0,
    traded_folds: folds.filter(({ strategy }) => strategy.trades > 0).length,
    hit_rate: mean(active.map((value) => (value > 0 ? 1 : 0))),
    exposure: mean(positions.map(Math.abs)),
    turnover_per_step: folds.reduce((sum, { strategy }) => sum + strategy.turnover, 0) / net.length,
    max_drawdown: maxDrawdown(net),
    net_return: net.reduce((equity, value) => equity * (1 + value), 1) - 1,
    sharpe_naive_long: sharpeRatio(long, folds[0]?.naiveLong.periodsPerYear ?? NaN),
  };
}

/** Why these folds give no number, or null. */
function infeasibility(
  folds: readonly FoldEvaluation[],
  metrics: MetricRecord,
  evaluation: EvaluationSettings,
): string | null {
  const oneClass = folds.findIndex(({ scoreAuc }) => Number.isNaN(scoreAuc));
  if (oneClass >= 0 && evaluation.sharpeAggregation === 'concatenated') {
    return `the test rows of fold ${oneClass} are all of one direction; raise evaluation.test_rows`;
  }
  const { trades = 0, traded_folds: tradedFolds = 0 } = metrics;
  if (trades < evaluation.minTrades) {
    return `${trades} trades, fewer than evaluation.min_trades (${evaluation.minTrades})`;
  }
  if (tradedFolds < evaluation.minTradedFolds) {
    return `trades in ${tradedFolds} folds, fewer than evaluation.min_traded_folds (${evaluation.minTradedFolds})`;
  }
  return null;
}

/**
 * The metrics of a trial from its folds (at least one): `auc` and `dir_acc` for the score, `sharpe`, their uncertainty, the strategy's
 * figures, and tests over all test rows. `seed` fixes the bootstrap. Infeasible when a figure of the score is undefined or the trial
 * trades less than the settings ask for.
 */
export function aggregateTrial(
  folds: readonly FoldEvaluation[],
  evaluation: EvaluationSettings,
  seed: number,
): TrialOutcome {
  const net = concatFloat(folds.map(({ strategy }) => strategy.net));
  const pooled = evaluation.sharpeAggregation === 'concatenated';
  const metrics: MetricRecord = {
    ...(pooled ? pooledScore(folds, evaluation) : v6Score(folds, evaluation)),
    ...sharpeMetrics(folds, net, evaluation, seed),
    ...strategyMetrics(folds, net),
    ...pooledTests(folds, evaluation),
    folds: folds.length,
  };
  const message = infeasibility(folds, metrics, evaluation);
  return message === null ? { kind: 'complete', metrics } : { kind: 'infeasible', message };
}

/** What a fold adds to a trial's reported metrics while the trial still runs. */
export const foldProgress = ({ scoreAuc, metrics, strategy }: FoldEvaluation): MetricRecord => ({
  auc: scoreAuc,
  dir_acc: metrics['DirAcc'] ?? NaN,
  sharpe: strategy.sharpe,
  trades: strategy.trades,
});

/**
 * What a failed trial reports under `failure_value: zero`, where the original scored failures 0 (hermite-model.md §18.11); null when
 * failures are a state of their own.
 */
export const failureMetrics = (evaluation: EvaluationSettings): MetricRecord | null =>
  evaluation.failureValue === 'zero' ? { auc: 0, dir_acc: 0, sharpe: NaN } : null;

/** Mean and population standard deviation of every fold metric, NaN skipped (hermite-model.md §15); for reports. */
export function foldSummary(
  folds: readonly FoldEvaluation[],
): Readonly<Record<string, { mean: number; sd: number }>> {
  const keys = new Set(folds.flatMap(({ metrics }) => Object.keys(metrics)));
  return Object.fromEntries(
    [...keys].map((key) => {
      const values = folds.map(({ metrics }) => metrics[key] ?? NaN).filter((value) => !Number.isNaN(value));
      const center = mean(values);
      return [key, { mean: center, sd: Math.sqrt(mean(values.map((value) => (value - center) ** 2))) }];
    }),
  );
}
