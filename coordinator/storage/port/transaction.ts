import type { LeaseToken, RequestId, TrialNumber } from '../../../shared/core/ids.js';
import type { StudyState } from '../../../shared/core/study/study.js';
import type { StudyRecord } from './studies.js';
import type { AttemptRecord, LateResult, LeasePlace, RunningParams, TrialRecord } from './trials.js';

/** The fate of one transaction. */
export interface Commitment {
  /** The study's finish sequence before this transaction: trials beyond it finished in it. */
  readonly finishSequenceBefore: number;
  /** True from the moment that its commit is known to have happened. */
  readonly committed: boolean;
  /**
   * Nobody has changed the study since this process's own last transaction on it. False where that is not known: then what this
   * process remembers may be of a state that the database was put back from.
   */
  readonly continues: boolean;
}

/** What a function given to `inStudy` is going to look up, so that a store can read it together with the study's row. */
export interface Lookups {
  /** For `attemptByRequest`. */
  readonly request?: RequestId;
  /** For `attemptByToken`, and the trial that it is the lease of. */
  readonly token?: LeaseToken;
  /** For `leased`; where that finds nothing, as `token`. */
  readonly leased?: LeaseToken;
}

/** A trial that runs, and its attempt. */
export interface LeasedTrial {
  readonly trial: TrialRecord;
  readonly attempt: AttemptRecord;
}

/** What a store is told of a call on a study. */
export interface CallOptions extends Lookups {
  /** Aborts when nobody waits for the answer any more: a call whose turn has not come by then rejects with `CallEnded`. */
  readonly signal?: { readonly aborted: boolean };
}

/** One transaction on one study, its row locked. Usable only until the function given to `inStudy` settles. */
export interface StudyTransaction {
  /** Shared by all functions that run in the same transaction. */
  readonly commitment: Commitment;
  /** The study as it stands inside this transaction (after this transaction's own changes). */
  study(): StudyRecord;
  setStudy(change: { readonly state?: StudyState; readonly trialsMax?: number }): Promise<void>;

  trial(number: TrialNumber): Promise<TrialRecord | null>;
  /** The trial that this enqueue call made; null when it never arrived. */
  trialByEnqueueRequest(requestId: RequestId): Promise<TrialRecord | null>;
  /** The lease that this ask led to, in this study or another; null when there is none. */
  attemptByRequest(requestId: RequestId): Promise<LeasePlace | null>;
  attemptByToken(token: LeaseToken): Promise<AttemptRecord | null>;
  /**
   * The trial that runs under this lease, without a look at the database where the process knows it: its expiry and last
   * report may be older than stored, and go on to change. Good for one thing, `updateTrial` to COMPLETE, which keeps what is
   * stored of both. Null when the lease is not held, or not known; `attemptByToken` and `trial` tell then.
   */
  leased(token: LeaseToken): Promise<LeasedTrial | null>;
  /**
   * The WAITING trial with the lowest number that a GPU with this much memory may run (a trial with a
   * `memoryFloorBytes` needs strictly more; unknown memory satisfies no floor).
   */
  nextWaiting(gpuMemoryBytes: number | null): Promise<TrialRecord | null>;
  /** All WAITING trials in number order. */
  waiting(): Promise<readonly TrialRecord[]>;
  /** Trials with a finish sequence above the given one, in that order, `limit` at most. */
  finishedAfter(finishSequence: number, limit: number): Promise<readonly TrialRecord[]>;
  /** RUNNING trials in number order. Each may have been extended or reported on since it was read: see `trial`. */
  running(): Promise<readonly TrialRecord[]>;
  /** The same trials, only what suggestions need of them; cheap. */
  runningParams(): Promise<readonly RunningParams[]>;

  /** Stores a new trial under `study().nextNumber` and moves that on. */
  insertTrial(trial: Omit<TrialRecord, 'number' | 'finishSequence'>): Promise<TrialRecord>;
  /**
   * Replaces a trial's row. Entering a finished state (COMPLETE, PRUNED, FAIL, CANCELLED) assigns the next finish
   * sequence. Refuses (assertion) to change a trial that was already finished.
   */
  updateTrial(trial: Omit<TrialRecord, 'finishSequence'>): Promise<TrialRecord>;
  /** A request id that is taken fails the transaction with `RequestTaken`, now or when it is to be committed. */
  insertAttempt(attempt: AttemptRecord): Promise<void>;
  endAttempt(
    token: LeaseToken,
    end: Pick<AttemptRecord, 'endedAtMs' | 'outcome' | 'message' | 'peakMemoryBytes'>,
  ): Promise<void>;
  /** Keeps a late result; one per token, a repeated one changes nothing. */
  insertLateResult(result: LateResult): Promise<void>;
}
