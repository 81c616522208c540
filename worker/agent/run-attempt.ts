/** One attempt at a trial: the data set first, then the trainer. */
import { retrying } from '../../shared/wire/call.js';
import { paramsFromWire } from '../../shared/wire/convert.js';
import type { AttemptResult } from '../trainers/child-trainer.js';
import type { TrialJob } from '../trainers/port.js';
import { about, textOf, type HeldTrial, type SlotOptions } from './slot-options.js';

/** Runs the trial until it ends or `signal` aborts. Reports go out as they come. */
export async function runAttempt(
  options: SlotOptions,
  { assignment }: HeldTrial,
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
        (error: unknown) =>
          options.log.debug(
            { ...about(options, assignment), step, reason: textOf(error) },
            'report not delivered',
          ),
      );
    },
  });
}
