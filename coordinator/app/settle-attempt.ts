import { assert } from '../../shared/core/assert.js';
import type { LeaseToken } from '../../shared/core/ids.js';
import { objectiveValues } from '../../shared/core/study/objective.js';
import { isFinished, transition, type TrialEvent } from '../../shared/core/study/transition.js';
import type { AttemptOutcome, Metrics, TrialReason, TrialState } from '../../shared/core/study/trial.js';
import type { StudyTransaction, TrialRecord } from '../storage/port.js';

/** How an attempt ended, whoever found out: the worker (tell), a draining worker (release), or time (reclaim). */
export interface AttemptEnd {
  readonly outcome: AttemptOutcome;
  readonly peakMemoryBytes: number | null;
  readonly nowMs: number;
  /** Is there a live worker with more memory than this attempt's? */
  readonly biggerGpuExists: boolean;
  /** Did others use the memory of this attempt's GPU as well? */
  readonly sharedGpu?: boolean;
}

export interface Settled {
  readonly state: TrialState;
  readonly reason: TrialReason;
  /** True when the study's budget is used up with this trial. */
  readonly studyFinished: boolean;
}

/**
 * Ends the attempt that holds a trial's lease: moves the trial along the transition table, closes the attempt's row,
 * and finishes the study when its last trial has finished.
 */
export async function settleAttempt(
  transaction: StudyTransaction,
  trial: TrialRecord,
  end: AttemptEnd,
): Promise<Settled> {
  assert(trial.state === 'RUNNING' && trial.lease !== null, `trial ${trial.number} is not running`);
  const { definition } = transaction.study();
  const judged = judge(transaction, trial, end.outcome);
  // Not without end: then the trial itself is held to be too large, shared memory or not.
  const oomMayBeOthers = end.sharedGpu === true && trial.attempt <= definition.failure.lostRetriesMax;
  const moved = transition(trial.state, judged.event, {
    policy: definition.failure,
    retries: trial.retries,
    biggerGpuExists: end.biggerGpuExists,
    oomMayBeOthers,
  });
  assert(moved.kind === 'moved' && moved.reason !== null, `${judged.event} ends an attempt`);
  const finished = isFinished(moved.state);
  const values = moved.useDivergedValue
    ? definition.objectives.map(() => definition.failure.divergedValue)
    : moved.state === 'COMPLETE'
      ? judged.values
      : [];
  await transaction.updateTrial({
    ...trial,
    state: moved.state,
    reason: moved.reason,
    retries: moved.retries,
    values,
    metrics: judged.metrics,
    message: judged.message,
    lease: null,
    cancelRequested: false,
    memoryFloorBytes:
      moved.reason === 'oom' && !finished && !oomMayBeOthers
        ? trial.lease.gpuMemoryBytes
        : trial.memoryFloorBytes,
    finishedAtMs: finished ? end.nowMs : null,
  });
  await endAttempt(transaction, trial.lease.token, moved.reason, judged.message, end);
  return { state: moved.state, reason: moved.reason, studyFinished: await finishStudyIfDone(transaction) };
}

async function endAttempt(
  transaction: StudyTransaction,
  token: LeaseToken,
  outcome: TrialReason,
  ...[message, end]: [string, AttemptEnd]
): Promise<void> {
  await transaction.endAttempt(token, {
    endedAtMs: end.nowMs,
    outcome,
    message,
    peakMemoryBytes: end.peakMemoryBytes,
  });
}

interface Judged {
  readonly event: TrialEvent;
  readonly values: readonly number[];
  readonly metrics: Metrics;
  readonly message: string;
}

/** What an outcome means to the state machine; a result without a usable objective is an error. */
function judge(transaction: StudyTransaction, trial: TrialRecord, outcome: AttemptOutcome): Judged {
  switch (outcome.kind) {
    case 'completed': {
      const judged = objectiveValues(transaction.study().definition.objectives, outcome.metrics);
      const { metrics } = outcome;
      return judged.kind === 'values'
        ? { event: 'complete', values: judged.values, metrics, message: '' }
        : { event: 'error', values: [], metrics, message: judged.message };
    }
    case 'pruned':
      return { event: 'prune', values: [], metrics: trial.lastReport?.metrics ?? {}, message: '' };
    case 'failed':
      return { event: outcome.reason, values: [], metrics: {}, message: outcome.message };
  }
}

/** Every number of the budget is out and finished: the study is over. */
export async function finishStudyIfDone(transaction: StudyTransaction): Promise<boolean> {
  const { state, nextNumber, trialsMax, finishSequence } = transaction.study();
  if (state !== 'RUNNING' || nextNumber < trialsMax || finishSequence < nextNumber) return false;
  await transaction.setStudy({ state: 'FINISHED' });
  return true;
}
