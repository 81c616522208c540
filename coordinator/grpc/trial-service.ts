import { datasetHash, leaseToken, requestId, workerId } from '../../shared/core/ids.js';
import { assertNever } from '../../shared/core/assert.js';
import type { Artifact } from '../../shared/core/study/artifact.js';
import type { AttemptOutcome, Metrics } from '../../shared/core/study/trial.js';
import {
  InvalidMessage,
  failureReasonFromWire,
  leaseAnswerToWire,
  paramsToWire,
  trialStateToWire,
} from '../../shared/wire/convert.js';
import { TrialState } from '../../shared/wire/gen/parzen/v1/common.js';
import {
  NothingToDo_Reason,
  TellResponse_Result,
  type AskRequest,
  type AskResponse,
  type PutArtifactRequest,
  type RegisterRequest,
  type ReleaseRequest,
  type TellRequest,
  type TellResponse,
  type TrialServiceServer,
} from '../../shared/wire/gen/parzen/v1/trial.js';
import {
  artifactBytesMax,
  askWaitMaxMs,
  leasesPerHeartbeatMax,
  messageLengthMax,
  metricsMax,
  nameLengthMax,
  slotsMax,
  trainersMax,
} from '../../shared/wire/limits.js';
import { putArtifact } from '../app/artifacts.js';
import { ask, type NothingReason } from '../app/ask.js';
import type { CallEnd } from '../app/call-end.js';
import type { AppContext } from '../app/context.js';
import { release, releaseByRequest } from '../app/release.js';
import { heartbeat, report } from '../app/report.js';
import { tell, type TellOutcome } from '../app/tell.js';
import { registerWorker } from '../app/workers.js';
import { fetchDatasetHandler } from './dataset-stream.js';
import {
  checkedArtifactName,
  checkedId,
  checkedName,
  cleanText,
  heldHandler,
  unaryHandler,
} from './handlers.js';

/** The trial service over the use cases; `stopping` aborts held asks when the server shuts down. */
export function trialService(context: AppContext, stopping: AbortSignal): TrialServiceServer {
  const { log } = context;
  return {
    register: unaryHandler(log, (request) => register(context, request)),
    ask: heldHandler({ log, stopping }, (request, end) => answerAsk(context, request, end)),
    report: unaryHandler(log, async (request) => {
      const { step } = request;
      const answer = await report(context, tokenOf(request), {
        step,
        metrics: checkedMetrics(request.metrics),
      });
      return { answer: leaseAnswerToWire(answer) };
    }),
    heartbeat: unaryHandler(log, async (request) => {
      if (request.leaseTokens.length > leasesPerHeartbeatMax)
        throw new InvalidMessage(
          `lease_tokens has ${request.leaseTokens.length} entries; at most ${leasesPerHeartbeatMax}`,
        );
      const worker = workerId(checkedId(request.workerId, 'worker_id'));
      const tokens = request.leaseTokens.map((token) => leaseToken(checkedId(token, 'lease_tokens')));
      const { answers, knownWorker } = await heartbeat(context, worker, tokens);
      return { answers: answers.map(leaseAnswerToWire), knownWorker };
    }),
    putArtifact: unaryHandler(log, async (request) => {
      const answer = await putArtifact(context, tokenOf(request), artifactFromWire(request));
      return { answer: leaseAnswerToWire(answer) };
    }),
    tell: unaryHandler(log, async (request) => {
      const outcome = outcomeFromWire(request);
      const peakMemoryBytes = request.peakMemoryBytes === 0 ? null : request.peakMemoryBytes;
      const told = await tell(context, { token: tokenOf(request), outcome, peakMemoryBytes });
      context.observer?.told(told.kind);
      return tellToWire(told);
    }),
    release: unaryHandler(log, async (request) => ({ released: await giveBack(context, request) })),
    fetchDataset: fetchDatasetHandler(context.storage, log, (hash) => datasetHash(checkedId(hash, 'hash'))),
  };
}

const tokenOf = (request: { leaseToken: string }): ReturnType<typeof leaseToken> =>
  leaseToken(checkedId(request.leaseToken, 'lease_token'));

function artifactFromWire({ name, layout, content }: PutArtifactRequest): Artifact {
  if (content.length > artifactBytesMax)
    throw new InvalidMessage(`content has ${content.length} bytes; at most ${artifactBytesMax}`);
  return { name: checkedArtifactName(name), layout: checkedId(layout, 'layout'), content };
}

async function giveBack(context: AppContext, { lease, unfit, unstarted }: ReleaseRequest): Promise<boolean> {
  if (lease === undefined) throw new InvalidMessage('lease is missing: lease_token or request_id');
  if (lease.$case === 'requestId')
    return releaseByRequest(context, requestId(checkedId(lease.value, 'request_id')));
  const how = unfit ? 'unfit' : unstarted ? 'returned' : 'preempted';
  return release(context, leaseToken(checkedId(lease.value, 'lease_token')), how);
}

async function register(
  context: AppContext,
  request: RegisterRequest,
): Promise<{ heartbeatIntervalMs: number; leaseTtlMs: number }> {
  if (request.slots > slotsMax) throw new InvalidMessage(`slots is ${request.slots}; at most ${slotsMax}`);
  return registerWorker(context, {
    id: workerId(checkedId(request.workerId, 'worker_id')),
    host: cleanText(request.host, nameLengthMax),
    gpuUuid: request.gpuUuid === '' ? null : checkedId(request.gpuUuid, 'gpu_uuid'),
    gpuName: cleanText(request.gpuName, nameLengthMax),
    gpuMemoryBytes: request.gpuMemoryBytes === 0 ? null : request.gpuMemoryBytes,
    slots: request.slots,
    runtime: cleanText(request.runtime, nameLengthMax),
    version: cleanText(request.version, nameLengthMax),
    study: request.study === '' ? null : checkedName(request.study, 'study'),
    trainers: checkedTrainers(request.trainers),
    sharedGpu: request.sharedGpu ?? false,
    draining: request.draining ?? false,
  });
}

function checkedTrainers(trainers: readonly string[]): readonly string[] {
  if (trainers.length > trainersMax)
    throw new InvalidMessage(`trainers has ${trainers.length} entries; at most ${trainersMax}`);
  return trainers.map((trainer) => checkedName(trainer, 'trainers'));
}

const nothingToWire: Readonly<Record<NothingReason, NothingToDo_Reason>> = {
  'unknown-worker': NothingToDo_Reason.UNKNOWN_WORKER,
  'all-running': NothingToDo_Reason.ALL_RUNNING,
  'needs-more-memory': NothingToDo_Reason.NEEDS_MORE_MEMORY,
  paused: NothingToDo_Reason.PAUSED,
  over: NothingToDo_Reason.OVER,
  'no-study': NothingToDo_Reason.NO_STUDY,
};

async function answerAsk(context: AppContext, request: AskRequest, end: CallEnd): Promise<AskResponse> {
  const outcome = await ask(
    context,
    {
      requestId: requestId(checkedId(request.requestId, 'request_id')),
      workerId: workerId(checkedId(request.workerId, 'worker_id')),
      study: request.study === '' ? null : checkedName(request.study, 'study'),
      waitMs: Math.min(request.waitMs, askWaitMaxMs),
      trainers: request.trainers,
      ahead: request.ahead,
    },
    end,
  );
  if (outcome.kind === 'nothing')
    return { outcome: { $case: 'nothing', value: { reason: nothingToWire[outcome.reason] } } };
  const { token, dataset, evaluation, params, ...rest } = outcome.assignment;
  const value = {
    ...rest,
    params: paramsToWire(params),
    datasetHash: dataset ?? '',
    evaluationJson: JSON.stringify(evaluation),
    leaseToken: token,
  };
  return { outcome: { $case: 'assignment', value } };
}

function checkedMetrics(metrics: Readonly<Record<string, number>>): Metrics {
  const names = Object.keys(metrics);
  if (names.length > metricsMax)
    throw new InvalidMessage(`metrics has ${names.length} entries; at most ${metricsMax}`);
  for (const name of names) checkedName(name, 'metric name');
  return { ...metrics };
}

function outcomeFromWire({ outcome }: TellRequest): AttemptOutcome {
  if (outcome === undefined) throw new InvalidMessage('outcome is missing: completed, pruned or failed');
  switch (outcome.$case) {
    case 'completed':
      return { kind: 'completed', metrics: checkedMetrics(outcome.value.metrics) };
    case 'pruned':
      return { kind: 'pruned' };
    case 'failed':
      return {
        kind: 'failed',
        reason: failureReasonFromWire(outcome.value.reason),
        message: cleanText(outcome.value.message, messageLengthMax),
      };
    default:
      return assertNever(outcome);
  }
}

function tellToWire(outcome: TellOutcome): TellResponse {
  const state = outcome.state === null ? TrialState.UNSPECIFIED : trialStateToWire(outcome.state);
  switch (outcome.kind) {
    case 'recorded':
      return { result: TellResponse_Result.RECORDED, state };
    case 'already-recorded':
      return { result: TellResponse_Result.ALREADY_RECORDED, state };
    case 'lease-lost':
      return { result: TellResponse_Result.LEASE_LOST, state };
    default:
      return assertNever(outcome);
  }
}
