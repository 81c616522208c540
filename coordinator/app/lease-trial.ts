import { isOnGrid } from '../../shared/core/space/parameter-values.js';
import type { Params } from '../../shared/core/space/parameter.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import { stateAfter } from '../../shared/core/study/transition.js';
import type { Lease, StudyTransaction, TrialRecord, Watermark, WorkerRecord } from '../storage/port.js';
import type { AppContext } from './context.js';

/** Gives a worker the lease of a WAITING trial, or of a new one where there is none; parameters are suggested by need. */
export async function leaseTrial(
  context: AppContext,
  transaction: StudyTransaction,
  worker: WorkerRecord,
  waiting: TrialRecord | null,
): Promise<TrialRecord> {
  const nowMs = context.clock.nowMs();
  const lease: Lease = {
    token: context.mintToken(transaction.study().id),
    expiresAtMs: nowMs + context.settings.leaseTtlMs,
    worker: worker.id,
    gpuUuid: worker.gpuUuid,
    gpuMemoryBytes: worker.gpuMemoryBytes,
  };
  const suggested = await suggestIfNeeded(context, transaction, waiting);
  const state = stateAfter(waiting?.state ?? 'WAITING', 'lease');
  const started = { state, reason: null, lease, worker: worker.id, ...suggested } as const;
  if (waiting !== null)
    return transaction.updateTrial({
      ...waiting,
      ...started,
      attempt: waiting.attempt + 1,
      startedAtMs: waiting.startedAtMs ?? nowMs,
      lastReport: null,
    });
  return transaction.insertTrial({
    given: null,
    enqueueRequestId: null,
    values: [],
    metrics: {},
    attempt: 1,
    retries: { error: 0, timeout: 0, lost: 0 },
    memoryFloorBytes: null,
    message: '',
    cancelRequested: false,
    lastReport: null,
    createdAtMs: nowMs,
    startedAtMs: nowMs,
    finishedAtMs: null,
    ...started,
  });
}

interface Suggested {
  readonly params: Params;
  readonly offGrid: boolean;
  readonly watermark: Watermark | null;
}

/** A trial that has parameters keeps them; otherwise the sampler makes them, around the given ones. */
async function suggestIfNeeded(
  context: AppContext,
  transaction: StudyTransaction,
  waiting: TrialRecord | null,
): Promise<Suggested> {
  if (waiting !== null && waiting.params !== null)
    return { params: waiting.params, offGrid: waiting.offGrid, watermark: waiting.watermark };
  const { definition, nextNumber, finishSequence } = transaction.study();
  // Random sampling looks at nothing.
  const random = definition.sampler.type === 'random';
  const { histories } = context;
  const history = random ? histories.asItIs(transaction) : await histories.upToDate(transaction);
  const running = random ? [] : await transaction.runningParams();
  const params = history.sampler.suggest({
    number: waiting?.number ?? nextNumber,
    running,
    ...(waiting?.given == null ? {} : { fixed: waiting.given }),
  });
  const watermark = { finishSequence, running: running.map(({ number }) => number) };
  return { params, offGrid: offGrid(definition, params), watermark };
}

const offGrid = (definition: StudyDefinition, params: Params): boolean =>
  definition.space.some((parameter) => {
    const value = params[parameter.name];
    return value !== undefined && !isOnGrid(parameter, value);
  });
