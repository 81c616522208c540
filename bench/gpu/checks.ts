/** What must hold on the GPU, each printed as a line and counted. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { encodeCandles } from '../../shared/core/market/candle-codec.js';
import { makeSyntheticCandles } from '../../shared/core/market/synthetic-market.js';
import { silentLog } from '../../shared/platform/log.js';
import { checkGoldenText } from '../../worker/doctor/golden/check-file.js';
import { verdictLine } from '../../worker/doctor/golden/check-folder.js';
import { ChildTrainer, type AttemptResult } from '../../worker/trainers/child-trainer.js';
import type { TrialJob } from '../../worker/trainers/port.js';
import {
  deviation,
  evaluateOp,
  inputsOf,
  opCases,
} from '../../worker/trainers/runtime/op-contract.test-helper.js';
import { referenceOps } from '../../worker/trainers/runtime/reference-ops.js';
import {
  createWebgpuRuntime,
  type WebgpuRuntime,
} from '../../worker/trainers/runtime/webgpu/webgpu-runtime.js';
import { batchRows, paramsOf, shapeOf, type ConfigurationName } from '../trainer/configurations.js';
import { profile } from './profile.js';
import { createStepper } from './stepper.js';

export type Say = (line: string) => void;

const milliseconds = (s: number): string => `${(1e3 * s).toFixed(2)} ms`;
const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

/** What the device is and allows. */
export async function showAdapter(say: Say): Promise<boolean> {
  const { adapter, gpu } = await createWebgpuRuntime();
  const { facts } = adapter;
  say(`adapter    ${adapter.name} (vendor ${facts.vendor}, ${facts.architecture})`);
  const { limits } = gpu.device;
  say(
    `limits     buffer ${mebibytes(limits.maxBufferSize)}, binding ${mebibytes(limits.maxStorageBufferBindingSize)}, ` +
      `${limits.maxComputeInvocationsPerWorkgroup} threads, ${limits.maxComputeWorkgroupStorageSize} bytes of group memory, ` +
      `${limits.maxStorageBuffersPerShaderStage} buffers`,
  );
  return true;
}

/** Every golden file that is computed on the runtime. */
export async function checkGolden(say: Say, folder: string, files: readonly string[]): Promise<boolean> {
  const runtime = await createWebgpuRuntime();
  let passed = true;
  for (const file of files) {
    const start = performance.now();
    const result = await checkGoldenText(await readFile(path.join(folder, file), 'utf8'), runtime);
    passed &&= result.verdict === 'ok';
    say(`golden     ${verdictLine({ file, result })}  [${((performance.now() - start) / 1e3).toFixed(1)} s]`);
  }
  return passed;
}

/** Every fused op against its body in TensorFlow.js operations, both on the GPU: value and gradients. */
export async function checkOps(say: Say): Promise<boolean> {
  const runtime = await createWebgpuRuntime();
  const reference = referenceOps(runtime.tf);
  let worst = { deviation: 0, name: '' };
  for (const op of opCases) {
    const inputs = inputsOf(op);
    const [kernels, expected] = [
      await evaluateOp(runtime, runtime, op, inputs),
      await evaluateOp(runtime, reference, op, inputs),
    ];
    const pairs = [
      [kernels.value, expected.value] as const,
      ...kernels.gradients.map((gradient, i) => [gradient, expected.gradients[i] ?? gradient] as const),
    ];
    for (const [actual, wanted] of pairs) {
      const found = deviation(actual, wanted);
      if (!(found <= worst.deviation)) worst = { deviation: found, name: op.name };
      if (!(found < 2e-5)) say(`MISS       ${op.name}: ${found.toPrecision(2)}`);
    }
  }
  await runtime.flushErrors();
  const passed = worst.deviation < 2e-5;
  const largest = `${worst.deviation.toPrecision(2)} (${worst.name})`;
  say(`ops        ${passed ? 'ok  ' : 'MISS'} ${opCases.length} cases, largest deviation ${largest}`);
  return passed;
}

/** What diverged must stay visible: NaN in, NaN out, for every op. */
export async function checkNaN(say: Say): Promise<boolean> {
  const runtime = await createWebgpuRuntime();
  const hidden: string[] = [];
  for (const op of opCases) {
    const inputs = inputsOf(op).map((values) => values.fill(NaN));
    const { value } = await evaluateOp(runtime, runtime, op, inputs);
    if (!value.every(Number.isNaN)) hidden.push(op.name);
  }
  await runtime.flushErrors();
  say(`nan        ${hidden.length === 0 ? 'ok  ' : 'MISS'} ${opCases.length} cases ${hidden.join('; ')}`);
  return hidden.length === 0;
}

/** Replayed steps must leave the parameters that steps made anew leave; on every configuration. */
export async function checkReplay(say: Say, name: ConfigurationName, steps: number): Promise<boolean> {
  const runtime = await createWebgpuRuntime();
  const shape = shapeOf(name);
  const results: Float32Array[] = [];
  for (const compiled of [true, false]) {
    const stepper = createStepper(runtime, shape, { rows: batchRows, compiled });
    for (let i = 0; i < steps; i += 1) stepper.step();
    results.push(await stepper.parameters());
    stepper.dispose();
  }
  await runtime.flushErrors();
  const [replayed = new Float32Array(), anew = new Float32Array()] = results;
  const worst = replayed.reduce((most, value, i) => Math.max(most, Math.abs(value - (anew[i] ?? NaN))), 0);
  const passed = worst <= 1e-6 && replayed.length > 0 && replayed.every(Number.isFinite);
  say(
    `replay     ${passed ? 'ok  ' : 'MISS'} ${name}: parameters after ${steps} steps differ by ${worst.toPrecision(2)}`,
  );
  return passed;
}

export interface StepTimes {
  readonly config: ConfigurationName;
  /** Every step waited for, as PyTorch's are, median; and many queued and waited for once, mean; seconds. */
  readonly waited: number;
  readonly queued: number;
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

async function timeSteps(
  runtime: WebgpuRuntime,
  name: ConfigurationName,
  bound: { readonly steps: number; readonly seconds: number },
): Promise<StepTimes & { readonly firstSeconds: number }> {
  const shape = shapeOf(name);
  const stepper = createStepper(runtime, shape, { rows: batchRows });
  const wait = (): Promise<void> => runtime.flushErrors();
  const began = performance.now();
  stepper.step();
  await wait();
  const firstSeconds = (performance.now() - began) / 1e3;
  stepper.step();
  await wait();
  const times: number[] = [];
  const start = performance.now();
  while (
    times.length < bound.steps &&
    (times.length < 2 || performance.now() - start < 1e3 * bound.seconds)
  ) {
    const before = performance.now();
    stepper.step();
    await runtime.gpu.device.queue.onSubmittedWorkDone();
    times.push((performance.now() - before) / 1e3);
  }
  await wait();
  const queueStart = performance.now();
  for (let i = 0; i < times.length; i += 1) stepper.step();
  await wait();
  const queued = (performance.now() - queueStart) / 1e3 / times.length;
  stepper.dispose();
  return { config: name, waited: median(times), queued, firstSeconds };
}

/** Seconds per step, and where the GPU's share of them goes. */
export async function measureSteps(
  say: Say,
  name: ConfigurationName,
  bound: { readonly steps: number; readonly seconds: number },
): Promise<StepTimes> {
  const runtime = await createWebgpuRuntime();
  const times = await timeSteps(runtime, name, bound);
  const { tensorBytes, opBytes } = runtime.memory();
  say(
    `steps      ${name}: ${milliseconds(times.waited)} waited for, ${milliseconds(times.queued)} queued; ` +
      `first step ${times.firstSeconds.toFixed(2)} s; buffers ${mebibytes(tensorBytes + opBytes)}`,
  );
  const kernels = await profile(runtime);
  const total = kernels.reduce((sum, { microseconds }) => sum + microseconds, 0);
  const dispatches = kernels.reduce((sum, kernel) => sum + kernel.dispatches, 0);
  say(`profile    ${name}: ${dispatches} dispatches, ${total.toFixed(0)} µs one by one`);
  for (const kernel of kernels.filter(({ microseconds }) => microseconds >= 0.05).slice(0, 6))
    say(
      `             ${kernel.microseconds.toFixed(1).padStart(8)} µs  ${String(kernel.dispatches).padStart(3)} × ${kernel.kernel}`,
    );
  await runtime.flushErrors();
  return times;
}

/** Used memory of all GPUs as the driver says, MiB; null without nvidia-smi. */
function gpuMemoryUsed(): number | null {
  try {
    const args = ['--query-gpu=memory.used', '--format=csv,noheader,nounits'];
    const text = execFileSync('nvidia-smi', args, { encoding: 'utf8', timeout: 20_000 });
    return text.split('\n').reduce((sum, line) => sum + (Number(line) || 0), 0);
  } catch {
    return null;
  }
}

/** Memory must not grow over many steps. */
export async function checkMemory(say: Say, name: ConfigurationName, steps: number): Promise<boolean> {
  const runtime = await createWebgpuRuntime();
  const shape = shapeOf(name);
  const stepper = createStepper(runtime, shape, { rows: batchRows });
  const look = async (): Promise<{ rss: number; gpu: number | null; tensors: number; own: number }> => {
    await runtime.flushErrors();
    const { tensors, tensorBytes, opBytes } = runtime.memory();
    return { rss: process.memoryUsage.rss(), gpu: gpuMemoryUsed(), tensors, own: tensorBytes + opBytes };
  };
  for (let i = 0; i < Math.ceil(steps / 4); i += 1) stepper.step();
  const before = await look();
  for (let i = 0; i < steps; i += 1) {
    stepper.step();
    if (i % 20 === 0) await runtime.flushErrors();
  }
  const after = await look();
  const passed =
    after.tensors === before.tensors &&
    after.own === before.own &&
    after.rss - before.rss < 64 * 2 ** 20 &&
    (after.gpu ?? 0) - (before.gpu ?? 0) <= 16;
  const driver = before.gpu === null ? 'unknown' : `${before.gpu} to ${after.gpu} MiB`;
  say(
    `memory     ${passed ? 'ok  ' : 'MISS'} ${name}, ${steps} steps: tensors ${before.tensors} to ${after.tensors}, buffers ` +
      `${mebibytes(before.own)} to ${mebibytes(after.own)}, driver ${driver}, RSS ${mebibytes(before.rss)} to ${mebibytes(after.rss)}`,
  );
  stepper.dispose();
  return passed;
}

const params = {
  ...{ hermite_version: 'probabilist', dropout: 0.1, prob_source: 'logit', learning_rate: 0.001 },
  ...{ weight_decay: 0.001, gradient_clip: 1, classification_loss: 'focal', focal_gamma: 1 },
  ...{ reg_weight: 1, cls_weight: 1, unc_weight: 0.5, sign_hinge_weight: 0.5 },
  ...{ threshold: 0.51, confidence_margin: 0.01, kelly_clip: 0.2, batch_size: 512 },
} as const;

const evaluation = {
  ...{ profile: 'honest', fold_count: 5, train_rows_min: 1_000, early_stop_rows: 500, calibration_rows: 500 },
  ...{ test_rows: 500, holdout_rows: 0, window_max: 256 },
} as const;

const childPath = path.resolve(import.meta.dirname, '../../worker/trainers/child.js');

/** Whole trials in a trainer process, on candles made for them. */
async function runJob(
  jobs: readonly TrialJob['params'][],
  size: { readonly bars: number; readonly trainRows: number },
  runtime: string,
): Promise<readonly { readonly result: AttemptResult; readonly seconds: number }[]> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'parzen-bench-gpu-'));
  const dataPath = path.join(folder, 'candles');
  const market = { name: 'bench', seed: 3, bars: size.bars, volatility: 0.005, signal: 0.3 };
  writeFileSync(dataPath, encodeCandles(makeSyntheticCandles(market)));
  const trainer = new ChildTrainer({ childPath, args: ['hermite', runtime], log: silentLog });
  const results = [];
  try {
    for (const [number, own] of jobs.entries()) {
      const job: TrialJob = {
        ...{ study: 'bench', number, attempt: 1, seed: 7, dataPath },
        params: { ...params, steps: 50, eval_every_steps: 10, ...own },
        evaluation: { ...evaluation, train_rows_max: size.trainRows },
      };
      const start = performance.now();
      const result = await trainer.run(job, {
        ...{ stallTimeoutMs: 120_000, trialTimeoutMs: 120_000, onReport: () => undefined },
        signal: new AbortController().signal,
      });
      results.push({ result, seconds: (performance.now() - start) / 1e3 });
    }
  } finally {
    await trainer.kill();
    rmSync(folder, { recursive: true });
  }
  return results;
}

/** Seconds of a whole trial, 250 optimiser steps in five folds; the second one on a process that is warm. */
export async function measureTrial(say: Say, name: ConfigurationName, runtime: string): Promise<boolean> {
  const own = paramsOf(name);
  const results = await runJob([own, own], { bars: 10_000, trainRows: 2_000 }, runtime);
  const shown = results.map(({ result, seconds }) => {
    if (result.kind !== 'done') return `${result.kind} ${'message' in result ? result.message : ''}`;
    const { auc, optimiser_steps: steps } = result.metrics;
    return `${seconds.toFixed(2)} s (${steps} steps, AUC ${auc?.toFixed(4)})`;
  });
  const passed = results.every(({ result }) => result.kind === 'done');
  say(`trial      ${passed ? 'ok  ' : 'MISS'} ${name} on ${runtime}: ${shown.join('; again ')}`);
  return passed;
}

/** A batch that no buffer of the device can hold: the attempt ends as out of memory, and the next one works. */
export async function checkTrialTooLarge(say: Say): Promise<boolean> {
  const huge = { ...paramsOf('large'), batch_size: 32_768, steps: 2, eval_every_steps: 1 };
  const sizes = { feature_window: 8, lstm_hidden: 8, hermite_hidden_dim: 8, hermite_degree: 4 };
  const small = {
    ...sizes,
    hermite_maps_a: 1,
    hermite_maps_b: 1,
    batch_size: 64,
    steps: 2,
    eval_every_steps: 1,
  };
  const results = await runJob([huge, small], { bars: 46_000, trainRows: 40_000 }, 'webgpu');
  const [first, second] = results.map(({ result }) => result);
  const passed = first?.kind === 'failed' && first.reason === 'oom' && second?.kind === 'done';
  const message = first !== undefined && 'message' in first ? first.message.slice(0, 200) : '';
  say(
    `oom        ${passed ? 'ok  ' : 'MISS'} a trial with batches of 32,768 rows: ${first?.kind} ` +
      `${first?.kind === 'failed' ? first.reason : ''} (${message}); the next trial: ${second?.kind}`,
  );
  return passed;
}

/** Buffers until the driver refuses: noticed, classified, and no figure after it. */
export async function checkDriverRefuses(say: Say, bytesMax: number): Promise<boolean> {
  const runtime = await createWebgpuRuntime();
  const { gpu } = runtime;
  const { maxBufferSize, maxStorageBufferBindingSize } = gpu.device.limits;
  const piece =
    Math.floor(Math.min(maxBufferSize, maxStorageBufferBindingSize, 4 * 2 ** 30 - 2 ** 20) / 2 ** 20) *
    2 ** 20;
  let allocated = 0;
  let failure = 'none';
  let message = '';
  try {
    while (allocated < bytesMax) {
      gpu.allocate('bench', piece);
      allocated += piece;
      await runtime.flushErrors();
    }
  } catch (error) {
    failure = runtime.classify(error);
    message = error instanceof Error ? error.message.slice(0, 160) : '';
  }
  const after = await runtime.flushErrors().then(
    () => 'goes on',
    () => 'refuses to go on',
  );
  const passed = failure === 'oom' && after === 'refuses to go on' && !runtime.healthy();
  say(
    `oom        ${passed ? 'ok  ' : 'MISS'} driver after ${mebibytes(allocated)}: ${failure} (${message}); the runtime ${after}`,
  );
  return passed;
}
