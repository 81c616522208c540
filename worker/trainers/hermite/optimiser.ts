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
 * The numbers of one AdamW step (hermite-model.md §9), `steps` counting it: clip, β₁, 1−β₁, β₂, 1−β₂, ε, lr/(1−β₁ᵏ), 1/(1−β₂ᵏ),
 * 1−lr·decay. The bias correction raises the *current* β₁ to the step number, as the original does.
 */
export function adamWRates(settings: AdamWSettings, rates: StepRates, steps: number): Float32Array {
  const { weightDecay, gradientClip, beta2, epsilon } = settings;
  const { learningRate, beta1 } = rates;
  return Float32Array.of(
    ...[gradientClip, beta1, 1 - beta1, beta2, 1 - beta2, epsilon],
    learningRate / (1 - beta1 ** steps),
    1 / (1 - beta2 ** steps),
    1 - learningRate * weightDecay,
  );
}

/**
 * Global clipping, then one AdamW step on the flat gradient; decay acts on every entry. Reads nothing back from the device.
 */
export function adamWStep(
  runtime: Runtime,
  state: OptimiserState,
  gradient: Tensor,
  options: { readonly settings: AdamWSettings; readonly rates: StepRates },
): OptimiserState {
  const { tf } = runtime;
  const steps = state.steps + 1;
  const [parameters, first, second] = tf.tidy((): [Tensor, Tensor, Tensor] => {
    const rates = tf.tensor1d(adamWRates(options.settings, options.rates, steps));
    const next = runtime.adamW(state, gradient, rates);
    return [next.parameters, next.first, next.second];
  });
  return { parameters, first, second, steps };
}
