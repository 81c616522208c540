/**
 * As much of a WebAssembly assembler as one function with SIMD needs: instructions are byte lists, named as in the
 * specification's text format. The binary is small enough to be written out by hand, which saves a compiler in the
 * build; `screen-program.ts` holds the only program.
 */
export type Code = readonly number[];

/** Unsigned LEB128, the variable-length integers of the format. */
export function unsigned(value: number): Code {
  const bytes: number[] = [];
  let rest = value;
  do {
    const more = rest >= 128;
    bytes.push((rest % 128) + (more ? 128 : 0));
    rest = Math.floor(rest / 128);
  } while (rest > 0);
  return bytes;
}

/** Signed LEB128 of a 32-bit integer. */
function signed(value: number): Code {
  const bytes: number[] = [];
  let rest = value | 0;
  for (;;) {
    const low = rest & 0x7f;
    rest >>= 7;
    const done = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
    bytes.push(done ? low : low | 0x80);
    if (done) return bytes;
  }
}

const simd = (opcode: number): Code => [0xfd, ...unsigned(opcode)];
/** Four equal lanes of a 32-bit pattern as a constant. */
const lanes = (bits: number): Code => {
  const bytes = [bits & 255, (bits >>> 8) & 255, (bits >>> 16) & 255, bits >>> 24];
  return [...simd(0x0c), ...bytes, ...bytes, ...bytes, ...bytes];
};

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  add: [0x6a] as Code,
  sub: [0x6b] as Code,
  shl: [0x74] as Code,
  eqz: [0x45] as Code,
  /** Load from so many bytes behind the address on the stack. */
  load: (offset: number): Code => [0x28, 2, ...unsigned(offset)],
};

/** Load from so many bytes behind the address on the stack. */
export const f32Load = (offset: number): Code => [0x2a, 2, ...unsigned(offset)];

export const v128 = {
  load: (offset: number): Code => [...simd(0x00), 2, ...unsigned(offset)],
  store: (offset: number): Code => [...simd(0x0b), 2, ...unsigned(offset)],
  /** One number from memory into the first lane, 0 in the others. */
  loadFirst: [...simd(0x5c), 2, 0] as Code,
  /** One number from memory into another lane; the address lies below the vector on the stack. */
  loadLane: (lane: number): Code => [...simd(0x56), 2, 0, lane],
  anyTrue: simd(0x53),
};

export const f32x4 = {
  const: (value: number): Code => lanes(new Int32Array(Float32Array.of(value).buffer)[0] ?? 0),
  splat: simd(0x13),
  greater: simd(0x44),
  add: simd(0xe4),
  sub: simd(0xe5),
  mul: simd(0xe6),
  /** As the machine has it: without the care for NaN and −0 that `min` and `max` pay for. */
  pmin: simd(0xea),
  pmax: simd(0xeb),
};

export const i32x4 = {
  const: lanes,
  sub: simd(0xb1),
  shl: simd(0xab),
};

export const local = {
  get: (index: number): Code => [0x20, ...unsigned(index)],
  set: (index: number): Code => [0x21, ...unsigned(index)],
  tee: (index: number): Code => [0x22, ...unsigned(index)],
};

/** The body again and again for as long as its last instruction leaves a non-zero i32. */
export const loopWhile = (...body: Code[]): Code => [0x03, 0x40, ...body.flat(), 0x0d, 0, 0x0b];
/** The body once; `leave` inside ends it. */
export const block = (...body: Code[]): Code => [0x02, 0x40, ...body.flat(), 0x0b];
/** Ends the construct `depth` levels out (0 the innermost) if the i32 on the stack is not zero. */
export const leaveIf = (depth: number): Code => [0x0d, depth];
/** The body if the i32 on the stack is not zero. */
export const when = (...body: Code[]): Code => [0x04, 0x40, ...body.flat(), 0x0b];

const section = (id: number, content: Code): Code => [id, ...unsigned(content.length), ...content];
const text = (value: string): Code => [value.length, ...Array.from(value, (letter) => letter.charCodeAt(0))];

/** One exported function with one i32 parameter, its local 0, and no result. */
export interface WasmFunction {
  readonly name: string;
  /** Further locals, numbered from 1 on: first the i32s, then the vectors. */
  readonly i32s: number;
  readonly v128s: number;
  readonly body: Code;
}

/** The bytes of a module that imports the memory `env.memory` and exports the given functions. */
export function wasmModule(functions: readonly WasmFunction[]): Uint8Array<ArrayBuffer> {
  const codes = functions.map(({ i32s, v128s, body }) => {
    const code = [2, ...unsigned(i32s), 0x7f, ...unsigned(v128s), 0x7b, ...body, 0x0b];
    return [...unsigned(code.length), ...code];
  });
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, [1, 0x60, 1, 0x7f, 0]),
    ...section(2, [1, ...text('env'), ...text('memory'), 2, 0, 0]),
    ...section(3, [functions.length, ...functions.map(() => 0)]),
    ...section(7, [functions.length, ...functions.flatMap(({ name }, i) => [...text(name), 0, i])]),
    ...section(10, [functions.length, ...codes.flat()]),
  ]);
}
