import type { LeaseToken, RequestId, StudyId, TrialNumber, WorkerId } from '../../../shared/core/ids.js';
import type { Params } from '../../../shared/core/space/parameter.js';
import type { Metrics, TrialReason, TrialState } from '../../../shared/core/study/trial.js';

export interface Lease {
  readonly token: LeaseToken;
  readonly expiresAtMs: number;
  readonly worker: WorkerId;
  readonly gpuUuid: string | null;
  /** The worker's memory at the time of the lease, bytes; null when unknown. */
  readonly gpuMemoryBytes: number | null;
}

/** What a suggestion saw: every trial finished up to `finishSequence`, and these running ones. */
export interface Watermark {
  readonly finishSequence: number;
  /** Numbers of the other running trials, ascending. */
  readonly running: readonly number[];
}

/** Attempts that ended without a result, by what they count against. */
export interface RetryCounts {
  readonly error: number;
  readonly timeout: number;
  /** Lost and preempted. */
  readonly lost: number;
}

export interface TrialRecord {
  readonly number: TrialNumber;
  readonly state: TrialState;
  readonly reason: TrialReason | null;
  /** Values given from outside (enqueue); null for a trial that the sampler made whole. */
  readonly given: Params | null;
  /** Complete parameters; null only while WAITING and never suggested for. */
  readonly params: Params | null;
  readonly offGrid: boolean;
  readonly values: readonly number[];
  readonly metrics: Metrics;
  readonly attempt: number;
  readonly retries: RetryCounts;
  /** Present exactly while RUNNING. */
  readonly lease: Lease | null;
  /** Smallest memory (exclusive) that the next attempt's GPU must have, bytes; set after an out-of-memory. */
  readonly memoryFloorBytes: number | null;
  readonly watermark: Watermark | null;
  /** Worker of the latest attempt. */
  readonly worker: WorkerId | null;
  readonly message: string;
  /** A cancel was asked for; the worker learns of it with its next heartbeat or report. */
  readonly cancelRequested: boolean;
  /** The report with the largest step of the latest attempt. */
  readonly lastReport: TrialReport | null;
  /** The enqueue call that made this trial, so that a repeated call finds it; null for all others. Unique per study. */
  readonly enqueueRequestId: RequestId | null;
  readonly createdAtMs: number;
  /** Start of the first attempt. */
  readonly startedAtMs: number | null;
  readonly finishedAtMs: number | null;
  /** Position in the order of finishing, from 1; present exactly when the trial is finished. */
  readonly finishSequence: number | null;
}

export interface TrialReport {
  readonly step: number;
  readonly metrics: Metrics;
}

/** How one attempt went; one row per lease ever given. */
export interface AttemptRecord {
  readonly number: TrialNumber;
  readonly attempt: number;
  readonly token: LeaseToken;
  /** The ask that led to it; unique, so that a repeated ask finds its answer. */
  readonly requestId: RequestId;
  readonly worker: WorkerId;
  readonly gpuUuid: string | null;
  readonly startedAtMs: number;
  readonly endedAtMs: number | null;
  /** Null while it runs. */
  readonly outcome: TrialReason | null;
  readonly message: string;
  readonly peakMemoryBytes: number | null;
}

/** A result that came under a lease that was no longer valid: evidence, without effect. */
export interface LateResult {
  readonly number: TrialNumber;
  readonly token: LeaseToken;
  readonly worker: WorkerId;
  readonly receivedAtMs: number;
  readonly outcome: TrialReason;
  readonly metrics: Metrics;
  readonly message: string;
}

/** Where a lease was given. */
export interface LeasePlace {
  readonly study: StudyId;
  readonly number: TrialNumber;
  readonly token: LeaseToken;
}

/** A running trial as other suggestions see it. */
export interface RunningParams {
  readonly number: TrialNumber;
  readonly params: Params;
}
