import { runtimeNames, type Runtime, type RuntimeName } from './runtime.js';
import { createTensorFlowRuntime } from './tensorflow-runtime.js';
import { createWasmRuntime } from './wasm-runtime.js';
import { createWebgpuRuntime } from './webgpu/webgpu-runtime.js';

export interface ChosenRuntime {
  readonly runtime: Runtime;
  /** Why this one, one sentence for people. */
  readonly reason: string;
}

/** A runtime and how to start it. To add one: its name in `runtimeNames`, best first, and its line here. */
const starters: Readonly<
  Record<RuntimeName, { readonly start: () => Promise<Runtime>; readonly about: string }>
> = {
  'tensorflow-gpu': {
    start: () => createTensorFlowRuntime('tensorflow-gpu'),
    about: "TensorFlow's library on a CUDA GPU, without fused ops",
  },
  tensorflow: {
    start: () => createTensorFlowRuntime('tensorflow'),
    about: "TensorFlow's library on the CPU, without fused ops",
  },
  webgpu: {
    start: () => createWebgpuRuntime(),
    about: 'TensorFlow.js through WebGPU',
  },
  wasm: {
    start: createWasmRuntime,
    about: 'TensorFlow.js, needs nothing beyond npm ci',
  },
};

const isRuntimeName = (name: string): name is RuntimeName => runtimeNames.some((known) => known === name);

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function firstThatStarts(): Promise<ChosenRuntime> {
  const refusals: string[] = [];
  for (const name of runtimeNames) {
    try {
      const runtime = await starters[name].start();
      const before = refusals.length === 0 ? '' : ` (not usable: ${refusals.join('; ')})`;
      const on = `${starters[name].about}, ${runtime.description}`;
      return { runtime, reason: `auto: ${name}, ${on}${before}` };
    } catch (error) {
      refusals.push(`${name}: ${messageOf(error)}`);
    }
  }
  throw new Error(`no runtime can train here: ${refusals.join('; ')}`);
}

/**
 * Starts the runtime named by `--runtime`; `auto` takes the first of `runtimeNames` that works. Throws one error that says
 * what is wrong with an unknown or unusable name.
 */
export async function chooseRuntime(name: string): Promise<ChosenRuntime> {
  if (name === 'auto') return firstThatStarts();
  if (!isRuntimeName(name)) {
    throw new Error(`unknown runtime '${name}': use auto or one of ${runtimeNames.join(', ')}`);
  }
  try {
    const runtime = await starters[name].start();
    return { runtime, reason: `asked for: ${starters[name].about}, ${runtime.description}` };
  } catch (error) {
    throw new Error(`runtime '${name}' cannot be used here: ${messageOf(error)}`, { cause: error });
  }
}
