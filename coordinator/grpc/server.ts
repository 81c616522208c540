import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { ReflectionService } from '@grpc/reflection';
import { HealthImplementation } from 'grpc-health-check';
import path from 'node:path';
import { AccessServiceService } from '../../shared/wire/gen/parzen/v1/access.js';
import { StudyServiceService } from '../../shared/wire/gen/parzen/v1/study.js';
import { TrialServiceService } from '../../shared/wire/gen/parzen/v1/trial.js';
import { messageBytesMax } from '../../shared/wire/limits.js';
import type { ServerTls } from '../../shared/platform/tls.js';
import type { AppContext } from '../app/context.js';
import type { CallObserver } from '../app/observer.js';
import type { StudyGateway } from '../app/study-gateway.js';
import type { TokenCheck } from '../app/tokens.js';
import { accessService } from './access-service.js';
import { connectionLimits, limitConnections, type ConnectionLimits } from './connection-limits.js';
import { guard } from './guard.js';
import { concurrentStreamsMax, shutdownGraceMs } from './limits.js';
import { observeCalls } from './observed-calls.js';
import { renewableCredentials } from './renewable-credentials.js';
import { studyService } from './study-service.js';
import { trialService } from './trial-service.js';

export interface GrpcServerOptions {
  readonly context: AppContext;
  readonly gateway: StudyGateway;
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** Folder that holds `parzen/v1/*.proto`, for reflection. */
  readonly protoDirectory: string;
  /** Speak TLS on `listen`; plain without. */
  readonly tls?: ServerTls;
  /** Ask every caller for a token; nobody without. */
  readonly check?: TokenCheck;
  /** Bound what one address may ask for, and how slowly, also where nobody is asked for a token. */
  readonly limited?: boolean;
  /**
   * Listen on a free port of loopback as well, without TLS, for workers that this process starts. Callers there are asked for a
   * token of this check, also where TLS alone admits others.
   */
  readonly local?: TokenCheck;
  /** Metrics of calls; nobody by default. */
  readonly calls?: CallObserver;
  /** What connections are held to where `limited` or `check` says so. */
  readonly connections?: ConnectionLimits;
}

export interface RunningServer {
  /** `host:port` with the real port. */
  readonly address: string;
  /** Where workers of this machine reach it without TLS. */
  readonly localAddress: string;
  /** Another certificate from now on; nothing where TLS is not spoken. */
  readonly renew: (tls: ServerTls) => void;
  /** Answers held calls, refuses new ones, and cuts what is left after a short grace. Never rejects. */
  stop(): Promise<void>;
}

/** The listening address cannot be had; the message names it and the remedy. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** Starts the trial service, the study service, health and reflection. Throws `ListenError`. */
export async function startGrpcServer(options: GrpcServerOptions): Promise<RunningServer> {
  const { context, gateway, listen, protoDirectory, tls, check, limited, local, calls } = options;
  const stopping = new AbortController();
  const { log, clock, signal } = context;
  let localPort: number | null = null;
  const guarded = check !== undefined || limited === true || local !== undefined;
  const server = new Server({
    // What the guard refuses is counted, too.
    interceptors: [
      ...(calls === undefined ? [] : [observeCalls(calls)]),
      ...(guarded
        ? [
            guard({
              ...{ check: check ?? null, limited: limited === true, clock, log },
              ...(local === undefined ? {} : { local: { check: local, port: () => localPort } }),
              ...(calls === undefined ? {} : { calls }),
            }),
          ]
        : []),
    ],
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.max_receive_message_length': messageBytesMax,
    'grpc.max_send_message_length': messageBytesMax,
    'grpc.max_concurrent_streams': concurrentStreamsMax,
    'grpc.enable_channelz': 0,
  });
  const health = new HealthImplementation({ '': 'SERVING' });
  add(server, TrialServiceService, trialService(context, stopping.signal));
  add(server, StudyServiceService, studyService({ gateway, log, clock, signal, stopping: stopping.signal }));
  add(server, AccessServiceService, accessService(gateway, log));
  health.addToServer(server);
  reflection(protoDirectory).addToServer(server);
  const plain = ServerCredentials.createInsecure();
  const secured = tls === undefined ? null : renewableCredentials(tls);
  const address = await bind(server, listen, secured?.credentials ?? plain);
  const limits = options.connections ?? connectionLimits;
  if (check !== undefined || limited === true)
    limitConnections(server, { limits, tls: tls !== undefined, clock, log });
  const localAddress = local === undefined ? address : await bind(server, '127.0.0.1:0', plain);
  if (local !== undefined) localPort = Number(localAddress.slice(localAddress.lastIndexOf(':') + 1));
  return {
    ...{ address, localAddress },
    renew: (renewed) => secured?.renew(renewed),
    stop: () => {
      health.setStatus('', 'NOT_SERVING');
      stopping.abort();
      signal.notify();
      return shutDown(server);
    },
  };
}

function add(
  server: Server,
  definition: ServiceDefinition,
  implementation: UntypedServiceImplementation,
): void {
  server.addService(definition, implementation);
}

function reflection(protoDirectory: string): ReflectionService {
  const files = ['trial', 'study', 'access', 'common'].map((name) =>
    path.join('parzen', 'v1', `${name}.proto`),
  );
  return new ReflectionService(loadSync(files, { includeDirs: [protoDirectory], keepCase: true }));
}

/** Binds one more address; answers it with the real port. Throws `ListenError`, which names `option`. */
export function bind(
  server: Server,
  listen: string,
  credentials: ServerCredentials,
  option = '--listen',
): Promise<string> {
  return new Promise((resolve, reject) => {
    server.bindAsync(listen, credentials, (error, port) => {
      if (error === null) resolve(`${listen.slice(0, listen.lastIndexOf(':'))}:${port}`);
      else reject(new ListenError(whyNoBinding(listen, option, error.message), { cause: error }));
    });
  });
}

function whyNoBinding(listen: string, option: string, message: string): string {
  const remedy = `choose another address: ${option} 127.0.0.1:PORT (port 0 takes a free one)`;
  return message.includes('EADDRINUSE')
    ? `${listen} is in use, perhaps by another coordinator; ${remedy}`
    : `cannot listen on ${listen} (${message}); ${remedy}`;
}

/** Lets calls under way end, for a while. */
export function shutDown(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      server.forceShutdown();
      resolve();
    }, shutdownGraceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
