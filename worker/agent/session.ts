/** A worker's session with its coordinator: registration, heartbeats, slots, shutdown. */
import { randomUUID } from 'node:crypto';
import os from 'node:os';
import path from 'node:path';
import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import type { Tracer } from '../../shared/platform/tracing.js';
import type { WorkerConfig } from '../config.js';
import { cpuDevice, hostMemoryPerSlot, type Device } from '../gpu/device.js';
import type { ChildTrainer } from '../trainers/child-trainer.js';
import type { CommandTrainers } from '../trainers/command/definition.js';
import { watchCalls, watchRunner } from '../monitor/watch.js';
import type { WorkerMetrics } from '../monitor/worker-metrics.js';
import { announcer } from './announcer.js';
import { CoordinatorClient } from './coordinator-client.js';
import { usableCacheDirectory } from './cache-directory.js';
import { DatasetCache } from './dataset-cache.js';
import { keepBeating } from './heartbeat.js';
import { openJournal } from './journal.js';
import { Leases } from './leases.js';
import { shutdownPhases } from './shutdown-phases.js';
import { runSlot } from './slot.js';
import type { AttemptRunner } from './slot-options.js';
import { grpcTrialCalls, type TrialCalls } from './trial-calls.js';
import {
  createTrainerProcess,
  deviceInUse,
  offeredTrainers,
  type TrainerProcessOptions,
} from './trainer-processes.js';

export interface SessionOptions {
  readonly config: WorkerConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly version: string;
  /** Path of the compiled trainer process. */
  readonly childPath: string;
  /** Programs that this worker allows as trainers; none by default. */
  readonly commands?: CommandTrainers;
  /** What trials run on; the CPU by default. */
  readonly device?: Device;
  /** Environment of the trainers; this process's own by default. */
  readonly trainerEnvironment?: Readonly<Record<string, string | undefined>>;
  /** Traces of attempts; nobody by default. */
  readonly tracer?: Tracer;
  /** Watches the session; nobody by default. */
  readonly metrics?: WorkerMetrics;
  /** Aborts when the worker shuts down: no new trials, running ones may go on for `config.drainMs`. */
  readonly stopping: AbortSignal;
  /** Aborts when running trials are to be given back at once. */
  readonly hurry?: AbortSignal;
}

/**
 * Works for a coordinator until `stopping` aborts; rejects with `WorkerUnfit` when this machine cannot run trials. All
 * trainer processes are gone when it resolves or rejects.
 */
export async function runSession(options: SessionOptions): Promise<void> {
  const { config, clock, log, random, stopping } = options;
  const cacheDirectory = await usableCacheDirectory(config, log);
  const journal = config.journal === undefined ? null : openJournal(config.journal, () => clock.nowMs());
  const calls = watchedCalls(options);
  const client = new CoordinatorClient({ address: config.coordinator, clock, random, log, calls });
  const leases = new Leases();
  const cache = new DatasetCache(cacheDirectory, client, log);
  const workerId = mintWorkerId(config);
  const failed = new AbortController();
  const settled = new AbortController();
  const phases = shutdownPhases({
    ...{ clock, stopping, drainMs: config.drainMs, settled: settled.signal },
    hurry: options.hurry === undefined ? failed.signal : AbortSignal.any([options.hurry, failed.signal]),
  });
  const processes = processOptions(options);
  const runners = new Map<string, ChildTrainer>();
  const runnerOf = (index: number, trainer: string): ChildTrainer => {
    const key = `${index}:${trainer}`;
    const runner = runners.get(key) ?? createTrainerProcess(trainer, processes);
    runners.set(key, runner);
    return runner;
  };
  const inUse = deviceInUse(processes, () => runnerOf(0, 'hermite'));
  const trainers = offeredTrainers(processes.commands);
  const { register, farewell } = announcer({
    ...{ client, config, trainers, inUse, log, workerId, version: options.version },
    stopping: phases.stopping,
  });
  const slot = (index: number): Promise<void> =>
    runSlot({
      ...{ client, leases, cache, clock, random, log, workerId, study: config.study, trainers },
      ...{ mintId: randomUUID, journal, aheadRoundTrips: config.aheadRoundTrips },
      ...phases,
      tracer: options.tracer,
      register: () => register().then(() => undefined),
      runnerFor: (trainer) => watchedRunner(options, index, { trainer, runner: runnerOf(index, trainer) }),
    });
  try {
    const { heartbeatIntervalMs } = await register();
    const heart = { client, leases, clock, log, workerId, register, intervalMs: heartbeatIntervalMs };
    const beating = keepBeating({ ...heart, ended: settled.signal });
    const slots = Array.from({ length: config.slots }, (_, index) => slot(index));
    // One slot that fails ends the session, but the others give their trials back first.
    for (const running of slots) running.catch(() => failed.abort());
    const results = await Promise.allSettled(slots);
    settled.abort();
    await beating;
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  } catch (error) {
    if (!stopping.aborted) throw error;
  } finally {
    settled.abort();
    await Promise.all([farewell(), ...[...runners.values()].map((runner) => runner.kill())]);
    client.close();
    journal?.close();
  }
}

const mintWorkerId = ({ exitWithParent }: WorkerConfig): string =>
  `${exitWithParent ? 'local-' : ''}${os.hostname().slice(0, 60)}-${process.pid}-${randomUUID().slice(0, 8)}`;

/** The calls to the coordinator, watched where somebody does. */
function watchedCalls({ config, metrics, stopping }: SessionOptions): TrialCalls {
  const calls = grpcTrialCalls(config.coordinator, config.security);
  if (metrics === undefined) return calls;
  let released: (() => void) | null = null;
  stopping.addEventListener('abort', () => (released = metrics.drain()), { once: true });
  return watchCalls(calls, metrics, () => released);
}

const watchedRunner = (
  { metrics }: SessionOptions,
  slot: number,
  { trainer, runner }: { readonly trainer: string; readonly runner: AttemptRunner },
): AttemptRunner => (metrics === undefined ? runner : watchRunner(runner, { metrics, slot, trainer }));

function processOptions(options: SessionOptions): TrainerProcessOptions {
  const { childPath, config, commands, trainerEnvironment, log } = options;
  const { slots, runtime, slotMemoryBytes } = config;
  const hostMemoryBytes = slotMemoryBytes ?? hostMemoryPerSlot(slots);
  return {
    ...{ childPath, runtime, log },
    commands: commands ?? new Map(),
    device: options.device ?? cpuDevice(slots, hostMemoryBytes),
    hostMemoryBytes,
    ...(trainerEnvironment === undefined ? {} : { environment: trainerEnvironment }),
  };
}

/** The compiled trainer process, beside this file's folder. */
export const defaultChildPath = (): string => path.join(import.meta.dirname, '..', 'trainers', 'child.js');
