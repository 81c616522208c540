import type { CompiledStep, TensorStep } from './runtime.js';
import type { TensorFlow } from './tensorflow.js';

/** `Runtime.compile` for backends that have nothing to gain from it: every call runs the step, and frees what it leaves over. */
export const tidied = (tf: TensorFlow, step: TensorStep): CompiledStep =>
  Object.assign((inputs: Parameters<TensorStep>[0]) => tf.tidy(() => [...step(inputs)]), {
    release: () => undefined,
  });
