import type { Runtime, RuntimeFailure } from './runtime.js';
import { referenceSmallOps } from './reference-small-ops.js';
import { processPeak } from './process-peak.js';
import { tidied } from './tidied.js';
import { loadTensorFlow, loadTensorFlowWasm, resolvePackageFile, type TensorFlow } from './tensorflow.js';
import { loadKernels } from './wasm-kernels.js';
import { wasmOps } from './wasm-ops.js';

/** Code of the error thrown when the backend's heap (at most 4 GB) is full. */
export const wasmOutOfMemoryCode = 'ERR_WASM_OOM';

class WasmOutOfMemory extends Error {
  override readonly name = 'WasmOutOfMemory';
  readonly code = wasmOutOfMemoryCode;
}

/** The two functions of the Emscripten module that matter here. */
interface EmscriptenModule {
  _malloc: (bytes: number) => number;
  _free: (pointer: number) => void;
}

function emscriptenModule(backend: unknown): EmscriptenModule {
  const module = (backend as { wasm?: EmscriptenModule }).wasm;
  if (typeof module?._malloc !== 'function') {
    throw new Error('the wasm backend of TensorFlow.js no longer exposes its allocator');
  }
  return module;
}

/**
 * Makes a full heap an error. Unpatched, `_malloc` answers 0 and the backend writes the tensor at address 0, over other
 * tensors, without a word (runtimes.md §5). The first call is a dummy because Emscripten replaces `_malloc` in it.
 */
function guardAllocator(backend: unknown): void {
  const module = emscriptenModule(backend);
  module._free(module._malloc(16));
  const allocate = module._malloc;
  module._malloc = (bytes) => {
    const pointer = allocate(bytes);
    if (pointer === 0)
      throw new WasmOutOfMemory(`the WebAssembly heap is full: ${bytes} bytes were asked for`);
    return pointer;
  };
}

const outOfMemoryTexts =
  /Memory\.grow\(\)|WebAssembly\.Memory\(\)|could not allocate memory|Invalid typed array length|Array buffer allocation failed/;
const corruptTexts = /memory access out of bounds|Aborted\(/;

/** Classifies by error code and by the texts of V8 and Emscripten (runtimes.md §5). */
export function classifyWasmError(error: unknown): RuntimeFailure {
  if (!(error instanceof Error)) return 'other';
  if ('code' in error && error.code === wasmOutOfMemoryCode) return 'oom';
  if (error instanceof RangeError && outOfMemoryTexts.test(error.message)) return 'oom';
  if (corruptTexts.test(error.message)) return 'corrupt';
  return 'other';
}

/** Starts the backend with its SIMD binary from the installed package; threads do not work under Node. */
async function startBackend(tf: TensorFlow): Promise<void> {
  const { setWasmPaths } = loadTensorFlowWasm();
  const file = (name: string): string => resolvePackageFile(`@tensorflow/tfjs-backend-wasm/dist/${name}`);
  setWasmPaths({
    'tfjs-backend-wasm.wasm': file('tfjs-backend-wasm.wasm'),
    'tfjs-backend-wasm-simd.wasm': file('tfjs-backend-wasm-simd.wasm'),
    'tfjs-backend-wasm-threaded-simd.wasm': file('tfjs-backend-wasm-threaded-simd.wasm'),
  });
  if (!(await tf.setBackend('wasm'))) {
    throw new Error('the wasm backend of TensorFlow.js did not start; run `npm ci` again');
  }
  guardAllocator(tf.backend());
}

/** TensorFlow.js on one CPU core through WebAssembly, with the fused ops in SIMD kernels; works wherever Node does. */
export async function createWasmRuntime(): Promise<Runtime> {
  const tf = loadTensorFlow();
  const instantiate = loadKernels();
  await startBackend(tf);
  let ops = wasmOps(tf, instantiate);
  return {
    name: 'wasm',
    description: 'one CPU core through WebAssembly SIMD',
    tf,
    ...referenceSmallOps(tf),
    lstmLast: (x, weights) => ops.lstmLast(x, weights),
    hermiteBlock: (s, v, coefficients, options) => ops.hermiteBlock(s, v, coefficients, options),
    linear: (x, weight, bias) => ops.linear(x, weight, bias),
    gelu: (x) => ops.gelu(x),
    adamW: (vectors, gradient, rates) => ops.adamW(vectors, gradient, rates),
    compile: (step) => tidied(tf, step),
    peak: processPeak,
    flushErrors: () => Promise.resolve(),
    healthy: () => true,
    memory: () => {
      const { numTensors, numBytes } = tf.memory();
      return { tensors: numTensors, tensorBytes: numBytes, opBytes: ops.memoryBytes() };
    },
    classify: classifyWasmError,
    dispose: () => {
      // WebAssembly memory cannot shrink; dropping the instances is the only way to give it back.
      ops = wasmOps(tf, instantiate);
    },
  };
}
