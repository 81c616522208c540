import { describe, expect, test } from 'vitest';
import { createWasmRuntime } from './wasm-runtime.js';

describe('a full heap', () => {
  test('is an error of its own instead of silent corruption', async () => {
    const runtime = await createWasmRuntime();
    const { tf } = runtime;
    // What is there already must survive: unguarded, the tensor that does not fit is written over it.
    const first = tf.range(0, 1000);
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
    expect(first.dataSync()).toEqual(Float32Array.from({ length: 1000 }, (_, i) => i));
    kept.forEach((tensor) => tensor.dispose());
    expect(runtime.classify(thrown)).toBe('oom');
  });
});
