/**
 * The `webgpu` runtime on a device: a GPU, or a software Vulkan named by VK_ICD_FILENAMES or VK_DRIVER_FILES (docs/guides/gpu.md).
 * Without one there is nothing to run it on, and these tests say so.
 */
import { afterAll, describe, expect, test } from 'vitest';
import { createStepper } from '../../bench/gpu/stepper.js';
import type { ModelShape } from '../../worker/trainers/hermite/model-shape.js';
import type { Runtime } from '../../worker/trainers/runtime/runtime.js';
import { createWasmRuntime } from '../../worker/trainers/runtime/wasm-runtime.js';
import { adapterVariable } from '../../worker/trainers/runtime/webgpu/adapter.js';
import {
  createWebgpuRuntime,
  type WebgpuRuntime,
} from '../../worker/trainers/runtime/webgpu/webgpu-runtime.js';

const vulkanNamed = ['VK_ICD_FILENAMES', 'VK_DRIVER_FILES'].some((name) => (process.env[name] ?? '') !== '');

/** The runtime, or why there is none. */
async function find(): Promise<WebgpuRuntime | string> {
  // A driver that somebody named may be a software renderer, which `auto` would not take.
  const named = vulkanNamed ? { [adapterVariable]: 'swiftshader' } : {};
  for (const environment of [process.env, { ...process.env, ...named }]) {
    const found = await createWebgpuRuntime(environment).catch((error: unknown) => String(error));
    if (typeof found !== 'string') return found;
    if (!vulkanNamed) return found;
  }
  return 'no adapter, although a Vulkan driver is named';
}

const found = await find();
const title = typeof found === 'string' ? `webgpu (skipped: ${found})` : `webgpu on ${found.description}`;

/** Small enough for a software renderer; units and rows are no multiples of what a workgroup takes. */
const shape: ModelShape = {
  ...{ window: 5, lstmHidden: 6, mapsA: 2, mapsB: 1, hidden: 9, degree: 4, context: 3 },
  version: 'physicist',
};

async function parametersAfter(runtime: Runtime, steps: number): Promise<Float32Array> {
  const stepper = createStepper(runtime, shape, { rows: 37 });
  for (let i = 0; i < steps; i += 1) stepper.step();
  const parameters = await stepper.parameters();
  stepper.dispose();
  return parameters;
}

describe.skipIf(typeof found === 'string')(title, () => {
  const runtime = found as WebgpuRuntime;
  afterAll(() => runtime.dispose());

  test('steps, the first recorded and the others replayed, are those of the wasm runtime', async () => {
    const actual = await parametersAfter(runtime, 4);
    await runtime.flushErrors();
    const expected = await parametersAfter(await createWasmRuntime(), 4);
    expect(runtime.recorder.all).toHaveLength(1);
    expect(actual.length).toBe(expected.length);
    actual.forEach((value, i) => expect(Math.abs(value - expected[i]!), `parameter ${i}`).toBeLessThan(1e-5));
  });

  test('an error that nobody catches poisons the run: no result, no further step', async () => {
    const { device } = runtime.gpu;
    expect(() => runtime.gpu.allocate('test', device.limits.maxBufferSize + 4)).toThrow(/out of GPU memory/);
    expect(runtime.healthy()).toBe(true);
    device.createBuffer({ size: device.limits.maxBufferSize + 4, usage: GPUBufferUsage.STORAGE });
    const thrown: unknown = await runtime.flushErrors().catch((error: unknown) => error);
    expect(runtime.classify(thrown)).toBe('oom');
    expect(runtime.healthy()).toBe(false);
    await expect(runtime.flushErrors()).rejects.toBe(thrown);
    expect(() => runtime.compile((inputs) => inputs)([])).toThrow(/exceeds the max buffer size/);
  });
});
