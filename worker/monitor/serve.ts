import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import { isLoopback } from '../../shared/platform/addresses.js';
import { startWatchListener, type WatchListener } from '../../shared/platform/metrics-listener.js';
import type { GpuIdentity } from '../gpu/device.js';
import { gpuReadingIntervalMs } from '../limits.js';
import { readCudaVersion, watchGpu } from './read-gpu.js';
import { WorkerMetrics } from './worker-metrics.js';

export interface MonitorOptions {
  /** `host:port` of metrics and probes; null for none. */
  readonly metrics: string | null;
  readonly insecureMetrics: boolean;
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

/** Opens the listeners; null when none is wanted. Throws `MonitorRefused` and `WatchListenError`. */
export async function startMonitor(options: MonitorOptions): Promise<Monitor | null> {
  const { metrics: listen, health, insecureMetrics, gpu, clock, log } = options;
  if (listen !== null && !insecureMetrics && !isLoopback(listen))
    throw new MonitorRefused(
      `--metrics ${listen} would be open to the network; listen on 127.0.0.1, or say --insecure-metrics if only those who may read them can reach it`,
    );
  if (listen === null && health === null) return null;
  const cudaVersion = gpu === null ? '' : await readCudaVersion();
  const metrics = new WorkerMetrics({ ...options, cudaVersion });
  const ready = (): boolean => metrics.ready;
  const listeners: WatchListener[] = [];
  if (listen !== null) {
    const collect = (): void => metrics.collect();
    const shown = { registry: metrics.registry, collect, ready };
    const listener = await startWatchListener({ listen, option: '--metrics', ...shown });
    log.info({ metrics: `http://${listener.address}/metrics` }, 'metrics');
    listeners.push(listener);
  }
  if (health !== null) {
    const listener = await startWatchListener({ listen: health, option: '--health', ready });
    log.info({ health: `http://${listener.address}/readyz` }, 'health');
    listeners.push(listener);
  }
  const over = new AbortController();
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
