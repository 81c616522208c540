import type { PoolClient } from 'pg';
import { assert } from '../../../shared/core/assert.js';
import { trialNumber, type LeaseToken, type RequestId, type TrialNumber } from '../../../shared/core/ids.js';
import type { Params } from '../../../shared/core/space/parameter.js';
import { isFinished } from '../../../shared/core/study/transition.js';
import {
  canonicalAttempt,
  canonicalAttemptEnd,
  canonicalLateResult,
  canonicalRequest,
  canonicalToken,
  canonicalTrial,
  canonicalWhole,
  type AttemptEnd,
  type TrialFields,
} from '../canonical.js';
import type {
  AttemptRecord,
  Commitment,
  LateResult,
  LeasedTrial,
  LeasePlace,
  RunningParams,
  StudyRecord,
  StudyState,
  StudyTransaction,
  TrialRecord,
} from '../port.js';
import type { ReadAhead } from './read-ahead.js';
import { query } from './query.js';
import {
  decodeAttempt,
  decodeLeasePlace,
  decodeTrial,
  type AttemptRow,
  type LeaseRow,
  type TrialRow,
} from './rows.js';
import { attemptsByTokens, leasesByRequests } from './statements/attempts.js';
import type { Statement } from './statements/statement.js';
import { updateStudy } from './statements/studies.js';
import {
  finishedAfter,
  lockTrial,
  runningParams,
  runningTrials,
  trialByEnqueueRequest,
  waitingTrials,
} from './statements/trials.js';
import { versionAfter, type StudyPicture, type StudyVersion } from './study-picture.js';
import { WriteBehind } from './write-behind.js';

export interface TransactionOptions {
  readonly client: PoolClient;
  /** The study as it was locked. */
  readonly study: StudyRecord;
  /** The study's version before this transaction. */
  readonly version: StudyVersion;
  /** Checked against `version`. */
  readonly picture: StudyPicture;
  /** Had the picture this version? */
  readonly continues: boolean;
  readonly ahead: ReadAhead;
  /** Makes the error that leaves the store. */
  readonly translate: (error: unknown) => unknown;
}

/**
 * A transaction that holds the lock on its study's row, on a connection that pipelines.
 *
 * Few round trips: what its callers said that they would look up came with the lock; what waits and runs is known from
 * this process's own last transaction, unless another process changed the study since; and what is written is kept here
 * until the commit and sent with it, one statement per kind. Nobody else changes the study meanwhile, so what a write will
 * leave is known beforehand.
 */
export class PostgresTransaction implements StudyTransaction {
  readonly #options: TransactionOptions;
  #study: StudyRecord;
  /** What the commit leaves. */
  #version: StudyVersion;
  /** Rows that cannot change beside this transaction: locked, or not running. */
  readonly #stored: Map<TrialNumber, TrialRecord>;
  /** Running trials as this process knows them, not locked: see `leased`. */
  readonly #assumed = new Map<TrialNumber, TrialRecord>();
  readonly #writes = new WriteBehind();
  #failure: { readonly error: unknown } | null = null;
  readonly commitment: Commitment & { committed: boolean };

  constructor(options: TransactionOptions) {
    this.#options = options;
    this.#study = options.study;
    this.#version = options.version;
    this.#stored = new Map(options.ahead.trials.map((trial) => [trial.number, trial]));
    const { study, continues } = options;
    this.commitment = { finishSequenceBefore: study.finishSequence, committed: false, continues };
  }

  /** The first error of any operation, as `pg` gave it; such a transaction cannot commit. */
  get failure(): { readonly error: unknown } | null {
    return this.#failure;
  }

  /** Sends what was kept back; right before the commit. */
  flush(): void {
    const { study, version } = this.#options;
    const statements = this.#writes.statements(study.id);
    if (statements.length === 0 && this.#study === study) return;
    const { id, state, trialsMax, nextNumber, finishSequence } = this.#study;
    this.#version = versionAfter(version);
    const { changes, tag } = this.#version;
    this.#send(updateStudy, [id, state, trialsMax, nextNumber, finishSequence, changes, tag]);
    for (const [statement, values] of statements) this.#send(statement, values);
  }

  /** The commit has happened. */
  committed(): void {
    this.commitment.committed = true;
    this.#options.picture.apply(this.#version, this.#writes.written());
  }

  study(): StudyRecord {
    return this.#study;
  }

  setStudy(change: { readonly state?: StudyState; readonly trialsMax?: number }): Promise<void> {
    return this.#run(() => {
      const { state = this.#study.state, trialsMax = this.#study.trialsMax } = change;
      this.#study = { ...this.#study, state, trialsMax: canonicalWhole(trialsMax) };
    });
  }

  trial(number: TrialNumber): Promise<TrialRecord | null> {
    return this.#run(() => this.#current(number));
  }

  trialByEnqueueRequest(requestId: RequestId): Promise<TrialRecord | null> {
    return this.#run(async () => {
      const wanted = canonicalRequest(requestId);
      for (const trial of this.#writes.trials()) if (trial.enqueueRequestId === wanted) return trial;
      const [stored] = await this.#readTrials(trialByEnqueueRequest, [wanted]);
      return stored === undefined ? null : (this.#writes.trial(stored.number) ?? stored);
    });
  }

  nextWaiting(gpuMemoryBytes: number | null): Promise<TrialRecord | null> {
    return this.#run(async () => {
      const memory = gpuMemoryBytes === null ? null : canonicalWhole(gpuMemoryBytes);
      const stored = await this.#waiting();
      let next: TrialRecord | null = null;
      const consider = (trial: TrialRecord): void => {
        const floor = trial.memoryFloorBytes;
        const fits = floor === null || (memory !== null && memory > floor);
        if (fits && (next === null || trial.number < next.number)) next = trial;
      };
      for (const trial of stored.values()) if (!this.#writes.has(trial.number)) consider(trial);
      for (const trial of this.#writes.trials()) if (trial.state === 'WAITING') consider(trial);
      return next;
    });
  }

  waiting(): Promise<readonly TrialRecord[]> {
    return this.#run(async () => {
      const waiting: TrialRecord[] = [];
      for (const trial of (await this.#waiting()).values())
        if (!this.#writes.has(trial.number)) waiting.push(trial);
      for (const trial of this.#writes.trials()) if (trial.state === 'WAITING') waiting.push(trial);
      return waiting.sort((left, right) => left.number - right.number);
    });
  }

  finishedAfter(finishSequence: number, limit: number): Promise<readonly TrialRecord[]> {
    return this.#run(async () => {
      const { picture, study } = this.#options;
      const stored =
        picture.finishedAfter(finishSequence, study.finishSequence) ??
        (await this.#readTrials(finishedAfter, [finishSequence, limit]));
      const own = this.#writes.finished.filter((trial) => (trial.finishSequence ?? 0) > finishSequence);
      return [...stored, ...own].slice(0, limit);
    });
  }

  running(): Promise<readonly TrialRecord[]> {
    return this.#run(async () => {
      const stored = await this.#readTrials(runningTrials, []);
      const own = Array.from(this.#writes.trials()).filter(({ state }) => state === 'RUNNING');
      const others = stored.filter(({ number }) => !this.#writes.has(number));
      return [...others, ...own].sort((left, right) => left.number - right.number);
    });
  }

  runningParams(): Promise<readonly RunningParams[]> {
    return this.#run(async () => {
      const running: RunningParams[] = [];
      for (const [number, params] of await this.#running())
        if (!this.#writes.has(number)) running.push({ number, params });
      for (const { state, number, params } of this.#writes.trials())
        if (state === 'RUNNING' && params !== null) running.push({ number, params });
      return running.sort((left, right) => left.number - right.number);
    });
  }

  attemptByRequest(requestId: RequestId): Promise<LeasePlace | null> {
    return this.#run(async () => {
      const wanted = canonicalRequest(requestId);
      const own = this.#writes.attemptByRequest(wanted);
      if (own !== null) return { study: this.#study.id, number: own.number, token: own.token };
      const { ahead, client } = this.#options;
      if (ahead.requests.has(wanted)) return ahead.requests.get(wanted) ?? null;
      const [row] = await query<LeaseRow>(client, leasesByRequests, [[wanted]]);
      return row === undefined ? null : decodeLeasePlace(row);
    });
  }

  attemptByToken(token: LeaseToken): Promise<AttemptRecord | null> {
    return this.#run(() => this.#attempt(token));
  }

  leased(token: LeaseToken): Promise<LeasedTrial | null> {
    return this.#run(() => {
      const wanted = canonicalToken(token);
      const attempt = this.#writes.attempt(wanted);
      const known =
        attempt === null
          ? this.#options.picture.leased(wanted)
          : { attempt, trial: this.#writes.trial(attempt.number) };
      const trial = known === null ? null : (this.#writes.trial(known.attempt.number) ?? known.trial);
      if (known === null || trial?.lease?.token !== wanted) return null;
      this.#assumed.set(trial.number, trial);
      return { trial, attempt: known.attempt };
    });
  }

  insertTrial(trial: TrialFields): Promise<TrialRecord> {
    return this.#run(() => {
      const number = trialNumber(this.#study.nextNumber);
      const fields = canonicalTrial(trial);
      this.#study = { ...this.#study, nextNumber: number + 1 };
      return this.#write(number, fields, null);
    });
  }

  updateTrial(trial: Omit<TrialRecord, 'finishSequence'>): Promise<TrialRecord> {
    return this.#run(async () => {
      const assumed = this.#writes.has(trial.number) ? undefined : this.#assumed.get(trial.number);
      const before =
        trial.state === 'COMPLETE' && assumed !== undefined && trial.lastReport === assumed.lastReport
          ? assumed
          : await this.#current(trial.number);
      assert(before !== null, `trial ${trial.number} does not exist`);
      assert(before.finishSequence === null, `trial ${trial.number} is finished and cannot change`);
      // A new attempt has not reported yet, whatever the caller took over from the attempt before.
      const lastReport = trial.attempt === before.attempt ? trial.lastReport : null;
      const fields = canonicalTrial({ ...trial, lastReport }, before);
      return this.#write(trial.number, fields, before);
    });
  }

  insertAttempt(attempt: AttemptRecord): Promise<void> {
    return this.#run(() => {
      assert(attempt.number < this.#study.nextNumber, `trial ${attempt.number} does not exist`);
      this.#writes.putAttempt(canonicalAttempt(attempt));
    });
  }

  endAttempt(token: LeaseToken, end: AttemptEnd): Promise<void> {
    return this.#run(async () => {
      const attempt = await this.#attempt(token);
      assert(attempt !== null && attempt.endedAtMs === null, 'only a running attempt can end');
      this.#writes.endAttempt(attempt, canonicalAttemptEnd(end));
    });
  }

  insertLateResult(result: LateResult): Promise<void> {
    return this.#run(() => this.#writes.putLateResult(canonicalLateResult(result)));
  }

  async #run<T>(operation: () => T | Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      this.#failure ??= { error };
      throw this.#options.translate(this.#failure.error);
    }
  }

  /** Sends a write without waiting; its failure fails the transaction. */
  #send(statement: Statement, values: readonly unknown[]): void {
    query(this.#options.client, statement, values).catch((error: unknown) => {
      this.#failure ??= { error };
    });
  }

  /** The trial as this transaction has it, its row locked if it was running. */
  async #current(number: TrialNumber): Promise<TrialRecord | null> {
    const known =
      this.#writes.trial(number) ??
      this.#stored.get(number) ??
      this.#options.picture.waiting?.get(number) ??
      null;
    if (known !== null || number >= this.#study.nextNumber) return known;
    const [read] = await this.#readTrials(lockTrial, [number]);
    if (read === undefined) return null;
    // What was written while the read was on its way is newer.
    const trial = this.#stored.get(number) ?? read;
    this.#stored.set(number, trial);
    return this.#writes.trial(number) ?? trial;
  }

  async #waiting(): Promise<ReadonlyMap<TrialNumber, TrialRecord>> {
    const { picture } = this.#options;
    return picture.waiting ?? picture.setWaiting(await this.#readTrials(waitingTrials, []));
  }

  async #running(): Promise<ReadonlyMap<TrialNumber, Params>> {
    const { picture, client, study } = this.#options;
    if (picture.running !== null) return picture.running;
    const rows = await query<{ number: number; params: Params }>(client, runningParams, [study.id]);
    return picture.setRunning(rows.map(({ number, params }) => ({ number: trialNumber(number), params })));
  }

  async #readTrials(statement: Statement, values: readonly unknown[]): Promise<readonly TrialRecord[]> {
    const { client, study } = this.#options;
    const rows = await query<TrialRow>(client, statement, [study.id, ...values]);
    return rows.map(decodeTrial);
  }

  async #attempt(token: LeaseToken): Promise<AttemptRecord | null> {
    const wanted = canonicalToken(token);
    const own = this.#writes.attempt(wanted);
    if (own !== null) return own;
    const { ahead, client, study } = this.#options;
    let stored = this.#options.picture.leased(wanted)?.attempt ?? ahead.attempts.get(wanted);
    if (stored === undefined) {
      const [row] = await query<AttemptRow>(client, attemptsByTokens, [study.id, [wanted]]);
      stored = row === undefined ? null : decodeAttempt(row);
      ahead.attempts.set(wanted, stored);
    }
    const end = this.#writes.endOf(wanted);
    return stored === null || end === null ? stored : { ...stored, ...end };
  }

  #write(number: TrialNumber, fields: TrialFields, stored: TrialRecord | null): TrialRecord {
    const finishSequence = isFinished(fields.state) ? this.#study.finishSequence + 1 : null;
    if (finishSequence !== null) this.#study = { ...this.#study, finishSequence };
    const trial: TrialRecord = { number, ...fields, finishSequence };
    this.#writes.putTrial(trial, stored);
    return trial;
  }
}
