import type { TensorStep } from './runtime.js';
import type { TensorFlow } from './tensorflow.js';

/** `Runtime.compile` for backends that have nothing to gain from it: every call runs the step, and frees what it leaves over. */
export const tidied =
  (tf: TensorFlow, step: TensorStep): TensorStep =>
  (inputs) =>
    tf.tidy(() => [...step(inputs)]);
