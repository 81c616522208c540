/** How the original turned fold records into a score (hermite-model.md §17.4, 17.5), kept for comparison. §18.7 says what is wrong. */
import { mean, variance } from '../../shared/core/metrics/numbers.js';
import type { MetricRecord } from './forecast-record.js';

/** Values of a key over folds, `absent` where a fold lacks it. */
const valuesOf = (folds: readonly MetricRecord[], key: string, absent: number): number[] =>
  folds.map((fold) => fold[key] ?? absent);

const meanOr = (values: readonly number[], fallback: number): number =>
  values.length === 0 ? fallback : mean(values);

/** In [0, 1]; NaN is not. */
const isShare = (value: number): boolean => value >= 0 && value <= 1;

export interface Stage1Attributes {
  readonly auc: number;
  readonly dirAcc: number;
  /** NaN when no fold has one. */
  readonly sharpe: number;
  readonly validAuc: number;
  readonly validDirAcc: number;
}

/** Means over the folds where a figure is defined and plausible; an absent share counts as ½. */
export function stage1Attributes(folds: readonly MetricRecord[]): Stage1Attributes {
  const aucs = valuesOf(folds, 'AUC', 0.5).filter(isShare);
  const accuracies = valuesOf(folds, 'DirAcc', 0.5).filter(isShare);
  const sharpes = valuesOf(folds, 'Sharpe_strategy', NaN).filter((value) => !Number.isNaN(value));
  return {
    auc: meanOr(aucs, 0.5),
    dirAcc: meanOr(accuracies, 0.5),
    sharpe: meanOr(sharpes, NaN),
    validAuc: aucs.length,
    validDirAcc: accuracies.length,
  };
}

/** 0.70·AUC + 0.30·DirAcc; 0 without folds or result, as failures scored in the original. */
export function stage1ValueV6(folds: readonly MetricRecord[] | null): number {
  if (folds === null || folds.length === 0) return 0;
  const { auc, dirAcc } = stage1Attributes(folds);
  return 0.7 * auc + 0.3 * dirAcc;
}

export interface Stage2Result {
  readonly value: number;
  readonly sharpeMean: number;
  /** Population standard deviation. */
  readonly sharpeDeviation: number;
  readonly sharpeMin: number;
  readonly sharpeMax: number;
  readonly validSharpe: number;
  readonly droppedSharpe: number;
  readonly auc: number;
  readonly dirAcc: number;
  readonly warning: 'sharpe_too_high' | 'sharpe_high_variance' | 'too_few_valid_folds' | null;
}

/** The stage-2 script: mean of the finite fold Sharpe ratios, −∞ without any. Later warnings replace earlier ones. */
export function stage2ScriptV6(folds: readonly MetricRecord[] | null): Stage2Result {
  const all = valuesOf(folds ?? [], 'Sharpe_strategy', NaN);
  const valid = all.filter(Number.isFinite);
  const sharpeMean = meanOr(valid, NaN);
  const sharpeDeviation = Math.sqrt(variance(valid, 0));
  let warning: Stage2Result['warning'] = null;
  if (sharpeMean > 10) warning = 'sharpe_too_high';
  if (sharpeDeviation > 3) warning = 'sharpe_high_variance';
  if (valid.length > 0 && valid.length < 3) warning = 'too_few_valid_folds';
  const defined = (key: string): number =>
    meanOr(
      valuesOf(folds ?? [], key, NaN).filter((value) => !Number.isNaN(value)),
      NaN,
    );
  return {
    value: valid.length === 0 ? -Infinity : sharpeMean,
    sharpeMean,
    sharpeDeviation,
    sharpeMin: valid.length === 0 ? NaN : Math.min(...valid),
    sharpeMax: valid.length === 0 ? NaN : Math.max(...valid),
    validSharpe: valid.length,
    droppedSharpe: all.length - valid.length,
    auc: defined('AUC'),
    dirAcc: defined('DirAcc'),
    warning,
  };
}

const briefingPenalty = -10;

/** The briefing's rule: mean over all folds, an absent Sharpe counting 0; −10 when one is NaN. */
export function stage2BriefingValue(folds: readonly MetricRecord[]): number {
  const value = meanOr(valuesOf(folds, 'Sharpe_strategy', 0), NaN);
  return Number.isNaN(value) ? briefingPenalty : value;
}
