import type { DatasetHash } from '../ids.js';
import type { StudyDefinition } from './definition.js';
import type { TrialReason, TrialState } from './trial.js';

export const studyStates = ['RUNNING', 'PAUSED', 'STOPPED', 'FINISHED'] as const;
/** RUNNING hands out trials; PAUSED and STOPPED do not (STOPPED has cancelled its open trials); FINISHED has used up its budget. */
export type StudyState = (typeof studyStates)[number];

export type TrialCounts = Readonly<Record<TrialState, number>>;

/** What a worker should do with a running trial. */
export type LeaseAnswer = 'ok' | 'cancel' | 'lost';

/** A study as people see it. */
export interface StudyView {
  readonly name: string;
  readonly state: StudyState;
  readonly trialsMax: number;
  readonly counts: TrialCounts;
  /** Finished trials by reason. */
  readonly reasons: Readonly<Partial<Record<TrialReason, number>>>;
  /** Attempts that ended out of memory, retried ones included. */
  readonly oomAttempts: number;
  /** Ended attempts by outcome, retried ones included. */
  readonly attempts: Readonly<Partial<Record<TrialReason, number>>>;
  readonly definition: StudyDefinition;
  readonly definitionText: string;
  readonly definitionHash: string;
  readonly dataset: DatasetHash | null;
  readonly createdAtMs: number;
  /** The best trial, or the Pareto front; empty while none is COMPLETE. */
  readonly best: readonly number[];
  readonly workersAlive: number;
}

/** A stored data set as people see it. */
export interface DatasetView {
  readonly hash: DatasetHash;
  readonly name: string;
  readonly layout: string;
  readonly rows: number;
  readonly firstTimeMs: number;
  readonly lastTimeMs: number;
  readonly bytes: number;
  readonly createdAtMs: number;
}

/** The outcome of recomputing a study's suggestions from what is stored. */
export interface Verification {
  /** Suggestions looked at, the differing one included. */
  readonly suggestions: number;
  /** The first trial, in number order, that is not what the sampler makes of what it saw, or whose row is unsound; null: none. */
  readonly difference: {
    readonly number: number;
    /** A parameter's name, or the part of the trial: `values`, `reason`, `watermark`, `finishSequence`, … */
    readonly field: string;
    /** As JSON text. */
    readonly stored: string;
    readonly recomputed: string;
  } | null;
}

/** Trials that are in a finished state. */
export const finishedCount = ({ COMPLETE, PRUNED, FAIL, CANCELLED }: TrialCounts): number =>
  COMPLETE + PRUNED + FAIL + CANCELLED;
