import type { LeaseToken, StudyId, TrialNumber } from '../../shared/core/ids.js';
import { isFinished } from '../../shared/core/study/transition.js';
import type { TrialReason } from '../../shared/core/study/trial.js';
import type { StudyChange, TrialMove } from '../app/observer.js';
import type { AttemptRecord, StudyTransaction, TrialRecord } from './port.js';
import type { RecentMap } from './recent-map.js';

/** When what is under way began, as far as this process has seen it begin. */
export interface Times {
  readonly attempts: RecentMap<LeaseToken, AttemptStart>;
  /** By `waitOf`, ms. */
  readonly waits: RecentMap<string, number>;
}

export interface AttemptStart {
  readonly study: StudyId;
  readonly number: TrialNumber;
  readonly startedAtMs: number;
}

interface EndedAttempt {
  readonly token: LeaseToken;
  readonly outcome: TrialReason;
  readonly endedAtMs: number;
}

const waitOf = (study: StudyId, number: TrialNumber): string => `${study}:${number}`;
type Method = (...args: unknown[]) => Promise<unknown>;

/** Watches one run of a transaction; `committed` says what it changed, once it is known to have been committed. */
export class ChangeRecorder {
  /** The transaction for whoever works in it. */
  readonly transaction: StudyTransaction;
  readonly #times: Times;
  readonly #moved = new Map<TrialNumber, TrialRecord>();
  readonly #begun: AttemptRecord[] = [];
  readonly #ended: EndedAttempt[] = [];
  readonly #begunBy = new Map<TrialNumber, AttemptRecord>();
  readonly #endedBy = new Map<TrialNumber, EndedAttempt>();
  #lateResults = 0;

  constructor(inner: StudyTransaction, times: Times) {
    this.#times = times;
    const own: Partial<Record<keyof StudyTransaction, Method>> = {
      insertTrial: this.#moves(inner.insertTrial.bind(inner)),
      updateTrial: this.#moves(inner.updateTrial.bind(inner)),
      attemptByToken: async (...args) => {
        const found = await inner.attemptByToken(...(args as Parameters<StudyTransaction['attemptByToken']>));
        if (found !== null) times.attempts.set(found.token, { study: inner.study().id, ...found });
        return found;
      },
      leased: async (...args) => {
        const found = await inner.leased(...(args as Parameters<StudyTransaction['leased']>));
        if (found !== null)
          times.attempts.set(found.attempt.token, { study: inner.study().id, ...found.attempt });
        return found;
      },
      insertAttempt: (...args) => {
        const [attempt] = args as Parameters<StudyTransaction['insertAttempt']>;
        this.#begun.push(attempt);
        return inner.insertAttempt(attempt);
      },
      endAttempt: (...args) => {
        const [token, end] = args as Parameters<StudyTransaction['endAttempt']>;
        if (end.outcome !== null)
          this.#ended.push({ token, outcome: end.outcome, endedAtMs: end.endedAtMs ?? 0 });
        return inner.endAttempt(token, end);
      },
      insertLateResult: (...args) => {
        this.#lateResults += 1;
        return inner.insertLateResult(...(args as Parameters<StudyTransaction['insertLateResult']>));
      },
    };
    this.transaction = new Proxy(inner, {
      get: (target, key: keyof StudyTransaction) => {
        const value: unknown = own[key] ?? Reflect.get(target, key);
        return typeof value === 'function' && own[key] === undefined ? (value as Method).bind(target) : value;
      },
    });
  }

  /** Null when nothing changed that anybody counts. */
  committed(study: StudyChange['study']): StudyChange | null {
    this.#index();
    const moves = [...this.#moved.values()].flatMap((trial) => this.#moveOf(study.id, trial));
    const change = {
      moves,
      attemptsEnded: this.#ended.map(({ outcome }) => outcome),
      lateResults: this.#lateResults,
    };
    for (const attempt of this.#begun)
      this.#times.attempts.set(attempt.token, { study: study.id, ...attempt });
    for (const { token } of this.#ended) this.#times.attempts.take(token);
    return moves.length + change.attemptsEnded.length + change.lateResults === 0
      ? null
      : { study, ...change };
  }

  #moves(method: (trial: never) => Promise<TrialRecord>): Method {
    return async (...args) => {
      const trial = await method(args[0] as never);
      this.#moved.set(trial.number, trial);
      return trial;
    };
  }

  #moveOf(study: StudyId, trial: TrialRecord): readonly TrialMove[] {
    const { number, state, reason } = trial;
    const move = (seconds: number | null): readonly TrialMove[] => [{ number, state, reason, seconds }];
    const wait = waitOf(study, number);
    if (isFinished(state)) return move(this.#trialSeconds(trial));
    if (state === 'RUNNING') {
      const attempt = this.#begunBy.get(number);
      if (attempt === undefined) return [];
      const sinceMs = this.#times.waits.take(wait) ?? (trial.attempt === 1 ? trial.createdAtMs : null);
      return move(sinceMs === null ? null : (attempt.startedAtMs - sinceMs) / 1_000);
    }
    const end = this.#endOf(number);
    if (end === undefined || reason === null) return [];
    this.#times.waits.set(wait, end.endedAtMs);
    return move(null);
  }

  #endOf(number: TrialNumber): EndedAttempt | undefined {
    const only = this.#ended.length === 1 && this.#moved.size === 1 ? this.#ended[0] : undefined;
    return only ?? this.#endedBy.get(number);
  }

  /** By number, once: a study that is stopped ends thousands of attempts in one transaction. */
  #index(): void {
    for (const attempt of this.#begun) this.#begunBy.set(attempt.number, attempt);
    for (const end of this.#ended) {
      const number = this.#times.attempts.get(end.token)?.number;
      if (number !== undefined && !this.#endedBy.has(number)) this.#endedBy.set(number, end);
    }
  }

  /** Of the last attempt: from the attempt where this process has seen it, else from the trial when it was the only one. */
  #trialSeconds({ number, attempt, startedAtMs, finishedAtMs }: TrialRecord): number | null {
    const end = this.#endOf(number);
    const seen = end === undefined ? undefined : this.#times.attempts.get(end.token)?.startedAtMs;
    const fromMs = seen ?? (attempt === 1 ? startedAtMs : null);
    if (end === undefined || fromMs === null || finishedAtMs === null) return null;
    return Math.max(0, finishedAtMs - fromMs) / 1_000;
  }
}
