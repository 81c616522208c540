import { assert } from '../../shared/core/assert.js';
import type { RequestId, WorkerId } from '../../shared/core/ids.js';
import { suggest } from '../../shared/core/sampler/suggest.js';
import { isOnGrid } from '../../shared/core/space/parameter-values.js';
import type { Params } from '../../shared/core/space/parameter.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type {
  Lease,
  StudyRecord,
  StudyTransaction,
  TrialRecord,
  Watermark,
  WorkerRecord,
} from '../storage/port.js';
import { assignmentOf, type Assignment } from './assignment.js';
import type { AppContext } from './context.js';
import { findWorker } from './workers.js';

export interface AskRequest {
  readonly requestId: RequestId;
  readonly workerId: WorkerId;
  /** Only this study; null for any that is served. */
  readonly study: string | null;
  /** How long to wait for work, ms. */
  readonly waitMs: number;
  /** Trainers that the worker has; empty for any. */
  readonly trainers: readonly string[];
}

/** Why there is nothing to do, the most hopeful first. */
export const nothingReasons = [
  'unknown-worker',
  'all-running',
  'needs-more-memory',
  'paused',
  'over',
  'no-study',
] as const;
export type NothingReason = (typeof nothingReasons)[number];

export type AskOutcome =
  | { readonly kind: 'assigned'; readonly assignment: Assignment }
  | { readonly kind: 'nothing'; readonly reason: NothingReason };

/**
 * Leases a trial to a worker: a WAITING one that fits its GPU, else a new one while the budget lasts. One transaction,
 * committed before it is answered. Waits up to `waitMs` while there is none, ends early when `signal` aborts. Asking
 * again with the same request id gives the same assignment.
 */
export async function ask(
  context: AppContext,
  request: AskRequest,
  signal: AbortSignal,
): Promise<AskOutcome> {
  const worker = await findWorker(context, request.workerId);
  if (worker === null) return { kind: 'nothing', reason: 'unknown-worker' };
  const deadlineMs = context.clock.nowMs() + request.waitMs;
  for (;;) {
    const outcome = await askServedStudies(context, request, worker, signal);
    const leftMs = deadlineMs - context.clock.nowMs();
    if (outcome.kind === 'assigned' || leftMs <= 0 || signal.aborted) return outcome;
    await context.signal.wait(context.clock, Math.min(leftMs, context.settings.pollIntervalMs), signal);
  }
}

async function askServedStudies(
  context: AppContext,
  request: AskRequest,
  worker: WorkerRecord,
  signal: AbortSignal,
): Promise<AskOutcome> {
  let best: NothingReason = 'no-study';
  for (const study of await servedStudies(context, request)) {
    const outcome = await context.storage.inStudy(study.id, (transaction) =>
      signal.aborted
        ? Promise.resolve(nothing('all-running'))
        : askInStudy(context, transaction, request, worker),
    );
    if (outcome === null) continue;
    if (outcome.kind === 'assigned') return outcome;
    if (nothingReasons.indexOf(outcome.reason) < nothingReasons.indexOf(best)) best = outcome.reason;
  }
  return { kind: 'nothing', reason: best };
}

async function servedStudies(context: AppContext, request: AskRequest): Promise<readonly StudyRecord[]> {
  const { serves } = context.settings;
  const named = request.study === null ? null : await context.storage.findStudy(request.study);
  const candidates =
    request.study === null ? await context.storage.listStudies() : named === null ? [] : [named];
  return candidates.filter(
    ({ definition }) =>
      (serves === null || serves.has(definition.name)) &&
      (request.trainers.length === 0 || request.trainers.includes(definition.trainer)),
  );
}

const nothing = (reason: NothingReason): AskOutcome => ({ kind: 'nothing', reason });

async function askInStudy(
  context: AppContext,
  transaction: StudyTransaction,
  request: AskRequest,
  worker: WorkerRecord,
): Promise<AskOutcome> {
  const repeated = await transaction.attemptByRequest(request.requestId);
  if (repeated !== null) {
    const trial = await transaction.trial(repeated.number);
    const held = trial?.lease?.token === repeated.token;
    // An ask that was answered, and whose trial has moved on since: the worker asks anew with a new request id.
    if (trial === null || !held) return nothing('all-running');
    return {
      kind: 'assigned',
      assignment: assignmentOf(transaction.study(), trial, context.settings.leaseTtlMs),
    };
  }
  const study = transaction.study();
  if (study.state === 'PAUSED') return nothing('paused');
  if (study.state !== 'RUNNING') return nothing('over');
  const waiting = await transaction.nextWaiting(worker.gpuMemoryBytes);
  if (waiting === null && study.nextNumber >= study.trialsMax) return nothing(await whyNothing(transaction));
  const trial = await leaseTrial(context, transaction, worker, waiting);
  assert(trial.lease !== null, 'a leased trial has a lease');
  await transaction.insertAttempt({
    number: trial.number,
    attempt: trial.attempt,
    token: trial.lease.token,
    requestId: request.requestId,
    worker: worker.id,
    gpuUuid: worker.gpuUuid,
    startedAtMs: context.clock.nowMs(),
    endedAtMs: null,
    outcome: null,
    message: '',
    peakMemoryBytes: null,
  });
  return {
    kind: 'assigned',
    assignment: assignmentOf(transaction.study(), trial, context.settings.leaseTtlMs),
  };
}

async function whyNothing(transaction: StudyTransaction): Promise<NothingReason> {
  const { nextNumber, finishSequence } = transaction.study();
  if (finishSequence === nextNumber) return 'over';
  const running = await transaction.running();
  return finishSequence + running.length === nextNumber ? 'all-running' : 'needs-more-memory';
}

async function leaseTrial(
  context: AppContext,
  transaction: StudyTransaction,
  worker: WorkerRecord,
  waiting: TrialRecord | null,
): Promise<TrialRecord> {
  const nowMs = context.clock.nowMs();
  const lease: Lease = {
    token: context.mintToken(),
    expiresAtMs: nowMs + context.settings.leaseTtlMs,
    worker: worker.id,
    gpuUuid: worker.gpuUuid,
    gpuMemoryBytes: worker.gpuMemoryBytes,
  };
  const suggested = await suggestIfNeeded(context, transaction, waiting);
  const started = { state: 'RUNNING', reason: null, lease, worker: worker.id, ...suggested } as const;
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
  const history = await context.histories.upToDate(transaction);
  const running = (await transaction.running()).flatMap(({ number, params }) =>
    params === null ? [] : [{ number, params }],
  );
  const params = suggest({
    space: definition.space,
    directions: definition.objectives.map(({ direction }) => direction),
    settings: definition.sampler,
    number: waiting?.number ?? nextNumber,
    finished: history.finished,
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
