/** A study and trials for the tests of this folder. */
import { datasetHash } from '../../shared/core/ids.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { Trial } from '../../shared/core/study/trial.js';
import type { ResultsStudy } from './results-study.js';

export const definition: StudyDefinition = {
  name: 'demo',
  objectives: [{ name: 'score', direction: 'maximize', weights: { auc: 0.7, dir_acc: 0.3 } }],
  trials: 20,
  sampler: { type: 'random', seed: 42 },
  space: [
    { kind: 'float', name: 'learning_rate', low: 1e-6, high: 1e-2, log: true, step: null },
    { kind: 'categorical', name: 'hermite_version', choices: ['probabilist', 'physicist'] },
    { kind: 'int', name: 'feature_window', low: 16, high: 256, log: false, step: 8 },
  ],
  fixed: { batch_size: 512, use_lstm: true },
  enqueue: [],
  trainer: 'hermite',
  data: { kind: 'none' },
  evaluation: { profile: 'honest', fold_count: 3 },
  failure: {
    oom: 'retry-bigger-gpu',
    diverged: 'value',
    divergedValue: 0,
    errorRetriesMax: 1,
    timeoutRetriesMax: 1,
    lostRetriesMax: 5,
    stallTimeoutSeconds: 900,
    trialTimeoutSeconds: 3600,
  },
};

export const study: ResultsStudy = {
  definition,
  definitionHash: 'ab'.repeat(32),
  dataset: datasetHash('cd'.repeat(32)),
  trialsMax: 20,
  oomAttempts: 0,
};

/** A COMPLETE trial of `study`, changed as given. */
export const trialOf = (number: number, change: Partial<Trial> = {}): Trial => ({
  number,
  state: 'COMPLETE',
  reason: 'finished',
  params: { learning_rate: 0.001, hermite_version: 'probabilist', feature_window: 64 },
  offGrid: false,
  values: [0.5],
  metrics: { auc: 0.5, dir_acc: 0.5 },
  attempt: 1,
  message: '',
  worker: 'worker-1',
  startedAtMs: Date.UTC(2025, 0, 1),
  finishedAtMs: Date.UTC(2025, 0, 1, 0, 0, 1, 500),
  ...change,
});
