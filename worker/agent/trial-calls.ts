/** The calls of the trial service, one try each. Two implementations: gRPC, and the simulation's network. */
import type { ServiceError } from '@grpc/grpc-js';
import { RpcError, unary, type UnaryOptions } from '../../shared/wire/call.js';
import { channelParts, plainChannel, targetOptions } from '../../shared/wire/channel.js';
import {
  TrialServiceClient,
  type AskRequest,
  type AskResponse,
  type FetchDatasetResponse,
  type HeartbeatRequest,
  type HeartbeatResponse,
  type PutArtifactRequest,
  type PutArtifactResponse,
  type RegisterRequest,
  type RegisterResponse,
  type ReleaseRequest,
  type ReleaseResponse,
  type ReportRequest,
  type ReportResponse,
  type TellRequest,
  type TellResponse,
} from '../../shared/wire/gen/parzen/v1/trial.js';
import { datasetDeadlineMs } from '../limits.js';

/** Rejects with `RpcError`; with code CANCELLED when the signal aborted it. */
export type TrialCall<Request, Response> = (request: Request, options: UnaryOptions) => Promise<Response>;

export interface TrialCalls {
  readonly register: TrialCall<RegisterRequest, RegisterResponse>;
  readonly ask: TrialCall<AskRequest, AskResponse>;
  readonly putArtifact: TrialCall<PutArtifactRequest, PutArtifactResponse>;
  readonly tell: TrialCall<TellRequest, TellResponse>;
  readonly release: TrialCall<ReleaseRequest, ReleaseResponse>;
  readonly report: TrialCall<ReportRequest, ReportResponse>;
  readonly heartbeat: TrialCall<HeartbeatRequest, HeartbeatResponse>;
  /** The canonical bytes of a data set, piece by piece. */
  fetchDataset(hash: string): AsyncIterable<FetchDatasetResponse>;
  close(): void;
}

/** The calls over gRPC to `host:port` or `dns:///host:port` (see `targetOptions`); connects when first used. */
export function grpcTrialCalls(address: string, security = plainChannel): TrialCalls {
  const [credentials, common] = channelParts(security);
  const options = { ...common, ...targetOptions(address) };
  const client = new TrialServiceClient(address, credentials, options);
  // Heartbeats have a connection of their own, so that a full pipe cannot cost a lease.
  const heartbeats = new TrialServiceClient(address, credentials, {
    ...options,
    'grpc.use_local_subchannel_pool': 1,
  });
  return {
    register: (request, options) => unary(client.register.bind(client), request, options),
    ask: (request, options) => unary(client.ask.bind(client), request, options),
    putArtifact: (request, options) => unary(client.putArtifact.bind(client), request, options),
    tell: (request, options) => unary(client.tell.bind(client), request, options),
    release: (request, options) => unary(client.release.bind(client), request, options),
    report: (request, options) => unary(client.report.bind(client), request, options),
    heartbeat: (request, options) => unary(heartbeats.heartbeat.bind(heartbeats), request, options),
    fetchDataset: (hash) => pieces(client, hash),
    close: () => {
      client.close();
      heartbeats.close();
    },
  };
}

async function* pieces(client: TrialServiceClient, hash: string): AsyncGenerator<FetchDatasetResponse> {
  const stream = client.fetchDataset({ hash }, { deadline: Date.now() + datasetDeadlineMs });
  try {
    for await (const piece of stream as AsyncIterable<FetchDatasetResponse>) yield piece;
  } catch (error) {
    // grpc-js rejects with its own error; retries go by ours.
    const { code, details } = error as Partial<ServiceError>;
    throw code === undefined ? error : new RpcError(code, details ?? '', { cause: error });
  } finally {
    stream.cancel();
  }
}
