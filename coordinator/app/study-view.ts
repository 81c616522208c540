import type { StudyView } from '../../shared/core/study/study.js';
import type { Trial, TrialState } from '../../shared/core/study/trial.js';
import type { StudyRecord, TrialCounts, TrialRecord } from '../storage/port.js';
import type { AppContext } from './context.js';
import { studyNotFound } from './errors.js';
import type { History } from './history.js';

/** The study of that name; throws `AppError` not-found. */
export async function requireStudy(context: AppContext, name: string): Promise<StudyRecord> {
  const study = await context.storage.findStudy(name);
  if (study === null) throw studyNotFound(name);
  return study;
}

export async function viewStudy(context: AppContext, name: string): Promise<StudyView> {
  return view(context, await requireStudy(context, name));
}

/** All studies in order of creation. */
export async function listStudies(context: AppContext): Promise<readonly StudyView[]> {
  const views: StudyView[] = [];
  for (const study of await context.storage.listStudies()) views.push(await view(context, study));
  return views;
}

async function view(context: AppContext, found: StudyRecord): Promise<StudyView> {
  const { storage, clock, settings, histories } = context;
  const read = await histories.withHistory(storage, () =>
    storage.inStudy(found.id, async (transaction) => {
      const history = await histories.upToDate(transaction);
      const running = (await transaction.runningParams()).length;
      // All of one moment: others may use the history further as soon as this transaction is over.
      const { reasons, best, states } = history;
      return {
        study: transaction.study(),
        reasons,
        best,
        counts: countsOf(transaction.study(), states, running),
      };
    }),
  );
  if (read === null) throw studyNotFound(found.definition.name);
  const { study, counts, reasons, best } = read;
  const [attempts, workers] = await Promise.all([storage.countAttempts(study.id), storage.listWorkers()]);
  const aliveSinceMs = clock.nowMs() - settings.leaseTtlMs;
  const { definition, state, trialsMax, definitionText, definitionHash, dataset, createdAtMs } = study;
  return {
    ...{
      name: definition.name,
      state,
      trialsMax,
      counts,
      definition,
      definitionText,
      definitionHash,
      dataset,
      createdAtMs,
    },
    reasons,
    oomAttempts: attempts.oom ?? 0,
    attempts,
    best,
    workersAlive: workers.filter(({ lastSeenAtMs, draining }) => !draining && lastSeenAtMs >= aliveSinceMs)
      .length,
  };
}

const countsOf = (
  { nextNumber, finishSequence }: StudyRecord,
  finished: History['states'],
  running: number,
): TrialCounts => ({ ...finished, RUNNING: running, WAITING: nextNumber - finishSequence - running });

/** Trials per page at most. */
export const trialPageMax = 1_000;

export interface TrialPageRequest {
  readonly fromNumber: number;
  /** 1 … `trialPageMax`. */
  readonly limit: number;
  /** Empty for all. */
  readonly states: readonly TrialState[];
}

export interface TrialPageView {
  readonly trials: readonly Trial[];
  /** Where the next page starts; null on the last page. */
  readonly nextNumber: number | null;
}

/** One page of a study's trials in number order. */
export async function listTrials(
  context: AppContext,
  name: string,
  page: TrialPageRequest,
): Promise<TrialPageView> {
  const study = await requireStudy(context, name);
  const limit = Math.min(Math.max(page.limit, 1), trialPageMax);
  const records = await context.storage.listTrials(study.id, { ...page, limit });
  const last = records.at(-1);
  return {
    trials: records.map(viewTrial),
    nextNumber: last === undefined || records.length < limit ? null : last.number + 1,
  };
}

export function viewTrial(record: TrialRecord): Trial {
  const { number, state, reason, offGrid, values, metrics, attempt, message, worker } = record;
  const { startedAtMs, finishedAtMs } = record;
  const params = record.params ?? record.given ?? {};
  return {
    ...{ number, state, reason, params, offGrid, values, metrics, attempt, message, worker },
    startedAtMs,
    finishedAtMs,
  };
}
