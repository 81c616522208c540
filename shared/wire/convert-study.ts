/** Converters of the study service's messages. */
import { datasetHash } from '../core/ids.js';
import type { StudyDefinition } from '../core/study/definition.js';
import type { DatasetView, StudyView, TrialCounts } from '../core/study/study.js';
import { trialReasons, trialStates, type Trial, type TrialReason } from '../core/study/trial.js';
import {
  InvalidMessage,
  paramsFromWire,
  paramsToWire,
  studyStateFromWire,
  studyStateToWire,
  trialStateFromWire,
  trialStateToWire,
} from './convert.js';
import type {
  Dataset as WireDataset,
  Study as WireStudy,
  Trial as WireTrial,
} from './gen/parzen/v1/study.js';

export function studyToWire(study: StudyView): WireStudy {
  return {
    name: study.name,
    state: studyStateToWire(study.state),
    trialsMax: study.trialsMax,
    trialCounts: { ...study.counts },
    reasonCounts: { ...study.reasons },
    oomAttempts: study.oomAttempts,
    attemptCounts: { ...study.attempts },
    definitionText: study.definitionText,
    definitionHash: study.definitionHash,
    definitionJson: JSON.stringify(study.definition),
    datasetHash: study.dataset ?? '',
    createdAtMs: study.createdAtMs,
    bestTrials: [...study.best],
    workersAlive: study.workersAlive,
  };
}

export function studyFromWire(study: WireStudy): StudyView {
  const counts = Object.fromEntries(trialStates.map((state) => [state, study.trialCounts[state] ?? 0]));
  return {
    name: study.name,
    state: studyStateFromWire(study.state),
    trialsMax: study.trialsMax,
    counts: counts as TrialCounts,
    reasons: countsFromWire(study.reasonCounts),
    oomAttempts: study.oomAttempts,
    attempts: countsFromWire(study.attemptCounts),
    definitionText: study.definitionText,
    definitionHash: study.definitionHash,
    // Made by `studyToWire` on the other side from a checked definition.
    definition: JSON.parse(study.definitionJson) as StudyDefinition,
    dataset: study.datasetHash === '' ? null : datasetHash(study.datasetHash),
    createdAtMs: study.createdAtMs,
    best: study.bestTrials,
    workersAlive: study.workersAlive,
  };
}

function countsFromWire(counts: Readonly<Record<string, number>>): Partial<Record<TrialReason, number>> {
  const known: Partial<Record<TrialReason, number>> = {};
  for (const [reason, count] of Object.entries(counts)) known[reasonFromWire(reason)] = count;
  return known;
}

function reasonFromWire(reason: string): TrialReason {
  const known = trialReasons.find((candidate) => candidate === reason);
  if (known === undefined)
    throw new InvalidMessage(`unknown reason '${reason}'; this program may be too old`);
  return known;
}

export function trialToWire(trial: Trial): WireTrial {
  const { number, offGrid, attempt, message } = trial;
  return {
    ...{ number, offGrid, attempt, message },
    state: trialStateToWire(trial.state),
    reason: trial.reason ?? '',
    params: paramsToWire(trial.params),
    values: [...trial.values],
    metrics: { ...trial.metrics },
    workerId: trial.worker ?? '',
    startedAtMs: trial.startedAtMs ?? 0,
    finishedAtMs: trial.finishedAtMs ?? 0,
  };
}

export function trialFromWire(trial: WireTrial): Trial {
  const { number, offGrid, attempt, message, values, metrics } = trial;
  return {
    ...{ number, offGrid, attempt, message, values, metrics },
    state: trialStateFromWire(trial.state),
    reason: trial.reason === '' ? null : reasonFromWire(trial.reason),
    params: paramsFromWire(trial.params),
    worker: trial.workerId === '' ? null : trial.workerId,
    startedAtMs: trial.startedAtMs === 0 ? null : trial.startedAtMs,
    finishedAtMs: trial.finishedAtMs === 0 ? null : trial.finishedAtMs,
  };
}

export const datasetToWire = (dataset: DatasetView): WireDataset => ({ ...dataset });

export function datasetFromWire(dataset: WireDataset): DatasetView {
  if (!/^[0-9a-f]{64}$/.test(dataset.hash))
    throw new InvalidMessage('dataset.hash must be a SHA-256 in 64 lower-case hexadecimal digits');
  return { ...dataset, hash: datasetHash(dataset.hash) };
}
