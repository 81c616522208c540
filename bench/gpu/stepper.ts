/** One optimiser step on a fixed batch, as the trainer makes it: compiled, with dropout, on any runtime. */
import { initialParameters } from '../../worker/trainers/hermite/initialise.js';
import { parameterLayout } from '../../worker/trainers/hermite/layout.js';
import { rawSignScale, type LossSettings } from '../../worker/trainers/hermite/losses.js';
import { candleFeatures, type ModelShape } from '../../worker/trainers/hermite/model-shape.js';
import { gradientOf, type Network } from '../../worker/trainers/hermite/network.js';
import { adamWRates } from '../../worker/trainers/hermite/optimiser.js';
import { createRandom, fillDropoutMask } from '../../worker/trainers/hermite/random.js';
import type { Runtime, TensorStep } from '../../worker/trainers/runtime/runtime.js';
import type { Tensor } from '../../worker/trainers/runtime/tensorflow.js';

const loss: LossSettings = {
  ...{ regWeight: 1, clsWeight: 1, uncWeight: 0.1, signWeight: 0.1 },
  ...{ classification: 'focal', focalGamma: 2, posWeight: 1, signScale: rawSignScale },
};
const adamW = { weightDecay: 1e-4, gradientClip: 0.5, beta2: 0.999, epsilon: 1e-8 };
const rates = { learningRate: 1e-3, beta1: 0.9 };
const dropout = 0.1;

export interface Stepper {
  readonly parameterCount: number;
  /** Queues one step; dropout masks are drawn anew, as in training. */
  step(): void;
  /** Current parameters, read back. */
  parameters(): Promise<Float32Array>;
  dispose(): void;
}

function normals(seed: number, count: number, size: number): Float32Array {
  const random = createRandom(seed);
  return Float32Array.from({ length: count }, () => size * random.normal());
}

/** A stepper; with `compiled` false every step is made anew, for comparison. */
export function createStepper(
  runtime: Runtime,
  shape: ModelShape,
  { rows, compiled = true }: { readonly rows: number; readonly compiled?: boolean },
): Stepper {
  const { tf } = runtime;
  const layout = parameterLayout(shape);
  const network: Network = { runtime, layout };
  const random = createRandom(3);
  const window = normals(1, rows * shape.window * candleFeatures, 1);
  const context = normals(2, rows * shape.context, 1);
  const targets = normals(4, rows, 0.005);
  const run: TensorStep = ([parameters, first, second, numbers, ...batch]) => {
    const { gradient, outputs } = gradientOf(network, loss, parameters as Tensor, batch);
    const vectors = { parameters, first, second } as Record<'parameters' | 'first' | 'second', Tensor>;
    const next = runtime.adamW(vectors, gradient, numbers as Tensor);
    return [next.parameters, next.first, next.second, outputs];
  };
  const step = compiled
    ? runtime.compile(run)
    : (inputs: readonly Tensor[]) => tf.tidy(() => [...run(inputs)]);
  let steps = 0;
  const initial = initialParameters(layout, createRandom(5));
  let state: readonly Tensor[] = [tf.tensor1d(initial), tf.zeros([layout.size]), tf.zeros([layout.size])];
  const mask = (width: number): Tensor => {
    const values = new Float32Array(rows * width);
    fillDropoutMask(values, dropout, random);
    return tf.tensor2d(values, [rows, width]);
  };
  return {
    parameterCount: layout.size,
    step: () => {
      steps += 1;
      const batch = [
        tf.tensor1d(adamWRates(adamW, rates, steps)),
        tf.tensor3d(window, [rows, shape.window, candleFeatures]),
        tf.tensor2d(context, [rows, shape.context]),
        tf.tensor1d(targets),
        mask(shape.hidden),
        mask(3 * shape.hidden),
      ];
      const results = step([...state, ...batch]);
      tf.dispose([...state, ...batch]);
      state = results.slice(0, 3);
      results[3]?.dispose();
    },
    parameters: async () => Float32Array.from((await state[0]?.data<'float32'>()) ?? []),
    dispose: () => tf.dispose([...state]),
  };
}
