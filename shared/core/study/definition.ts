import type { Direction, SamplerSettings } from '../sampler/sampler.js';
import type { Params, ParameterValue, Space } from '../space/parameter.js';

/**
 * One objective value of a trial: a weighted sum of reported metrics, `Σ weight · metric`.
 * A trial that does not report one of them, or reports NaN, has failed.
 */
export interface Objective {
  readonly name: string;
  readonly direction: Direction;
  readonly weights: Readonly<Record<string, number>>;
}

/** What a reason of failure leads to (architecture §5). */
export interface FailurePolicy {
  /** `retry-bigger-gpu`: WAITING for a GPU with more memory if one is alive, otherwise PRUNED. */
  readonly oom: 'retry-bigger-gpu' | 'prune' | 'fail';
  /** `value`: COMPLETE with `divergedValue` for every objective. */
  readonly diverged: 'value' | 'prune' | 'fail';
  readonly divergedValue: number;
  /** Retries after `error`, then FAIL. */
  readonly errorRetriesMax: number;
  /** Retries after `timeout`, then FAIL. */
  readonly timeoutRetriesMax: number;
  /** Times a trial may be lost or preempted before it FAILs. */
  readonly lostRetriesMax: number;
  /** Seconds without a report or sign of progress after which an attempt counts as timed out. */
  readonly stallTimeoutSeconds: number;
  /** Seconds after which an attempt is timed out in any case. */
  readonly trialTimeoutSeconds: number;
}

/** A market made from numbers, openly named; never a silent substitute for a real one. */
export interface SyntheticMarket {
  readonly seed: number;
  readonly bars: number;
  /** Hourly volatility of log returns. */
  readonly volatility: number;
  /** Correlation planted between a bar's return and the next one's; 0 = nothing to predict. */
  readonly signal: number;
}

/** A stored data set by name or hash. */
export interface StoredData {
  readonly kind: 'dataset';
  readonly dataset: string;
  /** Keeps only the newest that many, null keeps all. */
  readonly bars: number | null;
  /** Gives each bar's move a coin's sign, so that nothing is left to predict (`randomSigns`); not there: the market as it was. */
  readonly randomSigns?: { readonly seed: number };
}

export type DataSource =
  | { readonly kind: 'none' }
  | StoredData
  | { readonly kind: 'synthetic'; readonly name: string; readonly market: SyntheticMarket };

/** A study as its file states it, checked and with every default filled in. */
export interface StudyDefinition {
  readonly name: string;
  readonly objectives: readonly Objective[];
  /** Budget: trials in the study, finished ones of all runs included. */
  readonly trials: number;
  readonly sampler: SamplerSettings;
  readonly space: Space;
  /** Parameters that every trial gets unchanged, beside those of the space. */
  readonly fixed: Params;
  /** Trials to try first, in order; values may lie off the grid, missing parameters are suggested. */
  readonly enqueue: readonly Params[];
  readonly trainer: string;
  readonly data: DataSource;
  /** Settings of the trainer's evaluation; checked against its schema. */
  readonly evaluation: Readonly<Record<string, ParameterValue | readonly ParameterValue[]>>;
  readonly failure: FailurePolicy;
}
