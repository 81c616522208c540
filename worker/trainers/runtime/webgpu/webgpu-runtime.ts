import type { Runtime } from '../runtime.js';
import { loadTensorFlow, loadTensorFlowWebgpu } from '../tensorflow.js';
import { openAdapter, type OpenedAdapter } from './adapter.js';
import { webgpuBackend } from './backend.js';
import { PeakBuffers } from './peak-buffers.js';
import { Poison, classifyWebgpuError, watchDevice } from './errors.js';
import { Gpu } from './gpu.js';
import { Recorder } from './recording.js';
import { tidied } from '../tidied.js';
import { webgpuOps } from './webgpu-ops.js';

/** Set to 1: the LSTM in its plain kernel, steps made anew each time. Slower, for devices that get the fast ones wrong. */
export const plainVariable = 'PARZEN_WEBGPU_PLAIN';

/** The runtime, and what measures and tests it look at. */
export interface WebgpuRuntime extends Runtime {
  readonly adapter: OpenedAdapter;
  readonly gpu: Gpu;
  readonly recorder: Recorder;
  readonly poison: Poison;
}

/** Limits that are asked for as far as the adapter goes: the defaults are those of a telephone. */
const wantedLimits = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBuffersPerShaderStage',
] as const;

async function openDevice({ adapter }: OpenedAdapter): Promise<GPUDevice> {
  const requiredLimits = Object.fromEntries(wantedLimits.map((name) => [name, adapter.limits[name]]));
  return adapter.requestDevice({ requiredLimits });
}

/** The backend sends its work after so many dispatches; more than its default saves submissions. */
const backendSubmitEvery = 64;

/**
 * TensorFlow.js on a GPU through Dawn, with the fused ops in WGSL and steps recorded once and replayed. Rejects with the reason,
 * for people, where that cannot work.
 */
export async function createWebgpuRuntime(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<WebgpuRuntime> {
  const opened = await openAdapter(environment);
  const tf = loadTensorFlow();
  const { WebGPUBackend } = loadTensorFlowWebgpu();
  const device = await openDevice(opened);
  const poison = new Poison();
  watchDevice(device, poison);
  tf.env().set('WEBGPU_DEFERRED_SUBMIT_BATCH_SIZE', backendSubmitEvery);
  tf.removeBackend('webgpu');
  tf.registerBackend('webgpu', () => new WebGPUBackend(device, opened.facts as never));
  if (!(await tf.setBackend('webgpu'))) throw new Error('the webgpu backend of TensorFlow.js did not start');
  const backend = webgpuBackend(tf);
  const gpu = new Gpu(tf, device, backend, poison);
  const recorder = new Recorder(gpu, () => poison.check());
  const plain = environment[plainVariable] === '1';
  const ops = webgpuOps(gpu, { plainLstm: plain });
  const tensorBytes = (): number => backend.bufferManager.numBytesAllocated;
  const opBytes = (): number => gpu.scratchBytes + recorder.bytes;
  const peak = new PeakBuffers(() => tensorBytes() + opBytes());
  return {
    name: 'webgpu',
    description: opened.name,
    tf,
    ...ops,
    compile: (step) => peak.watched(plain ? tidied(tf, step) : recorder.compile(step)),
    peak,
    flushErrors: async () => {
      peak.look();
      if (backend.commandEncoder !== null) {
        backend.endComputePassEncoder();
        backend.submitQueue();
      }
      await device.queue.onSubmittedWorkDone();
      await poison.settle();
      // Events come through the loop: one more turn of it, so that the last one has arrived.
      await new Promise((resolve) => setImmediate(resolve));
      poison.check();
    },
    healthy: () => poison.error === null,
    memory: () => ({ tensors: tf.memory().numTensors, tensorBytes: tensorBytes(), opBytes: opBytes() }),
    classify: classifyWebgpuError,
    dispose: () => {
      recorder.clear();
      gpu.releaseScratch();
    },
    ...{ adapter: opened, gpu, recorder, poison },
  };
}
