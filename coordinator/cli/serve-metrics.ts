import { systemClock, type Clock } from '../../shared/platform/clock.js';
import { isLoopback } from '../../shared/platform/addresses.js';
import { startWatchListener, type WatchListener } from '../../shared/platform/metrics-listener.js';
import type { Log } from '../../shared/platform/log.js';
import { watchServerTls } from '../../shared/platform/renewed-tls.js';
import { readServerTls, type ServerTlsFiles } from '../../shared/platform/tls.js';
import { TokenCheck } from '../app/tokens.js';
import { defaults } from '../config.js';
import { callNames, codeNames } from '../grpc/observed-calls.js';
import { CoordinatorMetrics } from '../http/coordinator-metrics.js';
import { keepMetricsFresh } from '../http/refresh-metrics.js';
import { metricsStudiesMax } from '../limits.js';
import { observedStorage, storeOperations } from '../storage/observed-storage.js';
import type { Storage } from '../storage/port.js';
import { CommandError } from './command-error.js';
import type { Listening } from './listening.js';
import { readTokenGuard } from './metrics-guard.js';

/** Who may look on, and where. */
export interface Watching {
  /** `host:port` of the listener; null for no metrics. */
  readonly metrics: string | null;
  /** Beyond loopback without TLS and tokens. */
  readonly insecureMetrics: boolean;
  /** TLS of this listener; beyond loopback what callers are served with unless given. */
  readonly tls?: ServerTlsFiles | null;
  readonly version: string;
  /** Between two looks at the store, ms. */
  readonly refreshMs?: number;
}

export interface MetricsOptions {
  readonly watching: Watching;
  readonly listening: Pick<Listening, 'tls' | 'requireTokens'>;
  readonly storage: string;
  readonly leaseTtlMs: number;
  readonly log: Log;
}

export interface ServedMetrics {
  readonly metrics: CoordinatorMetrics;
  readonly address: string;
  /** The store, observed. */
  readonly storage: Storage;
  /** Says from now on that work is taken, or not. */
  setReady(ready: boolean): void;
  stop(): Promise<void>;
}

/** How the listener of metrics is guarded. Whoever reads metrics learns the names of studies and how they fare. */
interface MetricsSecurity {
  readonly tls: ServerTlsFiles | null;
  readonly tokens: boolean;
}

/** Throws `CommandError` where metrics would be open to the network. */
export function metricsSecurity(
  { metrics, insecureMetrics, tls: own = null }: Watching,
  { tls, requireTokens }: Pick<Listening, 'tls' | 'requireTokens'>,
): MetricsSecurity {
  if (metrics === null || insecureMetrics) return { tls: own, tokens: false };
  if (isLoopback(metrics)) return { tls: own, tokens: requireTokens };
  const files = own ?? tls;
  if (files !== null) return { tls: files, tokens: true };
  throw new CommandError(
    `--metrics ${metrics} would be open to the network; give --metrics-tls-cert and --metrics-tls-key (a token of role read is ` +
      'asked for then), listen on 127.0.0.1, or say --insecure-metrics if only those who may read them can reach it',
    2,
  );
}

/** Opens the listener and begins to count; null when no metrics are wanted. `clock`: the store's time. */
export async function serveMetrics(
  storage: Storage,
  clock: Clock,
  options: MetricsOptions,
): Promise<ServedMetrics | null> {
  const { watching, log, leaseTtlMs } = options;
  const { version, refreshMs = defaults.metricsRefreshMs } = watching;
  if (watching.metrics === null) return null;
  const kind = options.storage.includes('://') ? 'postgres' : 'embedded';
  const metrics = new CoordinatorMetrics({
    ...{ version, storage: kind, studiesMax: metricsStudiesMax },
    ...{ operations: storeOperations, calls: callNames, codes: codeNames },
  });
  const observed = observedStorage(storage, metrics.store);
  const { tls, tokens } = metricsSecurity(watching, options.listening);
  const check = tokens ? new TokenCheck({ storage: observed, clock }) : null;
  let ready = false;
  const listener: WatchListener = await startWatchListener({
    ...{ listen: watching.metrics, option: '--metrics', registry: metrics.registry, ready: () => ready },
    collect: () => metrics.collect(storage.connections()),
    tls: tls === null ? null : readServerTls(tls, systemClock.nowMs()),
    guard: check === null ? null : readTokenGuard({ check, clock, log }),
  });
  log.info({ metrics: `${tls === null ? 'http' : 'https'}://${listener.address}/metrics` }, 'metrics');
  const over = new AbortController();
  if (tls !== null)
    void watchServerTls({ files: tls, clock: systemClock, log, renew: listener.renew, over: over.signal });
  const { workerMemoryMs, metricsStaleMs, metricsFinishedShownMs } = defaults;
  const fresh = keepMetricsFresh(
    {
      ...{ metrics, storage: observed, clock, log, random: Math.random },
      ...{ intervalMs: refreshMs, staleMs: metricsStaleMs, finishedShownMs: metricsFinishedShownMs },
      ...{ leaseTtlMs, workerMemoryMs, studiesMax: metricsStudiesMax },
    },
    over.signal,
  ).catch((error: unknown) => log.error({ err: error }, 'metrics are not refreshed any more'));
  return {
    ...{ metrics, address: listener.address, storage: observed },
    setReady: (now) => {
      ready = now;
    },
    stop: async () => {
      over.abort();
      await fresh;
      await listener.close();
    },
  };
}
