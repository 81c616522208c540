import type { Params } from '../space/parameter.js';

/** Optuna's state names plus CANCELLED (architecture §5). */
export const trialStates = ['WAITING', 'RUNNING', 'COMPLETE', 'PRUNED', 'FAIL', 'CANCELLED'] as const;
export type TrialState = (typeof trialStates)[number];

/** Why a trial is in its state. */
export const trialReasons = [
  'finished',
  'pruner',
  'oom',
  'diverged',
  'infeasible',
  'error',
  'timeout',
  'lost',
  'preempted',
  'unfit',
  'returned',
  'cancelled',
] as const;
export type TrialReason = (typeof trialReasons)[number];

/**
 * Why the coordinator took a trial back from a worker. `lost`: nothing was heard of it. `preempted`: the worker gave it back.
 * `unfit`: the worker cannot run trials at all. `returned`: the worker gave it back before it began.
 */
export type TakenBackReason = Extract<TrialReason, 'lost' | 'preempted' | 'unfit' | 'returned'>;

/** Reasons a worker can give for an attempt that brought no result. */
export const toldReasons = [
  'oom',
  'diverged',
  'infeasible',
  'error',
  'timeout',
] as const satisfies TrialReason[];
export type ToldReason = (typeof toldReasons)[number];

/** Why an attempt brought no result. */
export type FailureReason = ToldReason | TakenBackReason;

/**
 * Whether a trial has a value of its own. One that the failure policy set (`diverged`) is none that its parameters had.
 */
export const hasOwnValue = ({
  state,
  reason,
}: {
  readonly state: TrialState;
  readonly reason: TrialReason | null;
}): boolean => state === 'COMPLETE' && reason === 'finished';

/** Named numbers that a trainer reports; NaN and infinities are legal. */
export type Metrics = Readonly<Record<string, number>>;

/** What became of one attempt at a trial. */
export type AttemptOutcome =
  | { readonly kind: 'completed'; readonly metrics: Metrics }
  | { readonly kind: 'pruned' }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly message: string };

/** A finished or unfinished trial as people see it. */
export interface Trial {
  readonly number: number;
  readonly state: TrialState;
  /** Null while the trial has never run. */
  readonly reason: TrialReason | null;
  readonly params: Params;
  /** True when some value lies outside its parameter's grid or range (an enqueued trial). */
  readonly offGrid: boolean;
  /** Objective values, empty unless COMPLETE. */
  readonly values: readonly number[];
  readonly metrics: Metrics;
  /** Attempts started so far. */
  readonly attempt: number;
  /** Error text of the last failed attempt, or ''. */
  readonly message: string;
  readonly worker: string | null;
  readonly startedAtMs: number | null;
  readonly finishedAtMs: number | null;
}
