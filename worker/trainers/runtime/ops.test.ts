import { beforeAll, describe, expect, test } from 'vitest';
import { createRandom } from '../hermite/random.js';
import { referenceOps } from './reference-ops.js';
import type { HermiteVersion, Runtime, RuntimeOps } from './runtime.js';
import type { Tensor } from './tensorflow.js';
import { createWasmRuntime } from './wasm-runtime.js';

/** One op as a function of its inputs, with their shapes. */
interface Case {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly run: (ops: RuntimeOps, inputs: readonly Tensor[]) => Tensor;
  /** Size of the random inputs. */
  readonly spread?: number;
}

const lstmCase = (batch: number, steps: number, features: number, units: number): Case => {
  const sequence = Float32Array.from({ length: batch * steps * features }, () => 0);
  const random = createRandom(batch, steps);
  sequence.forEach((_, i) => (sequence[i] = random.normal()));
  return {
    name: `lstm of ${batch} rows, ${steps} steps, ${features} features, ${units} units`,
    shapes: [[4 * units, features], [4 * units, units], [4 * units]],
    spread: 0.4,
    run: (ops, [wi, wh, bias]) =>
      ops.lstmLast(tensor(sequence, [batch, steps, features]), { wi: wi!, wh: wh!, bias: bias! }),
  };
};

const hermiteCase = (
  sizes: { batch: number; width: number; rows: number; positiveRows: number },
  degree: number,
  version: HermiteVersion,
  spread = 0.5,
): Case => ({
  name: `hermite block, ${version} degree ${degree}, ${JSON.stringify(sizes)}, inputs of size ${spread}`,
  shapes: [[sizes.batch, sizes.width], [sizes.rows, sizes.width], [degree + 1]],
  spread,
  run: (ops, [s, v, a]) => ops.hermiteBlock(s!, v!, a!, { version, positiveRows: sizes.positiveRows }),
});

const linearCase = (batch: number, inputs: number, outputs: number): Case => ({
  name: `linear ${batch}×${inputs}→${outputs}`,
  shapes: [[batch, inputs], [outputs, inputs], [outputs]],
  run: (ops, [x, w, b]) => ops.linear(x!, w!, b!),
});

const cases: Case[] = [
  lstmCase(1, 1, 4, 1),
  lstmCase(5, 7, 4, 6),
  lstmCase(64, 5, 4, 8),
  lstmCase(131, 9, 3, 20),
  hermiteCase({ batch: 1, width: 1, rows: 1, positiveRows: 1 }, 0, 'probabilist'),
  hermiteCase({ batch: 6, width: 9, rows: 10, positiveRows: 5 }, 5, 'probabilist'),
  hermiteCase({ batch: 70, width: 26, rows: 48, positiveRows: 0 }, 8, 'physicist', 0.2),
  // Large inputs leave the clamp of ±10 on both sides.
  hermiteCase({ batch: 67, width: 8, rows: 24, positiveRows: 16 }, 3, 'probabilist', 3),
  linearCase(1, 1, 1),
  linearCase(67, 13, 7),
  linearCase(128, 64, 40),
  { name: 'gelu', shapes: [[37, 3]], spread: 2.5, run: (ops, [x]) => ops.gelu(x!) },
];

let runtime: Runtime;
let tensor: (values: Float32Array, shape: readonly number[]) => Tensor;
beforeAll(async () => {
  runtime = await createWasmRuntime();
  tensor = (values, shape) => runtime.tf.tensor(values, [...shape]);
});

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, extent) => size * extent, 1);

function inputsOf({ shapes, spread = 1 }: Case): Float32Array[] {
  const random = createRandom(11);
  return shapes.map((shape) => Float32Array.from({ length: sizeOf(shape) }, () => spread * random.normal()));
}

/** Value of Σ weights·op and its gradients. */
function evaluate(ops: RuntimeOps, op: Case, inputs: readonly Float32Array[]) {
  const { tf } = runtime;
  const weighting = createRandom(5);
  const tensors = inputs.map((values, i) => tensor(values, op.shapes[i]!));
  let value: Float32Array = new Float32Array();
  const { grads } = tf.valueAndGrads((...args) => {
    const result = op.run(ops, args);
    value = result.dataSync<'float32'>();
    const weights = Float32Array.from({ length: result.size }, () => weighting.normal());
    return tf.sum(tf.mul(result, tensor(weights, result.shape)));
  })(tensors);
  const weights = createRandom(5);
  const total = value.reduce((sum, entry) => sum + entry * weights.normal(), 0);
  return { value, total, gradients: grads.map((grad) => grad.dataSync<'float32'>()) };
}

function expectClose(actual: Float32Array, expected: Float32Array, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-30);
  actual.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!) / scale).toBeLessThan(tolerance);
  });
}

describe.each(cases)('$name', (op) => {
  test('kernels agree with TensorFlow.js operations, value and gradients', () => {
    const inputs = inputsOf(op);
    const reference = evaluate(referenceOps(runtime.tf), op, inputs);
    const kernels = evaluate(runtime, op, inputs);
    expectClose(kernels.value, reference.value, 1e-5);
    kernels.gradients.forEach((gradient, i) => expectClose(gradient, reference.gradients[i]!, 1e-5));
  });

  test.each(['reference', 'kernels'])('gradients agree with numeric differences (%s)', (which) => {
    const ops = which === 'kernels' ? runtime : referenceOps(runtime.tf);
    const inputs = inputsOf(op);
    const { gradients } = evaluate(ops, op, inputs);
    const random = createRandom(3);
    inputs.forEach((values, i) => {
      const gradient = gradients[i]!;
      const largest = gradient.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
      // A few entries each: the largest by gradient, and some at random.
      const entries = [gradient.findIndex((value) => Math.abs(value) === largest)];
      while (entries.length < 3) entries.push(Math.floor(random.uniform() * values.length));
      for (const entry of entries) {
        const step = 2e-3 * Math.max(0.1, Math.abs(values[entry]!));
        const shifted = (sign: number): number => {
          const changed = inputs.map((array) => array.slice());
          changed[i]![entry]! += sign * step;
          return evaluate(ops, op, changed).total;
        };
        const numeric = (shifted(1) - shifted(-1)) / (2 * step);
        expect(Math.abs(numeric - gradient[entry]!)).toBeLessThan(2e-2 * Math.max(largest, 1e-3));
      }
    });
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

  test('extreme gates saturate exactly', () => {
    const { tf } = runtime;
    const weights = { wi: tf.fill([4, 1], 100), wh: tf.zeros([4, 1]), bias: tf.zeros([4]) };
    expect(runtime.lstmLast(tf.ones([1, 1, 1]), weights).dataSync()[0]).toBeCloseTo(Math.tanh(1), 6);
    expect(runtime.lstmLast(tf.fill([1, 1, 1], -1), weights).dataSync()[0]).toBeCloseTo(0, 6);
  });

  test('a second gradient of an older LSTM pass is refused, not wrong', () => {
    const { tf } = runtime;
    const op = lstmCase(3, 2, 4, 5);
    const [wi, wh, bias] = inputsOf(op).map((values, i) => tensor(values, op.shapes[i]!));
    const twice = tf.grads((...args) => tf.add(tf.sum(op.run(runtime, args)), tf.sum(op.run(runtime, args))));
    expect(() => twice([wi!, wh!, bias!])).toThrow(/latest pass/);
  });

  test('gradients that vanish over many steps are the same with and without the early end', () => {
    // Forget gates near 0 kill the gradient within a few of the 60 steps.
    const { tf } = runtime;
    const op = lstmCase(4, 60, 4, 8);
    const inputs = inputsOf(op);
    inputs[2]!.fill(-12, 8, 16);
    inputs[1]!.fill(0);
    const reference = evaluate(referenceOps(tf), op, inputs);
    const kernels = evaluate(runtime, op, inputs);
    kernels.gradients.forEach((gradient, i) => expectClose(gradient, reference.gradients[i]!, 1e-5));
  });

  test('dispose gives the memory back, and the ops still work', () => {
    const { tf } = runtime;
    const op = lstmCase(512, 64, 4, 32);
    const before = evaluate(runtime, op, inputsOf(op)).value;
    const grown = runtime.memory().opBytes;
    runtime.dispose();
    expect(runtime.memory().opBytes).toBeLessThan(grown / 4);
    expect(evaluate(runtime, op, inputsOf(op)).value).toEqual(before);
    expect(tf.memory().unreliable).not.toBe(true);
  });
});
