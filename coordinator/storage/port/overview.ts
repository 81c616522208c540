import type { StudyId } from '../../../shared/core/ids.js';
import type { SamplerSettings } from '../../../shared/core/sampler/sampler.js';
import type { Objective } from '../../../shared/core/study/definition.js';
import type { StudyState } from '../../../shared/core/study/study.js';
import type { TrialState } from '../../../shared/core/study/trial.js';

/** What a look at the whole store asks for. */
export interface OverviewRequest {
  readonly nowMs: number;
  /** Studies that are over and whose last trial finished before this are left out. */
  readonly finishedSinceMs: number;
  /** Studies at most, the newest ones. */
  readonly studiesMax: number;
  /** Workers last seen before this are left out … */
  readonly workersSinceMs: number;
  /** … and those last seen before this count as lost. */
  readonly aliveSinceMs: number;
  /** Finish sequences up to which the finished trials of a study are known already; 0 for a study that is not in it. */
  readonly known: ReadonlyMap<StudyId, number>;
}

/** The store at one moment; what finished is told from the known finish sequence on, so that a look costs what is new. */
export interface Overview {
  /** Newest first. */
  readonly studies: readonly StudyOverview[];
  /** Studies left out because there are more than `studiesMax`. */
  readonly studiesOmitted: number;
  /** Age of the oldest expired lease, ms; 0 when there is none. */
  readonly leaseOverdueMs: number;
  readonly workers: Readonly<Record<'idle' | 'busy' | 'draining' | 'lost', number>>;
}

export interface StudyOverview {
  readonly id: StudyId;
  readonly name: string;
  readonly state: StudyState;
  readonly sampler: SamplerSettings['type'];
  readonly objectives: readonly Pick<Objective, 'name' | 'direction'>[];
  readonly trialsMax: number;
  readonly nextNumber: number;
  readonly finishSequence: number;
  readonly waiting: number;
  readonly running: number;
  /** Trials that finished after the known finish sequence, by state; absent states have none. */
  readonly finished: Readonly<Partial<Record<TrialState, number>>>;
  /** Per objective; what no COMPLETE trial after the known finish sequence gave is absent. */
  readonly values: readonly ObjectiveOverview[];
}

/** Values of one objective in the COMPLETE trials after the known finish sequence. */
export interface ObjectiveOverview {
  /** Position of the objective. */
  readonly objective: number;
  readonly best: number;
  /** When the best finished; the first of equals. */
  readonly bestAtMs: number;
  /** Of finite values that a trainer reported (a value that the failure policy set is left out): how many, … */
  readonly count: number;
  /** … the mean of those whose squares can be summed (below `summableMax`), … */
  readonly mean: number;
  /** … and the sum of their squared distances from the mean; Infinity when one is too large to be squared and summed. */
  readonly squares: number;
}

/** Squares of values below this can be summed over any study in double precision; of greater ones they cannot. */
export const summableMax = 1e140;

/** Connections to the database, of this process. */
export interface ConnectionCounts {
  readonly idle: number;
  readonly busy: number;
  /** Calls that wait for a connection. */
  readonly waiting: number;
}
