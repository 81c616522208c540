import { createRequire } from 'node:module';
import type * as tfjs from '@tensorflow/tfjs';
import type * as tfjsWasm from '@tensorflow/tfjs-backend-wasm';
import type * as tfjsWebgpu from '@tensorflow/tfjs-backend-webgpu';

export type TensorFlow = typeof tfjs;
export type Tensor = tfjs.Tensor;
export type TensorFlowWasm = typeof tfjsWasm;
export type TensorFlowWebgpu = typeof tfjsWebgpu;

/**
 * The TensorFlow.js packages are CommonJS whose exports Node cannot name statically, so they are required, not imported.
 * `@tensorflow/tfjs` is needed as a whole: `tfjs-core` alone registers no gradients under Node (runtimes.md §2).
 */
const require = createRequire(import.meta.url);

export const loadTensorFlow = (): TensorFlow => require('@tensorflow/tfjs') as TensorFlow;

/** Registers the `wasm` backend with TensorFlow.js as a side effect. */
export const loadTensorFlowWasm = (): TensorFlowWasm =>
  require('@tensorflow/tfjs-backend-wasm') as TensorFlowWasm;

/** Registers kernels for the backend `webgpu`; the package is optional, and `navigator.gpu` must be there before. */
export function loadTensorFlowWebgpu(): TensorFlowWebgpu {
  try {
    return require('@tensorflow/tfjs-backend-webgpu') as TensorFlowWebgpu;
  } catch (error) {
    throw new Error("the optional package '@tensorflow/tfjs-backend-webgpu' cannot be loaded", {
      cause: error,
    });
  }
}

/** Absolute path of a file inside an installed package, e.g. `@tensorflow/tfjs-backend-wasm/dist/x.wasm`. */
export const resolvePackageFile = (specifier: string): string => require.resolve(specifier);
