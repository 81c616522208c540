import type {
  handleClientStreamingCall,
  handleServerStreamingCall,
  ServerWritableStream,
} from '@grpc/grpc-js';
import { once } from 'node:events';
import type { DatasetView, StudyView } from '../../shared/core/study/study.js';
import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import { InvalidMessage, paramsFromWire, trialStateFromWire } from '../../shared/wire/convert.js';
import { datasetFromWire, datasetToWire, studyToWire, trialToWire } from '../../shared/wire/convert-study.js';
import {
  Trial as WireTrial,
  type CreateStudyRequest,
  type ListTrialsRequest,
  type ListTrialsResponse,
  type StudyServiceServer,
  type Study as WireStudy,
  type UploadDatasetRequest,
  type UploadDatasetResponse,
  type WatchStudyRequest,
  type WatchStudyResponse,
} from '../../shared/wire/gen/parzen/v1/study.js';
import { messageBytesMax, studyFileLengthMax, trialsMax } from '../../shared/wire/limits.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { trialPageMax } from '../app/study-view.js';
import type { WorkSignal } from '../app/work-signal.js';
import { asServiceError, checkedArtifactName, checkedId, checkedName, unaryHandler } from './handlers.js';
import { uploadBytesMax } from './limits.js';

export interface StudyServiceParts {
  readonly gateway: StudyGateway;
  readonly log: Log;
  readonly clock: Clock;
  readonly signal: WorkSignal;
  /** Aborts watchers when the server shuts down. */
  readonly stopping: AbortSignal;
}

/** The study service over the same gateway that local commands use. */
export function studyService(parts: StudyServiceParts): StudyServiceServer {
  const { gateway, log } = parts;
  const named = (call: (name: string) => Promise<StudyView>) =>
    unaryHandler(log, async (request: { name: string }): Promise<{ study: WireStudy }> => {
      return { study: studyToWire(await call(checkedName(request.name, 'name'))) };
    });
  return {
    createStudy: unaryHandler(log, (request) => createStudy(gateway, request)),
    getStudy: named((name) => gateway.get(name)),
    pauseStudy: named((name) => gateway.pause(name)),
    resumeStudy: named((name) => gateway.resume(name)),
    stopStudy: named((name) => gateway.stop(name)),
    listStudies: unaryHandler(log, async () => ({ studies: (await gateway.list()).map(withoutText) })),
    watchStudy: watchStudy(parts),
    listTrials: unaryHandler(log, (request) => listTrials(gateway, request)),
    getArtifact: unaryHandler(log, async ({ study, number, name }) => {
      const which = { number, name: checkedArtifactName(name) };
      const { layout, hash, content } = await gateway.artifact(checkedName(study, 'study'), which);
      return { layout, hash, content: Buffer.from(content) };
    }),
    enqueueTrial: unaryHandler(log, async (request) => {
      const requestId = checkedId(request.requestId, 'request_id');
      const params = paramsFromWire(request.params);
      return { number: await gateway.enqueue(checkedName(request.study, 'study'), { requestId, params }) };
    }),
    verifyStudy: unaryHandler(log, async (request) => {
      const { suggestions, difference } = await gateway.verify(checkedName(request.name, 'name'));
      return difference === null ? { suggestions } : { suggestions, difference };
    }),
    deleteStudy: unaryHandler(log, async (request) => {
      await gateway.delete(checkedName(request.name, 'name'));
      return {};
    }),
    listDatasets: unaryHandler(log, async () => ({
      datasets: (await gateway.datasets()).map(datasetToWire),
    })),
    uploadDataset: uploadDataset(gateway, log),
  };
}

async function createStudy(
  gateway: StudyGateway,
  request: CreateStudyRequest,
): Promise<{ study: WireStudy; created: boolean }> {
  if (request.definitionText.length > studyFileLengthMax)
    throw new InvalidMessage(
      `definition_text has ${request.definitionText.length} characters; at most ${studyFileLengthMax}`,
    );
  if (request.trials > trialsMax)
    throw new InvalidMessage(`trials is ${request.trials}; at most ${trialsMax}`);
  const { study, created } = await gateway.create({
    definitionText: request.definitionText,
    trials: request.trials === 0 ? null : request.trials,
    dataset: request.dataset === '' ? null : checkedName(request.dataset, 'dataset'),
  });
  return { study: studyToWire(study), created };
}

async function listTrials(gateway: StudyGateway, request: ListTrialsRequest): Promise<ListTrialsResponse> {
  const page = await gateway.trials(checkedName(request.study, 'study'), {
    fromNumber: request.fromNumber,
    limit: request.limit === 0 ? trialPageMax : request.limit,
    states: request.states.map(trialStateFromWire),
  });
  const trials = page.trials.map(trialToWire);
  const fitting = countFitting(trials);
  // What does not fit into one message starts the next page.
  const nextNumber = fitting < trials.length ? trials[fitting]?.number : (page.nextNumber ?? undefined);
  return { trials: trials.slice(0, fitting), ...(nextNumber === undefined ? {} : { nextNumber }) };
}

/** A page of trials ends at this size, bytes: well below what one message may have. */
const pageBytesMax = messageBytesMax / 2;

/** How many trials from the first on fit into a page; at least one. */
function countFitting(trials: readonly WireTrial[]): number {
  let bytes = 0;
  const first = trials.findIndex((trial, index) => {
    bytes += WireTrial.encode(trial).finish().length;
    return bytes > pageBytesMax && index > 0;
  });
  return first < 0 ? trials.length : first;
}

/** In a list the study files themselves are left out; `GetStudy` has them. */
const withoutText = (study: StudyView): WireStudy => studyToWire({ ...study, definitionText: '' });

/** A watcher gets news at most this often, ms. */
const watchIntervalMs = 500;
/** … and looks for what other replicas changed at least this often, ms. */
const watchPollMs = 2_000;

function watchStudy(
  parts: StudyServiceParts,
): handleServerStreamingCall<WatchStudyRequest, WatchStudyResponse> {
  return (call) => {
    sendChanges(parts, call).then(
      () => call.end(),
      (error: unknown) =>
        call.destroy(Object.assign(new Error('failed'), asServiceError(parts.log, call.getPath(), error))),
    );
  };
}

async function sendChanges(
  { gateway, clock, signal, stopping }: StudyServiceParts,
  call: ServerWritableStream<WatchStudyRequest, WatchStudyResponse>,
): Promise<void> {
  const name = checkedName(call.request.name, 'name');
  const gone = new AbortController();
  call.once('cancelled', () => gone.abort());
  const ended = AbortSignal.any([gone.signal, stopping]);
  let last = '';
  while (!ended.aborted) {
    const study = await gateway.get(name);
    const wire = studyToWire(study);
    const text = JSON.stringify(wire);
    if (text !== last && !call.write({ study: wire }))
      await once(call, 'drain', { signal: ended }).catch(() => undefined);
    last = text;
    if (study.state === 'FINISHED' || study.state === 'STOPPED') return;
    await clock.sleep(watchIntervalMs, ended);
    await signal.wait(clock, watchPollMs, ended);
  }
}

function uploadDataset(
  gateway: StudyGateway,
  log: Log,
): handleClientStreamingCall<UploadDatasetRequest, UploadDatasetResponse> {
  return (call, callback) => {
    receiveDataset(gateway, whole(call)).then(
      (dataset) => callback(null, { dataset: datasetToWire(dataset) }),
      (error: unknown) => callback(asServiceError(log, call.getPath(), error)),
    );
  };
}

/** The parts of an upload; one that breaks off half way is its sender's mistake, not ours. */
async function* whole(call: AsyncIterable<UploadDatasetRequest>): AsyncGenerator<UploadDatasetRequest> {
  try {
    yield* call;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE'))
      throw error;
    throw new InvalidMessage('the upload broke off');
  }
}

async function receiveDataset(
  gateway: StudyGateway,
  parts: AsyncIterable<UploadDatasetRequest>,
): Promise<DatasetView> {
  let dataset: DatasetView | null = null;
  const chunks: Uint8Array[] = [];
  let received = 0;
  for await (const { part } of parts) {
    if (part?.$case === 'dataset' && dataset === null) {
      dataset = datasetFromWire(part.value);
      checkedName(dataset.name, 'dataset.name');
      if (dataset.bytes > uploadBytesMax)
        throw new InvalidMessage(`the data set has ${dataset.bytes} bytes; at most ${uploadBytesMax}`);
    } else if (part?.$case === 'chunk' && dataset !== null) {
      received += part.value.length;
      if (received > dataset.bytes)
        throw new InvalidMessage(`more than the announced ${dataset.bytes} bytes arrived`);
      chunks.push(part.value);
    } else throw new InvalidMessage('the first message describes the data set, the later ones carry chunks');
  }
  if (dataset === null) throw new InvalidMessage('the upload is empty');
  return gateway.putDataset(dataset, Buffer.concat(chunks));
}
