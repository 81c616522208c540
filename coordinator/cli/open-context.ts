import { randomBytes, randomUUID } from 'node:crypto';
import { systemClock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import type { Tracer } from '../../shared/platform/tracing.js';
import { AgreedClock } from '../app/agreed-clock.js';
import { createContext, type AppContext } from '../app/context.js';
import { tokenFor } from '../app/lease-token.js';
import { Histories } from '../app/history.js';
import { localGateway, type StudyGateway } from '../app/study-gateway.js';
import { WorkSignal } from '../app/work-signal.js';
import { defaults } from '../config.js';
import { chunksOf, datasetOf, keepNewest } from '../market-data/dataset.js';
import type { Storage } from '../storage/port.js';
import { parseStudy } from './parse-study.js';
import type { ServedMetrics } from './serve-metrics.js';

export interface OpenContext {
  readonly context: AppContext;
  readonly gateway: StudyGateway;
  /** Null when nobody watches. */
  readonly metrics: ServedMetrics | null;
}

export interface ContextOptions {
  /** Studies that workers get trials of, null for all. */
  readonly serves: ReadonlySet<string> | null;
  /** How long a lease holds without a heartbeat, ms. */
  readonly leaseTtlMs?: number;
  /** Who watches; nobody by default. */
  readonly metrics?: ServedMetrics | null;
  /** The store's time where it is known already. */
  readonly clock?: AgreedClock;
  /** Traces; nobody by default. */
  readonly tracer?: Tracer | null;
}

/** Measured against this store. Rejects with `StorageUnavailable`. */
export async function agreedClock(storage: Storage): Promise<AgreedClock> {
  const clock = new AgreedClock(storage, systemClock);
  await clock.agree();
  return clock;
}

/** The use cases over an open store, whose clock they go by. Rejects with `StorageUnavailable`. */
export async function openContext(
  storage: Storage,
  log: Log,
  { serves, leaseTtlMs = defaults.leaseTtlMs, metrics = null, tracer = null, ...given }: ContextOptions,
): Promise<OpenContext> {
  const { pollIntervalMs, workerMemoryMs } = defaults;
  const heartbeatIntervalMs = Math.round((defaults.heartbeatIntervalMs * leaseTtlMs) / defaults.leaseTtlMs);
  const observed = metrics?.storage ?? storage;
  const clock = given.clock ?? (await agreedClock(storage));
  const context = createContext({
    storage: observed,
    clock,
    agreeOnTime: () => clock.agree(),
    log,
    mintToken: (study) => tokenFor(study, randomUUID()),
    mintSecret: () => randomBytes(32).toString('base64url'),
    settings: Object.freeze({ leaseTtlMs, heartbeatIntervalMs, pollIntervalMs, workerMemoryMs, serves }),
    signal: new WorkSignal(),
    histories: new Histories(metrics?.metrics.app),
    datasetTools: { datasetOf, keepNewest, chunksOf },
    ...(tracer === null ? {} : { tracer }),
    ...(metrics === null ? {} : { observer: metrics.metrics.app }),
  });
  return { context, gateway: localGateway(context, parseStudy), metrics };
}
