/**
 * The runtimes `tensorflow` and `tensorflow-gpu`: TensorFlow's own library under TensorFlow.js, where the operator has installed
 * `@tensorflow/tfjs-node` or `@tensorflow/tfjs-node-gpu` (docs/guides/gpu.md). Found by name at run time, never a dependency: both
 * download a library of 2022 when they are installed. The fused ops run in TensorFlow.js operations.
 */
import { createRequire } from 'node:module';
import { outOfMemorySign } from '../../gpu/out-of-memory.js';
import { referenceOps } from './reference-ops.js';
import type { Runtime, RuntimeFailure } from './runtime.js';
import type { TensorFlow } from './tensorflow.js';
import { processPeak, unknownPeak } from './process-peak.js';
import { tidied } from './tidied.js';

type TensorFlowName = 'tensorflow' | 'tensorflow-gpu';

const packages: Readonly<Record<TensorFlowName, string>> = {
  tensorflow: '@tensorflow/tfjs-node',
  'tensorflow-gpu': '@tensorflow/tfjs-node-gpu',
};

/** Node from here on lacks functions that version 4.22 of the packages calls at its first operation. */
const nodeMajorMax = 22;

/** Classifies by the texts of TensorFlow's allocators (runtimes.md §5). */
export function classifyTensorFlowError(error: unknown): RuntimeFailure {
  if (!(error instanceof Error)) return 'other';
  const text = `${error.name}: ${error.message}`;
  if (outOfMemorySign(text) !== null) return 'oom';
  return /CUDA_ERROR_(ILLEGAL|LAUNCH|ECC|UNKNOWN)|device-side assert|GPU is lost/i.test(text)
    ? 'lost'
    : 'other';
}

/** What is used of the backend beside TensorFlow.js itself. */
interface NodeBackend {
  /** False where the library found no GPU and computes on the CPU without a word. */
  readonly isUsingGpuDevice?: boolean;
}

export interface TensorFlowSource {
  /** Loads a package; throws as `require` does. */
  readonly load: (name: string) => TensorFlow;
  readonly nodeMajor: number;
  /** The environment that the library reads when it is loaded; growth of GPU memory is switched on here. */
  readonly environment: Record<string, string | undefined>;
}

const installed: TensorFlowSource = {
  load: (name) => createRequire(import.meta.url)(name) as TensorFlow,
  nodeMajor: Number(process.versions.node.split('.')[0]),
  environment: process.env,
};

function load(name: TensorFlowName, source: TensorFlowSource): TensorFlow {
  const wanted = packages[name];
  if (source.nodeMajor > nodeMajorMax)
    throw new Error(`${wanted} does not work on Node ${source.nodeMajor}; use Node ${nodeMajorMax} or older`);
  // TensorFlow takes all memory of the GPU at its first use unless this is set before it is loaded.
  source.environment['TF_FORCE_GPU_ALLOW_GROWTH'] ??= 'true';
  try {
    return source.load(wanted);
  } catch (error) {
    const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    const missing = error instanceof Error && 'code' in error && error.code === 'MODULE_NOT_FOUND';
    const text = missing
      ? `${wanted} is not installed (npm install --no-save ${wanted}@4.22.0)`
      : `${wanted}: ${reason}`;
    throw new Error(text, { cause: error });
  }
}

/** Starts TensorFlow's own library; rejects with the reason, for people, where that cannot work. */
export async function createTensorFlowRuntime(
  name: TensorFlowName,
  source: TensorFlowSource = installed,
): Promise<Runtime> {
  const tf = load(name, source);
  if (!(await tf.setBackend('tensorflow'))) throw new Error(`the backend of ${packages[name]} did not start`);
  const { isUsingGpuDevice } = tf.backend() as NodeBackend;
  if (name === 'tensorflow-gpu' && isUsingGpuDevice !== true)
    throw new Error(
      'TensorFlow found no GPU and would compute on the CPU: it needs CUDA 11.2 and cuDNN 8.1, and a GPU in CUDA_VISIBLE_DEVICES',
    );
  return {
    name,
    description:
      name === 'tensorflow' ? "TensorFlow's library on the CPU" : "TensorFlow's library on a CUDA GPU",
    tf,
    ...referenceOps(tf),
    compile: (step) => tidied(tf, step),
    // The library does not say what it takes of the GPU, and the process' memory is not that.
    peak: name === 'tensorflow' ? processPeak : unknownPeak,
    flushErrors: () => Promise.resolve(),
    healthy: () => true,
    memory: () => {
      const { numTensors, numBytes } = tf.memory();
      return { tensors: numTensors, tensorBytes: numBytes, opBytes: 0 };
    },
    classify: classifyTensorFlowError,
    dispose: () => undefined,
  };
}
