import { stateAfter } from '../../shared/core/study/transition.js';
import type { StudyTransaction } from '../storage/port.js';
import type { AppContext } from './context.js';
import { finishStudyIfDone } from './settle-attempt.js';
import { biggerGpuExists } from './workers.js';

/**
 * After an out-of-memory a trial waits for a GPU with more memory, as long as there is hope: a worker with one, that may
 * take trials of this study, is alive, or was of late. When the hope is gone (that worker left, and none came instead) the trial is PRUNED, as it would
 * have been without the hope; otherwise its study would never end. Called when a worker finds nothing else to do.
 * True when a trial was given up.
 */
export async function giveUpWaiting(context: AppContext, transaction: StudyTransaction): Promise<boolean> {
  const { definition } = transaction.study();
  let gaveUp = false;
  for (;;) {
    const trial = await transaction.nextWaiting(Number.MAX_SAFE_INTEGER);
    const floor = trial?.memoryFloorBytes ?? null;
    if (trial === null || floor === null || (await biggerGpuExists(context, definition, floor))) break;
    await transaction.updateTrial({
      ...trial,
      state: stateAfter(trial.state, 'give-up'),
      reason: 'oom',
      message: `${trial.message} (no GPU with more memory came)`.trimStart(),
      finishedAtMs: context.clock.nowMs(),
    });
    gaveUp = true;
  }
  if (gaveUp) await finishStudyIfDone(transaction);
  return gaveUp;
}
