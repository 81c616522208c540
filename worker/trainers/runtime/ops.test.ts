import { beforeAll, describe, expect, test } from 'vitest';
import { createRandom } from '../hermite/random.js';
import {
  asInputs,
  deviation,
  evaluateOp,
  inputsOf,
  lstmCase,
  opCases,
  type OpCase,
  type OpFigures,
} from './op-contract.test-helper.js';
import { referenceOps } from './reference-ops.js';
import type { Runtime, RuntimeOps } from './runtime.js';
import { createWasmRuntime } from './wasm-runtime.js';

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createWasmRuntime();
});

const evaluate = (ops: RuntimeOps, op: OpCase, inputs: readonly Float32Array[]): Promise<OpFigures> =>
  evaluateOp(runtime, ops, op, inputs);

describe.each(opCases)('$name', (op) => {
  test('kernels agree with TensorFlow.js operations, value and gradients', async () => {
    const inputs = inputsOf(op);
    const reference = await evaluate(referenceOps(runtime.tf), op, inputs);
    const kernels = await evaluate(runtime, op, inputs);
    expect(deviation(kernels.value, reference.value)).toBeLessThan(1e-5);
    kernels.gradients.forEach((gradient, i) =>
      expect(deviation(gradient, reference.gradients[i]!)).toBeLessThan(1e-5),
    );
  });

  test.each(['reference', 'kernels'])('gradients agree with numeric differences (%s)', async (which) => {
    const ops = which === 'kernels' ? runtime : referenceOps(runtime.tf);
    const inputs = inputsOf(op);
    const { gradients } = await evaluate(ops, op, inputs);
    const random = createRandom(3);
    for (const [i, values] of inputs.entries()) {
      const gradient = gradients[i]!;
      const largest = gradient.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      // A few entries each: the largest by gradient, and some at random.
      const entries = [gradient.findIndex((value) => Math.abs(value) === largest)];
      while (entries.length < 3) entries.push(Math.floor(random.uniform() * values.length));
      for (const entry of entries) {
        const step = 2e-3 * Math.max(0.1, Math.abs(values[entry]!));
        const shifted = async (sign: number): Promise<number> => {
          const changed = inputs.map((array) => array.slice());
          changed[i]![entry]! += sign * step;
          return (await evaluate(ops, op, changed)).total;
        };
        const numeric = ((await shifted(1)) - (await shifted(-1))) / (2 * step);
        expect(Math.abs(numeric - gradient[entry]!)).toBeLessThan(2e-2 * Math.max(largest, 1e-3));
      }
    }
  });
});

describe('kernels', () => {
  test('NaN in, NaN out: divergence stays visible', () => {
    const { tf } = runtime;
    const x = tf.tensor2d([NaN, 1, -20, 20], [4, 1]);
    const [nan, one, low, high] = runtime.gelu(x).dataSync();
    expect(nan).toBeNaN();
    expect(one).toBeCloseTo(0.841345, 5);
    expect([low, high]).toEqual([-0, 20]);
    const weights = { wi: tf.ones([4, 1]), wh: tf.ones([4, 1]), bias: tf.ones([4]) };
    expect(runtime.lstmLast(tf.fill([1, 2, 1], NaN), weights).dataSync()[0]).toBeNaN();
    const block = runtime.hermiteBlock(tf.fill([1, 1], NaN), tf.ones([1, 1]), tf.ones([3]), {
      version: 'probabilist',
      positiveRows: 1,
    });
    expect([...block.dataSync()]).toEqual([NaN, NaN]);
  });

  test('a sum of thousands that do not cancel keeps single precision, value and gradients', async () => {
    // As many terms as the largest searched block has map rows, 14 × 192, and so many rows of a batch.
    const [rows, terms] = [4, 2688];
    const random = createRandom(2);
    const filled = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.uniform());
    const dot = (a: Float32Array, b: Float32Array): number =>
      a.reduce((sum, value, i) => sum + value * (b[i] ?? NaN), 0);
    const [x, w] = [filled(rows * terms), filled(terms)];
    const { tf } = runtime;
    const weight = tf.tensor2d(w, [1, terms]);
    const y = await runtime.linear(tf.tensor2d(x, [rows, terms]), weight, tf.zeros([1])).data<'float32'>();
    y.forEach((value, row) => {
      const expected = dot(x.subarray(row * terms, (row + 1) * terms), w);
      expect(Math.abs(value / expected - 1)).toBeLessThan(3e-7);
    });
    const tall = tf.tensor2d(x, [rows * terms, 1]);
    const gradient = tf.grad((v) => tf.sum(runtime.linear(tall, v, tf.zeros([1]))))(tf.ones([1, 1]));
    const sum = dot(x, x.slice().fill(1));
    expect(Math.abs((await gradient.data<'float32'>())[0]! / sum - 1)).toBeLessThan(3e-7);
  });

  test('extreme gates saturate exactly', () => {
    const { tf } = runtime;
    const weights = { wi: tf.fill([4, 1], 100), wh: tf.zeros([4, 1]), bias: tf.zeros([4]) };
    expect(runtime.lstmLast(tf.ones([1, 1, 1]), weights).dataSync()[0]).toBeCloseTo(Math.tanh(1), 6);
    expect(runtime.lstmLast(tf.fill([1, 1, 1], -1), weights).dataSync()[0]).toBeCloseTo(0, 6);
  });

  test('a second gradient of an older LSTM pass is refused, not wrong', () => {
    const { tf } = runtime;
    const op = lstmCase(3, 2, 4, 5);
    const [wi, wh, bias] = inputsOf(op).map((values, i) => runtime.tf.tensor(values, [...op.shapes[i]!]));
    const twice = tf.grads((...args) =>
      tf.add(
        tf.sum(op.run(runtime, runtime, asInputs(args))),
        tf.sum(op.run(runtime, runtime, asInputs(args))),
      ),
    );
    expect(() => twice([wi!, wh!, bias!])).toThrow(/latest pass/);
  });

  test('gradients that vanish over many steps are the same with and without the early end', async () => {
    // Forget gates near 0 kill the gradient within a few of the 60 steps.
    const { tf } = runtime;
    const op = lstmCase(4, 60, 4, 8);
    const inputs = inputsOf(op);
    inputs[2]!.fill(-12, 8, 16);
    inputs[1]!.fill(0);
    const reference = await evaluate(referenceOps(tf), op, inputs);
    const kernels = await evaluate(runtime, op, inputs);
    kernels.gradients.forEach((gradient, i) =>
      expect(deviation(gradient, reference.gradients[i]!)).toBeLessThan(1e-5),
    );
  });

  test('dispose gives the memory back, and the ops still work', async () => {
    const { tf } = runtime;
    const op = lstmCase(512, 64, 4, 32);
    const before = (await evaluate(runtime, op, inputsOf(op))).value;
    const grown = runtime.memory().opBytes;
    runtime.dispose();
    expect(runtime.memory().opBytes).toBeLessThan(grown / 4);
    expect((await evaluate(runtime, op, inputsOf(op))).value).toEqual(before);
    expect(tf.memory().unreliable).not.toBe(true);
  });
});
