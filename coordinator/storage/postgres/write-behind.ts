import type { LeaseToken, RequestId, StudyId, TrialNumber } from '../../../shared/core/ids.js';
import { isFinished } from '../../../shared/core/study/transition.js';
import type { AttemptEnd } from '../canonical.js';
import type { AttemptRecord, LateResult, TrialRecord } from '../port.js';
import { encodeAttempt, encodeLateResult, encodeOrigin, encodeOutcome } from './rows.js';
import { endAttempts, insertAttempts, insertLateResult } from './statements/attempts.js';
import type { Written } from './study-picture.js';
import type { Statement } from './statements/statement.js';
import { insertTrials, updateOutcomes, updateTrials } from './statements/trials.js';

interface Change {
  /** The row as it is stored; null for a trial of this transaction's own. */
  readonly before: TrialRecord | null;
  readonly trial: TrialRecord;
}

/** What a transaction has written and not sent yet: everything, until its commit. Then each kind is one statement. */
export class WriteBehind {
  readonly #trials = new Map<TrialNumber, Change>();
  readonly #attempts = new Map<LeaseToken, AttemptRecord>();
  readonly #tokenByRequest = new Map<RequestId, LeaseToken>();
  readonly #ended = new Map<LeaseToken, AttemptEnd>();
  readonly #lateResults: LateResult[] = [];
  /** In the order of finishing. */
  readonly finished: TrialRecord[] = [];

  *trials(): Iterable<TrialRecord> {
    for (const { trial } of this.#trials.values()) yield trial;
  }

  /** All of it, for those who remember it after the commit. */
  written(): Written {
    const trials = new Map(Array.from(this.#trials, ([number, { trial }]) => [number, trial]));
    return { trials, begun: this.#attempts.values(), ended: this.#ended.keys(), finished: this.finished };
  }

  trial(number: TrialNumber): TrialRecord | null {
    return this.#trials.get(number)?.trial ?? null;
  }

  has(number: TrialNumber): boolean {
    return this.#trials.has(number);
  }

  putTrial(trial: TrialRecord, stored: TrialRecord | null): void {
    const before = this.#trials.get(trial.number)?.before;
    this.#trials.set(trial.number, { before: before === undefined ? stored : before, trial });
    if (isFinished(trial.state)) this.finished.push(trial);
  }

  /** An attempt of this transaction's own. */
  attempt(token: LeaseToken): AttemptRecord | null {
    return this.#attempts.get(token) ?? null;
  }

  attemptByRequest(request: RequestId): AttemptRecord | null {
    const token = this.#tokenByRequest.get(request);
    return token === undefined ? null : this.attempt(token);
  }

  putAttempt(attempt: AttemptRecord): void {
    this.#attempts.set(attempt.token, attempt);
    this.#tokenByRequest.set(attempt.requestId, attempt.token);
  }

  endAttempt(attempt: AttemptRecord, end: AttemptEnd): void {
    if (this.#attempts.has(attempt.token)) this.#attempts.set(attempt.token, { ...attempt, ...end });
    else this.#ended.set(attempt.token, end);
  }

  /** How this transaction ended an attempt that it found. */
  endOf(token: LeaseToken): AttemptEnd | null {
    return this.#ended.get(token) ?? null;
  }

  putLateResult(result: LateResult): void {
    this.#lateResults.push(result);
  }

  /** The statements, in an order that foreign keys allow. */
  statements(study: StudyId): readonly (readonly [Statement, readonly unknown[]])[] {
    const inserted: object[] = [];
    const updated: object[] = [];
    const outcomes: object[] = [];
    for (const { before, trial } of this.#trials.values()) {
      const { number } = trial;
      if (before !== null && sameOrigin(before, trial)) outcomes.push({ number, ...encodeOutcome(trial) });
      else
        (before === null ? inserted : updated).push({
          number,
          ...encodeOrigin(trial),
          ...encodeOutcome(trial),
        });
    }
    const ended = Array.from(this.#ended, ([token, end]) => ({
      token,
      ended_at_ms: end.endedAtMs,
      outcome: end.outcome,
      message: end.message,
      peak_memory_bytes: end.peakMemoryBytes,
    }));
    const many: readonly (readonly [Statement, readonly object[]])[] = [
      [insertTrials, inserted],
      [updateTrials, updated],
      [updateOutcomes, outcomes],
      [insertAttempts, Array.from(this.#attempts.values(), encodeAttempt)],
      [endAttempts, ended],
    ];
    return [
      ...many.flatMap(([statement, rows]) =>
        rows.length === 0 ? [] : [[statement, [study, JSON.stringify(rows)]] as const],
      ),
      ...this.#lateResults.map((late) => [insertLateResult, [study, ...encodeLateResult(late)]] as const),
    ];
  }
}

/** Did only the outcome change? What came from the row itself is the same object. */
const sameOrigin = (before: TrialRecord, after: TrialRecord): boolean =>
  before.given === after.given &&
  before.params === after.params &&
  before.offGrid === after.offGrid &&
  before.attempt === after.attempt &&
  before.watermark === after.watermark &&
  before.worker === after.worker &&
  before.lastReport === after.lastReport &&
  before.enqueueRequestId === after.enqueueRequestId &&
  before.createdAtMs === after.createdAtMs &&
  before.startedAtMs === after.startedAtMs;
