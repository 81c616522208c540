/**
 * The inner loops of the sampler, for a block of sixteen candidates. `run` computes for every candidate j
 * unit_j · Σ_k weight_k · Π_t row[id_kt][j] · 2^−Σ_c ((x_cj − u_kc)·s_kc)², in single precision, times `powerUnit` if there
 * are coordinates. Rows hold what each distinct
 * one-dimensional kernel says about every candidate, so that stepped and categorical parameters cost one multiplication
 * and continuous ones share one exponential. After every few rows a kernel is dropped whose product can no longer matter
 * to any of the sixteen.
 *
 * The code is made for one number of tables and of coordinates: with everything unrolled it is half as long to run as
 * with loops. Single precision is twice as wide as double; its result only narrows the choice (see `space-model.ts`). Sums
 * over a chunk of kernels are kept short and added up in double precision, so that rounding does not grow with their number.
 */
import {
  block,
  f32Load,
  f32x4,
  i32,
  i32x4,
  leaveIf,
  local,
  loopWhile,
  v128,
  wasmModule,
  when,
  type Code,
} from './wasm-module.js';

/** Vectors of four lanes per block. */
const blockVectors = 4;
/** Candidates per block. A row of a block has one number for each. */
export const blockLanes = 4 * blockVectors;
export const blockBytes = blockLanes * 4;
/** Rows multiplied between two looks at whether the product still matters. */
export const stageTables = 3;
/** Adding it leaves the nearest integer in the low bits of a float, for numbers well below 2²². */
const roundingMagic = 1.5 * 2 ** 23;
/**
 * Largest exponent e of the factor 2^−e: what lies farther away is taken as if it lay here, so that all kernels together
 * add at most 2^−exponentMax of what they would if each was right at the candidate. `MixtureScreen.open` must only accept
 * mixtures for which that is nothing beside the prior's part.
 */
export const exponentMax = 140;
/**
 * The factor is computed times this power of two, and products begin as much smaller: 2^(powerBias − exponentMax) is then
 * still a normal number.
 */
const powerBias = 16;
export const powerUnit = 2 ** powerBias;

/** What the loops read from the address that they are called with, one i32 each: numbers of things, addresses of arrays. */
export const parameterNames = [
  ...(['kernels', 'fills', 'multiplications', 'fillJobs', 'multiplyJobs'] as const),
  ...(['weights', 'ids', 'centres', 'scales'] as const),
  // From the scales of one kernel to the next one's, in bytes; 0 if all have the same.
  'scaleStep' as const,
  ...(['rows', 'points', 'grids', 'factors', 'units', 'thresholds', 'totals'] as const),
];
export type ParameterName = (typeof parameterNames)[number];

const i32Names = ['pointer', 'left', 'offset', 'target', 'source', 'other'] as const;
const vectorNames = [
  ...(['product0', 'product1', 'product2', 'product3'] as const),
  ...(['total0', 'total1', 'total2', 'total3'] as const),
  ...(['exponent0', 'exponent1', 'exponent2', 'exponent3'] as const),
  ...(['splatCentre', 'splatScale', 'scratch', 'whole'] as const),
];
type Name = ParameterName | (typeof i32Names)[number] | (typeof vectorNames)[number];
const indexOf = new Map<Name, number>(
  [...parameterNames, ...i32Names, ...vectorNames].map((name, i) => [name, i + 1]),
);

const get = (name: Name): Code => local.get(indexOf.get(name) ?? 0);
const set = (name: Name): Code => local.set(indexOf.get(name) ?? 0);
const tee = (name: Name): Code => local.tee(indexOf.get(name) ?? 0);
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);
const quads = ([0, 1, 2, 3] as const).slice(0, blockVectors);
const each = (body: (quad: 0 | 1 | 2 | 3) => Code[]): Code => quads.flatMap((quad) => body(quad).flat());
const increment = (name: Name, by: Code): Code => [get(name), by, i32.add, set(name)].flat();
/** Counts down and leaves the rest on the stack: the loop's condition. */
const countDown = (name: Name): Code => [get(name), i32.const(1), i32.sub, tee(name)].flat();

/** product ← product · row[id], for table t. */
const multiplyRow = (t: number): Code =>
  [
    [get('rows'), get('ids'), i32.load(4 * t), i32.add, set('pointer')].flat(),
    each((q) => [get(`product${q}`), get('pointer'), v128.load(16 * q), f32x4.mul, set(`product${q}`)]),
  ].flat();

/** Whether any product is above the threshold of a stage. */
const anyMatters = (stage: number): Code =>
  [
    get('product0'),
    ...quads.slice(1).map((q) => [get(`product${q}`), f32x4.pmax].flat()),
    [get('thresholds'), f32Load(4 * stage), f32x4.splat, f32x4.greater, v128.anyTrue].flat(),
  ].flat();

/** Multiplies all rows in stages; leaves the enclosing block when the product no longer matters. */
const multiplyRows = (tables: number): Code =>
  range(0, Math.ceil(tables / stageTables)).flatMap((stage) => [
    ...range(stage * stageTables, Math.min((stage + 1) * stageTables, tables)).flatMap(multiplyRow),
    ...[anyMatters(stage), i32.eqz, leaveIf(0)].flat(),
  ]);

/** exponent ← Σ_c ((x_c − u_c)·s_c)². */
const sumSquares = (coordinates: number): Code =>
  range(0, coordinates).flatMap((c) =>
    [
      [get('centres'), f32Load(4 * c), f32x4.splat, set('splatCentre')].flat(),
      [get('scales'), f32Load(4 * c), f32x4.splat, set('splatScale')].flat(),
      each((q) => [
        [get('points'), v128.load(c * blockBytes + 16 * q), get('splatCentre'), f32x4.sub].flat(),
        [get('splatScale'), f32x4.mul, tee('scratch'), get('scratch'), f32x4.mul].flat(),
        c === 0 ? [] : [get(`exponent${q}`), f32x4.add].flat(),
        set(`exponent${q}`),
      ]),
    ].flat(),
  );

/** Coefficients of 2^f for |f| ≤ ½, highest power first: (ln 2)^k / k!, good to 2.5e-6. */
const powerSeries = [5, 4, 3, 2, 1, 0].map((k) => {
  let coefficient = 1;
  for (let i = 1; i <= k; i++) coefficient *= Math.LN2 / i;
  return coefficient;
});

/** product ← product · powerUnit · 2^−exponent: 2^f by its series, times 2^−n by putting n into the exponent bits. */
const multiplyPowers: Code = each((q) => [
  [get(`exponent${q}`), f32x4.const(exponentMax), f32x4.pmin, tee(`exponent${q}`)].flat(),
  [f32x4.const(roundingMagic), f32x4.add, tee('whole'), f32x4.const(roundingMagic), f32x4.sub].flat(),
  [get(`exponent${q}`), f32x4.sub, set('scratch')].flat(),
  f32x4.const(powerSeries[0] ?? 0),
  ...powerSeries.slice(1).map((c) => [...get('scratch'), ...f32x4.mul, ...f32x4.const(c), ...f32x4.add]),
  [i32x4.const((127 + powerBias) << 23), get('whole'), i32.const(23), i32x4.shl, i32x4.sub].flat(),
  [f32x4.mul, get(`product${q}`), f32x4.mul, set(`product${q}`)].flat(),
]);

/** Adds one kernel to the totals. */
const addKernel = (tables: number, coordinates: number): Code =>
  block(
    [get('weights'), f32Load(0), f32x4.splat, set('scratch')].flat(),
    each((q) => [get('scratch'), get('units'), v128.load(16 * q), f32x4.mul, set(`product${q}`)]),
    multiplyRows(tables),
    coordinates > 0 ? [...sumSquares(coordinates), ...multiplyPowers] : [],
    each((q) => [get(`total${q}`), get(`product${q}`), f32x4.add, set(`total${q}`)]),
  );

/** Reads all parameters into locals. */
const prologue: Code = parameterNames.flatMap((name, i) => [local.get(0), i32.load(4 * i), set(name)].flat());

const run = (tables: number, coordinates: number): Code =>
  [
    prologue,
    each((q) => [f32x4.const(0), set(`total${q}`)]),
    loopWhile(
      addKernel(tables, coordinates),
      increment('weights', i32.const(4)),
      increment('ids', i32.const(4 * tables)),
      increment('centres', i32.const(4 * coordinates)),
      increment('scales', get('scaleStep')),
      countDown('kernels'),
    ),
    each((q) => [get('totals'), get(`total${q}`), v128.store(16 * q)]),
  ].flat();

/** The address of a row, or of another array of rows, whose number is on the stack. */
const rowOf = (array: Name): Code => [i32.const(Math.log2(blockBytes)), i32.shl, get(array), i32.add].flat();
/** The i32 of a job, `offset` bytes from its beginning. */
const field = (offset: number): Code => [get('pointer'), i32.load(offset)].flat();

/**
 * Fill jobs are four words: row, address in a table of masses, number of the axis, factor. For each candidate the
 * row gets table[grid] · factors[axis] · factor, where `grid` is the candidate's position on the axis in bytes.
 */
export const fillJobWords = 4;
const fill: Code = [
  prologue,
  [get('fillJobs'), set('pointer'), get('fills'), set('left'), get('fills')].flat(),
  when(
    loopWhile(
      [field(0), rowOf('rows'), set('target'), field(4), set('source')].flat(),
      [field(8), rowOf('grids'), set('offset'), field(8), rowOf('factors'), set('other')].flat(),
      [get('pointer'), f32Load(12), f32x4.splat, set('splatScale')].flat(),
      each((q) => [
        get('target'),
        // The addresses are put down from the last lane to the second, so that they come up from the second on.
        [3, 2, 1].flatMap((lane) =>
          [get('offset'), i32.load(16 * q + 4 * lane), get('source'), i32.add].flat(),
        ),
        [get('offset'), i32.load(16 * q), get('source'), i32.add, v128.loadFirst].flat(),
        [v128.loadLane(1), v128.loadLane(2), v128.loadLane(3)].flat(),
        [get('other'), v128.load(16 * q), f32x4.mul, get('splatScale'), f32x4.mul, v128.store(16 * q)].flat(),
      ]),
      increment('pointer', i32.const(4 * fillJobWords)),
      countDown('left'),
    ),
  ),
].flat();

/** Multiply jobs are three words: the row that becomes the product of the two others. */
export const multiplyJobWords = 3;
const multiply: Code = [
  prologue,
  [get('multiplyJobs'), set('pointer'), get('multiplications'), set('left'), get('multiplications')].flat(),
  when(
    loopWhile(
      [field(0), rowOf('rows'), set('target'), field(4), rowOf('rows'), set('source')].flat(),
      [field(8), rowOf('rows'), set('other')].flat(),
      each((q) => [
        [get('target'), get('source'), v128.load(16 * q)].flat(),
        [get('other'), v128.load(16 * q), f32x4.mul, v128.store(16 * q)].flat(),
      ]),
      increment('pointer', i32.const(4 * multiplyJobWords)),
      countDown('left'),
    ),
  ),
].flat();

const locals = { i32s: parameterNames.length + i32Names.length, v128s: vectorNames.length };

/** The bytes of the module with `fill` and `multiply`. */
export function rowsModule(): Uint8Array<ArrayBuffer> {
  return wasmModule([
    { name: 'fill', ...locals, body: fill },
    { name: 'multiply', ...locals, body: multiply },
  ]);
}

/** The bytes of the module with `run` for so many tables and coordinates. */
export function sumModule(tables: number, coordinates: number): Uint8Array<ArrayBuffer> {
  return wasmModule([{ name: 'run', ...locals, body: run(tables, coordinates) }]);
}
