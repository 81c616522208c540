import { createRequire } from 'node:module';
import type * as tfjs from '@tensorflow/tfjs';
import type * as tfjsWasm from '@tensorflow/tfjs-backend-wasm';

export type TensorFlow = typeof tfjs;
export type Tensor = tfjs.Tensor;
export type TensorFlowWasm = typeof tfjsWasm;

/**
 * The TensorFlow.js packages are CommonJS whose exports Node cannot name statically, so they are required, not imported.
 * `@tensorflow/tfjs` is needed as a whole: `tfjs-core` alone registers no gradients under Node (runtimes.md §2).
 */
const require = createRequire(import.meta.url);

export const loadTensorFlow = (): TensorFlow => require('@tensorflow/tfjs') as TensorFlow;

/** Registers the `wasm` backend with TensorFlow.js as a side effect. */
export const loadTensorFlowWasm = (): TensorFlowWasm =>
  require('@tensorflow/tfjs-backend-wasm') as TensorFlowWasm;

/** Absolute path of a file inside an installed package, e.g. `@tensorflow/tfjs-backend-wasm/dist/x.wasm`. */
export const resolvePackageFile = (specifier: string): string => require.resolve(specifier);
