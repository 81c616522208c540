/** The parts of TensorFlow.js' WebGPU backend that are used from outside; its types declare them, but not as one interface. */
import type { Tensor, TensorFlow } from '../tensorflow.js';

/** Hands out buffers to the backend; `recording.ts` puts one of its own in its place for a while. */
export interface BufferSource {
  numBytesUsed: number;
  numBytesAllocated: number;
  acquireBuffer(size: number, usage: number, mappedAtCreation?: boolean, reuse?: boolean): GPUBuffer;
  releaseBuffer(buffer: GPUBuffer, reuse?: boolean): void;
  getNumUsedBuffers(): number;
  getNumFreeBuffers(): number;
  dispose(): void;
}

interface TensorData {
  values: Float32Array | null | undefined;
  resource: GPUBuffer | null | undefined;
}

type DataId = Tensor['dataId'];

/** The backend as far as the fused ops and the recording need it. */
export interface WebgpuBackend {
  bufferManager: BufferSource;
  commandEncoder: GPUCommandEncoder | null;
  computePassEncoder: GPUComputePassEncoder | null;
  commandQueueOwnedIds: WeakSet<DataId>;
  readonly tensorMap: { get(id: DataId): TensorData };
  ensureCommandEncoderReady(): void;
  endComputePassEncoder(): void;
  submitQueue(): void;
  uploadToGPU(id: DataId): void;
  makeTensorInfo(shape: number[], dtype: 'float32'): { dataId: DataId; shape: number[]; dtype: 'float32' };
}

/** The backend behind its known methods; throws when a new version of the package has lost one of them. */
export function webgpuBackend(tf: TensorFlow): WebgpuBackend {
  const backend = tf.backend() as unknown as WebgpuBackend;
  const used = [
    'ensureCommandEncoderReady',
    'endComputePassEncoder',
    'submitQueue',
    'uploadToGPU',
    'makeTensorInfo',
  ] as const;
  for (const name of used)
    if (typeof backend[name] !== 'function')
      throw new Error(`the webgpu backend of TensorFlow.js no longer has ${name}`);
  return backend;
}

/** The tensor's values on the device. */
export function bufferOf(backend: WebgpuBackend, tensor: Tensor): GPUBuffer {
  backend.uploadToGPU(tensor.dataId);
  const { resource } = backend.tensorMap.get(tensor.dataId);
  if (resource == null) throw new Error('a tensor has no buffer on the GPU');
  return resource;
}

/** A tensor without values, and the buffer to write them to; the backend owns both. */
export function emptyTensor(tf: TensorFlow, backend: WebgpuBackend, shape: readonly number[]): Tensor {
  const info = backend.makeTensorInfo([...shape], 'float32');
  backend.uploadToGPU(info.dataId);
  return tf.engine().makeTensorFromTensorInfo(info);
}

/** Sends what is encoded so far. */
export function submitPending(backend: WebgpuBackend): void {
  backend.endComputePassEncoder();
  if (backend.commandEncoder !== null) backend.submitQueue();
}
