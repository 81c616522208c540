import type { Objective } from '../../../shared/core/study/definition.js';
import type { TrialState } from '../../../shared/core/study/trial.js';
import { summableMax } from '../port/overview.js';
import type {
  ObjectiveOverview,
  Overview,
  OverviewRequest,
  StudyOverview,
  TrialRecord,
  WorkerRecord,
} from '../port.js';
import type { StudyState } from './study-state.js';

/** `Storage.overview` of a store in memory. */
export function overviewOf(
  studies: readonly StudyState[],
  workers: readonly WorkerRecord[],
  request: OverviewRequest,
): Overview {
  const shown = studies.filter((study) => isShown(study, request.finishedSinceMs)).reverse();
  const leases = studies.flatMap((study) =>
    [...study.running].flatMap((number) => study.trials[number]?.lease ?? []),
  );
  const oldestMs = leases.reduce((oldest, { expiresAtMs }) => Math.min(oldest, expiresAtMs), request.nowMs);
  const busy = new Set(leases.map(({ worker }) => worker));
  const states = workers
    .filter(({ lastSeenAtMs }) => lastSeenAtMs >= request.workersSinceMs)
    .map(({ id, lastSeenAtMs, draining }) => {
      // Gone, as it said that it would.
      if (lastSeenAtMs < request.aliveSinceMs) return draining ? null : 'lost';
      return draining ? 'draining' : busy.has(id) ? 'busy' : 'idle';
    });
  const count = (state: keyof Overview['workers']): number => states.filter((each) => each === state).length;
  return {
    studies: shown.slice(0, request.studiesMax).map((study) => overviewOfStudy(study, request)),
    studiesOmitted: Math.max(0, shown.length - request.studiesMax),
    leaseOverdueMs: request.nowMs - oldestMs,
    workers: { idle: count('idle'), busy: count('busy'), draining: count('draining'), lost: count('lost') },
  };
}

function isShown({ record, finished, trials }: StudyState, sinceMs: number): boolean {
  if (record.state === 'RUNNING' || record.state === 'PAUSED') return true;
  const last = finished.at(-1);
  const finishedAtMs = last === undefined ? null : trials[last]?.finishedAtMs;
  return (finishedAtMs ?? record.createdAtMs) >= sinceMs;
}

function overviewOfStudy(study: StudyState, { known }: OverviewRequest): StudyOverview {
  const { id, definition, state, trialsMax, nextNumber, finishSequence } = study.record;
  const trials = study.finished.slice(known.get(id) ?? 0).flatMap((number) => study.trials[number] ?? []);
  const finished: Partial<Record<TrialState, number>> = {};
  for (const trial of trials) finished[trial.state] = (finished[trial.state] ?? 0) + 1;
  return {
    ...{ id, name: definition.name, state, sampler: definition.sampler.type },
    objectives: definition.objectives.map(({ name, direction }) => ({ name, direction })),
    ...{ trialsMax, nextNumber, finishSequence, waiting: study.waiting.size, running: study.running.size },
    finished,
    values: definition.objectives.flatMap((objective, index) => valuesOf(objective, index, trials)),
  };
}

function valuesOf(
  { direction }: Objective,
  objective: number,
  trials: readonly TrialRecord[],
): readonly ObjectiveOverview[] {
  const complete = trials.filter(({ state }) => state === 'COMPLETE');
  const sign = direction === 'maximize' ? -1 : 1;
  const lossOf = ({ values }: TrialRecord): number => sign * (values[objective] ?? Infinity);
  const best = complete.reduce<TrialRecord | null>(
    (found, trial) => (found === null || lossOf(trial) < lossOf(found) ? trial : found),
    null,
  );
  if (best === null) return [];
  const drawn = complete
    .filter(({ reason }) => reason === 'finished')
    .map(({ values }) => values[objective] ?? NaN)
    .filter(Number.isFinite);
  const summable = drawn.filter((value) => Math.abs(value) < summableMax);
  const mean = summable.length === 0 ? 0 : summable.reduce((sum, value) => sum + value, 0) / summable.length;
  const squares =
    summable.length < drawn.length ? Infinity : summable.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const figures = { best: best.values[objective] ?? NaN, bestAtMs: best.finishedAtMs ?? 0 };
  return [{ objective, ...figures, count: drawn.length, mean, squares }];
}
