import { describe, expect, test } from 'vitest';
import { createWasmRuntime } from './wasm-runtime.js';

describe('a full heap', () => {
  test('is an error of its own instead of silent corruption', async () => {
    const runtime = await createWasmRuntime();
    const { tf } = runtime;
    const kept: { dispose: () => void }[] = [];
    const fill = (): void => {
      // At most 4 GB: 256 MB a piece.
      for (let i = 0; i < 20; i += 1) kept.push(tf.zeros([64 * 1024 * 1024]));
    };
    let thrown: unknown;
    try {
      fill();
    } catch (error) {
      thrown = error;
    }
    kept.forEach((tensor) => tensor.dispose());
    expect(runtime.classify(thrown)).toBe('oom');
  });
});
