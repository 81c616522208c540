import { status } from '@grpc/grpc-js';
import type { DatasetView, StudyView } from '../../shared/core/study/study.js';
import type { ArtifactName } from '../../shared/core/study/artifact.js';
import { RpcError, unary } from '../../shared/wire/call.js';
import { channelParts, plainChannel } from '../../shared/wire/channel.js';
import { paramsToWire, trialStateToWire } from '../../shared/wire/convert.js';
import { roleToWire, tokenFromWire } from '../../shared/wire/convert-access.js';
import { AccessServiceClient } from '../../shared/wire/gen/parzen/v1/access.js';
import {
  datasetFromWire,
  datasetToWire,
  studyFromWire,
  trialFromWire,
} from '../../shared/wire/convert-study.js';
import {
  StudyServiceClient,
  type Study as WireStudy,
  type UploadDatasetRequest,
  type UploadDatasetResponse,
} from '../../shared/wire/gen/parzen/v1/study.js';
import { chunkBytesMax } from '../../shared/wire/limits.js';
import { AppError, type AppErrorCode } from '../app/errors.js';
import type { StudyGateway } from '../app/study-gateway.js';
import type { StoredArtifact } from '../storage/port.js';

/** No call of a tool takes longer, ms. */
const deadlineMs = 10_000;
/** … but a verification: about ten milliseconds per trial. */
const verifyDeadlineMs = 3_600_000;
/** … and an upload. */
const uploadDeadlineMs = 120_000;

/** Nobody answers at the coordinator's address. */
export class CoordinatorUnreachable extends Error {
  override readonly name = 'CoordinatorUnreachable';
}

export interface RemoteGateway extends StudyGateway {
  close(): void;
}

/** The gateway to a running coordinator. Calls reject with `AppError` for refusals and `CoordinatorUnreachable`. */
export function remoteGateway(address: string, security = plainChannel): RemoteGateway {
  const [credentials, options] = channelParts(security);
  const client = new StudyServiceClient(address, credentials, options);
  const access = new AccessServiceClient(address, credentials, options);
  const call = <T>(promise: Promise<T>): Promise<T> =>
    promise.catch((error: unknown) => refuse(address, error));
  const steered = (verb: 'pauseStudy' | 'resumeStudy' | 'stopStudy') => async (name: string) =>
    required(await call(unary(client[verb].bind(client), { name }, { deadlineMs })));
  return {
    create: async ({ definitionText, trials, dataset }) => {
      const request = { definitionText, trials: trials ?? 0, dataset: dataset ?? '' };
      const response = await call(unary(client.createStudy.bind(client), request, { deadlineMs }));
      return { study: required(response), created: response.created };
    },
    get: async (name) => required(await call(unary(client.getStudy.bind(client), { name }, { deadlineMs }))),
    list: async () =>
      (await call(unary(client.listStudies.bind(client), {}, { deadlineMs }))).studies.map(studyFromWire),
    trials: async (study, { fromNumber, limit, states }) => {
      const request = { study, fromNumber, limit, states: states.map(trialStateToWire) };
      const response = await call(unary(client.listTrials.bind(client), request, { deadlineMs }));
      return { trials: response.trials.map(trialFromWire), nextNumber: response.nextNumber ?? null };
    },
    artifact: (study, which) => call(getArtifact(client, { study, ...which })),
    enqueue: async (study, { requestId, params }) => {
      const request = { study, requestId, params: paramsToWire(params) };
      return (await call(unary(client.enqueueTrial.bind(client), request, { deadlineMs }))).number;
    },
    pause: steered('pauseStudy'),
    resume: steered('resumeStudy'),
    stop: steered('stopStudy'),
    delete: async (name) => {
      await call(unary(client.deleteStudy.bind(client), { name }, { deadlineMs }));
    },
    verify: async (name) => {
      const method = client.verifyStudy.bind(client);
      const { suggestions, difference } = await call(
        unary(method, { name }, { deadlineMs: verifyDeadlineMs }),
      );
      return { suggestions, difference: difference ?? null };
    },
    datasets: async () =>
      (await call(unary(client.listDatasets.bind(client), {}, { deadlineMs }))).datasets.map(datasetFromWire),
    putDataset: (dataset, bytes) => call(upload(client, dataset, bytes)),
    createToken: async (name, role) => {
      const request = { name, role: roleToWire(role) };
      const { token, secret } = await call(unary(access.createToken.bind(access), request, { deadlineMs }));
      if (token === undefined) throw new Error('the coordinator answered without a token');
      return { token: tokenFromWire(token), secret };
    },
    tokens: async () =>
      (await call(unary(access.listTokens.bind(access), {}, { deadlineMs }))).tokens.map(tokenFromWire),
    revokeToken: async (name) => {
      await call(unary(access.revokeToken.bind(access), { name }, { deadlineMs }));
    },
    close: () => {
      client.close();
      access.close();
    },
  };
}

async function getArtifact(
  client: StudyServiceClient,
  request: { readonly study: string; readonly number: number; readonly name: ArtifactName },
): Promise<StoredArtifact> {
  const { layout, hash, content } = await unary(client.getArtifact.bind(client), request, { deadlineMs });
  return { name: request.name, layout, hash, content: new Uint8Array(content) };
}

function required(response: { readonly study?: WireStudy | undefined }): StudyView {
  if (response.study === undefined) throw new Error('the coordinator answered without a study');
  return studyFromWire(response.study);
}

const appCodes: ReadonlyMap<status, AppErrorCode> = new Map([
  [status.NOT_FOUND, 'not-found'],
  [status.ALREADY_EXISTS, 'already-exists'],
  [status.FAILED_PRECONDITION, 'failed-precondition'],
  [status.INVALID_ARGUMENT, 'invalid-argument'],
]);

function refuse(address: string, error: unknown): never {
  if (!(error instanceof RpcError)) throw error;
  const code = appCodes.get(error.code);
  if (code !== undefined) throw new AppError(code, error.message);
  if (error.code === status.DEADLINE_EXCEEDED)
    throw new AppError(
      'failed-precondition',
      `the coordinator at ${address} did not answer in time; the command may have been carried out: look with 'coordinator status'`,
    );
  if (error.code === status.UNAVAILABLE)
    throw new CoordinatorUnreachable(
      `no coordinator answers at ${address} (${error.message}); start one, name it with --coordinator HOST:PORT, ` +
        `or open the store directly with --storage URL|DIR`,
      { cause: error },
    );
  throw error;
}

function upload(client: StudyServiceClient, dataset: DatasetView, bytes: Uint8Array): Promise<DatasetView> {
  return new Promise((resolve, reject) => {
    const stream = client.uploadDataset(
      { deadline: Date.now() + uploadDeadlineMs } as never,
      (error, response: UploadDatasetResponse) => {
        if (error !== null) reject(new RpcError(error.code, error.details, { cause: error }));
        else if (response.dataset === undefined)
          reject(new Error('the coordinator answered without a data set'));
        else resolve(datasetFromWire(response.dataset));
      },
    );
    const send = async (): Promise<void> => {
      for (const part of uploadParts(dataset, bytes))
        await new Promise<void>((sent) => stream.write(part, () => sent()));
      stream.end();
    };
    send().catch(reject);
  });
}

function* uploadParts(dataset: DatasetView, bytes: Uint8Array): Generator<UploadDatasetRequest> {
  yield { part: { $case: 'dataset', value: datasetToWire(dataset) } };
  for (let start = 0; start < bytes.length; start += chunkBytesMax)
    yield { part: { $case: 'chunk', value: Buffer.from(bytes.subarray(start, start + chunkBytesMax)) } };
}
