import { describe, expect, test } from 'vitest';
import { loadTensorFlow, type TensorFlow } from './tensorflow.js';
import {
  classifyTensorFlowError,
  createTensorFlowRuntime,
  type TensorFlowSource,
} from './tensorflow-runtime.js';

/** The CPU backend of TensorFlow.js under the name of TensorFlow's own; its package cannot be had without a download. */
function source(usesGpu: boolean | undefined, change: Partial<TensorFlowSource> = {}): TensorFlowSource {
  const tf = loadTensorFlow();
  const fake = {
    ...tf,
    setBackend: () => Promise.resolve(true),
    backend: () => ({ isUsingGpuDevice: usesGpu }),
  } as unknown as TensorFlow;
  return { load: () => fake, nodeMajor: 20, environment: {}, ...change };
}

describe('TensorFlow as a runtime', () => {
  test('memory of the GPU may grow, told before the library is loaded', async () => {
    const environment: Record<string, string | undefined> = {};
    const seen: unknown[] = [];
    const own = source(true);
    const load = (name: string): TensorFlow => {
      seen.push(name, environment['TF_FORCE_GPU_ALLOW_GROWTH']);
      return own.load(name);
    };
    const runtime = await createTensorFlowRuntime('tensorflow-gpu', { ...own, load, environment });
    expect(seen).toEqual(['@tensorflow/tfjs-node-gpu', 'true']);
    expect(runtime).toMatchObject({ name: 'tensorflow-gpu' });
  });

  test('a silent fall back to the CPU is refused', async () => {
    await expect(createTensorFlowRuntime('tensorflow-gpu', source(false))).rejects.toThrow(/found no GPU/);
    expect((await createTensorFlowRuntime('tensorflow', source(false))).name).toBe('tensorflow');
  });

  test('not installed: the remedy; a Node that is too new: which one works', async () => {
    await expect(createTensorFlowRuntime('tensorflow')).rejects.toThrow(
      'npm install --no-save @tensorflow/tfjs-node@4.22.0',
    );
    await expect(createTensorFlowRuntime('tensorflow', source(true, { nodeMajor: 24 }))).rejects.toThrow(
      'use Node 22 or older',
    );
  });
});

// Texts as TensorFlow 2.9 wrote them (tensorflow/tfjs issues 2760, 808, 1549).
test.each([
  [
    'Invalid TF_Status: 8\nMessage: OOM when allocating tensor with shape[512,2688] and type float on /job:localhost/replica:0/task:0/device:GPU:0 by allocator GPU_0_bfc',
    'oom',
  ],
  ['Invalid TF_Status: 8\nMessage: Resource exhausted: failed to allocate memory', 'oom'],
  [
    'failed to allocate 10.5G (11274289152 bytes) from device: CUDA_ERROR_OUT_OF_MEMORY: out of memory',
    'oom',
  ],
  ['Invalid TF_Status: 13\nMessage: CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure', 'lost'],
  ['Invalid TF_Status: 3\nMessage: Incompatible shapes', 'other'],
])('%s is %s', (text, failure) => {
  expect(classifyTensorFlowError(new Error(text))).toBe(failure);
});
