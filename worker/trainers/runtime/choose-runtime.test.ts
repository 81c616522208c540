import { describe, expect, test } from 'vitest';
import { chooseRuntime } from './choose-runtime.js';
import { classifyWasmError } from './wasm-runtime.js';

describe('choosing a runtime', () => {
  test('auto takes wasm and says why', async () => {
    const { runtime, reason } = await chooseRuntime('auto');
    expect(runtime.name).toBe('wasm');
    expect(reason).toMatch(/^auto: wasm, /);
  });

  test('by name', async () => {
    expect((await chooseRuntime('wasm')).reason).toMatch(/^asked for/);
  });

  test('an unknown name is one clear error', async () => {
    await expect(chooseRuntime('cuda')).rejects.toThrow(
      "unknown runtime 'cuda': use auto or one of webgpu, wasm, tensorflow-gpu, tensorflow",
    );
  });
});

describe('errors of the wasm runtime', () => {
  test.each([
    [new RangeError('WebAssembly.Memory.grow(): Maximum memory size exceeded'), 'oom'],
    [new RangeError('Array buffer allocation failed'), 'oom'],
    [new RangeError('Invalid typed array length: 99999999999'), 'oom'],
    [new Error('memory access out of bounds'), 'corrupt'],
    [new Error('Aborted()'), 'corrupt'],
    [new RangeError('offset is out of bounds'), 'other'],
    [new Error('whatever'), 'other'],
    ['text', 'other'],
  ])('%s is %s', (error, failure) => {
    expect(classifyWasmError(error)).toBe(failure);
  });
});
