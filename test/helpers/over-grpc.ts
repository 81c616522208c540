/** A coordinator (store in memory, real gRPC) and real worker sessions, in this process. */
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../../shared/platform/clock.js';
import { silentLog, type Log } from '../../shared/platform/log.js';
import type { Tracer } from '../../shared/platform/tracing.js';
import { createContext, type AppContext } from '../../coordinator/app/context.js';
import { createStudy } from '../../coordinator/app/create-study.js';
import { Histories } from '../../coordinator/app/history.js';
import { tokenFor } from '../../coordinator/app/lease-token.js';
import { localGateway } from '../../coordinator/app/study-gateway.js';
import { WorkSignal } from '../../coordinator/app/work-signal.js';
import { startGrpcServer, type RunningServer } from '../../coordinator/grpc/server.js';
import { chunksOf, datasetOf, keepNewest } from '../../coordinator/market-data/dataset.js';
import { createMemoryStorage } from '../../coordinator/storage/memory/create-memory-storage.js';
import type { Storage } from '../../coordinator/storage/port.js';
import { runSession } from '../../worker/agent/session.js';
import { smallStudy } from './app.js';
import { projectRoot } from './cli.js';

const childPath = path.join(projectRoot, 'dist/worker/trainers/child.js');

export interface Coordinator {
  readonly context: AppContext;
  readonly server: RunningServer;
  readonly create: (name: string, trials: number) => Promise<void>;
}

/** Starts a coordinator on a free port of loopback, on a store of its own unless given. */
export async function startCoordinator({
  log = silentLog,
  storage = createMemoryStorage(),
  leaseTtlMs = 2_000,
  tracer,
}: {
  readonly log?: Log;
  readonly storage?: Storage;
  readonly leaseTtlMs?: number;
  readonly tracer?: Tracer;
} = {}): Promise<Coordinator> {
  const context = createContext({
    ...{ storage, log, clock: systemClock, mintSecret: randomUUID },
    mintToken: (study) => tokenFor(study, randomUUID()),
    settings: {
      ...{ leaseTtlMs, heartbeatIntervalMs: leaseTtlMs / 10, pollIntervalMs: 200 },
      ...{ workerMemoryMs: 60_000, serves: null },
    },
    ...(tracer === undefined ? {} : { tracer }),
    signal: new WorkSignal(),
    histories: new Histories(),
    datasetTools: { datasetOf, keepNewest, chunksOf },
  });
  const gateway = localGateway(context, () => ({ kind: 'problems', text: 'no study files here' }));
  const protoDirectory = path.join(projectRoot, 'proto');
  const server = await startGrpcServer({ context, gateway, listen: '127.0.0.1:0', protoDirectory });
  return {
    ...{ context, server },
    create: async (name, trials) => {
      const definition = smallStudy({ name });
      await createStudy(context, { definition, definitionText: name, trials, dataset: null });
    },
  };
}

/** Runs a worker of one slot until `stopping` aborts. */
export async function runWorker(
  coordinator: string,
  stopping: AbortSignal,
  { log = silentLog, tracer }: { readonly log?: Log; readonly tracer?: Tracer } = {},
): Promise<void> {
  if (!existsSync(childPath)) throw new Error('dist/ is missing: npm run build');
  const cacheDirectory = mkdtempSync(path.join(tmpdir(), 'parzen-cache-'));
  try {
    await runSession({
      config: {
        ...{
          coordinator,
          study: null,
          slots: 1,
          runtime: 'auto',
          cacheDirectory,
          fallbackCacheDirectory: null,
        },
        ...{ drainMs: 0, aheadRoundTrips: 0, exitWithParent: false, logLevel: 'silent', logFormat: 'text' },
      },
      ...{ clock: systemClock, log, random: Math.random, version: 'test', childPath, stopping },
      ...(tracer === undefined ? {} : { tracer }),
    });
  } finally {
    rmSync(cacheDirectory, { recursive: true, force: true });
  }
}
