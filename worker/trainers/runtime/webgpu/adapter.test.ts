import { describe, expect, test } from 'vitest';
import { isSoftware, refusalOf, type AdapterFacts } from './adapter.js';
import { GpuError, Poison, classifyWebgpuError } from './errors.js';

const adapter = (device: string, description: string): AdapterFacts => ({
  ...{ vendor: 'vendor', architecture: '', device, description },
});
const card = adapter('nvidia-h100', 'NVIDIA H100 80GB HBM3');
const software = adapter('swiftshader-device', 'SwiftShader driver 5.0.0');

describe('choosing an adapter', () => {
  test('a real GPU is taken, a software renderer only by name', () => {
    expect(refusalOf(card, '')).toBeNull();
    expect(refusalOf(software, '')).toMatch(/only a software renderer.*PARZEN_WEBGPU_ADAPTER/);
    expect(refusalOf(software, 'swiftshader')).toBeNull();
    expect(refusalOf(adapter('', 'llvmpipe (LLVM 19)'), '')).not.toBeNull();
    expect(isSoftware({ ...card, isFallbackAdapter: true })).toBe(true);
  });

  test('a name that no adapter has', () => {
    expect(refusalOf(card, 'radeon')).toMatch(/no adapter with 'radeon'.*H100/);
    expect(refusalOf(card, 'h100')).toBeNull();
  });
});

describe('errors of a device', () => {
  // What a device reports is known by the name of its class alone.
  const GPUOutOfMemoryError = class GPUOutOfMemoryError extends Error {};
  const GPUValidationError = class GPUValidationError extends Error {};
  const outOfMemory = (text: string): Error => new GPUOutOfMemoryError(text);

  test.each([
    [outOfMemory('vkAllocateMemory failed with VK_ERROR_OUT_OF_DEVICE_MEMORY'), 'oom'],
    [outOfMemory('anything'), 'oom'],
    [new GPUValidationError('Buffer size (9) exceeds the max buffer size limit (4).'), 'oom'],
    [new GPUValidationError('[Invalid CommandBuffer] is invalid due to a previous error.'), 'other'],
  ])('%s poisons for good, as %s', (error, failure) => {
    const poison = new Poison();
    poison.check();
    poison.report(error);
    poison.report(new GPUValidationError('a later one'));
    expect(() => poison.check()).toThrow(error.message);
    expect(poison.error?.failure).toBe(failure);
  });

  test('a lost device is no lack of memory', () => {
    expect(classifyWebgpuError(new GpuError('lost', 'the GPU device was lost: out of memory?'))).toBe('lost');
    expect(classifyWebgpuError(new Error('A valid external Instance reference no longer exists.'))).toBe(
      'lost',
    );
  });

  test('a promise that fails poisons as well', async () => {
    const poison = new Poison();
    poison.await(Promise.reject(new Error('popErrorScope: device is lost')));
    await poison.settle();
    expect(poison.error?.failure).toBe('lost');
  });
});
