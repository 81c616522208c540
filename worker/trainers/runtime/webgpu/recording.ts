/**
 * A step is the same few hundred dispatches every time, and making them anew in JavaScript takes longer than the GPU needs to
 * run them. So the first call of a step is recorded: on input buffers of its own, with every buffer that it uses kept for it, and
 * every dispatch and copy written down. Later calls copy the inputs there, encode the list again, and copy the outputs out.
 *
 * What makes this right: a step is a pure function of its inputs and does the same for the same shapes (`Runtime.compile`);
 * uniforms and constants that the host wrote while recording are never reused for anything else.
 */
import { assert } from '../../../../shared/core/assert.js';
import { at } from '../differentiable.js';
import type { CompiledStep, TensorStep } from '../runtime.js';
import type { Tensor } from '../tensorflow.js';
import { bufferOf, submitPending, type BufferSource } from './backend.js';
import type { Gpu } from './gpu.js';

type Command =
  | {
      readonly kind: 'dispatch';
      readonly pipeline: GPUComputePipeline;
      readonly bindGroup: GPUBindGroup;
      readonly groups: readonly [number, number, number];
    }
  | { readonly kind: 'copy'; readonly from: GPUBuffer; readonly to: GPUBuffer; readonly size: number };

/** Buffers of one recording, kept until it goes. */
class OwnBuffers implements BufferSource {
  readonly #device: GPUDevice;
  readonly #all: GPUBuffer[] = [];
  readonly #free = new Map<string, GPUBuffer[]>();
  readonly #fromHost = new Set<GPUBuffer>();
  numBytesUsed = 0;
  numBytesAllocated = 0;

  constructor(device: GPUDevice) {
    this.#device = device;
  }

  acquireBuffer(size: number, usage: number, mappedAtCreation = false): GPUBuffer {
    // What a dispatch leaves may be reused by a later one, in this order also when replayed; what the host wrote must stay.
    const reused = mappedAtCreation ? undefined : this.#free.get(`${size} ${usage}`)?.pop();
    if (reused !== undefined) return reused;
    const buffer = this.#device.createBuffer({ size, usage, mappedAtCreation });
    if (mappedAtCreation || (usage & GPUBufferUsage.UNIFORM) !== 0) this.#fromHost.add(buffer);
    this.#all.push(buffer);
    this.numBytesAllocated += size;
    this.numBytesUsed += size;
    return buffer;
  }

  releaseBuffer(buffer: GPUBuffer): void {
    if (this.#fromHost.has(buffer)) return;
    const key = `${buffer.size} ${buffer.usage}`;
    this.#free.set(key, [...(this.#free.get(key) ?? []), buffer]);
  }

  getNumUsedBuffers(): number {
    return this.#all.length;
  }

  getNumFreeBuffers(): number {
    return 0;
  }

  dispose(): void {
    this.#all.forEach((buffer) => buffer.destroy());
  }
}

interface Kept {
  readonly buffer: GPUBuffer;
  readonly shape: readonly number[];
}

/** One recorded step for one set of shapes. */
export interface Recording {
  readonly inputs: readonly GPUBuffer[];
  readonly outputs: readonly Kept[];
  readonly commands: readonly Command[];
  readonly own: BufferSource;
}

/** An encoder that writes down what is encoded. The backend uses no other methods while a step runs. */
function listeningEncoder(encoder: GPUCommandEncoder, commands: Command[]): GPUCommandEncoder {
  const beginComputePass = (): GPUComputePassEncoder => {
    const pass = encoder.beginComputePass();
    let pipeline: GPUComputePipeline | null = null;
    let bindGroup: GPUBindGroup | null = null;
    const listening = {
      setPipeline: (next: GPUComputePipeline) => {
        pipeline = next;
        pass.setPipeline(next);
      },
      setBindGroup: (index: number, next: GPUBindGroup) => {
        bindGroup = next;
        pass.setBindGroup(index, next);
      },
      dispatchWorkgroups: (x: number, y = 1, z = 1) => {
        assert(pipeline !== null && bindGroup !== null, 'a dispatch without pipeline or bindings');
        commands.push({ kind: 'dispatch', pipeline, bindGroup, groups: [x, y, z] });
        pass.dispatchWorkgroups(x, y, z);
      },
      end: () => pass.end(),
    };
    return listening as unknown as GPUComputePassEncoder;
  };
  const listening = {
    beginComputePass,
    copyBufferToBuffer: (...copy: Parameters<GPUCommandEncoder['copyBufferToBuffer']>) => {
      const [from, fromAt, to, toAt, size] = copy;
      assert(fromAt === 0 && toAt === 0, 'a recorded copy of a part of a buffer');
      // Uploads are not repeated: what the host wrote stays where it is.
      if ((from.usage & GPUBufferUsage.MAP_WRITE) === 0) commands.push({ kind: 'copy', from, to, size });
      encoder.copyBufferToBuffer(...copy);
    },
    finish: () => encoder.finish(),
  };
  return listening as unknown as GPUCommandEncoder;
}

const floatBytes = 4;

/** Puts the values of a tensor into a buffer, after everything that was sent before. */
function copyIn(gpu: Gpu, encoder: GPUCommandEncoder, tensor: Tensor, to: GPUBuffer): void {
  const { values, resource } = gpu.backend.tensorMap.get(tensor.dataId);
  if (resource != null) encoder.copyBufferToBuffer(resource, 0, to, 0, floatBytes * tensor.size);
  else if (values != null)
    gpu.device.queue.writeBuffer(to, 0, values.buffer, values.byteOffset, values.byteLength);
  else throw new Error('a tensor without values');
}

/** Runs the step once, written down; its results are in the recording's outputs. */
function record(gpu: Gpu, step: TensorStep, inputs: readonly Tensor[]): Recording {
  const { tf, backend, device } = gpu;
  submitPending(backend);
  const shared = backend.bufferManager;
  const own = new OwnBuffers(device);
  const commands: Command[] = [];
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  backend.bufferManager = own;
  device.createCommandEncoder = (descriptor) => listeningEncoder(createCommandEncoder(descriptor), commands);
  try {
    const encoder = createCommandEncoder();
    const twins = inputs.map((input) => gpu.empty(input.shape));
    inputs.forEach((input, i) => copyIn(gpu, encoder, input, bufferOf(backend, at(twins, i))));
    device.queue.submit([encoder.finish()]);
    const results = tf.tidy(() => [...step(twins)]);
    const recording = {
      inputs: twins.map((twin) => bufferOf(backend, twin)),
      outputs: results.map((result): Kept => ({ buffer: bufferOf(backend, result), shape: result.shape })),
      ...{ commands, own },
    };
    submitPending(backend);
    tf.dispose([...twins, ...results]);
    return recording;
  } catch (error) {
    own.dispose();
    throw error;
  } finally {
    submitPending(backend);
    backend.bufferManager = shared;
    device.createCommandEncoder = createCommandEncoder;
  }
}

/** Encodes the commands again. */
export function encode(encoder: GPUCommandEncoder, commands: readonly Command[]): void {
  let pass: GPUComputePassEncoder | null = null;
  for (const command of commands) {
    if (command.kind === 'copy') {
      pass?.end();
      pass = null;
      encoder.copyBufferToBuffer(command.from, 0, command.to, 0, command.size);
      continue;
    }
    pass ??= encoder.beginComputePass();
    pass.setPipeline(command.pipeline);
    pass.setBindGroup(0, command.bindGroup);
    pass.dispatchWorkgroups(...command.groups);
  }
  pass?.end();
}

function outputsOf(gpu: Gpu, recording: Recording, encoder: GPUCommandEncoder): Tensor[] {
  return recording.outputs.map(({ buffer, shape }) => {
    const tensor = gpu.empty(shape);
    encoder.copyBufferToBuffer(buffer, 0, gpu.buffer(tensor), 0, floatBytes * tensor.size);
    return tensor;
  });
}

/** Sets of shapes that a step remembers; an epoch has two, its full and its last batch. */
const recordingsMax = 8;

/** All recorded steps of a runtime. */
export class Recorder {
  readonly #gpu: Gpu;
  /** Sent before anything is encoded or copied: a poisoned device must not go on. */
  readonly #check: () => void;
  readonly #recordings = new Set<Map<string, Recording>>();

  constructor(gpu: Gpu, check: () => void) {
    this.#gpu = gpu;
    this.#check = check;
  }

  /** Bytes of all buffers that recordings own. */
  get bytes(): number {
    return [...this.#recordings]
      .flatMap((known) => [...known.values()])
      .reduce((sum, { own }) => sum + own.numBytesAllocated, 0);
  }

  /** Every recording, for those who measure. */
  get all(): readonly Recording[] {
    return [...this.#recordings].flatMap((known) => [...known.values()]);
  }

  compile(step: TensorStep): CompiledStep {
    const known = new Map<string, Recording>();
    const run: TensorStep = (inputs) => {
      this.#check();
      // Forgotten by `clear` or `release` meanwhile: begun anew.
      this.#recordings.add(known);
      const key = inputs.map(({ shape }) => shape.join('×')).join(' ');
      const found = known.get(key);
      return found === undefined ? this.#first(known, key, step, inputs) : this.#again(found, inputs);
    };
    return Object.assign(run, { release: () => this.#forget(known) });
  }

  /** What was sent before still runs: a buffer that is destroyed goes after the work that uses it. */
  #forget(known: Map<string, Recording>): void {
    for (const { own } of known.values()) own.dispose();
    known.clear();
    this.#recordings.delete(known);
  }

  #first(known: Map<string, Recording>, key: string, step: TensorStep, inputs: readonly Tensor[]): Tensor[] {
    const gpu = this.#gpu;
    const recording = record(gpu, step, inputs);
    const oldest = known.size >= recordingsMax ? [...known.entries()][0] : undefined;
    if (oldest !== undefined) {
      oldest[1].own.dispose();
      known.delete(oldest[0]);
    }
    known.set(key, recording);
    const encoder = gpu.device.createCommandEncoder();
    const outputs = outputsOf(gpu, recording, encoder);
    gpu.device.queue.submit([encoder.finish()]);
    return outputs;
  }

  #again(recording: Recording, inputs: readonly Tensor[]): Tensor[] {
    const gpu = this.#gpu;
    submitPending(gpu.backend);
    const encoder = gpu.device.createCommandEncoder();
    inputs.forEach((input, i) => copyIn(gpu, encoder, input, at(recording.inputs, i)));
    encode(encoder, recording.commands);
    const outputs = outputsOf(gpu, recording, encoder);
    gpu.device.queue.submit([encoder.finish()]);
    return outputs;
  }

  /** Forgets everything and gives its buffers back. */
  clear(): void {
    for (const known of [...this.#recordings]) this.#forget(known);
  }
}
