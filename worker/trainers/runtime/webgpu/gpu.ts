/** Dispatches WGSL kernels through the backend's own command encoder, so that they run in order with its operations. */
import type { Tensor, TensorFlow } from '../tensorflow.js';
import { bufferOf, emptyTensor, type WebgpuBackend } from './backend.js';
import { GpuError, type Poison } from './errors.js';
import { bindings } from './wgsl.js';

/** A compute shader. Its last binding is the uniform `P` with the rows of the batch; the others are storage buffers. */
export interface Kernel {
  /** Names the shader with all sizes that are constants in it. */
  readonly key: string;
  /** The storage buffers in order, as `bindings` takes them. */
  readonly buffers: readonly string[];
  /** WGSL without the bindings. */
  readonly code: () => string;
}

interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

export interface Dispatch {
  readonly kernel: Kernel;
  /** In the order of their bindings. */
  readonly buffers: readonly GPUBuffer[];
  /** Rows of the batch. */
  readonly batch: number;
  readonly groups: readonly [x: number, y?: number, z?: number];
}

/** Dispatches after which the encoded work is sent, so that the GPU begins while more is encoded. */
const submitEvery = 48;
/** Buffers from this size on are asked for in an error scope, whose answer names what they were for. */
const scopedBytes = 16 * 1024 * 1024;

export class Gpu {
  readonly tf: TensorFlow;
  readonly device: GPUDevice;
  readonly backend: WebgpuBackend;
  readonly #poison: Poison;
  readonly #pipelines = new Map<string, Pipeline>();
  readonly #batches = new Map<number, GPUBuffer>();
  #scratch = new Map<string, GPUBuffer>();
  #retired: GPUBuffer[] = [];
  #dispatches = 0;

  constructor(tf: TensorFlow, device: GPUDevice, backend: WebgpuBackend, poison: Poison) {
    this.tf = tf;
    this.device = device;
    this.backend = backend;
    this.#poison = poison;
  }

  /** Bytes of all scratch buffers. */
  get scratchBytes(): number {
    return [...this.#scratch.values(), ...this.#retired].reduce((sum, { size }) => sum + size, 0);
  }

  /** A buffer by name with room for so many floats. It keeps its content until the next one of that name that is larger. */
  scratch(name: string, floats: number): GPUBuffer {
    const bytes = Math.max(16, Math.ceil(floats / 4) * 16);
    const known = this.#scratch.get(name);
    if (known !== undefined && known.size >= bytes) return known;
    // Recorded steps may still use the smaller one.
    if (known !== undefined) this.#retired.push(known);
    const buffer = this.allocate(name, bytes);
    this.#scratch.set(name, buffer);
    return buffer;
  }

  /** A storage buffer. Throws when the device cannot hold one of this size; a driver's refusal poisons the runtime. */
  allocate(name: string, bytes: number): GPUBuffer {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.device.limits;
    const limit = Math.min(maxBufferSize, maxStorageBufferBindingSize);
    if (bytes > limit)
      throw new GpuError(
        'oom',
        `out of GPU memory: '${name}' needs ${bytes} bytes, a buffer of this device has at most ${limit}`,
      );
    const scoped = bytes >= scopedBytes;
    if (scoped) this.device.pushErrorScope('out-of-memory');
    const buffer = this.device.createBuffer({
      label: name,
      size: bytes,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
    });
    if (scoped)
      this.#poison.await(
        this.device.popErrorScope().then((error) => {
          if (error !== null) this.#poison.report(error, ` (${bytes} bytes for '${name}')`);
        }),
      );
    return buffer;
  }

  /** Gives back all scratch buffers; what was recorded on them must be gone. */
  releaseScratch(): void {
    for (const buffer of [...this.#scratch.values(), ...this.#retired]) buffer.destroy();
    this.#scratch = new Map();
    this.#retired = [];
  }

  buffer(tensor: Tensor): GPUBuffer {
    return bufferOf(this.backend, tensor);
  }

  empty(shape: readonly number[]): Tensor {
    return emptyTensor(this.tf, this.backend, shape);
  }

  /** Encodes one dispatch after everything that was encoded before. `tensors` are what the buffers belong to. */
  run({ kernel, buffers, batch, groups }: Dispatch, tensors: readonly Tensor[]): void {
    const { backend } = this;
    const { pipeline, layout } = this.#pipeline(kernel);
    const entries = [...buffers, this.#batchUniform(batch)].map((buffer, binding) => ({
      binding,
      resource: { buffer },
    }));
    const bindGroup = this.device.createBindGroup({ layout, entries });
    backend.ensureCommandEncoderReady();
    backend.computePassEncoder ??= backend.commandEncoder?.beginComputePass() ?? null;
    const pass = backend.computePassEncoder;
    if (pass === null) throw new Error('the webgpu backend of TensorFlow.js has no command encoder');
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(groups[0], groups[1] ?? 1, groups[2] ?? 1);
    // Tensors that are disposed of now must keep their buffers until this has been sent.
    for (const tensor of tensors) backend.commandQueueOwnedIds.add(tensor.dataId);
    this.#dispatches += 1;
    if (this.#dispatches % submitEvery === 0) {
      backend.endComputePassEncoder();
      backend.submitQueue();
    }
  }

  #pipeline({ key, buffers, code }: Kernel): Pipeline {
    let known = this.#pipelines.get(key);
    if (known === undefined) {
      const module = this.device.createShaderModule({ label: key, code: `${bindings(buffers)}\n${code()}` });
      const visibility = GPUShaderStage.COMPUTE;
      // Not `auto`, which leaves out bindings that a kernel happens not to use.
      const layout = this.device.createBindGroupLayout({
        entries: [
          ...buffers.map((spec, binding): GPUBindGroupLayoutEntry => {
            const type = spec.startsWith('*') ? 'storage' : 'read-only-storage';
            return { binding, visibility, buffer: { type } };
          }),
          { binding: buffers.length, visibility, buffer: { type: 'uniform' } },
        ],
      });
      const pipeline = this.device.createComputePipeline({
        label: key,
        layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module, entryPoint: 'main' },
      });
      known = { pipeline, layout };
      this.#pipelines.set(key, known);
    }
    return known;
  }

  /** The uniform with the number of rows; never rewritten, so that recorded steps may keep it. */
  #batchUniform(batch: number): GPUBuffer {
    let buffer = this.#batches.get(batch);
    if (buffer === undefined) {
      buffer = this.device.createBuffer({
        size: 16,
        usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
        mappedAtCreation: true,
      });
      new Uint32Array(buffer.getMappedRange()).set([batch, 0, 0, 0]);
      buffer.unmap();
      this.#batches.set(batch, buffer);
    }
    return buffer;
  }
}
