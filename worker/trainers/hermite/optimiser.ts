import type { Runtime } from '../runtime/runtime.js';
import type { Tensor } from '../runtime/tensorflow.js';
import type { StepRates } from './schedule.js';

export interface AdamWSettings {
  readonly weightDecay: number;
  /** Largest Euclidean norm over all gradients together. */
  readonly gradientClip: number;
  readonly beta2: number;
  readonly epsilon: number;
}

/** Parameters and both moments as flat vectors; replaced, never changed in place. */
export interface OptimiserState {
  readonly parameters: Tensor;
  readonly first: Tensor;
  readonly second: Tensor;
  /** Steps done. */
  readonly steps: number;
}

/** A state before the first step; the tensors belong to the caller. */
export function initialState(runtime: Runtime, parameters: Float32Array): OptimiserState {
  const { tf } = runtime;
  return {
    parameters: tf.tensor1d(parameters),
    first: tf.zeros([parameters.length]),
    second: tf.zeros([parameters.length]),
    steps: 0,
  };
}

/** Frees the moments, and the parameters unless somebody else keeps them. */
export function disposeState(state: OptimiserState, keepParameters: boolean): void {
  state.first.dispose();
  state.second.dispose();
  if (!keepParameters) state.parameters.dispose();
}

/**
 * Global clipping, then one AdamW step (hermite-model.md §9) on the flat gradient. Decay acts on every entry; the bias
 * correction raises the *current* β₁ to the step number, as the original does. Reads nothing back from the device.
 */
export function adamWStep(
  runtime: Runtime,
  state: OptimiserState,
  gradient: Tensor,
  options: { readonly settings: AdamWSettings; readonly rates: StepRates },
): OptimiserState {
  const { tf } = runtime;
  const { weightDecay, gradientClip, beta2, epsilon } = options.settings;
  const { learningRate, beta1 } = options.rates;
  const steps = state.steps + 1;
  const [parameters, first, second] = tf.tidy((): [Tensor, Tensor, Tensor] => {
    const norm = tf.sqrt(tf.sum(tf.square(gradient)));
    const clipped = tf.mul(gradient, tf.minimum(1, tf.div(gradientClip, tf.add(norm, 1e-6))));
    const m = tf.add(tf.mul(state.first, beta1), tf.mul(clipped, 1 - beta1));
    const v = tf.add(tf.mul(state.second, beta2), tf.mul(tf.square(clipped), 1 - beta2));
    const spread = tf.add(tf.sqrt(tf.mul(v, 1 / (1 - beta2 ** steps))), epsilon);
    const move = tf.mul(tf.div(m, spread), learningRate / (1 - beta1 ** steps));
    const decayed = tf.mul(state.parameters, 1 - learningRate * weightDecay);
    return [tf.sub(decayed, move), m, v];
  });
  return { parameters, first, second, steps };
}
