import type { LeaseToken, StudyId } from '../../shared/core/ids.js';
import { objectiveValues } from '../../shared/core/study/objective.js';
import type { AttemptOutcome, Metrics, TrialReason, TrialState } from '../../shared/core/study/trial.js';
import { leaseName, type LogFields } from '../../shared/platform/log.js';
import type { AttemptRecord, StudyTransaction, TrialRecord } from '../storage/port.js';
import type { AppContext } from './context.js';
import { studyOfToken } from './lease-token.js';
import { settleAttempt } from './settle-attempt.js';
import { biggerGpuExists } from './workers.js';

export interface TellRequest {
  readonly token: LeaseToken;
  readonly outcome: AttemptOutcome;
  readonly peakMemoryBytes: number | null;
}

export type TellOutcome =
  | { readonly kind: 'recorded'; readonly state: TrialState }
  /** The same lease was told before; nothing changed. */
  | { readonly kind: 'already-recorded'; readonly state: TrialState }
  /** The lease had been taken away; the result is kept as evidence. `state` is null when the token is unknown. */
  | { readonly kind: 'lease-lost'; readonly state: TrialState | null };

/** Records how an attempt ended. Idempotent by lease token; committed before it is answered. */
export async function tell(context: AppContext, request: TellRequest): Promise<TellOutcome> {
  const named = studyOfToken(request.token);
  const outcome = named === null ? null : await tellInStudy(context, named, request);
  if (outcome !== null) return outcome;
  const lease = await context.storage.findLease(request.token);
  const found = lease === null ? null : await tellInStudy(context, lease.study, request);
  return found ?? { kind: 'lease-lost', state: null };
}

/** What a transaction found out, told after its commit: it may run several times. */
interface Told {
  readonly outcome: TellOutcome;
  readonly studyFinished: boolean;
  readonly about: LogFields;
}

/** Does this outcome make its trial COMPLETE? Then nothing has to be known of the trial but that it runs. */
const isUsable = (transaction: StudyTransaction, outcome: AttemptOutcome): boolean =>
  outcome.kind === 'completed' &&
  objectiveValues(transaction.study().definition.objectives, outcome.metrics).kind === 'values';

/** Null when the token is not of this study. */
async function tellInStudy(
  context: AppContext,
  study: StudyId,
  request: TellRequest,
): Promise<TellOutcome | null> {
  const { token, outcome } = request;
  const startMs = context.clock.nowMs();
  const outOfMemory = outcome.kind === 'failed' && outcome.reason === 'oom';
  const told = await context.storage.inStudy(
    study,
    async (transaction): Promise<Told | null> => {
      const known = isUsable(transaction, outcome) ? await transaction.leased(token) : null;
      const attempt = known?.attempt ?? (await transaction.attemptByToken(token));
      const trial = known?.trial ?? (attempt === null ? null : await transaction.trial(attempt.number));
      if (attempt === null || trial === null) return null;
      const about = {
        ...{ study: transaction.study().definition.name, trial: trial.number, attempt: attempt.attempt },
        worker: attempt.worker,
      };
      if (trial.lease?.token !== token)
        return {
          outcome: await afterTheFact(context, transaction, { attempt, trial, request }),
          ...{ studyFinished: false, about },
        };
      const { state, studyFinished } = await settleAttempt(transaction, trial, {
        outcome,
        peakMemoryBytes: request.peakMemoryBytes,
        nowMs: context.clock.nowMs(),
        biggerGpuExists:
          outOfMemory &&
          (await biggerGpuExists(context, transaction.study().definition, trial.lease.gpuMemoryBytes)),
        sharedGpu: outOfMemory && (await context.caches.workers.find(trial.lease.worker))?.sharedGpu === true,
      });
      return { outcome: { kind: 'recorded', state }, studyFinished, about };
    },
    outcome.kind === 'completed' ? { leased: token } : { token },
  );
  if (told === null) return null;
  noteTold(context, told, { request, startMs });
  context.signal.notify(
    told.studyFinished ? null : study,
    told.outcome.state === 'WAITING' ? 'work' : 'progress',
  );
  return told.outcome;
}

function noteTold(
  { log, clock, tracer }: AppContext,
  { outcome: { kind, state }, about: where }: Told,
  { request, startMs }: { readonly request: TellRequest; readonly startMs: number },
): void {
  if (kind !== 'lease-lost' && log.debugs === false && tracer === undefined) return;
  const about = { ...where, lease: leaseName(request.token) };
  if (kind === 'lease-lost') log.warn({ ...about, state }, 'late result kept as evidence');
  else log.debug({ ...about, state }, kind === 'recorded' ? 'result recorded' : 'result told again');
  const { token, outcome } = request;
  const reason = outcome.kind === 'failed' ? outcome.reason : outcome.kind;
  const attributes = { ...about, state, reason, result: kind };
  const failed = kind === 'lease-lost';
  tracer?.record({ name: 'tell', token, startMs, endMs: clock.nowMs(), attributes, failed });
}

/** Outcomes that only the coordinator writes: the attempt was taken from its worker. */
const takenAway: ReadonlySet<TrialReason> = new Set(['lost', 'preempted', 'unfit', 'returned', 'cancelled']);

/** The lease is gone: because this very result was told before, or because it was taken away. */
async function afterTheFact(
  context: AppContext,
  transaction: StudyTransaction,
  { attempt, trial, request }: { attempt: AttemptRecord; trial: TrialRecord; request: TellRequest },
): Promise<TellOutcome> {
  if (attempt.outcome !== null && !takenAway.has(attempt.outcome))
    return { kind: 'already-recorded', state: trial.state };
  await transaction.insertLateResult({
    number: trial.number,
    token: request.token,
    worker: attempt.worker,
    receivedAtMs: context.clock.nowMs(),
    ...evidence(request.outcome),
  });
  return { kind: 'lease-lost', state: trial.state };
}

function evidence(outcome: AttemptOutcome): { outcome: TrialReason; metrics: Metrics; message: string } {
  switch (outcome.kind) {
    case 'completed':
      return { outcome: 'finished', metrics: outcome.metrics, message: '' };
    case 'pruned':
      return { outcome: 'pruner', metrics: {}, message: '' };
    case 'failed':
      return { outcome: outcome.reason, metrics: {}, message: outcome.message };
  }
}
