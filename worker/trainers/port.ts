import type { Artifact } from '../../shared/core/study/artifact.js';
import type { FailureReason, Metrics } from '../../shared/core/study/trial.js';
import type { Params, ParameterValue } from '../../shared/core/space/parameter.js';

/** Everything a trainer gets to know about one attempt at a trial. Plain JSON: it crosses a process border. */
export interface TrialJob {
  readonly study: string;
  readonly number: number;
  readonly attempt: number;
  /** Searched and fixed parameters together. */
  readonly params: Params;
  /** Seed of this trial, derived from study seed and number; 0 ≤ seed < 2³². */
  readonly seed: number;
  /** Path of the data set's canonical bytes on this machine, or null when the study has none. */
  readonly dataPath: string | null;
  /** The study file's `evaluation` section, as written. */
  readonly evaluation: Readonly<Record<string, ParameterValue | readonly ParameterValue[]>>;
}

export interface TrialDone {
  readonly metrics: Metrics;
  /** Largest memory seen during the attempt, bytes; null when not measured. */
  readonly peakMemoryBytes: number | null;
  /** Files to leave with the trial; none by default. */
  readonly artifacts?: readonly Artifact[];
}

/** What a trial was doing: reading its data, training, or forecasting. */
export type TrialPhase = 'load' | 'fit' | 'predict';

/** An attempt that brought no result, with the reason and a text for people. */
export class TrialFailed extends Error {
  override readonly name = 'TrialFailed';
  readonly reason: FailureReason;
  /** What it was doing, where that is known. */
  readonly phase: TrialPhase | null;

  constructor(
    reason: FailureReason,
    message: string,
    options: ErrorOptions & { readonly phase?: TrialPhase } = {},
  ) {
    super(message, options);
    this.reason = reason;
    this.phase = options.phase ?? null;
  }
}

/** The study asked for the attempt to end early (pruned, cancelled); not an error. */
export class TrialStopped extends Error {
  override readonly name = 'TrialStopped';
}

/**
 * A trainer runs one trial at a time. `report` may be called any number of times with a rising step; it resolves to
 * true when the trial should stop. Rejects with `TrialFailed` for a classified failure; anything else counts as `error`.
 */
export interface Trainer {
  run(job: TrialJob, report: (step: number, metrics: Metrics) => Promise<boolean>): Promise<TrialDone>;
}
