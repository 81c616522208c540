import type { LeaseToken } from '../../shared/core/ids.js';
import { assert } from '../../shared/core/assert.js';
import type { Params } from '../../shared/core/space/parameter.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import { trainerSeed } from '../../shared/core/study/trainer-seed.js';
import type { StudyRecord, TrialRecord } from '../storage/port.js';

/** Everything a worker needs to run one attempt. */
export interface Assignment {
  readonly study: string;
  readonly number: number;
  readonly attempt: number;
  /** Searched and fixed parameters together. */
  readonly params: Params;
  /** 0 ≤ seed < 2³². */
  readonly seed: number;
  readonly trainer: string;
  readonly dataset: string | null;
  readonly evaluation: StudyDefinition['evaluation'];
  readonly token: LeaseToken;
  readonly leaseTtlMs: number;
  readonly stallTimeoutSeconds: number;
  readonly trialTimeoutSeconds: number;
}

/** The assignment that a leased trial amounts to; the same however often it is asked for. */
export function assignmentOf(study: StudyRecord, trial: TrialRecord, leaseTtlMs: number): Assignment {
  assert(trial.lease !== null && trial.params !== null, `trial ${trial.number} is not leased`);
  const { definition } = study;
  return {
    study: definition.name,
    number: trial.number,
    attempt: trial.attempt,
    params: { ...definition.fixed, ...trial.params },
    seed: trainerSeed(definition.sampler.seed, trial.number),
    trainer: definition.trainer,
    dataset: study.dataset,
    evaluation: definition.evaluation,
    token: trial.lease.token,
    leaseTtlMs,
    stallTimeoutSeconds: definition.failure.stallTimeoutSeconds,
    trialTimeoutSeconds: definition.failure.trialTimeoutSeconds,
  };
}
