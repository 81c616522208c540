import type { TrialRecord } from '../storage/port.js';
import type { AppContext } from './context.js';
import { requireStudy } from './study-view.js';

/** Trials of a study per call at most. */
const pageMax = 1_000;

/** Trials that finished after the given finish sequence, in the order of finishing; at most 1,000. */
export async function finishedTrials(
  context: AppContext,
  name: string,
  finishSequence: number,
): Promise<readonly TrialRecord[]> {
  const { id } = await requireStudy(context, name);
  return (
    (await context.storage.inStudy(id, (transaction) =>
      transaction.finishedAfter(finishSequence, pageMax),
    )) ?? []
  );
}

/** One trial by number; null when there is none. */
export async function findTrial(
  context: AppContext,
  name: string,
  number: number,
): Promise<TrialRecord | null> {
  const { id } = await requireStudy(context, name);
  const [trial] = await context.storage.listTrials(id, { fromNumber: number, limit: 1 });
  return trial !== undefined && trial.number === number ? trial : null;
}
