/**
 * What metrics see of the coordinator. Events are for observing, never for control flow: an observer changes nothing and
 * throws nothing, and everything works the same with the silent one.
 */
import type { StudyId } from '../../shared/core/ids.js';
import type { SamplerSettings } from '../../shared/core/sampler/sampler.js';
import type { LeaseAnswer } from '../../shared/core/study/study.js';
import type { TrialReason, TrialState } from '../../shared/core/study/trial.js';
import type { StudyRecord } from '../storage/port.js';

/** Called when what was begun has ended. */
export type Ended = () => void;

/** What the use cases tell of themselves. */
export interface AppObserver {
  /** A look for work begins: one transaction, without the time an ask is held. The function says what came of it. */
  looking(): (result: 'assigned' | 'empty') => void;
  /** An ask begins to be held open. */
  holding(): Ended;
  /** The sampler begins to make a suggestion; the function says for which trial, as an example of its bucket. */
  suggesting(sampler: SamplerSettings['type']): (example: { study: string; number: number }) => void;
  /** A projection begins to read what finished since the last time; `full` when it starts from nothing. */
  refreshing(kind: 'tail' | 'full'): Ended;
  /** Waiting trials were withheld from an ask because they are known not to fit its GPU. */
  withheld(study: StudyId): void;
  told(result: 'recorded' | 'already-recorded' | 'lease-lost'): void;
}

const nothing = (): void => undefined;
export const silentAppObserver: AppObserver = {
  looking: () => nothing,
  holding: () => nothing,
  suggesting: () => nothing,
  refreshing: () => nothing,
  withheld: nothing,
  told: nothing,
};

/** One committed move of a trial. */
export interface TrialMove {
  readonly number: number;
  readonly state: TrialState;
  readonly reason: TrialReason | null;
  /** Time of the last attempt for a finished trial, time of waiting for a leased one, seconds; null where it is not known. */
  readonly seconds: number | null;
}

/** What one transaction on a study changed; told after the commit, once, however often the transaction was run. */
export interface StudyChange {
  readonly study: StudyRecord;
  readonly moves: readonly TrialMove[];
  /** Outcomes of the attempts that ended. */
  readonly attemptsEnded: readonly TrialReason[];
  readonly lateResults: number;
}

/** What the store's adapter tells of the store. */
export interface StoreObserver {
  /** A call of the store begins; the function is told of its failure, or of nothing. */
  calling(operation: string): (failure?: unknown) => void;
  /** A transaction is run again after a conflict or a lost connection. */
  retried(operation: string): void;
  studyCreated(study: StudyRecord): void;
  changed(change: StudyChange): void;
  /** A report was stored under a lease that holds. */
  reported(study: StudyId): void;
  leasesAnswered(answers: readonly LeaseAnswer[]): void;
}

export type CallType = 'unary' | 'client_stream' | 'server_stream' | 'bidi_stream';

/** One method of a service, as its labels in metrics. */
export interface CallName {
  readonly grpc_type: CallType;
  readonly grpc_service: string;
  readonly grpc_method: string;
}

/**
 * Why a call is not let in: without a token that is known, or with one of another role; so many of these before that tokens nobody knows
 * are not looked up; too many calls; a request that does not arrive; a failure on our side.
 */
export const refusalReasons = ['credentials', 'role', 'banned', 'rate', 'slow', 'failure'] as const;
export type RefusalReason = (typeof refusalReasons)[number];

/** What the gRPC server tells of its calls. */
export interface CallObserver {
  /** A call was not let in. It is told as `handled` as well. */
  refused(reason: RefusalReason): void;
  /** A call of a known method has begun. `code`: the status's name as in Go, `OK`, `DeadlineExceeded`, … */
  started(call: CallName): {
    received(): void;
    sent(): void;
    handled(code: string): void;
  };
}
