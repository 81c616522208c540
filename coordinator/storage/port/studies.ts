import type { DatasetHash, StudyId, TrialNumber } from '../../../shared/core/ids.js';
import type { StudyDefinition } from '../../../shared/core/study/definition.js';
import type { StudyState, TrialCounts } from '../../../shared/core/study/study.js';
import type { TrialReason, TrialState } from '../../../shared/core/study/trial.js';
import type { CallOptions, StudyTransaction } from './transaction.js';
import type { AttemptRecord, LateResult, TrialRecord, TrialReport } from './trials.js';

export interface NewStudy {
  readonly definition: StudyDefinition;
  /** The study file as the user wrote it. */
  readonly definitionText: string;
  /** SHA-256 of `definitionText`, lower-case hexadecimal. */
  readonly definitionHash: string;
  /** The data set the study is pinned to. */
  readonly dataset: DatasetHash | null;
  readonly createdAtMs: number;
}

export interface StudyRecord extends NewStudy {
  readonly id: StudyId;
  readonly state: StudyState;
  /** Budget in force; starts as `definition.trials` and can be raised or lowered later. */
  readonly trialsMax: number;
  /** Number that the next new trial gets. */
  readonly nextNumber: number;
  /** Finish sequence of the trial that finished last; 0 when none has. */
  readonly finishSequence: number;
}

/** Looks at a study that is about to be removed; throws to keep it. */
export type DeletionCheck = (study: { readonly state: StudyState; readonly running: number }) => void;

export interface TrialPage {
  /** Only trials with a number ≥ this. */
  readonly fromNumber: number;
  readonly limit: number;
  /** Empty = all states. */
  readonly states?: readonly TrialState[];
}

/** Studies, and what is in them. */
export interface StudyStore {
  /** Creates a study, and its enqueued trials as WAITING ones with the first numbers. Null when the name is taken. */
  createStudy(study: NewStudy): Promise<StudyRecord | null>;
  findStudy(name: string): Promise<StudyRecord | null>;
  /** By id, ascending. */
  listStudies(): Promise<readonly StudyRecord[]>;
  /**
   * Removes the study with all it owns. False when there is none. Data sets stay. `check` is called under the study's
   * lock; where it throws, nothing is removed and `deleteStudy` rejects with its error.
   */
  deleteStudy(id: StudyId, check?: DeletionCheck): Promise<boolean>;

  /**
   * Runs `work` in a transaction that holds the lock on the study's row; what it wrote is committed when it resolves, and
   * nothing of it when it rejects. Calls that come while a transaction is under way share the next one, and run in it
   * one after the other, in the order in which they came; each sees what those before it wrote. `work` may run more than
   * once (serialization failures, a failure beside it), so it has no effects besides. Null when the study does not exist.
   */
  inStudy<T>(
    id: StudyId,
    work: (transaction: StudyTransaction) => Promise<T>,
    options?: CallOptions,
  ): Promise<T | null>;

  /** By number, ascending. */
  listTrials(study: StudyId, page: TrialPage): Promise<readonly TrialRecord[]>;
  countTrials(study: StudyId): Promise<TrialCounts>;
  /** Ended attempts by outcome; outcomes that never happened are absent. */
  countAttempts(study: StudyId): Promise<Readonly<Partial<Record<TrialReason, number>>>>;
  listAttempts(study: StudyId, number: TrialNumber): Promise<readonly AttemptRecord[]>;
  listLateResults(study: StudyId): Promise<readonly LateResult[]>;
  listReports(study: StudyId, number: TrialNumber): Promise<readonly TrialReport[]>;
  /** Finished trials of a study beyond a finish sequence, in that order, `limit` at most; waits for no lock. */
  listFinished(study: StudyId, finishSequence: number, limit: number): Promise<readonly TrialRecord[]>;
}
