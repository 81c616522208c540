/** Every fused op on small inputs, and what its body and its gradients are compared with: on any runtime. */
import { rawSignScale, type LossSettings } from '../hermite/losses.js';
import { createRandom } from '../hermite/random.js';
import type { HermiteVersion, Runtime, RuntimeOps } from './runtime.js';
import type { Tensor } from './tensorflow.js';

/** An op with fewer inputs does not look at the others. */
type Inputs = readonly [Tensor, Tensor, Tensor];

/** One op as a function of its inputs, with their shapes. */
export interface OpCase {
  readonly name: string;
  readonly shapes: readonly (readonly number[])[];
  readonly run: (runtime: Runtime, ops: RuntimeOps, inputs: Inputs) => Tensor;
  /** Size of the random inputs. */
  readonly spread?: number;
}

/** Tensors as the inputs of an op. */
export const asInputs = (tensors: readonly Tensor[]): Inputs => tensors as unknown as Inputs;

const normals = (seed: number, count: number): Float32Array => {
  const random = createRandom(seed, count);
  return Float32Array.from({ length: count }, () => random.normal());
};

export const lstmCase = (batch: number, steps: number, features: number, units: number): OpCase => {
  const sequence = normals(steps, batch * steps * features);
  return {
    name: `lstm of ${batch} rows, ${steps} steps, ${features} features, ${units} units`,
    shapes: [[4 * units, features], [4 * units, units], [4 * units]],
    spread: 0.4,
    run: ({ tf }, ops, [wi, wh, bias]) =>
      ops.lstmLast(tf.tensor(sequence, [batch, steps, features]), { wi: wi, wh: wh, bias: bias }),
  };
};

const hermiteCase = (
  sizes: { batch: number; width: number; rows: number; positiveRows: number },
  degree: number,
  version: HermiteVersion,
  spread = 0.5,
): OpCase => ({
  name: `hermite block, ${version} degree ${degree}, ${JSON.stringify(sizes)}, inputs of size ${spread}`,
  shapes: [[sizes.batch, sizes.width], [sizes.rows, sizes.width], [degree + 1]],
  spread,
  run: (_, ops, [s, v, a]) => ops.hermiteBlock(s, v, a, { version, positiveRows: sizes.positiveRows }),
});

const linearCase = (batch: number, inputs: number, outputs: number): OpCase => ({
  name: `linear ${batch}×${inputs}→${outputs}`,
  shapes: [[batch, inputs], [outputs, inputs], [outputs]],
  run: (_, ops, [x, w, b]) => ops.linear(x, w, b),
});

const layerNormCase = (batch: number, width: number): OpCase => ({
  name: `layer norm ${batch}×${width}`,
  shapes: [[batch, width], [width], [width]],
  run: (_, ops, [x, gain, shift]) => ops.layerNorm(x, gain, shift),
});

const featuresCase = (batch: number, width: number): OpCase => ({
  name: `block features ${batch}×${width}`,
  shapes: [[batch, width], [batch, width + 1], [width]],
  run: (_, ops, [s, block, bias]) => ops.blockFeatures(s, block, bias),
});

const headsCase = (batch: number, heads: number, width: number): OpCase => ({
  name: `${heads} head outputs ${batch}×${width}`,
  shapes: [[batch, heads * width], [heads, width], [heads]],
  run: (_, ops, [hidden, weight, bias]) => ops.headOutputs(hidden, weight, bias),
});

const lossCase = (batch: number, changed: Partial<LossSettings>, spread: number): OpCase => {
  const settings: LossSettings = {
    ...{ regWeight: 0.9, clsWeight: 1.1, uncWeight: 0.2, signWeight: 0.3, classification: 'focal' },
    ...{ focalGamma: 1.7, posWeight: 1, signScale: rawSignScale, ...changed },
  };
  const y = normals(7, batch);
  // A target of exactly 0 is not up, and has no sign.
  y[0] = 0;
  return {
    name: `loss of ${batch} rows, ${JSON.stringify(changed)}, outputs of size ${spread}`,
    shapes: [[batch, 3]],
    spread,
    run: ({ tf }, ops, [outputs]) => ops.loss(outputs, tf.tensor1d(y), settings),
  };
};

export const opCases: readonly OpCase[] = [
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
  { name: 'gelu', shapes: [[37, 3]], spread: 2.5, run: (_, ops, [x]) => ops.gelu(x) },
  layerNormCase(1, 3),
  layerNormCase(67, 130),
  featuresCase(1, 1),
  featuresCase(35, 17),
  headsCase(1, 1, 1),
  headsCase(35, 3, 70),
  lossCase(1, {}, 0.5),
  lossCase(300, {}, 1),
  lossCase(300, { classification: 'bce', posWeight: 1.7 }, 1),
  // Large outputs leave the clamp of the log variance on both sides.
  lossCase(40, { classification: 'bce' }, 7),
];

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, extent) => size * extent, 1);

export function inputsOf({ shapes, spread = 1 }: OpCase): Float32Array[] {
  const random = createRandom(11);
  return shapes.map((shape) => Float32Array.from({ length: sizeOf(shape) }, () => spread * random.normal()));
}

export interface OpFigures {
  readonly value: Float32Array;
  /** Σ weights·op, with weights that are the same every time. */
  readonly total: number;
  /** Its gradients. */
  readonly gradients: readonly Float32Array[];
}

/** The op on these inputs. */
export async function evaluateOp(
  runtime: Runtime,
  ops: RuntimeOps,
  op: OpCase,
  inputs: readonly Float32Array[],
): Promise<OpFigures> {
  const { tf } = runtime;
  const kept: Tensor[] = [];
  const tensors = inputs.map((values, i) => tf.tensor(values, [...(op.shapes[i] ?? [])]));
  const random = createRandom(5);
  const { value: sum, grads } = tf.valueAndGrads((...args) => {
    const result = op.run(runtime, ops, asInputs(args));
    kept.push(tf.keep(result));
    const weights = Float32Array.from({ length: result.size }, () => random.normal());
    return tf.sum(tf.mul(result, tf.tensor(weights, result.shape)));
  })(tensors);
  const [value = new Float32Array(), ...gradients] = await Promise.all(
    [...kept, ...grads].map((tensor) => tensor.data<'float32'>()),
  );
  tf.dispose([...kept, ...grads, ...tensors, sum]);
  const again = createRandom(5);
  return { value, gradients, total: value.reduce((total, entry) => total + entry * again.normal(), 0) };
}

/** Largest difference, relative to the largest entry that is expected. NaN when one is. */
export function deviation(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Infinity;
  const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 1e-30);
  return actual.reduce((most, value, i) => Math.max(most, Math.abs(value - (expected[i] ?? NaN)) / scale), 0);
}
