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
import { StudyServiceService } from '../../shared/wire/gen/parzen/v1/study.js';
import { TrialServiceService } from '../../shared/wire/gen/parzen/v1/trial.js';
import { messageBytesMax } from '../../shared/wire/limits.js';
import type { AppContext } from '../app/context.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { concurrentStreamsMax, shutdownGraceMs } from './limits.js';
import { studyService } from './study-service.js';
import { trialService } from './trial-service.js';

export interface GrpcServerOptions {
  readonly context: AppContext;
  readonly gateway: StudyGateway;
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** Folder that holds `parzen/v1/*.proto`, for reflection. */
  readonly protoDirectory: string;
}

export interface RunningServer {
  /** `host:port` with the real port. */
  readonly address: string;
  /** Answers held calls, refuses new ones, and cuts what is left after a short grace. Never rejects. */
  stop(): Promise<void>;
}

/** The listening address cannot be had; the message names it and the remedy. */
export class ListenError extends Error {
  override readonly name = 'ListenError';
}

/** Starts the trial service, the study service, health and reflection. Throws `ListenError`. */
export async function startGrpcServer({
  context,
  gateway,
  listen,
  protoDirectory,
}: GrpcServerOptions): Promise<RunningServer> {
  const stopping = new AbortController();
  const { log, clock, signal } = context;
  const server = new Server({
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
  health.addToServer(server);
  reflection(protoDirectory).addToServer(server);
  const port = await bind(server, listen);
  const address = `${listen.slice(0, listen.lastIndexOf(':'))}:${port}`;
  return {
    address,
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
  const files = ['trial', 'study', 'common'].map((name) => path.join('parzen', 'v1', `${name}.proto`));
  return new ReflectionService(loadSync(files, { includeDirs: [protoDirectory], keepCase: true }));
}

function bind(server: Server, listen: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(listen, ServerCredentials.createInsecure(), (error, port) => {
      if (error === null) resolve(port);
      else reject(new ListenError(whyNoBinding(listen, error.message), { cause: error }));
    });
  });
}

function whyNoBinding(listen: string, message: string): string {
  const remedy = 'choose another address: --listen 127.0.0.1:PORT (port 0 takes a free one)';
  return message.includes('EADDRINUSE')
    ? `${listen} is in use, perhaps by another coordinator; ${remedy}`
    : `cannot listen on ${listen} (${message}); ${remedy}`;
}

function shutDown(server: Server): Promise<void> {
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
