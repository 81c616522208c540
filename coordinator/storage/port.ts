/**
 * What the coordinator needs from its store. Two implementations (memory, PostgreSQL) pass one contract suite,
 * `test/contract/storage.ts`.
 *
 * Rules that both keep:
 * - Whatever a method acknowledges is durable (memory: until the process ends).
 * - All changes to a study's trials happen inside `inStudy`, which holds the study's row lock; so numbers and finish
 *   sequences become visible in increasing order, and what a transaction reads of its study is committed.
 * - Time is an argument, in UTC milliseconds; the store has no clock.
 * - NaN and ±Infinity survive in metrics, values and reports.
 * - A failure of the store itself is a `StorageUnavailable`; anything else thrown is a bug.
 */
import type { Role, TokenView } from '../../shared/core/access.js';
import type {
  DatasetHash,
  LeaseToken,
  RequestId,
  StudyId,
  TrialNumber,
  WorkerId,
} from '../../shared/core/ids.js';
import type { Params } from '../../shared/core/space/parameter.js';
import type { SamplerSettings } from '../../shared/core/sampler/sampler.js';
import type { Objective, StudyDefinition } from '../../shared/core/study/definition.js';
import type { DatasetView, LeaseAnswer, StudyState, TrialCounts } from '../../shared/core/study/study.js';
import type { Metrics, TrialReason, TrialState } from '../../shared/core/study/trial.js';

export type { LeaseAnswer, StudyState, TrialCounts };

/** The store cannot be reached or refuses work right now; the caller may try again. */
export class StorageUnavailable extends Error {
  override readonly name = 'StorageUnavailable';
}

/** A request id has led to an attempt before, in this study or another: look for it with `findRequest`. */
export class RequestTaken extends Error {
  override readonly name = 'RequestTaken';

  constructor(options?: ErrorOptions) {
    super('a request already led to an attempt', options);
  }
}

/** Whoever made the call had gone before its turn came: nothing was done. */
export class CallEnded extends Error {
  override readonly name = 'CallEnded';

  constructor() {
    super('the call ended before its turn came');
  }
}

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

export interface WorkerRecord {
  readonly id: WorkerId;
  readonly host: string;
  readonly gpuUuid: string | null;
  readonly gpuName: string;
  readonly gpuMemoryBytes: number | null;
  readonly slots: number;
  readonly runtime: string;
  readonly version: string;
  /** Name of the one study that the worker works for; null for any. */
  readonly study: string | null;
  /** Trainers that the worker can run; empty for any. */
  readonly trainers: readonly string[];
  readonly registeredAtMs: number;
  readonly lastSeenAtMs: number;
}

/** A stored data set; `name` is the newest under which it was stored. */
export type DatasetRecord = DatasetView;

/** What a look at the whole store asks for. */
export interface OverviewRequest {
  readonly nowMs: number;
  /** Studies that are over and whose last trial finished before this are left out. */
  readonly finishedSinceMs: number;
  /** Studies at most, the newest ones. */
  readonly studiesMax: number;
  /** Workers last seen before this are left out … */
  readonly workersSinceMs: number;
  /** … and those last seen before this count as lost. */
  readonly aliveSinceMs: number;
  /** Finish sequences up to which the finished trials of a study are known already; 0 for a study that is not in it. */
  readonly known: ReadonlyMap<StudyId, number>;
}

/** The store at one moment; what finished is told from the known finish sequence on, so that a look costs what is new. */
export interface Overview {
  /** Newest first. */
  readonly studies: readonly StudyOverview[];
  /** Studies left out because there are more than `studiesMax`. */
  readonly studiesOmitted: number;
  /** Age of the oldest expired lease, ms; 0 when there is none. */
  readonly leaseOverdueMs: number;
  readonly workers: Readonly<Record<'idle' | 'busy' | 'lost', number>>;
}

export interface StudyOverview {
  readonly id: StudyId;
  readonly name: string;
  readonly state: StudyState;
  readonly sampler: SamplerSettings['type'];
  readonly objectives: readonly Pick<Objective, 'name' | 'direction'>[];
  readonly trialsMax: number;
  readonly nextNumber: number;
  readonly finishSequence: number;
  readonly waiting: number;
  readonly running: number;
  /** Trials that finished after the known finish sequence, by state; absent states have none. */
  readonly finished: Readonly<Partial<Record<TrialState, number>>>;
  /** Per objective; what no COMPLETE trial after the known finish sequence gave is absent. */
  readonly values: readonly ObjectiveOverview[];
}

/** Values of one objective in the COMPLETE trials after the known finish sequence. */
export interface ObjectiveOverview {
  /** Position of the objective. */
  readonly objective: number;
  readonly best: number;
  /** When the best finished; the first of equals. */
  readonly bestAtMs: number;
  /** Of finite values that a trainer reported (a value that the failure policy set is left out): how many, … */
  readonly count: number;
  readonly mean: number;
  /** … and the sum of their squared distances from the mean. */
  readonly squares: number;
}

/** Connections to the database, of this process. */
export interface ConnectionCounts {
  readonly idle: number;
  readonly busy: number;
  /** Calls that wait for a connection. */
  readonly waiting: number;
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

/** The fate of one transaction. */
export interface Commitment {
  /** The study's finish sequence before this transaction: trials beyond it finished in it. */
  readonly finishSequenceBefore: number;
  /** True from the moment that its commit is known to have happened. */
  readonly committed: boolean;
}

/** What a function given to `inStudy` is going to look up, so that a store can read it together with the study's row. */
export interface Lookups {
  /** For `attemptByRequest`. */
  readonly request?: RequestId;
  /** For `attemptByToken`, and the trial that it is the lease of. */
  readonly token?: LeaseToken;
}

/** Looks at a study that is about to be removed; throws to keep it. */
export type DeletionCheck = (study: { readonly state: StudyState; readonly running: number }) => void;

/** What a store is told of a call on a study. */
export interface CallOptions extends Lookups {
  /** Aborts when nobody waits for the answer any more: a call whose turn has not come by then rejects with `CallEnded`. */
  readonly signal?: AbortSignal;
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

export interface TrialPage {
  /** Only trials with a number ≥ this. */
  readonly fromNumber: number;
  readonly limit: number;
  /** Empty = all states. */
  readonly states?: readonly TrialState[];
}

export interface Storage {
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

  /**
   * Stores a report if `token` is still the trial's lease, once per step (a repeated step overwrites), and moves the
   * lease's expiry, never back. Answers what the worker should do.
   */
  report(token: LeaseToken, report: TrialReport, leaseExpiresAtMs: number): Promise<LeaseAnswer>;
  /** Moves the expiry of every lease that still holds, never back. One answer per token, in order. */
  extendLeases(tokens: readonly LeaseToken[], leaseExpiresAtMs: number): Promise<readonly LeaseAnswer[]>;
  /** Finished trials of a study beyond a finish sequence, in that order, `limit` at most; waits for no lock. */
  listFinished(study: StudyId, finishSequence: number, limit: number): Promise<readonly TrialRecord[]>;
  /** The trial that a token was ever given for; null when the token is unknown. */
  findLease(token: LeaseToken): Promise<LeasePlace | null>;
  /** The leases that these asks led to; requests that led to none are absent. */
  findRequests(requestIds: readonly RequestId[]): Promise<ReadonlyMap<RequestId, LeasePlace>>;
  /** Leases that ended before `nowMs`, oldest first, `limit` at most. */
  expiredLeases(
    nowMs: number,
    limit: number,
  ): Promise<readonly { study: StudyId; number: TrialNumber; token: LeaseToken }[]>;

  /** Inserts or refreshes a worker by id (registeredAtMs stays). */
  putWorker(worker: WorkerRecord): Promise<void>;
  /** Notes signs of life, never an earlier one; answers which of the workers are known. */
  touchWorkers(seen: ReadonlyMap<WorkerId, number>): Promise<ReadonlySet<WorkerId>>;
  /** Those of the workers that are known. */
  findWorkers(ids: readonly WorkerId[]): Promise<readonly WorkerRecord[]>;
  listWorkers(): Promise<readonly WorkerRecord[]>;

  /** Stores a data set's canonical bytes, chunk by chunk in one transaction; a known hash only takes the new name. */
  putDataset(dataset: DatasetRecord, chunks: Iterable<Uint8Array>): Promise<void>;
  /** By exact hash, by name (newest under that name), or by a hash prefix of at least 8 digits that is unique. */
  findDataset(nameOrHash: string): Promise<DatasetRecord | null>;
  listDatasets(): Promise<readonly DatasetRecord[]>;
  /** The chunks of a data set in order; empty when the hash is unknown. */
  readDataset(hash: DatasetHash): AsyncIterable<Uint8Array>;

  /** Stores a new token. False when the name was ever given to one. */
  putToken(token: NewToken): Promise<boolean>;
  /** The token with this hash, valid or revoked. */
  findToken(sha256: string): Promise<TokenView | null>;
  /** By time of creation, revoked ones included. */
  listTokens(): Promise<readonly TokenView[]>;
  /** Revokes a token for good; its first revocation counts. False when there is no token of that name. */
  revokeToken(name: string, revokedAtMs: number): Promise<boolean>;

  /** The whole store at a glance, in one read of one moment. Costs no more than what finished since the known moment. */
  overview(request: OverviewRequest): Promise<Overview>;
  /** Null for a store without connections. Looks at nothing but this process. */
  connections(): ConnectionCounts | null;

  close(): Promise<void>;
}

/** A token to be stored: its hash stands for the secret, which is kept nowhere. */
export interface NewToken {
  readonly name: string;
  readonly role: Role;
  /** Lower-case hexadecimal SHA-256 of the secret; unique. */
  readonly sha256: string;
  readonly createdAtMs: number;
}
