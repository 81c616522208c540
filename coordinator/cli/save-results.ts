import path from 'node:path';
import type { StudyView } from '../../shared/core/study/study.js';
import type { Trial } from '../../shared/core/study/trial.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { trialPageMax } from '../app/study-view.js';
import { summaryText } from '../results/summary.js';
import { writeResults } from '../results/write-results.js';
import { CommandError } from './command-error.js';

export interface SavedResults {
  /** The summary for the terminal. */
  readonly text: string;
  /** Paths of the files written; none while no trial has finished. */
  readonly files: readonly string[];
}

/** Writes the results of a study as it stands, and sums them up. */
export async function saveResults(
  gateway: StudyGateway,
  study: StudyView,
  directory: string,
): Promise<SavedResults> {
  const trials = await allTrials(gateway, study.name);
  const text = summaryText(study, trials);
  if (trials.length === 0) return { text, files: [] };
  const { files } = await writeResults(directory, study, trials);
  return { text, files: files.map((file) => path.join(directory, file)) };
}

/** Every trial of a study, page by page. */
export async function allTrials(gateway: StudyGateway, name: string): Promise<readonly Trial[]> {
  const trials: Trial[] = [];
  for (let from: number | null = 0; from !== null;) {
    const page = await gateway.trials(name, { fromNumber: from, limit: trialPageMax, states: [] });
    trials.push(...page.trials);
    from = page.nextNumber;
  }
  return trials;
}

export interface CompleteTrials {
  readonly study: StudyView;
  readonly all: readonly Trial[];
  readonly complete: readonly Trial[];
}

/** The trials of a study that has complete ones; throws `CommandError` for another. */
export async function completeTrials(gateway: StudyGateway, name: string): Promise<CompleteTrials> {
  const study = await gateway.get(name);
  const all = await allTrials(gateway, name);
  const complete = all.filter(({ state }) => state === 'COMPLETE');
  if (complete.length === 0) throw new CommandError(`study '${name}' has no complete trial yet`);
  return { study, all, complete };
}
