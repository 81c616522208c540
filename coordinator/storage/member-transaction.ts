import { assert } from '../../shared/core/assert.js';
import type { LeaseToken, RequestId, TrialNumber } from '../../shared/core/ids.js';
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
} from './port.js';

type NewTrial = Omit<TrialRecord, 'number' | 'finishSequence'>;
type AttemptEnd = Pick<AttemptRecord, 'endedAtMs' | 'outcome' | 'message' | 'peakMemoryBytes'>;

/**
 * A transaction as one of several calls in it has it: usable until that call's function settles, and with a memory of
 * what the call did to it.
 */
export class MemberTransaction implements StudyTransaction {
  readonly #shared: StudyTransaction;
  #open = true;
  #wrote = false;
  #failure: { readonly error: unknown } | null = null;

  constructor(shared: StudyTransaction) {
    this.#shared = shared;
  }

  /** Has this call changed anything? */
  get wrote(): boolean {
    return this.#wrote;
  }

  /** The first error of an operation; the transaction cannot commit then, whatever the caller made of it. */
  get failure(): { readonly error: unknown } | null {
    return this.#failure;
  }

  /** Ends the use by this call. */
  close(): void {
    this.#open = false;
  }

  get commitment(): Commitment {
    return this.#shared.commitment;
  }

  study(): StudyRecord {
    this.#assertOpen();
    return this.#shared.study();
  }

  setStudy(change: { readonly state?: StudyState; readonly trialsMax?: number }): Promise<void> {
    return this.#write(() => this.#shared.setStudy(change));
  }

  trial(number: TrialNumber): Promise<TrialRecord | null> {
    return this.#run(() => this.#shared.trial(number));
  }

  trialByEnqueueRequest(requestId: RequestId): Promise<TrialRecord | null> {
    return this.#run(() => this.#shared.trialByEnqueueRequest(requestId));
  }

  attemptByRequest(requestId: RequestId): Promise<LeasePlace | null> {
    return this.#run(() => this.#shared.attemptByRequest(requestId));
  }

  attemptByToken(token: LeaseToken): Promise<AttemptRecord | null> {
    return this.#run(() => this.#shared.attemptByToken(token));
  }

  leased(token: LeaseToken): Promise<LeasedTrial | null> {
    return this.#run(() => this.#shared.leased(token));
  }

  nextWaiting(gpuMemoryBytes: number | null): Promise<TrialRecord | null> {
    return this.#run(() => this.#shared.nextWaiting(gpuMemoryBytes));
  }

  waiting(): Promise<readonly TrialRecord[]> {
    return this.#run(() => this.#shared.waiting());
  }

  finishedAfter(finishSequence: number, limit: number): Promise<readonly TrialRecord[]> {
    return this.#run(() => this.#shared.finishedAfter(finishSequence, limit));
  }

  running(): Promise<readonly TrialRecord[]> {
    return this.#run(() => this.#shared.running());
  }

  runningParams(): Promise<readonly RunningParams[]> {
    return this.#run(() => this.#shared.runningParams());
  }

  insertTrial(trial: NewTrial): Promise<TrialRecord> {
    return this.#write(() => this.#shared.insertTrial(trial));
  }

  updateTrial(trial: Omit<TrialRecord, 'finishSequence'>): Promise<TrialRecord> {
    return this.#write(() => this.#shared.updateTrial(trial));
  }

  insertAttempt(attempt: AttemptRecord): Promise<void> {
    return this.#write(() => this.#shared.insertAttempt(attempt));
  }

  endAttempt(token: LeaseToken, end: AttemptEnd): Promise<void> {
    return this.#write(() => this.#shared.endAttempt(token, end));
  }

  insertLateResult(result: LateResult): Promise<void> {
    return this.#write(() => this.#shared.insertLateResult(result));
  }

  #write<T>(operation: () => Promise<T>): Promise<T> {
    // Before anything is awaited: a failing write counts as one.
    if (this.#open) this.#wrote = true;
    return this.#run(operation);
  }

  async #run<T>(operation: () => Promise<T>): Promise<T> {
    this.#assertOpen();
    try {
      return await operation();
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    }
  }

  #assertOpen(): void {
    assert(this.#open, 'a transaction is used only until the function given to inStudy settles');
  }
}
