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
import {
  RequestTaken,
  type AttemptRecord,
  type LateResult,
  type LeasedTrial,
  type LeasePlace,
  type RunningParams,
  type StudyRecord,
  type StudyState as StateOfStudy,
  type StudyTransaction,
  type TrialRecord,
  type Commitment,
} from '../port.js';
import type { StudyState } from './study-state.js';

/** Answers across all studies: by which committed attempt is this id taken? */
export interface TakenIds {
  readonly token: (token: LeaseToken) => boolean;
  readonly request: (requestId: RequestId) => LeasePlace | null;
}

/**
 * Changes to one study, kept aside until `commit`; until then nobody else sees them. One failed operation fails the
 * whole transaction, as in PostgreSQL, even when the caller caught the error.
 */
export class MemoryTransaction implements StudyTransaction {
  readonly #base: StudyState;
  readonly #taken: TakenIds;
  #study: StudyRecord;
  readonly #trials = new Map<TrialNumber, TrialRecord>();
  readonly #finished: TrialRecord[] = [];
  readonly #attempts = new Map<LeaseToken, AttemptRecord>();
  readonly #lateResults: LateResult[] = [];
  #open = true;
  #failure: { readonly error: unknown } | null = null;
  readonly commitment: Commitment & { committed: boolean };

  constructor(base: StudyState, taken: TakenIds) {
    this.#base = base;
    this.#taken = taken;
    this.#study = base.record;
    this.commitment = {
      finishSequenceBefore: base.record.finishSequence,
      committed: false,
      continues: false,
    };
  }

  study(): StudyRecord {
    assert(this.#open, 'a transaction is used only until the function given to inStudy settles');
    return this.#study;
  }

  setStudy(change: { readonly state?: StateOfStudy; readonly trialsMax?: number }): Promise<void> {
    return this.#run(() => {
      this.#change({
        state: change.state ?? this.#study.state,
        trialsMax: canonicalWhole(change.trialsMax ?? this.#study.trialsMax),
      });
    });
  }

  trial(number: TrialNumber): Promise<TrialRecord | null> {
    return this.#run(() => this.#find(number));
  }

  trialByEnqueueRequest(requestId: RequestId): Promise<TrialRecord | null> {
    return this.#run(() => this.#enqueued(canonicalRequest(requestId)));
  }

  attemptByRequest(requestId: RequestId): Promise<LeasePlace | null> {
    return this.#run(() => {
      const wanted = canonicalRequest(requestId);
      const own = [...this.#attempts.values()].find((attempt) => attempt.requestId === wanted);
      if (own === undefined) return this.#taken.request(wanted);
      return { study: this.#study.id, number: own.number, token: own.token };
    });
  }

  attemptByToken(token: LeaseToken): Promise<AttemptRecord | null> {
    return this.#run(() => this.#attempt(token));
  }

  leased(token: LeaseToken): Promise<LeasedTrial | null> {
    return this.#run(() => {
      const attempt = this.#attempt(token);
      const trial = attempt === null ? null : this.#find(attempt.number);
      return attempt === null || trial?.lease?.token !== attempt.token ? null : { trial, attempt };
    });
  }

  nextWaiting(gpuMemoryBytes: number | null): Promise<TrialRecord | null> {
    return this.#run(() => {
      const fits = ({ memoryFloorBytes: floor }: TrialRecord): boolean =>
        floor === null || (gpuMemoryBytes !== null && gpuMemoryBytes > floor);
      return this.#inState('WAITING').find(fits) ?? null;
    });
  }

  waiting(): Promise<readonly TrialRecord[]> {
    return this.#run(() => this.#inState('WAITING'));
  }

  finishedAfter(finishSequence: number, limit: number): Promise<readonly TrialRecord[]> {
    return this.#run(() => {
      const { finished, trials } = this.#base;
      const committed = finished.slice(finishSequence, finishSequence + limit);
      const known = committed.flatMap((number) => trials[number] ?? []);
      const own = this.#finished.filter((trial) => (trial.finishSequence ?? 0) > finishSequence);
      return [...known, ...own].slice(0, limit);
    });
  }

  running(): Promise<readonly TrialRecord[]> {
    return this.#run(() => this.#inState('RUNNING'));
  }

  runningParams(): Promise<readonly RunningParams[]> {
    return this.#run(() =>
      this.#inState('RUNNING').flatMap(({ number, params }) => (params === null ? [] : [{ number, params }])),
    );
  }

  insertTrial(trial: TrialFields): Promise<TrialRecord> {
    return this.#run(() => {
      const fields = canonicalTrial(trial);
      const request = fields.enqueueRequestId;
      const enqueued = request !== null && this.#enqueued(request) !== null;
      assert(!enqueued, `request ${request} already enqueued a trial`);
      const number = trialNumber(this.#study.nextNumber);
      this.#change({ nextNumber: this.#study.nextNumber + 1 });
      return this.#put({ ...fields, number, finishSequence: null });
    });
  }

  updateTrial(trial: Omit<TrialRecord, 'finishSequence'>): Promise<TrialRecord> {
    return this.#run(() => {
      const before = this.#find(trial.number);
      assert(before !== null, `trial ${trial.number} does not exist`);
      assert(before.finishSequence === null, `trial ${trial.number} is finished and cannot change`);
      // A new attempt has not reported yet, whatever the caller took over from the attempt before.
      const lastReport = trial.attempt === before.attempt ? trial.lastReport : null;
      return this.#put({
        ...canonicalTrial({ ...trial, lastReport }, before),
        number: trial.number,
        finishSequence: null,
      });
    });
  }

  insertAttempt(attempt: AttemptRecord): Promise<void> {
    return this.#run(() => {
      const stored = canonicalAttempt(attempt);
      const { token, requestId } = stored;
      const own = [...this.#attempts.values()];
      const tokenTaken = this.#taken.token(token) || this.#attempts.has(token);
      const requestTaken =
        this.#taken.request(requestId) !== null || own.some((each) => each.requestId === requestId);
      assert(this.#find(attempt.number) !== null, `trial ${attempt.number} does not exist`);
      assert(!tokenTaken, 'a lease token was given twice');
      if (requestTaken) throw new RequestTaken();
      this.#attempts.set(token, stored);
    });
  }

  endAttempt(token: LeaseToken, end: AttemptEnd): Promise<void> {
    return this.#run(() => {
      const attempt = this.#attempt(token);
      assert(attempt !== null && attempt.endedAtMs === null, 'only a running attempt can end');
      this.#attempts.set(attempt.token, Object.freeze({ ...attempt, ...canonicalAttemptEnd(end) }));
    });
  }

  insertLateResult(result: LateResult): Promise<void> {
    return this.#run(() => {
      assert(this.#find(result.number) !== null, `trial ${result.number} does not exist`);
      this.#lateResults.push(canonicalLateResult(result));
    });
  }

  /** Makes the changes visible to everyone; throws the first failure instead, and changes nothing. */
  commit(): void {
    if (this.#failure !== null) throw this.#failure.error;
    for (const { token, requestId } of this.#attempts.values()) {
      const ours = this.#base.attempts.get(token)?.requestId === requestId;
      assert(ours || !this.#taken.token(token), 'a lease token was given twice');
      if (!ours && this.#taken.request(requestId) !== null) throw new RequestTaken();
    }
    this.#base.record = this.#study;
    const unfinished = [...this.#trials.values()].filter(({ finishSequence }) => finishSequence === null);
    for (const trial of [...unfinished, ...this.#finished]) this.#base.putTrial(trial);
    for (const attempt of this.#attempts.values()) this.#base.putAttempt(attempt);
    for (const late of this.#lateResults)
      if (!this.#base.lateResults.has(late.token)) this.#base.lateResults.set(late.token, late);
    this.commitment.committed = true;
  }

  /** Ends the transaction; later use is an error. */
  close(): void {
    this.#open = false;
  }

  async #run<T>(operation: () => T): Promise<T> {
    assert(this.#open, 'a transaction is used only until the function given to inStudy settles');
    try {
      // One turn of the event loop's microtasks, so that nobody relies on an operation being synchronous.
      return await Promise.resolve(operation());
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    }
  }

  #change(change: Partial<StudyRecord>): void {
    this.#study = Object.freeze({ ...this.#study, ...change });
  }

  #find(number: TrialNumber): TrialRecord | null {
    return this.#trials.get(number) ?? this.#base.trials[number] ?? null;
  }

  #enqueued(requestId: RequestId): TrialRecord | null {
    const own = [...this.#trials.values()].find((trial) => trial.enqueueRequestId === requestId);
    const number = this.#base.numberByEnqueueRequest.get(requestId);
    return own ?? (number === undefined ? null : this.#find(number));
  }

  #attempt(token: LeaseToken): AttemptRecord | null {
    const wanted = canonicalToken(token);
    return this.#attempts.get(wanted) ?? this.#base.attempts.get(wanted) ?? null;
  }

  #inState(state: 'WAITING' | 'RUNNING'): TrialRecord[] {
    const committed = state === 'WAITING' ? this.#base.waiting : this.#base.running;
    return [...new Set([...committed, ...this.#trials.keys()])]
      .flatMap((number) => this.#find(number) ?? [])
      .filter((trial) => trial.state === state)
      .sort((left, right) => left.number - right.number);
  }

  #put(trial: TrialRecord): TrialRecord {
    const finished = isFinished(trial.state);
    const finishSequence = finished ? this.#study.finishSequence + 1 : null;
    const stored = Object.freeze({ ...trial, finishSequence });
    this.#trials.set(trial.number, stored);
    if (finishSequence !== null) {
      this.#finished.push(stored);
      this.#change({ finishSequence });
    }
    return stored;
  }
}
