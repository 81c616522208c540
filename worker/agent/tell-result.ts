/** Telling how an attempt went. */
import type { Artifact } from '../../shared/core/study/artifact.js';
import { toldReasons, type FailureReason, type ToldReason } from '../../shared/core/study/trial.js';
import { failureReasonToWire } from '../../shared/wire/convert.js';
import type { TellRequest } from '../../shared/wire/gen/parzen/v1/trial.js';
import { artifactBytesMax, messageLengthMax } from '../../shared/wire/limits.js';
import type { AttemptResult } from '../trainers/child-trainer.js';
import { about, textOf, traceAttempt, type HeldTrial, type SlotOptions } from './slot-options.js';

export type ToldResult = Exclude<AttemptResult, { readonly kind: 'unfit' }>;

/**
 * Tells a result until it is acknowledged, and lets go of the lease. Also while the worker stops, for a while: the result
 * was paid for. Rejects only for what the coordinator refuses.
 */
export async function tellResult(
  options: SlotOptions,
  held: HeldTrial,
  { result, fields }: { readonly result: ToldResult; readonly fields: Readonly<Record<string, unknown>> },
): Promise<void> {
  const { leaseToken, study, number, attempt } = held.assignment;
  const { over, log, leases } = options;
  const ids = { ...about(options, held.assignment), ...fields };
  try {
    if (result.kind === 'done') await leaveArtifacts(options, held, result.artifacts ?? []);
    const answer = await options.client.tell({ leaseToken, ...outcomeOf(result) }, over);
    options.journal?.append({
      ...{ worker: options.workerId, study, trial: number, attempt, token: leaseToken, answer },
      outcome: result.kind === 'failed' ? result.reason : result.kind,
      metrics: result.kind === 'done' ? result.metrics : {},
    });
    const failure =
      result.kind === 'failed' ? { reason: result.reason, message: result.message.slice(0, 200) } : {};
    log.debug({ ...ids, outcome: result.kind, answer, ...failure }, 'trial told');
  } catch (error) {
    if (!over.aborted) throw error;
    log.warn({ ...ids, reason: textOf(error) }, 'stopped before the result could be told');
  } finally {
    leases.drop(leaseToken);
    const reason = result.kind === 'failed' ? result.reason : result.kind;
    traceAttempt(options, held, { reason, failed: result.kind === 'failed' });
  }
}

/** Leaves a trial's files with it. They are by the way: without one the result counts all the same. */
async function leaveArtifacts(
  options: SlotOptions,
  { assignment }: HeldTrial,
  artifacts: readonly Artifact[],
): Promise<void> {
  const { client, over, log } = options;
  for (const artifact of artifacts) {
    const { name, content } = artifact;
    const ids = { ...about(options, assignment), artifact: name };
    try {
      if (content.length > artifactBytesMax)
        log.warn({ ...ids, bytes: content.length, bytesMax: artifactBytesMax }, 'too large to be kept');
      else if ((await client.putArtifact(assignment.leaseToken, artifact, over)) === 'lost') {
        log.debug(ids, 'not kept: the lease is lost');
        return;
      }
    } catch (error) {
      if (over.aborted) return;
      log.warn({ ...ids, reason: textOf(error) }, 'not kept by the coordinator');
    }
  }
}

/** Failures that a worker can tell; the others are found out by the coordinator. */
const toldReason = (reason: FailureReason): ToldReason =>
  toldReasons.find((told) => told === reason) ?? 'error';

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
