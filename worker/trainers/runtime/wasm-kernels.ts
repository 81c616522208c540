/** Loads the compiled SIMD kernels (kernels/*.as) and lays out their memory. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { at } from './differentiable.js';

/** Pointers are byte offsets into the instance's memory; sizes are counts. The .as files document each function. */
export interface KernelFunctions {
  lstmForward(...pointersThenSizes: number[]): void;
  lstmBackward(...pointersThenSizes: number[]): void;
  hermiteForward(...pointersThenSizes: number[]): void;
  hermiteBackward(...pointersThenSizes: number[]): void;
  linearForward(...pointersThenSizes: number[]): void;
  linearBackward(...pointersThenSizes: number[]): void;
  geluForward(...pointersThenSizes: number[]): void;
  geluBackward(...pointersThenSizes: number[]): void;
}

interface KernelExports extends KernelFunctions {
  readonly memory: { readonly buffer: ArrayBuffer; readonly grow: (pages: number) => number };
  readonly heapBase: { readonly value: number };
}

/** What is used of the WebAssembly interface; Node's types do not declare it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (module: object) => { readonly exports: unknown };
};

const pageBytes = 65_536;
/** Buffers begin on cache lines. */
const alignment = 64;

/** The compiled file: beside this one in dist/, and found there too when the sources run under a test runner. */
function kernelFile(): string {
  const here = import.meta.dirname;
  const candidates = [
    path.join(here, 'kernels.wasm'),
    path.join(here, '../../../dist/worker/trainers/runtime/kernels.wasm'),
  ];
  const found = candidates.find((candidate) => existsSync(candidate));
  if (found === undefined)
    throw new Error(`the compiled kernels are missing (${at(candidates, 0)}): run npm run build`);
  return found;
}

/** Pointers by buffer name. */
export type Placement<K extends string> = Readonly<Record<K, number>>;

/** One instance of the kernels with a memory of its own, which only grows; drop the instance to give it back. */
export interface KernelInstance {
  readonly call: KernelFunctions;
  /** Places buffers of the given numbers of floats one after the other, over whatever was there. */
  place<K extends string>(floats: Readonly<Record<K, number>>): Placement<K>;
  write(pointer: number, values: Float32Array): void;
  /** A view of `count` floats, valid until the next call of anything here. */
  view(pointer: number, count: number): Float32Array;
  memoryBytes(): number;
}

function createInstance(module: object): KernelInstance {
  // The shape is that of kernels/index.as; the compiler cannot see it.
  const exported = new WebAssembly.Instance(module).exports as KernelExports;
  const { memory, heapBase } = exported;
  const ensure = (bytes: number): void => {
    const missing = bytes - memory.buffer.byteLength;
    // Throws a RangeError when the memory cannot grow; the runtime classifies it as out of memory.
    if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
  };
  return {
    call: exported,
    place: <K extends string>(floats: Readonly<Record<K, number>>): Placement<K> => {
      let end = heapBase.value;
      const pointers: Record<string, number> = {};
      for (const [name, count] of Object.entries<number>(floats)) {
        pointers[name] = end;
        end += Math.ceil((4 * count) / alignment) * alignment;
      }
      ensure(end);
      return pointers as Placement<K>;
    },
    write: (pointer, values) => new Float32Array(memory.buffer, pointer, values.length).set(values),
    view: (pointer, count) => new Float32Array(memory.buffer, pointer, count),
    memoryBytes: () => memory.buffer.byteLength,
  };
}

/** Compiles the kernels once; each call of the result makes a fresh instance. Throws when the build is missing. */
export function loadKernels(): () => KernelInstance {
  const module = new WebAssembly.Module(readFileSync(kernelFile()));
  return () => createInstance(module);
}
