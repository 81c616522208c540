import type { FailurePolicy } from './definition.js';
import { transition, trialEvents } from './transition.js';
import type { TrialReason, TrialState } from './trial.js';

/** For each state the reasons that a trial can be in it for; null is that of a trial that has not ended any attempt. */
export type Reachable = ReadonlyMap<TrialState, ReadonlySet<TrialReason | null>>;

const untouched = { error: 0, timeout: 0, lost: 0 };
const spent = { error: Infinity, timeout: Infinity, lost: Infinity };

/** Every state and reason that the transition table and a study's failure policy can bring a trial to. */
export function reachableStates(policy: FailurePolicy): Reachable {
  const reachable = new Map<TrialState, Set<TrialReason | null>>([['WAITING', new Set([null])]]);
  for (const from of ['WAITING', 'RUNNING'] as const)
    for (const event of trialEvents)
      for (const retries of [untouched, spent])
        for (const biggerGpuExists of [false, true]) {
          // Only a policy that lets a trial wait for more memory has anything to give up.
          if (event === 'give-up' && policy.oom !== 'retry-bigger-gpu') continue;
          const moved = transition(from, event, { policy, retries, biggerGpuExists });
          if (moved.kind === 'refused') continue;
          const reasons = reachable.get(moved.state) ?? new Set();
          reachable.set(moved.state, reasons.add(moved.reason));
        }
  return reachable;
}
