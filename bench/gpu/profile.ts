/** Where the GPU's time in a recorded step goes: every dispatch repeated by itself, summed by kernel. */
import { performance } from 'node:perf_hooks';
import { encode, type Recording } from '../../worker/trainers/runtime/webgpu/recording.js';
import type { WebgpuRuntime } from '../../worker/trainers/runtime/webgpu/webgpu-runtime.js';

export interface KernelTime {
  readonly kernel: string;
  readonly dispatches: number;
  readonly microseconds: number;
}

const repeats = 20;

async function seconds(runtime: WebgpuRuntime, commands: Recording['commands']): Promise<number> {
  const { device } = runtime.gpu;
  const encoder = device.createCommandEncoder();
  for (let i = 0; i < repeats; i += 1) encode(encoder, commands);
  const buffer = encoder.finish();
  const start = performance.now();
  device.queue.submit([buffer]);
  await device.queue.onSubmittedWorkDone();
  return (performance.now() - start) / 1e3 / repeats;
}

/** Kernels of the newest recording by time, the dearest first; the time of an empty submission is taken off. */
export async function profile(runtime: WebgpuRuntime): Promise<readonly KernelTime[]> {
  const recording = runtime.recorder.all.at(-1);
  if (recording === undefined) return [];
  const [some] = recording.commands;
  if (some === undefined) return [];
  await seconds(runtime, [some]);
  const idle = await seconds(runtime, []);
  const sums = new Map<string, { dispatches: number; microseconds: number }>();
  for (const command of recording.commands) {
    const kernel =
      command.kind === 'copy' ? 'copy' : command.pipeline.label.replaceAll(/ [A-Zn+]?\d+\b/g, '');
    const known = sums.get(kernel) ?? { dispatches: 0, microseconds: 0 };
    const taken = Math.max(0, (await seconds(runtime, [command])) - idle) * 1e6;
    sums.set(kernel, { dispatches: known.dispatches + 1, microseconds: known.microseconds + taken });
  }
  return [...sums]
    .map(([kernel, figures]) => ({ kernel, ...figures }))
    .sort((a, b) => b.microseconds - a.microseconds);
}
