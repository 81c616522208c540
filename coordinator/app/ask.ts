import { assert } from '../../shared/core/assert.js';
import type { RequestId, StudyId, WorkerId } from '../../shared/core/ids.js';
import { leaseName } from '../../shared/platform/log.js';
import {
  CallEnded,
  RequestTaken,
  type LeasePlace,
  type StudyRecord,
  type StudyTransaction,
  type TrialRecord,
  type WorkerRecord,
} from '../storage/port.js';
import { assignmentOf, type Assignment } from './assignment.js';
import type { CallEnd } from './call-end.js';
import type { AppContext } from './context.js';
import { giveUpWaiting } from './give-up-waiting.js';
import { leaseTrial } from './lease-trial.js';
import type { LookEnd, StudyGate } from './study-gate.js';

export interface AskRequest {
  readonly requestId: RequestId;
  readonly workerId: WorkerId;
  /** Only this study; null for any that is served. */
  readonly study: string | null;
  /** How long to wait for work, ms. */
  readonly waitMs: number;
  /** Trainers that the worker has; empty for any. */
  readonly trainers: readonly string[];
  /** The worker's slot still runs another trial: not held, and nothing when the slots at work can use up what is left. */
  readonly ahead?: boolean;
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
export async function ask(context: AppContext, request: AskRequest, signal: CallEnd): Promise<AskOutcome> {
  const { clock, caches } = context;
  const worker = await caches.workers.find(request.workerId);
  if (worker === null) return { kind: 'nothing', reason: 'unknown-worker' };
  const startMs = clock.nowMs();
  const untilMs = startMs + (request.ahead === true ? 0 : request.waitMs);
  const asking: Asking = { context, request, worker, signal, reasons: new Map(), seen: -1 };
  let answer = await askServedStudies(asking);
  const waits = answer === null && !signal.aborted && clock.nowMs() < untilMs;
  if (waits) {
    const endWaiting = caches.asks.beginWaiting();
    try {
      answer = await waitForWork(asking, untilMs);
    } finally {
      endWaiting();
    }
  }
  // A copy of this ask may have been answered while this one waited, or by another replica while this one stops: were that
  // forgotten, the lease would be nobody's.
  if (answer === null && (waits || signal.aborted)) answer = await answeredElsewhere(asking);
  if (answer?.kind === 'assigned')
    noteAssigned(context, answer.assignment, { worker: request.workerId, startMs });
  return answer ?? { kind: 'nothing', reason: mostHopeful([...asking.reasons.values()]) };
}

/** Held until there is work. Null when there was none in time. */
async function waitForWork(asking: Asking, untilMs: number): Promise<AskOutcome | null> {
  const { context, worker, signal, reasons } = asking;
  const { clock, caches, observer } = context;
  let answer: AskOutcome | null = null;
  while (answer === null && !signal.aborted && clock.nowMs() < untilMs) {
    const released = observer?.holding();
    const woken = await caches.asks.hold({
      ...{ untilMs, signal, memoryBytes: worker.gpuMemoryBytes },
      ...{ studies: [...reasons.keys()], seen: asking.seen },
    });
    released?.();
    if (woken.kind === 'over') break;
    if (woken.kind === 'studies') await noteStudies(asking);
    else answer = await lookAt(asking, { ...woken, turn: true });
  }
  return answer;
}

function noteAssigned(
  { log, clock, tracer }: AppContext,
  { study, number, attempt, token }: Assignment,
  { worker, startMs }: { readonly worker: WorkerId; readonly startMs: number },
): void {
  const about = { study, trial: number, attempt, worker };
  if (log.debugs !== false) log.debug({ ...about, lease: leaseName(token) }, 'trial assigned');
  tracer?.record({ name: 'ask', token, startMs, endMs: clock.nowMs(), attributes: about });
}

/** An ask on its way through the studies. */
interface Asking {
  readonly context: AppContext;
  readonly request: AskRequest;
  readonly worker: WorkerRecord;
  readonly signal: CallEnd;
  /** The studies that are served to this worker, and why there was nothing in them. */
  readonly reasons: Map<StudyId, NothingReason>;
  /** Version of the studies that `reasons` is about. */
  seen: number;
}

interface Look {
  readonly outcome: AskOutcome;
  /** This request has led to a lease, now or earlier: there is no second one under its id, in no study. */
  readonly answeredBefore: boolean;
}

const mostHopeful = (reasons: readonly NothingReason[]): NothingReason =>
  reasons.reduce(
    (best, reason) => (nothingReasons.indexOf(reason) < nothingReasons.indexOf(best) ? reason : best),
    'no-study',
  );

/** Looks at the studies that may have work, one after the other. Null when there was nothing. */
async function askServedStudies(asking: Asking): Promise<AskOutcome | null> {
  const { context, worker, reasons } = asking;
  const { asks } = context.caches;
  let skipped = false;
  for (const study of await servedStudies(asking)) {
    const { id } = study;
    const gate = asks.gate(id);
    const reason = gate.reasonFor(worker.gpuMemoryBytes, context.clock.nowMs());
    skipped ||= reason !== null;
    if (reason !== null) reasons.set(id, reason);
    else {
      if (study.definition.sampler.type !== 'random') await context.histories.prepare(context.storage, study);
      const answer = await lookAt(asking, { study: id, gate, turn: false });
      if (answer !== null) return answer;
    }
  }
  return skipped ? answeredElsewhere(asking) : null;
}

/** Asks one study. Null when there was nothing; then `reasons` knows why. */
async function lookAt(
  asking: Asking,
  { study, gate, turn }: { readonly study: StudyId; readonly gate: StudyGate; readonly turn: boolean },
): Promise<AskOutcome | null> {
  const { context, request, worker, signal, reasons } = asking;
  const changes = gate.begin();
  const looked = context.observer?.looking();
  let end: LookEnd = 'failed';
  try {
    const look = await context.histories.withHistory(context.storage, () =>
      askOneStudy(asking, study, (transaction) =>
        signal.aborted
          ? Promise.resolve(nothing('all-running'))
          : askInStudy(context, transaction, request, worker),
      ),
    );
    // Looked at last, it comes last: where looks take long, no study keeps the others waiting.
    reasons.delete(study);
    if (look === null) {
      context.histories.forget(study);
      return null;
    }
    if (look.outcome.kind === 'assigned' || look.answeredBefore) {
      end = 'assigned';
      return look.outcome;
    }
    reasons.set(study, look.outcome.reason);
    if (look.outcome.reason === 'needs-more-memory') context.observer?.withheld(study);
    // Asks ahead, and those that ended meanwhile, find nothing where others may find something.
    if (request.ahead !== true && !signal.aborted) end = look.outcome.reason;
    else if (turn) end = 'passed';
    return null;
  } finally {
    if (end !== 'failed') looked?.(end === 'assigned' ? 'assigned' : 'empty');
    gate.end(end, { changes, turn, memoryBytes: worker.gpuMemoryBytes, nowMs: context.clock.nowMs() });
  }
}

/** What a copy of this ask was answered with; null when none was. */
async function answeredElsewhere({ context, request }: Asking): Promise<AskOutcome | null> {
  const place = await context.caches.asks.findRequest(request.requestId);
  if (place === null) return null;
  const look = await context.storage.inStudy(place.study, (transaction) =>
    answerAgain(context, transaction, place),
  );
  return look?.outcome ?? null;
}

/** Notes which studies are served now; those that are new have to be looked at, before the others. */
async function noteStudies(asking: Asking): Promise<void> {
  const { reasons } = asking;
  const served = (await servedStudies(asking)).map(({ id }) => id);
  const before = [...reasons];
  reasons.clear();
  for (const id of served) if (!before.some(([known]) => known === id)) reasons.set(id, 'all-running');
  for (const [id, reason] of before) if (served.includes(id)) reasons.set(id, reason);
}

/** Null when the study is gone. */
async function askOneStudy(
  { context, request, signal }: Asking,
  study: StudyId,
  work: (transaction: StudyTransaction) => Promise<Look | { readonly elsewhere: StudyId }>,
): Promise<Look | null> {
  try {
    const look = await context.storage.inStudy(study, work, { request: request.requestId, signal });
    if (look === null || 'outcome' in look) return look;
  } catch (error) {
    if (error instanceof CallEnded) return nothing('all-running');
    // A copy of this ask has got a lease in another study just now.
    if (!(error instanceof RequestTaken)) throw error;
  }
  return findEarlierAnswer(context, request.requestId);
}

/** What a copy of this ask was answered with, in whatever study; null when that study is gone by now. */
async function findEarlierAnswer(context: AppContext, id: RequestId): Promise<Look | null> {
  const place = (await context.storage.findRequests([id])).get(id);
  if (place === undefined) return null;
  return context.storage.inStudy(place.study, (transaction) => answerAgain(context, transaction, place));
}

/** The answer to an ask that led to this lease. */
async function answerAgain(
  context: AppContext,
  transaction: StudyTransaction,
  { number, token }: LeasePlace,
): Promise<Look> {
  const trial = await transaction.trial(number);
  // The trial has moved on since: the worker asks anew with a new request id.
  if (trial?.lease?.token !== token) return { ...nothing('all-running'), answeredBefore: true };
  return assigned(context, transaction, trial);
}

async function servedStudies(asking: Asking): Promise<readonly StudyRecord[]> {
  const { context, request } = asking;
  const { serves } = context.settings;
  const { records: all, version } = await context.caches.asks.studies();
  asking.seen = version;
  let named = all;
  if (request.study !== null) {
    named = all.filter(({ definition }) => definition.name === request.study);
    // Made a moment ago, perhaps, by another replica.
    const found = named.length > 0 ? null : await context.storage.findStudy(request.study);
    if (found !== null) named = [found];
  }
  return named.filter(
    ({ definition }) =>
      (serves === null || serves.has(definition.name)) &&
      (request.trainers.length === 0 || request.trainers.includes(definition.trainer)),
  );
}

const nothing = (reason: NothingReason): Look => ({
  outcome: { kind: 'nothing', reason },
  answeredBefore: false,
});

const assigned = (context: AppContext, transaction: StudyTransaction, trial: TrialRecord): Look => ({
  outcome: {
    kind: 'assigned',
    assignment: assignmentOf(transaction.study(), trial, context.settings.leaseTtlMs),
  },
  answeredBefore: true,
});

async function askInStudy(
  context: AppContext,
  transaction: StudyTransaction,
  request: AskRequest,
  worker: WorkerRecord,
): Promise<Look | { readonly elsewhere: StudyId }> {
  const study = transaction.study();
  const earlier = await transaction.attemptByRequest(request.requestId);
  if (earlier !== null)
    return earlier.study === study.id
      ? answerAgain(context, transaction, earlier)
      : { elsewhere: earlier.study };
  if (study.state === 'PAUSED') return nothing('paused');
  if (study.state !== 'RUNNING') return nothing('over');
  if (
    request.ahead === true &&
    study.trialsMax - study.nextNumber < (await transaction.runningParams()).length
  )
    return nothing('all-running');
  const waiting = await transaction.nextWaiting(worker.gpuMemoryBytes);
  if (waiting === null && study.nextNumber >= study.trialsMax) {
    const reason = await whyNothing(transaction);
    const gaveUp = reason === 'needs-more-memory' && (await giveUpWaiting(context, transaction));
    return nothing(gaveUp ? await whyNothing(transaction) : reason);
  }
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
  return assigned(context, transaction, trial);
}

async function whyNothing(transaction: StudyTransaction): Promise<NothingReason> {
  const { nextNumber, finishSequence } = transaction.study();
  if (finishSequence === nextNumber) return 'over';
  const running = await transaction.runningParams();
  return finishSequence + running.length === nextNumber ? 'all-running' : 'needs-more-memory';
}
