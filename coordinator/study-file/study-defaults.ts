/** What a study file gets for what it does not say, with the reason for each value. */
import type { TpeRules, TpeSettings } from '../../shared/core/sampler/sampler.js';
import type { FailurePolicy } from '../../shared/core/study/definition.js';

export const trainerDefault = 'hermite';

export const samplerTypeDefault = 'tpe';

/** A study is reproducible also when nobody thought of a seed; 42 is the briefing's. */
export const seedDefault = 42;

/** The present release's rules (tpe.md §2); `optuna-4` is for comparison with older results. */
export const tpeRulesDefault: TpeRules = 'optuna-5';

/**
 * The defaults of the release whose rules are followed (tpe.md §1): the joint model for one objective, and running trials
 * as bad ones, became defaults with release 5.
 */
export function tpeDefaults(
  rules: TpeRules,
  objectives: number,
): Omit<TpeSettings, 'type' | 'seed' | 'rules'> {
  const isNew = rules === 'optuna-5';
  return {
    /** Finished trials before the model is used. */
    startupTrials: 10,
    /** Candidates per suggestion. */
    eiCandidates: 24,
    multivariate: isNew && objectives === 1,
    group: false,
    constantLiar: isNew,
  };
}

/** architecture §5, "default policy of v6-stage1". */
export const failureDefaults: FailurePolicy = {
  oom: 'retry-bigger-gpu',
  diverged: 'value',
  /** The briefing's rule; 0 is worse than any working forecaster's score of about 0.5. */
  divergedValue: 0,
  /** A crash may be the machine's fault once, hardly twice. */
  errorRetriesMax: 1,
  timeoutRetriesMax: 1,
  /** Losing a worker says nothing about the trial, but a trial that takes five down with it does. */
  lostRetriesMax: 5,
  /** Seconds. A trial reports after each fold, so this bounds one fold; a choice, not a measurement. */
  stallTimeoutSeconds: 15 * 60,
  /** Seconds. For trials that go on reporting and never end; far above any useful trial, so that it stops nothing else. */
  trialTimeoutSeconds: 4 * 3600,
};
