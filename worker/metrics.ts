/**
 * All metrics of the worker. `docs/metrics.md` is made from this table. `UUID` is the GPU's, spelt as dcgm-exporter spells it, so
 * that its series join ours; it is empty where trials run on the CPU.
 */
import type { MetricTable } from '../shared/platform/metrics.js';

const process = { source: 'process' } as const;

export const workerMetrics = {
  buildInfo: {
    ...{ name: 'parzen_worker_build_info', type: 'gauge', ...process },
    ...{
      labels: ['version', 'revision', 'node_version', 'runtime'],
      help: '1; runtime in use, until it is known the one asked for',
    },
  },
  gpuInfo: {
    ...{ name: 'parzen_worker_gpu_info', type: 'gauge', ...process },
    labels: ['UUID', 'gpu_model', 'mig_profile', 'driver_version', 'cuda_version', 'host'],
    help: '1 for the GPU that the worker uses; absent without one. UUID is that of the whole card, host PARZEN_HOST or the name of the host',
  },
  slots: {
    ...{ name: 'parzen_worker_slots', type: 'gauge', ...process, labels: ['state'] },
    help: 'Slots by state: idle, busy, draining',
  },
  slotSeconds: {
    ...{ name: 'parzen_worker_slot_seconds_total', type: 'counter', ...process, labels: ['doing'] },
    help: 'Time of all slots together by what they did: training, or why they were idle (handover: between two trials, while results are told and data fetched)',
  },
  trialsRunning: {
    ...{ name: 'parzen_worker_trials_running', type: 'gauge', ...process, labels: ['study'] },
    help: 'Trials running right now',
  },
  trials: {
    ...{ name: 'parzen_worker_trials_total', type: 'counter', ...process },
    labels: ['study', 'trainer', 'reason'],
    help: "Attempts that ended here; the coordinator's count is the true one",
  },
  reports: {
    ...{ name: 'parzen_worker_reports_total', type: 'counter', ...process, labels: ['study'] },
    help: 'Intermediate reports made by trainers',
  },
  gpuTrials: {
    ...{ name: 'parzen_worker_gpu_trials_total', type: 'counter', ...process, labels: ['UUID'] },
    help: 'Trials that ended with a result on this GPU',
  },
  gpuSteps: {
    ...{ name: 'parzen_worker_gpu_steps_total', type: 'counter', ...process, labels: ['UUID'] },
    help: 'Optimiser steps, by the metric optimiser_steps of reports and results',
  },
  gpuSamples: {
    ...{ name: 'parzen_worker_gpu_samples_total', type: 'counter', ...process, labels: ['UUID'] },
    help: 'Samples trained on, by the metric samples of reports and results, else optimiser steps times the parameter batch_size',
  },
  idle: {
    ...{ name: 'parzen_worker_idle_seconds', type: 'histogram', ...process, labels: [] },
    help: 'Gap between two trials on a slot',
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5, 20, 60],
  },
  gpuOutOfMemory: {
    ...{
      name: 'parzen_worker_gpu_oom_total',
      type: 'counter',
      ...process,
      labels: ['UUID', 'phase', 'class'],
    },
    help: 'Attempts that ended out of memory, by what they were doing (load, fit, predict, unknown) and which memory ran out',
  },
  gpuMemory: {
    ...{ name: 'parzen_worker_gpu_memory_bytes', type: 'gauge', ...process, labels: ['UUID', 'kind'] },
    help: "Memory of the GPU: used and total as nvidia-smi says, trial_peak the most that the last trial's buffers took (runtime webgpu; without what the driver takes beside them)",
  },
  gpuUtilisation: {
    ...{ name: 'parzen_worker_gpu_utilization_ratio', type: 'gauge', ...process, labels: ['UUID'] },
    help: 'Share of the time in which some kernel ran, 0 to 1, as nvidia-smi says',
  },
  gpuTemperature: {
    ...{ name: 'parzen_worker_gpu_temperature_celsius', type: 'gauge', ...process, labels: ['UUID'] },
    help: 'Temperature of the GPU, as nvidia-smi says',
  },
  gpuPower: {
    ...{ name: 'parzen_worker_gpu_power_watts', type: 'gauge', ...process, labels: ['UUID'] },
    help: 'Power that the GPU draws, as nvidia-smi says',
  },
  gpuEcc: {
    ...{ name: 'parzen_worker_gpu_ecc_errors', type: 'gauge', ...process, labels: ['UUID', 'kind'] },
    help: 'Errors of the GPU memory since its driver was loaded, corrected or uncorrected, as nvidia-smi says; absent without ECC',
  },
  trialStarted: {
    ...{ name: 'parzen_worker_trial_started_timestamp_seconds', type: 'gauge', ...process },
    ...{ labels: ['study', 'slot'], help: 'When the running trial began; absent when the slot is idle' },
  },
  trialProgress: {
    ...{ name: 'parzen_worker_trial_progress_ratio', type: 'gauge', ...process, labels: ['study', 'slot'] },
    help: 'How far the running trial is, 0 to 1, by the metric progress of its reports; absent without',
  },
  release: {
    ...{ name: 'parzen_worker_release_seconds', type: 'histogram', ...process, labels: [] },
    help: 'From the signal to stop until a trial was given back',
    buckets: [0.1, 0.5, 1, 2, 4, 8, 12, 20],
  },
  trainerExits: {
    ...{ name: 'parzen_worker_trainer_exits_total', type: 'counter', ...process, labels: ['reason'] },
    help: 'Trainer processes that ended or were replaced: oom, device_lost, signal, error, timeout, cancel',
  },
  connected: {
    ...{ name: 'parzen_worker_coordinator_connected', type: 'gauge', ...process, labels: [] },
    help: '1 while the last call to the coordinator was answered',
  },
  callFailures: {
    ...{ name: 'parzen_worker_rpc_failures_total', type: 'counter', ...process, labels: ['method', 'code'] },
    help: 'Calls to the coordinator that failed',
  },
} as const satisfies MetricTable;
