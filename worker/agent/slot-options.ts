import type { Clock } from '../../shared/platform/clock.js';
import { leaseName, type Log, type LogFields } from '../../shared/platform/log.js';
import type { Tracer } from '../../shared/platform/tracing.js';
import type { Assignment } from '../../shared/wire/gen/parzen/v1/trial.js';
import type { AttemptOptions, AttemptResult } from '../trainers/child-trainer.js';
import type { TrialJob } from '../trainers/port.js';
import type { CoordinatorClient } from './coordinator-client.js';
import type { DatasetCache } from './dataset-cache.js';
import type { Journal } from './journal.js';
import type { Leases } from './leases.js';

/** Runs attempts one after the other; a process, or a fake in tests. */
export interface AttemptRunner {
  run(job: TrialJob, options: AttemptOptions): Promise<AttemptResult>;
  kill(): Promise<void>;
}

/** What a slot works with. */
export interface SlotOptions {
  readonly client: CoordinatorClient;
  readonly leases: Leases;
  readonly cache: DatasetCache;
  readonly clock: Clock;
  /** Uniform on [0, 1); spreads retries. */
  readonly random: () => number;
  readonly log: Log;
  readonly mintId: () => string;
  readonly workerId: string;
  readonly study: string | null;
  readonly trainers: readonly string[];
  /** The next trial is asked for while one runs that is shorter than this many round trips; 0: never. */
  readonly aheadRoundTrips: number;
  /** The runner for a trainer; the same one for the same name. */
  readonly runnerFor: (trainer: string) => AttemptRunner;
  /** Called when the coordinator does not know this worker (any more). */
  readonly register: () => Promise<void>;
  /** Told of every acknowledged result; none by default. */
  readonly journal?: Journal | null;
  /** Traces; nobody by default. */
  readonly tracer?: Tracer | undefined;
  /** Aborts when the worker shuts down: no new trials. */
  readonly stopping: AbortSignal;
  /** Aborts, not before `stopping`, when running trials are to be given back. */
  readonly ending: AbortSignal;
  /** Aborts when what could not be told or given back by then is left to its leases. */
  readonly over: AbortSignal;
}

/** A trial whose lease this slot holds. */
export interface HeldTrial {
  readonly assignment: Assignment;
  /** When the assignment came, ms. */
  readonly heldAtMs: number;
  /** Aborts when the coordinator says that the lease is lost or the trial cancelled; the reason says which. */
  readonly signal: AbortSignal;
}

/** A held trial as logs name it. */
export const about = (
  { workerId: worker }: Pick<SlotOptions, 'workerId'>,
  { study, number, attempt, leaseToken }: Assignment,
): LogFields => ({ study, trial: number, attempt, worker, lease: leaseName(leaseToken) });

/** The attempt is over for this worker: the root of its trace. */
export function traceAttempt(
  options: Pick<SlotOptions, 'workerId' | 'tracer' | 'clock'>,
  { assignment, heldAtMs }: HeldTrial,
  { reason, failed = false }: { readonly reason: string; readonly failed?: boolean },
): void {
  options.tracer?.record({
    ...{ name: 'attempt', token: assignment.leaseToken, startMs: heldAtMs, endMs: options.clock.nowMs() },
    ...{ attributes: { ...about(options, assignment), reason }, failed },
  });
}

/** Looks again: a signal changes while one waits, which the compiler does not see. */
export const aborted = (signal: AbortSignal): boolean => signal.aborted;

export const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
