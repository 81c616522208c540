import type { PoolClient } from 'pg';
import { assert } from '../../../shared/core/assert.js';
import { trialNumber, type LeaseToken, type RequestId, type TrialNumber } from '../../../shared/core/ids.js';
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
  LateResult,
  StudyRecord,
  StudyState,
  StudyTransaction,
  TrialRecord,
} from '../port.js';
import { query } from './query.js';
import {
  decodeAttempt,
  decodeTrial,
  encodeAttempt,
  encodeLateResult,
  encodeTrial,
  type AttemptRow,
  type TrialRow,
} from './rows.js';
import {
  attemptByRequest,
  attemptByToken,
  endAttempt,
  insertAttempt,
  insertLateResult,
} from './statements/attempts.js';
import type { Statement } from './statements/statement.js';
import { updateStudy } from './statements/studies.js';
import {
  finishedAfter,
  insertTrial,
  lockTrial,
  nextWaiting,
  runningTrials,
  trialByEnqueueRequest,
  updateTrial,
} from './statements/trials.js';

/**
 * A transaction that holds the lock on its study's row, on a connection that pipelines.
 *
 * Few round trips: reads wait for their answer, writes do not. What a write leaves is known here beforehand, since
 * nobody else changes the study meanwhile; so a write is sent and the transaction goes on, and the commit is sent
 * behind it. A write that fails makes the server refuse everything after it, the commit too. The study's row is
 * written once, with the commit.
 */
export class PostgresTransaction implements StudyTransaction {
  readonly #client: PoolClient;
  readonly #before: StudyRecord;
  #study: StudyRecord;
  /** Rows that cannot change beside this transaction: locked, written here, or not running. */
  readonly #trials = new Map<TrialNumber, TrialRecord>();
  readonly #attempts = new Map<LeaseToken, AttemptRecord>();
  #open = true;
  #failure: { readonly error: unknown } | null = null;
  readonly #translate: (error: unknown) => unknown;

  /** `translate` makes the error that leaves the store. */
  constructor(client: PoolClient, study: StudyRecord, translate: (error: unknown) => unknown) {
    this.#client = client;
    this.#before = study;
    this.#study = study;
    this.#translate = translate;
  }

  /** The first error of any operation, as `pg` gave it; such a transaction cannot commit. */
  get failure(): { readonly error: unknown } | null {
    return this.#failure;
  }

  /** Ends the use by the caller. Answers what is still to be written before the commit. */
  close(): void {
    this.#open = false;
  }

  /** Sends what was kept back. Call after `close`, right before the commit. */
  flush(): void {
    if (this.#study === this.#before) return;
    const { id, state, trialsMax, nextNumber, finishSequence } = this.#study;
    this.#send(updateStudy, [id, state, trialsMax, nextNumber, finishSequence]);
  }

  study(): StudyRecord {
    assert(this.#open, 'a transaction is used only until the function given to inStudy settles');
    return this.#study;
  }

  setStudy(change: { readonly state?: StudyState; readonly trialsMax?: number }): Promise<void> {
    return this.#run(() => {
      const { state = this.#study.state, trialsMax = this.#study.trialsMax } = change;
      this.#study = { ...this.#study, state, trialsMax: canonicalWhole(trialsMax) };
    });
  }

  trial(number: TrialNumber): Promise<TrialRecord | null> {
    return this.#run(() => this.#locked(number));
  }

  trialByEnqueueRequest(requestId: RequestId): Promise<TrialRecord | null> {
    return this.#run(() => this.#readTrial(trialByEnqueueRequest, [canonicalRequest(requestId)]));
  }

  nextWaiting(gpuMemoryBytes: number | null): Promise<TrialRecord | null> {
    return this.#run(async () => {
      const memory = gpuMemoryBytes === null ? null : canonicalWhole(gpuMemoryBytes);
      const trial = await this.#readTrial(nextWaiting, [memory]);
      return trial === null ? null : this.#remember(trial);
    });
  }

  finishedAfter(finishSequence: number, limit: number): Promise<readonly TrialRecord[]> {
    return this.#run(() => this.#readTrials(finishedAfter, [finishSequence, limit]));
  }

  running(): Promise<readonly TrialRecord[]> {
    return this.#run(() => this.#readTrials(runningTrials, []));
  }

  attemptByRequest(requestId: RequestId): Promise<AttemptRecord | null> {
    return this.#run(() => this.#readAttempt(attemptByRequest, canonicalRequest(requestId)));
  }

  attemptByToken(token: LeaseToken): Promise<AttemptRecord | null> {
    return this.#run(() => this.#attempt(token));
  }

  insertTrial(trial: TrialFields): Promise<TrialRecord> {
    return this.#run(() => {
      const fields = canonicalTrial(trial);
      const number = trialNumber(this.#study.nextNumber);
      this.#study = { ...this.#study, nextNumber: number + 1 };
      return this.#writeTrial(insertTrial, number, fields);
    });
  }

  updateTrial(trial: Omit<TrialRecord, 'finishSequence'>): Promise<TrialRecord> {
    return this.#run(async () => {
      const before = await this.#locked(trial.number);
      assert(before !== null, `trial ${trial.number} does not exist`);
      assert(before.finishSequence === null, `trial ${trial.number} is finished and cannot change`);
      // A new attempt has not reported yet, whatever the caller took over from the attempt before.
      const lastReport = trial.attempt === before.attempt ? trial.lastReport : null;
      return this.#writeTrial(updateTrial, trial.number, canonicalTrial({ ...trial, lastReport }));
    });
  }

  insertAttempt(attempt: AttemptRecord): Promise<void> {
    return this.#run(() => {
      const stored = canonicalAttempt(attempt);
      this.#attempts.set(stored.token, stored);
      this.#send(insertAttempt, [this.#study.id, ...encodeAttempt(stored)]);
    });
  }

  endAttempt(token: LeaseToken, end: AttemptEnd): Promise<void> {
    return this.#run(async () => {
      const attempt = await this.#attempt(token);
      assert(attempt !== null && attempt.endedAtMs === null, 'only a running attempt can end');
      const stored = canonicalAttemptEnd(end);
      this.#attempts.set(attempt.token, { ...attempt, ...stored });
      const { endedAtMs, outcome, message, peakMemoryBytes } = stored;
      this.#send(endAttempt, [attempt.token, endedAtMs, outcome, message, peakMemoryBytes]);
    });
  }

  insertLateResult(result: LateResult): Promise<void> {
    return this.#run(() =>
      this.#send(insertLateResult, [this.#study.id, ...encodeLateResult(canonicalLateResult(result))]),
    );
  }

  async #run<T>(operation: () => T | Promise<T>): Promise<T> {
    assert(this.#open, 'a transaction is used only until the function given to inStudy settles');
    try {
      return await operation();
    } catch (error) {
      this.#failure ??= { error };
      throw this.#translate(this.#failure.error);
    }
  }

  /** Sends a write without waiting; its failure fails the transaction. */
  #send(statement: Statement, values: readonly unknown[]): void {
    query(this.#client, statement, values).catch((error: unknown) => {
      this.#failure ??= { error };
    });
  }

  async #locked(number: TrialNumber): Promise<TrialRecord | null> {
    const known = this.#trials.get(number);
    if (known !== undefined) return known;
    const trial = await this.#readTrial(lockTrial, [number]);
    return trial === null ? null : this.#remember(trial);
  }

  /** What this transaction wrote while the read was on its way is newer than what was read. */
  #remember(read: TrialRecord): TrialRecord {
    const trial = this.#trials.get(read.number) ?? read;
    this.#trials.set(read.number, trial);
    return trial;
  }

  async #readTrial(statement: Statement, values: readonly unknown[]): Promise<TrialRecord | null> {
    const [trial] = await this.#readTrials(statement, values);
    return trial ?? null;
  }

  async #readTrials(statement: Statement, values: readonly unknown[]): Promise<readonly TrialRecord[]> {
    const rows = await query<TrialRow>(this.#client, statement, [this.#study.id, ...values]);
    return rows.map(decodeTrial);
  }

  async #attempt(token: LeaseToken): Promise<AttemptRecord | null> {
    const wanted = canonicalToken(token);
    return this.#attempts.get(wanted) ?? (await this.#readAttempt(attemptByToken, wanted));
  }

  async #readAttempt(statement: Statement, id: string): Promise<AttemptRecord | null> {
    const [row] = await query<AttemptRow>(this.#client, statement, [this.#study.id, id]);
    if (row === undefined) return null;
    const attempt = decodeAttempt(row);
    this.#attempts.set(attempt.token, attempt);
    return attempt;
  }

  #writeTrial(statement: Statement, number: TrialNumber, fields: TrialFields): TrialRecord {
    const finishSequence = isFinished(fields.state) ? this.#study.finishSequence + 1 : null;
    if (finishSequence !== null) this.#study = { ...this.#study, finishSequence };
    const trial: TrialRecord = { number, ...fields, finishSequence };
    this.#trials.set(number, trial);
    this.#send(statement, [this.#study.id, number, ...encodeTrial(fields, finishSequence)]);
    return trial;
  }
}
