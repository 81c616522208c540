/** Every way in which an attempt can end its trial or send it back, whatever the failure policy: read off the state machine. */
import type { FailurePolicy } from './definition.js';
import { isFinished, transition, trialEvents, type TransitionContext } from './transition.js';
import { trialStates, type TrialReason, type TrialState } from './trial.js';

export interface Ending {
  readonly state: TrialState;
  readonly reason: TrialReason;
}

const base = { divergedValue: 0, stallTimeoutSeconds: 1, trialTimeoutSeconds: 1 } as const;
const retriesMax = (count: number) =>
  ({ errorRetriesMax: count, timeoutRetriesMax: count, lostRetriesMax: count }) as const;

const policies: readonly FailurePolicy[] = (['retry-bigger-gpu', 'prune', 'fail'] as const).flatMap((oom) =>
  (['value', 'prune', 'fail'] as const).flatMap((diverged) =>
    [0, 1].map((retries) => ({ ...base, oom, diverged, ...retriesMax(retries) })),
  ),
);

const contexts: readonly TransitionContext[] = policies.flatMap((policy) =>
  [true, false].map((biggerGpuExists) => ({
    ...{ policy, biggerGpuExists, retries: { error: 0, timeout: 0, lost: 0 } },
  })),
);

const all: ReadonlyMap<string, Ending> = new Map(
  trialStates.flatMap((from) =>
    trialEvents.flatMap((event) =>
      contexts.flatMap((context): (readonly [string, Ending])[] => {
        const moved = transition(from, event, context);
        if (moved.kind === 'refused' || moved.reason === null) return [];
        return [[`${moved.state} ${moved.reason}`, { state: moved.state, reason: moved.reason }]];
      }),
    ),
  ),
);

/** States in which trials finish, with the reasons that lead there. */
export const finishedEndings: readonly Ending[] = [...all.values()].filter(({ state }) => isFinished(state));

/** Reasons for which a trial goes back to WAITING. */
export const requeueReasons: readonly TrialReason[] = [...all.values()]
  .filter(({ state }) => state === 'WAITING')
  .map(({ reason }) => reason);
