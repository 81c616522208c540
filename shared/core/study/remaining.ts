import type { StudyState } from './study.js';

/** Trials that a study still owes: not handed out yet, waiting or running. None when it is finished or stopped. */
export function trialsRemaining(study: {
  readonly state: StudyState;
  readonly trialsMax: number;
  readonly nextNumber: number;
  readonly finishSequence: number;
}): number {
  if (study.state === 'FINISHED' || study.state === 'STOPPED') return 0;
  // A budget that was lowered below what is out takes nothing back.
  return Math.max(study.trialsMax, study.nextNumber) - study.finishSequence;
}
