import { AssertionError, assert, assertNever } from '../assert.js';
import type { FailurePolicy } from './definition.js';
import type { TrialReason, TrialState } from './trial.js';

/**
 * What can happen to a trial. `lost`: its lease expired. `preempted`: its worker gave it back. `unfit`: its worker cannot run
 * trials at all (no data set, no runtime), which says nothing about the trial. `returned`: its worker gave it back before it
 * began. `give-up`: it waits for a GPU with more memory, and none will come.
 */
export const trialEvents = [
  'lease',
  'complete',
  'prune',
  'oom',
  'diverged',
  'infeasible',
  'error',
  'timeout',
  'lost',
  'preempted',
  'unfit',
  'returned',
  'give-up',
  'cancel',
] as const;
export type TrialEvent = (typeof trialEvents)[number];

/** `policy`: the study's failure policy decides. `refused`: the event cannot happen in this state. */
type Cell = TrialState | 'policy' | 'refused';

const finished = {
  lease: 'refused',
  complete: 'refused',
  prune: 'refused',
  oom: 'refused',
  diverged: 'refused',
  infeasible: 'refused',
  error: 'refused',
  timeout: 'refused',
  lost: 'refused',
  preempted: 'refused',
  unfit: 'refused',
  returned: 'refused',
  'give-up': 'refused',
  cancel: 'refused',
} as const satisfies Record<TrialEvent, Cell>;

/** The specification of a trial's life (architecture §5). A test walks every cell. */
export const transitionTable: Readonly<Record<TrialState, Readonly<Record<TrialEvent, Cell>>>> = {
  WAITING: { ...finished, lease: 'RUNNING', 'give-up': 'PRUNED', cancel: 'CANCELLED' },
  RUNNING: {
    lease: 'refused',
    complete: 'COMPLETE',
    prune: 'PRUNED',
    oom: 'policy',
    diverged: 'policy',
    infeasible: 'FAIL',
    error: 'policy',
    timeout: 'policy',
    lost: 'policy',
    preempted: 'policy',
    unfit: 'WAITING',
    returned: 'WAITING',
    'give-up': 'refused',
    cancel: 'CANCELLED',
  },
  COMPLETE: finished,
  PRUNED: finished,
  FAIL: finished,
  CANCELLED: finished,
};

/** Attempts of a trial that ended without a result, by what they count against. */
export interface Retries {
  readonly error: number;
  readonly timeout: number;
  /** Lost and preempted together. */
  readonly lost: number;
}

export interface TransitionContext {
  readonly policy: FailurePolicy;
  readonly retries: Retries;
  /** Is a worker with more memory than the failed attempt's alive, or was within ten minutes? */
  readonly biggerGpuExists: boolean;
  /** May an out-of-memory be the doing of others on the same GPU? Then it is tried again, by anybody. */
  readonly oomMayBeOthers?: boolean;
}

export type Transition =
  | { readonly kind: 'refused' }
  /** `useDivergedValue`: COMPLETE with the policy's value for every objective. */
  | {
      readonly kind: 'moved';
      readonly state: TrialState;
      readonly reason: TrialReason | null;
      readonly retries: Retries;
      readonly useDivergedValue: boolean;
    };

export const isFinished = (state: TrialState): boolean => state !== 'WAITING' && state !== 'RUNNING';

const reasonOf = {
  lease: null,
  complete: 'finished',
  prune: 'pruner',
  oom: 'oom',
  diverged: 'diverged',
  infeasible: 'infeasible',
  error: 'error',
  timeout: 'timeout',
  lost: 'lost',
  preempted: 'preempted',
  unfit: 'unfit',
  returned: 'returned',
  'give-up': 'oom',
  cancel: 'cancelled',
} as const satisfies Record<TrialEvent, TrialReason | null>;

/** Where an event takes a trial that leaves no choice to a policy. Fails (a bug) when the table refuses the event. */
export function stateAfter(state: TrialState, event: TrialEvent): TrialState {
  const cell = transitionTable[state][event];
  assert(
    cell !== 'refused' && cell !== 'policy',
    `${event} does not take a ${state} trial anywhere by itself`,
  );
  return cell;
}

/** Where an event takes a trial. Pure: the same arguments always give the same answer. */
export function transition(state: TrialState, event: TrialEvent, context: TransitionContext): Transition {
  const cell = transitionTable[state][event];
  if (cell === 'refused') return { kind: 'refused' };
  const moved = (to: TrialState, retries = context.retries, useDivergedValue = false): Transition => ({
    kind: 'moved',
    state: to,
    reason: reasonOf[event],
    retries,
    useDivergedValue,
  });
  return cell === 'policy' ? byPolicy(event, context, moved) : moved(cell);
}

function byPolicy(
  event: TrialEvent,
  { policy, retries, biggerGpuExists, oomMayBeOthers = false }: TransitionContext,
  moved: (to: TrialState, retries?: Retries, useDivergedValue?: boolean) => Transition,
): Transition {
  const retried = (counter: keyof Retries, max: number): Transition => {
    const next = { ...retries, [counter]: retries[counter] + 1 };
    return moved(next[counter] <= max ? 'WAITING' : 'FAIL', next);
  };
  switch (event) {
    case 'oom':
      if (policy.oom === 'fail') return moved('FAIL');
      return moved(
        policy.oom === 'retry-bigger-gpu' && (oomMayBeOthers || biggerGpuExists) ? 'WAITING' : 'PRUNED',
      );
    case 'diverged':
      if (policy.diverged === 'value') return moved('COMPLETE', retries, true);
      return moved(policy.diverged === 'prune' ? 'PRUNED' : 'FAIL');
    case 'error':
      return retried('error', policy.errorRetriesMax);
    case 'timeout':
      return retried('timeout', policy.timeoutRetriesMax);
    case 'lost':
    case 'preempted':
      return retried('lost', policy.lostRetriesMax);
    case 'lease':
    case 'complete':
    case 'prune':
    case 'infeasible':
    case 'unfit':
    case 'returned':
    case 'give-up':
    case 'cancel':
      throw new AssertionError(`no policy decides about ${event}`);
    default:
      return assertNever(event);
  }
}
