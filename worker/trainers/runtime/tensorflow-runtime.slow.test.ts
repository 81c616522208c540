/**
 * TensorFlow's own library, where an operator has installed it (docs/guides/gpu.md): `require` has to find the package, beside this one
 * or in a folder of NODE_PATH.
 */
import { describe, expect, test } from 'vitest';
import {
  asInputs,
  deviation,
  evaluateOp,
  inputsOf,
  opCases,
  type OpCase,
} from './op-contract.test-helper.js';
import { referenceOps } from './reference-ops.js';
import type { Runtime } from './runtime.js';
import { createTensorFlowRuntime } from './tensorflow-runtime.js';

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const found = await createTensorFlowRuntime('tensorflow').catch(reasonOf);
const gpu = await createTensorFlowRuntime('tensorflow-gpu').catch(reasonOf);
if (typeof found === 'string') console.log(`skipped: ${found}`);
const noGpuPackage = typeof gpu === 'string' && gpu.includes('is not installed');

describe.skipIf(typeof found === 'string')("TensorFlow's library", () => {
  const runtime = found as Runtime;

  /** One engine has all backends, so one of them computes at a time. */
  const on = async (backend: 'tensorflow' | 'cpu', op: OpCase, inputs: readonly Float32Array[]) => {
    const { tf } = runtime;
    await tf.setBackend(backend);
    try {
      return await evaluateOp(runtime, backend === 'cpu' ? referenceOps(tf) : runtime, op, inputs);
    } finally {
      await tf.setBackend('tensorflow');
    }
  };

  test.each(opCases)('computes $name and its gradients as TensorFlow.js does', async (op) => {
    const inputs = inputsOf(op);
    const expected = await on('cpu', op, inputs);
    const actual = await on('tensorflow', op, inputs);
    expect(deviation(actual.value, expected.value)).toBeLessThan(1e-5);
    actual.gradients.forEach((gradient, i) =>
      expect(deviation(gradient, expected.gradients[i]!)).toBeLessThan(1e-5),
    );
  });

  test('keeps no tensor of a step that was compiled', () => {
    const [op] = opCases;
    const { tf } = runtime;
    expect(tf.getBackend()).toBe('tensorflow');
    const tensors = inputsOf(op!).map((values, i) => tf.tensor(values, [...(op!.shapes[i] ?? [])]));
    const step = runtime.compile((inputs) => [op!.run(runtime, runtime, asInputs(inputs))]);
    const run = (): void => tf.dispose([...step(tensors)]);
    run();
    const before = runtime.memory();
    for (let i = 0; i < 20; i += 1) run();
    expect(runtime.memory()).toEqual(before);
  });

  test('says that memory is full, and computes on', () => {
    const { tf } = runtime;
    // 1.6 PB: more than a process can address.
    let thrown: unknown;
    try {
      tf.matMul(tf.ones([20_000_000, 1]), tf.ones([1, 20_000_000]));
    } catch (error) {
      thrown = error;
    }
    expect(reasonOf(thrown)).toMatch(/OOM when allocating tensor/);
    expect(runtime.classify(thrown)).toBe('oom');
    expect(tf.sum(tf.ones([10])).dataSync()[0]).toBe(10);
    let mistake: unknown;
    try {
      tf.matMul(tf.ones([3, 4]), tf.ones([3, 4]));
    } catch (error) {
      mistake = error;
    }
    expect(runtime.classify(mistake)).toBe('other');
  });
});

test.skipIf(noGpuPackage)("TensorFlow's library for GPUs computes on one, or is refused", () => {
  if (typeof gpu === 'string') expect(gpu).toMatch(/found no GPU and would compute on the CPU/);
  else expect(gpu.tf.backend()).toMatchObject({ isUsingGpuDevice: true });
});
