/** The worker's metrics: watches its calls, its trials and its GPU, and counts. */
import os from 'node:os';
import { trialReasons, type Metrics } from '../../shared/core/study/trial.js';
import {
  combinations,
  createInstruments,
  removeSeries,
  startAtZero,
  stopwatch,
} from '../../shared/platform/metrics.js';
import type { GpuIdentity } from '../gpu/device.js';
import { outOfMemoryKind, outOfMemoryKinds } from '../gpu/out-of-memory.js';
import { studiesRememberedMax, studyRememberedMs } from '../limits.js';
import { statusNames } from '../../shared/wire/call.js';
import { workerMetrics } from '../metrics.js';
import type { AttemptResult } from '../trainers/child-trainer.js';
import type { TrialJob } from '../trainers/port.js';
import type { GpuReading } from './read-gpu.js';
import { SlotTimes, idleReasons, type IdleReason } from './slot-times.js';
import { trainerExit, trainerExits } from './trainer-exit.js';

export interface WorkerMetricsOptions {
  readonly version: string;
  readonly runtime: string;
  readonly slots: number;
  /** Null on the CPU. */
  readonly gpu: GpuIdentity | null;
  /** As `nvidia-smi` says; empty when it does not. */
  readonly cudaVersion: string;
}

/** Every call that a worker makes, and how it can fail; a call that the worker itself cancels is none. */
const callMethods = ['Register', 'Ask', 'PutArtifact', 'Tell', 'Release', 'Report', 'Heartbeat'] as const;
export type CallMethod = (typeof callMethods)[number];
const failureCodes = statusNames.filter((name) => name !== 'OK' && name !== 'CANCELLED');
const phases = ['load', 'fit', 'predict', 'unknown'] as const;

/** One trial that runs. */
interface RunningTrial {
  readonly job: TrialJob;
  readonly trainer: string;
  readonly slot: number;
  steps: number;
  samples: number;
}

export class WorkerMetrics {
  readonly #created = createInstruments(workerMetrics);
  readonly registry = this.#created.registry;
  readonly #metrics = this.#created.instruments;
  readonly #slots: number;
  readonly #times: SlotTimes;
  readonly #UUID: string;
  #build: {
    readonly version: string;
    readonly revision: string;
    readonly node_version: string;
    readonly runtime: string;
  };
  /** Studies with series, the one worked for last at the end. */
  readonly #studies = new Map<string, { running: number; sinceMs: number }>();
  #draining = false;
  #connected = false;
  #registered = false;
  #onGpu = false;

  constructor({ version, runtime, slots, gpu, cudaVersion }: WorkerMetricsOptions) {
    const metrics = this.#metrics;
    this.#slots = slots;
    this.#UUID = gpu?.uuid ?? '';
    this.#times = new SlotTimes(
      slots,
      () => performance.now(),
      (doing, seconds) => metrics.slotSeconds.inc({ doing }, seconds),
    );
    this.#build = {
      ...{ version, revision: process.env['PARZEN_REVISION'] ?? '', node_version: process.version, runtime },
    };
    metrics.buildInfo.set(this.#build, 1);
    metrics.connected.set(0);
    startAtZero(metrics.slotSeconds, combinations({ doing: ['training', ...idleReasons] }));
    startAtZero(metrics.trainerExits, combinations({ reason: trainerExits }));
    startAtZero(metrics.callFailures, combinations({ method: callMethods, code: failureCodes }));
    if (gpu === null) return;
    // In a container the name of the host is the container's; whoever starts it may know the machine's.
    const host = process.env['PARZEN_HOST'] ?? os.hostname();
    metrics.gpuInfo.set(
      {
        ...{ UUID: gpu.uuid, gpu_model: gpu.model, mig_profile: gpu.migProfile },
        ...{ driver_version: gpu.driver, cuda_version: cudaVersion, host },
      },
      1,
    );
  }

  /** Registered, and the last call was answered. */
  get ready(): boolean {
    return this.#registered && this.#connected && !this.#draining;
  }

  /** Brings what changes by itself up to date; called before the metrics are shown. */
  collect(): void {
    this.#times.collect();
    const forgottenMs = performance.now() - studyRememberedMs;
    for (const [study, { running, sinceMs }] of this.#studies)
      if (running === 0 && sinceMs < forgottenMs) this.#forget(study);
    const busy = this.#times.training;
    const idle = this.#slots - busy;
    this.#metrics.slots.set({ state: 'busy' }, this.#draining ? 0 : busy);
    this.#metrics.slots.set({ state: 'idle' }, this.#draining ? 0 : idle);
    this.#metrics.slots.set({ state: 'draining' }, this.#draining ? this.#slots : 0);
  }

  /** The worker shuts down; the function is called when a trial has been given back. */
  drain(): () => void {
    this.#draining = true;
    this.#times.idleFor('draining');
    const seconds = stopwatch();
    return () => this.#metrics.release.observe(seconds());
  }

  /** The coordinator knows this worker; `onGpu`: its trials use the GPU that it has; `runtime`: the one they train on. */
  registered(onGpu: boolean, runtime: string): void {
    this.#registered = true;
    this.#onGpu = onGpu;
    this.#metrics.buildInfo.remove(this.#build);
    this.#build = { ...this.#build, runtime };
    this.#metrics.buildInfo.set(this.#build, 1);
    this.#startWork();
  }

  /** The card that trials run on; empty where they run on the CPU, though there be a card. */
  get #worksOn(): string {
    return this.#onGpu ? this.#UUID : '';
  }

  #startWork(): void {
    const UUID = this.#worksOn;
    const { gpuOutOfMemory, gpuTrials, gpuSteps, gpuSamples } = this.#metrics;
    startAtZero(gpuOutOfMemory, combinations({ UUID: [UUID], phase: phases, class: outOfMemoryKinds }));
    for (const metric of [gpuTrials, gpuSteps, gpuSamples]) startAtZero(metric, [{ UUID }]);
  }

  /** A call was answered. */
  answered(): void {
    this.#connected = true;
    this.#metrics.connected.set(1);
  }

  /** A call failed; `away`: because the coordinator could not be reached. */
  callFailed(method: CallMethod, code: string, away: boolean): void {
    this.#metrics.callFailures.inc({ method, code });
    if (!away) return;
    this.#connected = false;
    this.#metrics.connected.set(0);
    this.idleFor('unreachable');
  }

  /** Why idle slots are idle; null: they are about to get a trial. */
  idleFor(reason: IdleReason | null): void {
    if (!this.#draining) this.#times.idleFor(reason);
  }

  /** A trial begins on a slot. */
  begin(slot: number, job: TrialJob, trainer: string): RunningTrial {
    const { study } = job;
    const gap = this.#times.begin(slot);
    if (gap !== null) this.#metrics.idle.observe(gap);
    this.#running(study, trainer, 1);
    this.#metrics.trialStarted.set({ study, slot: String(slot) }, Date.now() / 1_000);
    return { job, trainer, slot, steps: 0, samples: 0 };
  }

  reported(trial: RunningTrial, metrics: Metrics): void {
    const { study } = trial.job;
    this.#metrics.reports.inc({ study });
    this.#work(trial, metrics);
    const { progress } = metrics;
    if (progress !== undefined && progress >= 0 && progress <= 1)
      this.#metrics.trialProgress.set({ study, slot: String(trial.slot) }, progress);
  }

  /** A trial has ended; `stopped` says why it was stopped. */
  end(trial: RunningTrial, result: AttemptResult, stopped: 'pruner' | 'lost' | 'preempted'): void {
    const { job, trainer, slot } = trial;
    const { study } = job;
    this.#times.end(slot);
    this.#running(study, trainer, -1);
    this.#metrics.trialStarted.remove({ study, slot: String(slot) });
    this.#metrics.trialProgress.remove({ study, slot: String(slot) });
    this.#metrics.trials.inc({ study, trainer, reason: reasonOf(result, stopped) });
    const exit = trainerExit(result);
    if (exit !== null) this.#metrics.trainerExits.inc({ reason: exit });
    if (result.kind === 'done') {
      this.#work(trial, result.metrics);
      this.#metrics.gpuTrials.inc({ UUID: this.#worksOn });
    }
    if (result.kind === 'failed' && result.reason === 'oom')
      this.#metrics.gpuOutOfMemory.inc({
        ...{ UUID: this.#worksOn, phase: result.phase ?? 'unknown', class: outOfMemoryKind(result.message) },
      });
    const peak = result.kind === 'done' || result.kind === 'failed' ? (result.peakMemoryBytes ?? null) : null;
    if (peak !== null && this.#onGpu)
      this.#metrics.gpuMemory.set({ UUID: this.#UUID, kind: 'trial_peak' }, peak);
  }

  /** What the GPU said of itself just now; null when it says nothing any more. */
  showGpu(reading: GpuReading | null): void {
    const UUID = this.#UUID;
    const { gpuMemory, gpuUtilisation, gpuTemperature, gpuPower, gpuEcc } = this.#metrics;
    const figures = [
      [gpuMemory, { UUID, kind: 'used' }, reading?.memoryUsedBytes],
      [gpuMemory, { UUID, kind: 'total' }, reading?.memoryTotalBytes],
      [gpuUtilisation, { UUID }, reading?.utilisation],
      [gpuTemperature, { UUID }, reading?.celsius],
      [gpuPower, { UUID }, reading?.watts],
      [gpuEcc, { UUID, kind: 'corrected' }, reading?.eccCorrected],
      [gpuEcc, { UUID, kind: 'uncorrected' }, reading?.eccUncorrected],
    ] as const;
    for (const [metric, labels, value] of figures)
      if (value === undefined || value === null) metric.remove(labels);
      else metric.set(labels, value);
  }

  /** Counts what was done since the trial's last report. Reports count from the trial's beginning. */
  #work(trial: RunningTrial, metrics: Metrics): void {
    const { optimiser_steps: steps, samples } = metrics;
    const batch = trial.job.params['batch_size'];
    const done = { steps: more(steps, trial.steps), samples: more(samples, trial.samples) };
    if (samples === undefined && typeof batch === 'number' && batch > 0) done.samples = done.steps * batch;
    trial.steps += done.steps;
    trial.samples += done.samples;
    this.#metrics.gpuSteps.inc({ UUID: this.#worksOn }, done.steps);
    this.#metrics.gpuSamples.inc({ UUID: this.#worksOn }, done.samples);
  }

  #running(study: string, trainer: string, change: 1 | -1): void {
    const known = this.#studies.get(study);
    const entry = known ?? { running: 0, sinceMs: 0 };
    entry.running += change;
    entry.sinceMs = performance.now();
    this.#studies.delete(study);
    this.#studies.set(study, entry);
    this.#metrics.trialsRunning.set({ study }, entry.running);
    if (known !== undefined) return;
    startAtZero(
      this.#metrics.trials,
      trialReasons.map((reason) => ({ study, trainer, reason })),
    );
    startAtZero(this.#metrics.reports, [{ study }]);
    const oldest = [...this.#studies].find(([, { running }]) => running === 0);
    if (this.#studies.size > studiesRememberedMax && oldest !== undefined) this.#forget(oldest[0]);
  }

  #forget(study: string): void {
    this.#studies.delete(study);
    const { trialsRunning, trials, reports } = this.#metrics;
    void removeSeries([trialsRunning, trials, reports], 'study', study);
  }
}

/** How much a figure that counts from the beginning has grown; a trainer that counts backwards has done nothing. */
const more = (now: number | undefined, before: number): number =>
  now === undefined || !(now > before) || !Number.isFinite(now) ? 0 : now - before;

function reasonOf(result: AttemptResult, stopped: string): string {
  switch (result.kind) {
    case 'done':
      return 'finished';
    case 'failed':
      return result.reason;
    case 'stopped':
      return stopped;
    case 'unfit':
      return 'unfit';
  }
}
