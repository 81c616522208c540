/** One slot of a worker: asks for a trial, runs it, tells how it went, and again. */
import type { FailureReason } from '../../shared/core/study/trial.js';
import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import { retrying } from '../../shared/wire/call.js';
import { failureReasonToWire, paramsFromWire } from '../../shared/wire/convert.js';
import {
  NothingToDo_Reason,
  type Assignment,
  type TellRequest,
} from '../../shared/wire/gen/parzen/v1/trial.js';
import { messageLengthMax } from '../../shared/wire/limits.js';
import { idlePauseMs, releaseTimeoutMs, unfitMax, unfitPauseMs } from '../limits.js';
import type { AttemptOptions, AttemptResult } from '../trainers/child-trainer.js';
import type { TrialJob } from '../trainers/port.js';
import type { CoordinatorClient } from './coordinator-client.js';
import type { DatasetCache } from './dataset-cache.js';
import type { Journal } from './journal.js';
import type { Leases } from './leases.js';
import { WorkerUnfit } from './worker-unfit.js';

/** Runs attempts one after the other; a process, or a fake in tests. */
export interface AttemptRunner {
  run(job: TrialJob, options: AttemptOptions): Promise<AttemptResult>;
  kill(): Promise<void>;
}

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
  /** The runner for a trainer; the same one for the same name. */
  readonly runnerFor: (trainer: string) => AttemptRunner;
  /** Called when the coordinator does not know this worker (any more). */
  readonly register: () => Promise<void>;
  /** Told of every acknowledged result; none by default. */
  readonly journal?: Journal | null;
  /** Aborts when the worker shuts down. */
  readonly stopping: AbortSignal;
}

/**
 * Works until `stopping` aborts. Rejects with `WorkerUnfit` after several trials in a row that this machine could not even
 * start (they are given back uncounted), and for bugs and calls that the coordinator refuses.
 */
export async function runSlot(options: SlotOptions): Promise<void> {
  const { clock, stopping } = options;
  let unfitInARow = 0;
  while (!stopping.aborted) {
    const request = { requestId: options.mintId(), workerId: options.workerId, study: options.study };
    const outcome = await askOrGiveBack(options, request);
    if (outcome?.$case === 'assignment') {
      const unfit = await runAssignment(options, outcome.value);
      unfitInARow = unfit === null ? 0 : unfitInARow + 1;
      if (unfit !== null && unfitInARow >= unfitMax) throw new WorkerUnfit(unfit);
      if (unfit !== null) await clock.sleep(unfitPauseMs * 2 ** (unfitInARow - 1), stopping);
    } else if (outcome?.value.reason === NothingToDo_Reason.UNKNOWN_WORKER) await options.register();
    else await clock.sleep(idlePauseMs, stopping);
  }
}

type AskedFor = Parameters<CoordinatorClient['ask']>[0];

/** The answer to an ask; when the worker is stopped meanwhile, what the ask may have been answered with is given back. */
async function askOrGiveBack(options: SlotOptions, request: AskedFor): ReturnType<CoordinatorClient['ask']> {
  const { client, stopping, log, trainers } = options;
  try {
    return await client.ask(request, trainers, stopping);
  } catch (error) {
    if (!stopping.aborted) throw error;
  }
  try {
    await within(options.clock, releaseTimeoutMs, (signal) =>
      client.release({ $case: 'requestId', value: request.requestId }, signal),
    );
  } catch (error) {
    log.debug({ reason: textOf(error) }, 'an ask was left open; what it was answered with will expire');
  }
  return undefined;
}

/** Runs one trial and says how it went. The reason when this machine could not run it at all, else null. */
async function runAssignment(options: SlotOptions, assignment: Assignment): Promise<string | null> {
  const { leaseToken, study, number, attempt } = assignment;
  const fields = { study, trial: number, attempt };
  const leaseSignal = options.leases.hold(leaseToken);
  const startedAtMs = options.clock.nowMs();
  options.log.debug(fields, 'trial started');
  try {
    const result = await runAttempt(options, assignment, AbortSignal.any([leaseSignal, options.stopping]));
    const seconds = Math.round((options.clock.nowMs() - startedAtMs) / 100) / 10;
    // A result that came in spite of the loss is told: the coordinator keeps it as evidence.
    if (result.kind === 'stopped' && leaseSignal.reason === 'lost')
      options.log.warn(fields, 'lease lost; trial dropped');
    else if (result.kind === 'unfit') {
      options.log.error({ ...fields, reason: result.message }, 'this worker cannot run the trial');
      await giveBack(options, assignment, true);
      return result.message;
    } else if (result.kind === 'stopped' && options.stopping.aborted) await giveBack(options, assignment);
    else await tellResult(options, assignment, result, seconds);
    return null;
  } finally {
    options.leases.drop(leaseToken);
  }
}

async function runAttempt(
  options: SlotOptions,
  assignment: Assignment,
  signal: AbortSignal,
): Promise<AttemptResult> {
  const { client, leases, cache, clock, random } = options;
  const { leaseToken, datasetHash } = assignment;
  let dataPath: string | null;
  try {
    // A coordinator that is away comes back; anything else is this machine's fault or the store's, not the trial's.
    const patient = { sleep: (ms: number) => clock.sleep(ms, signal), random, signal, attemptsMax: Infinity };
    dataPath = datasetHash === '' ? null : await retrying(() => cache.ensure(datasetHash), patient);
  } catch (error) {
    if (signal.aborted) return { kind: 'stopped' };
    return { kind: 'unfit', message: `the data set cannot be had: ${textOf(error)}` };
  }
  const job: TrialJob = {
    study: assignment.study,
    number: assignment.number,
    attempt: assignment.attempt,
    params: paramsFromWire(assignment.params),
    seed: assignment.seed,
    dataPath,
    evaluation: JSON.parse(assignment.evaluationJson) as TrialJob['evaluation'],
  };
  return options.runnerFor(assignment.trainer).run(job, {
    stallTimeoutMs: assignment.stallTimeoutSeconds * 1_000,
    trialTimeoutMs: assignment.trialTimeoutSeconds * 1_000,
    signal,
    onReport: (step, metrics) => {
      client.report(leaseToken, step, metrics).then(
        (answer) => leases.answer(leaseToken, answer),
        // The coordinator is away: the trial goes on, heartbeats find out what became of the lease.
        (error: unknown) => options.log.debug({ reason: textOf(error) }, 'report not delivered'),
      );
    },
  });
}

type ToldResult = Exclude<AttemptResult, { readonly kind: 'unfit' }>;

/** Failures that a worker can tell; the others are found out by the coordinator. */
const toldReason = (reason: FailureReason): Exclude<FailureReason, 'lost' | 'preempted'> =>
  reason === 'lost' || reason === 'preempted' ? 'error' : reason;

function outcomeOf(result: ToldResult): Pick<TellRequest, 'outcome' | 'peakMemoryBytes'> {
  switch (result.kind) {
    case 'done':
      return {
        outcome: { $case: 'completed', value: { metrics: { ...result.metrics } } },
        peakMemoryBytes: result.peakMemoryBytes ?? 0,
      };
    case 'failed': {
      const reason = failureReasonToWire(toldReason(result.reason));
      const message = result.message.slice(0, messageLengthMax);
      return {
        outcome: { $case: 'failed', value: { reason, message } },
        peakMemoryBytes: result.peakMemoryBytes ?? 0,
      };
    }
    case 'stopped':
      return { outcome: { $case: 'pruned', value: {} }, peakMemoryBytes: 0 };
  }
}

async function tellResult(
  options: SlotOptions,
  assignment: Assignment,
  result: ToldResult,
  seconds: number,
): Promise<void> {
  const { leaseToken, study, number, attempt } = assignment;
  // A result is told even while the worker stops: it was paid for.
  const patience = new AbortController();
  const giveUp = (): void => void options.clock.sleep(releaseTimeoutMs).then(() => patience.abort());
  if (options.stopping.aborted) giveUp();
  else options.stopping.addEventListener('abort', giveUp, { once: true });
  try {
    const answer = await options.client.tell({ leaseToken, ...outcomeOf(result) }, patience.signal);
    options.journal?.append({
      ...{ worker: options.workerId, study, trial: number, attempt, token: leaseToken, answer },
      outcome: result.kind === 'failed' ? result.reason : result.kind,
      metrics: result.kind === 'done' ? result.metrics : {},
    });
    const failure =
      result.kind === 'failed' ? { reason: result.reason, message: result.message.slice(0, 200) } : {};
    options.log.debug(
      { study, trial: number, outcome: result.kind, answer, seconds, ...failure },
      'trial told',
    );
  } catch (error) {
    if (!patience.signal.aborted) throw error;
    options.log.warn(
      { study, trial: number, reason: textOf(error) },
      'stopped before the result could be told',
    );
  } finally {
    options.stopping.removeEventListener('abort', giveUp);
  }
}

async function giveBack(
  options: SlotOptions,
  { leaseToken, study, number }: Assignment,
  unfit = false,
): Promise<void> {
  try {
    await within(options.clock, releaseTimeoutMs, (signal) =>
      options.client.release({ $case: 'leaseToken', value: leaseToken }, signal, unfit),
    );
    options.log.info({ study, trial: number }, 'trial given back');
  } catch (error) {
    options.log.warn(
      { study, trial: number, reason: textOf(error) },
      'trial not given back; its lease will expire',
    );
  }
}

/** Runs `call` with a signal that aborts after `ms`. */
async function within<T>(clock: Clock, ms: number, call: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const patience = new AbortController();
  const settled = new AbortController();
  void clock.sleep(ms, settled.signal).then(() => patience.abort());
  try {
    return await call(patience.signal);
  } finally {
    settled.abort();
  }
}

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
