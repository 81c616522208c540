import type { Params, Space } from '../space/parameter.js';

export type Direction = 'minimize' | 'maximize';
/** Which release's rules TPE follows (tpe.md §2). */
export type TpeRules = 'optuna-4' | 'optuna-5';

export interface RandomSettings {
  readonly type: 'random';
  /** 0 ≤ seed < 2³². */
  readonly seed: number;
}

export interface TpeSettings {
  readonly type: 'tpe';
  /** 0 ≤ seed < 2³². */
  readonly seed: number;
  /** Random sampling until this many COMPLETE and PRUNED trials exist. */
  readonly startupTrials: number;
  /** Candidates per suggestion, ≥ 1. */
  readonly eiCandidates: number;
  readonly multivariate: boolean;
  /** Several independent joint spaces (tpe.md §5.2); implies multivariate. */
  readonly group: boolean;
  readonly constantLiar: boolean;
  readonly rules: TpeRules;
}

export type SamplerSettings = RandomSettings | TpeSettings;

/** A value reported by a trial while it ran. `value` may be NaN or infinite. */
export interface Report {
  readonly step: number;
  readonly value: number;
}

/** A COMPLETE trial as the sampler sees it. `params` may lie off the grid (enqueued values are used as given). */
export interface CompletedTrial {
  readonly state: 'COMPLETE';
  readonly number: number;
  readonly params: Params;
  /** One per direction; never NaN, may be infinite. */
  readonly values: readonly number[];
  /** Constraint values; a positive one is violated. Absent: the trial carries none. */
  readonly constraints?: readonly number[];
  /**
   * The parameters as this trial was asked for them, where they differ from the request's space (a changed range).
   * Absent: the request's. Values of names that neither space has are ignored.
   */
  readonly space?: Space;
}

export interface PrunedTrial {
  readonly state: 'PRUNED';
  readonly number: number;
  readonly params: Params;
  /** The report with the largest step, or null when the trial reported nothing. */
  readonly lastReport: Report | null;
  readonly constraints?: readonly number[];
  /**
   * The parameters as this trial was asked for them, where they differ from the request's space (a changed range).
   * Absent: the request's. Values of names that neither space has are ignored.
   */
  readonly space?: Space;
}

/** FAIL and CANCELLED trials are not part of a history: the sampler never sees them. */
export type FinishedTrial = CompletedTrial | PrunedTrial;

export interface RunningTrial {
  readonly number: number;
  readonly params: Params;
  /**
   * The parameters as this trial was asked for them, where they differ from the request's space (a changed range).
   * Absent: the request's. Values of names that neither space has are ignored.
   */
  readonly space?: Space;
}

/** What one suggestion depends on, and nothing else. */
export interface SuggestRequest {
  readonly space: Space;
  readonly directions: readonly Direction[];
  readonly settings: SamplerSettings;
  /** Number of the trial being suggested for; selects its random stream together with the seed. */
  readonly number: number;
  /** In number order. */
  readonly finished: readonly FinishedTrial[];
  /** In number order, without the trial being suggested for. */
  readonly running: readonly RunningTrial[];
  /** Values given from outside (queue, study file); they win over suggestions even off the grid. */
  readonly fixed?: Params;
}
