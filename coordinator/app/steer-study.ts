import { stateAfter } from '../../shared/core/study/transition.js';
import type { StudyTransaction, TrialRecord } from '../storage/port.js';
import type { AppContext } from './context.js';
import { AppError, studyNotFound } from './errors.js';
import { finishStudyIfDone } from './settle-attempt.js';
import { requireStudy } from './study-view.js';

/** Hands out no more trials for now; running ones go on. Pausing twice is fine. */
export const pauseStudy = (context: AppContext, name: string): Promise<void> =>
  steer(context, name, async (transaction) => {
    const { state } = transaction.study();
    if (state === 'STOPPED' || state === 'FINISHED')
      throw new AppError(
        'failed-precondition',
        `study '${name}' is ${state}; only a running study can be paused`,
      );
    await transaction.setStudy({ state: 'PAUSED' });
  });

/** Hands out trials again, after a pause or a stop. */
export const resumeStudy = (context: AppContext, name: string): Promise<void> =>
  steer(context, name, async (transaction) => {
    if (transaction.study().state === 'FINISHED')
      throw new AppError(
        'failed-precondition',
        `study '${name}' has used up its budget; start it with a larger one: --trials N`,
      );
    await transaction.setStudy({ state: 'RUNNING' });
    await finishStudyIfDone(transaction);
  });

/**
 * Ends a study: waiting and running trials are cancelled, their workers learn of it with the next heartbeat. One
 * transaction, so that no study is stopped by half when the coordinator dies meanwhile. Stopping twice is fine.
 */
export async function stopStudy(context: AppContext, name: string): Promise<void> {
  const nowMs = context.clock.nowMs();
  await steer(context, name, async (transaction) => {
    if (transaction.study().state === 'FINISHED')
      throw new AppError('failed-precondition', `study '${name}' has finished; there is nothing to stop`);
    await transaction.setStudy({ state: 'STOPPED' });
    for (const trial of await transaction.running()) await cancelTrial(transaction, trial, nowMs);
    for (const trial of await transaction.waiting()) await cancelTrial(transaction, trial, nowMs);
  });
}

async function cancelTrial(transaction: StudyTransaction, trial: TrialRecord, nowMs: number): Promise<void> {
  const { lease } = trial;
  await transaction.updateTrial({
    ...trial,
    state: stateAfter(trial.state, 'cancel'),
    reason: 'cancelled',
    lease: null,
    finishedAtMs: nowMs,
  });
  if (lease === null) return;
  const end = {
    endedAtMs: nowMs,
    outcome: 'cancelled',
    message: 'the study was stopped',
    peakMemoryBytes: null,
  } as const;
  await transaction.endAttempt(lease.token, end);
}

/** Removes a study and all its trials. Throws failed-precondition while it is running or has running trials. */
export async function deleteStudy(context: AppContext, name: string): Promise<void> {
  const study = await requireStudy(context, name);
  await context.storage.deleteStudy(study.id, ({ state, running }) => {
    if (state === 'RUNNING' || running > 0)
      throw new AppError(
        'failed-precondition',
        `study '${name}' is running; stop it first: coordinator stop ${name}`,
      );
  });
  context.histories.forget(study.id);
  context.signal.notify();
}

async function steer(
  context: AppContext,
  name: string,
  change: (transaction: StudyTransaction) => Promise<void>,
): Promise<void> {
  const { id } = await requireStudy(context, name);
  if ((await context.storage.inStudy(id, (transaction) => change(transaction).then(() => true))) === null)
    throw studyNotFound(name);
  context.signal.notify();
}
