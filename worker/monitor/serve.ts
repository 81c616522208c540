import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import { isLoopback } from '../../shared/platform/addresses.js';
import { oneTokenGuard } from '../../shared/platform/metrics-guard.js';
import { startWatchListener, type WatchListener } from '../../shared/platform/metrics-listener.js';
import { watchServerTls } from '../../shared/platform/renewed-tls.js';
import { readServerTls, readToken, type ServerTlsFiles } from '../../shared/platform/tls.js';
import type { GpuIdentity } from '../gpu/device.js';
import { gpuReadingIntervalMs } from '../limits.js';
import { readCudaVersion, watchGpu } from './read-gpu.js';
import { WorkerMetrics } from './worker-metrics.js';

/** Who may read the metrics. The listener of probes alone is open. */
export interface MonitorSecurity {
  /** Beyond loopback without TLS and token. */
  readonly insecureMetrics: boolean;
  readonly tls: ServerTlsFiles | null;
  /** File with the token that readers must send; null: none. */
  readonly tokenFile: string | null;
}

export interface MonitorOptions {
  /** `host:port` of metrics and probes; null for none. */
  readonly metrics: string | null;
  readonly security: MonitorSecurity;
  /** `host:port` of the probes alone; null for none. */
  readonly health: string | null;
  readonly version: string;
  readonly runtime: string;
  readonly slots: number;
  readonly gpu: GpuIdentity | null;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Monitor {
  readonly metrics: WorkerMetrics;
  stop(): Promise<void>;
}

/** An option that cannot be followed; the message says what to give instead. */
export class MonitorRefused extends Error {
  override readonly name = 'MonitorRefused';
}

function refuseOpenMetrics(
  listen: string | null,
  { insecureMetrics, tls, tokenFile }: MonitorSecurity,
): void {
  if (listen === null || insecureMetrics || isLoopback(listen) || (tls !== null && tokenFile !== null))
    return;
  throw new MonitorRefused(
    `--metrics ${listen} would be open to the network; give --metrics-tls-cert, --metrics-tls-key and --metrics-token-file, ` +
      'listen on 127.0.0.1, or say --insecure-metrics if only those who may read them can reach it',
  );
}

/** Opens the listeners; null when none is wanted. Throws `MonitorRefused`, `SecretFileError`, `WatchListenError`. */
export async function startMonitor(options: MonitorOptions): Promise<Monitor | null> {
  const { metrics: listen, health, security, gpu, clock, log } = options;
  refuseOpenMetrics(listen, security);
  if (listen === null && health === null) return null;
  const cudaVersion = gpu === null ? '' : await readCudaVersion();
  const metrics = new WorkerMetrics({ ...options, cudaVersion });
  const ready = (): boolean => metrics.ready;
  const listeners: WatchListener[] = [];
  const over = new AbortController();
  if (listen !== null) {
    const collect = (): void => metrics.collect();
    const { tls, tokenFile } = security;
    const listener = await startWatchListener({
      ...{ listen, option: '--metrics', registry: metrics.registry, collect, ready },
      tls: tls === null ? null : readServerTls(tls, clock.nowMs()),
      guard: tokenFile === null ? null : oneTokenGuard(readToken(tokenFile)),
    });
    log.info({ metrics: `${tls === null ? 'http' : 'https'}://${listener.address}/metrics` }, 'metrics');
    listeners.push(listener);
    if (tls !== null)
      void watchServerTls({ files: tls, clock, log, renew: listener.renew, over: over.signal });
  }
  if (health !== null) {
    const listener = await startWatchListener({ listen: health, option: '--health', ready });
    log.info({ health: `http://${listener.address}/readyz` }, 'health');
    listeners.push(listener);
  }
  const watch = { clock, intervalMs: gpuReadingIntervalMs, over: over.signal };
  if (gpu !== null) void watchGpu({ ...watch, uuid: gpu.uuid, show: (reading) => metrics.showGpu(reading) });
  return {
    metrics,
    stop: async () => {
      over.abort();
      await Promise.all(listeners.map((listener) => listener.close()));
    },
  };
}
