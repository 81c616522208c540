/**
 * The inner loops of the sampler. `run` computes for every candidate j, Σ_k weight_k · Π_t row[id_kt][j] · 2^−Σ_c ((x_cj − u_kc)·s_kc)²,
 * in single precision, sixteen candidates at a time. Rows hold what each distinct one-dimensional kernel says about
 * every candidate, so that stepped and categorical parameters cost one multiplication and continuous ones share one
 * exponential. After every few rows a kernel is dropped whose product can no longer matter to any of the sixteen: in a
 * space with categorical parameters that is most of them.
 *
 * Single precision is twice as wide as double; its result only narrows the choice (see `space-model.ts`). Sums over a
 * chunk of kernels are kept short and added up in double precision, so that rounding does not grow with their number.
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
  select,
  v128,
  wasmModule,
  when,
  type Code,
} from './wasm-module.js';

/** Candidates per turn of the inner loop: four vectors of four lanes. */
export const blockLanes = 16;
export const blockBytes = blockLanes * 4;
/** Rows multiplied between two looks at whether the product still matters. */
export const stageTables = 3;
/** Adding it leaves the nearest integer in the low bits of a float, for numbers well below 2²². */
const roundingMagic = 1.5 * 2 ** 23;
/** Largest exponent of the factor 2^−e: beyond it the factor is as good as nothing, but still a normal number. */
const exponentMax = 100;

/**
 * What the loops read from the address that they are called with, one i32 each: numbers of things, addresses of arrays,
 * and the sizes of a row (as a power of two of bytes) and of the part of it that is used.
 */
export const parameterNames = [
  ...(['kernels', 'tables', 'coordinates', 'fills', 'multiplications'] as const),
  ...(['weights', 'ids', 'centres', 'scales', 'fillJobs', 'multiplyJobs'] as const),
  ...(['rows', 'points', 'grids', 'factors', 'thresholds', 'totals'] as const),
  ...(['strideShift', 'blocksBytes'] as const),
];
export type ParameterName = (typeof parameterNames)[number];

const i32Names = [
  ...(['block', 'kernel', 'left', 'pointer', 'id', 'centre', 'scale', 'weight'] as const),
  ...(['nextId', 'nextCentre', 'nextScale', 'unread', 'threshold'] as const),
];
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
const quads = [0, 1, 2, 3] as const;
const each = (body: (quad: 0 | 1 | 2 | 3) => Code[]): Code => quads.flatMap((quad) => body(quad).flat());
const increment = (name: Name, by: Code): Code => [get(name), by, i32.add, set(name)].flat();
/** Counts `left` down and leaves it on the stack: the loop's condition. */
const countDown = (name: Name): Code => [get(name), i32.const(1), i32.sub, tee(name)].flat();

/** product ← product · row[id], for the next `left` tables. */
const multiplyRows: Code = loopWhile(
  [get('rows'), get('id'), i32.load, get('strideShift'), i32.shl, i32.add, get('block'), i32.add].flat(),
  set('pointer'),
  each((q) => [get(`product${q}`), get('pointer'), v128.load(16 * q), f32x4.mul, set(`product${q}`)]),
  increment('id', i32.const(4)),
  countDown('left'),
);

/** Whether any of the sixteen products is above the threshold of this stage. */
const anyMatters: Code = [
  [get('product0'), get('product1'), f32x4.pmax, get('product2'), get('product3'), f32x4.pmax].flat(),
  [f32x4.pmax, get('threshold'), f32Load, f32x4.splat, f32x4.greater, v128.anyTrue].flat(),
].flat();

/** Multiplies all rows in stages; leaves the enclosing block when the product no longer matters. */
const multiplyStages: Code = [
  [get('tables'), set('unread'), get('thresholds'), set('threshold')].flat(),
  loopWhile(
    // left ← the smaller of stageTables and unread; unread ← unread − left.
    [get('unread'), i32.const(stageTables), get('unread'), i32.const(stageTables), i32.ltU].flat(),
    [select, set('left'), get('unread'), get('left'), i32.sub, set('unread')].flat(),
    multiplyRows,
    // Out of the stage loop, the surrounding `when` and the kernel's block.
    [...anyMatters, ...i32.eqz, ...leaveIf(2)],
    increment('threshold', i32.const(4)),
    get('unread'),
  ),
].flat();

/** exponent ← Σ_c ((x_c − u_c)·s_c)². */
const sumSquares: Code = [
  each((q) => [f32x4.const(0), set(`exponent${q}`)]),
  [get('points'), get('block'), i32.add, set('pointer'), get('coordinates'), set('left')].flat(),
  loopWhile(
    [get('centre'), f32Load, f32x4.splat, set('splatCentre')].flat(),
    [get('scale'), f32Load, f32x4.splat, set('splatScale')].flat(),
    each((q) => [
      get('pointer'),
      v128.load(16 * q),
      get('splatCentre'),
      f32x4.sub,
      get('splatScale'),
      f32x4.mul,
      tee('scratch'),
      get('scratch'),
      f32x4.mul,
      get(`exponent${q}`),
      f32x4.add,
      set(`exponent${q}`),
    ]),
    increment('pointer', [i32.const(1), get('strideShift'), i32.shl].flat()),
    increment('centre', i32.const(4)),
    increment('scale', i32.const(4)),
    countDown('left'),
  ),
].flat();

/** Coefficients of 2^f for |f| ≤ ½, highest power first: (ln 2)^k / k!, good to 2.5e-6. */
const powerSeries = [5, 4, 3, 2, 1, 0].map((k) => {
  let coefficient = 1;
  for (let i = 1; i <= k; i++) coefficient *= Math.LN2 / i;
  return coefficient;
});

/** product ← product · 2^−exponent: 2^f by its series, times 2^−n by putting n into the exponent bits. */
const multiplyPowers: Code = each((q) => [
  [get(`exponent${q}`), f32x4.const(exponentMax), f32x4.pmin, tee(`exponent${q}`)].flat(),
  [f32x4.const(roundingMagic), f32x4.add, tee('whole'), f32x4.const(roundingMagic), f32x4.sub].flat(),
  [get(`exponent${q}`), f32x4.sub, set('scratch')].flat(),
  f32x4.const(powerSeries[0] ?? 0),
  ...powerSeries.slice(1).map((c) => [...get('scratch'), ...f32x4.mul, ...f32x4.const(c), ...f32x4.add]),
  [i32x4.const(127 << 23), get('whole'), i32.const(23), i32x4.shl, i32x4.sub].flat(),
  [f32x4.mul, get(`product${q}`), f32x4.mul, set(`product${q}`)].flat(),
]);

/** Adds one kernel to the totals of the present block of candidates. */
const addKernel: Code = block(
  [get('nextId'), set('id'), get('nextCentre'), set('centre'), get('nextScale'), set('scale')].flat(),
  [get('weight'), f32Load, f32x4.splat, tee('product0'), tee('product1'), tee('product2')].flat(),
  set('product3'),
  [get('tables'), when(multiplyStages)].flat(),
  [get('coordinates'), when(sumSquares, multiplyPowers)].flat(),
  each((q) => [get(`total${q}`), get(`product${q}`), f32x4.add, set(`total${q}`)]),
);

/** Four bytes for each of as many entries as the parameter says. */
const bytesOf = (name: Name): Code => [get(name), i32.const(2), i32.shl].flat();

/** Reads all parameters into locals. */
const prologue: Code = parameterNames.flatMap((name, i) =>
  [[local.get(0), i32.const(4 * i), i32.add, i32.load, set(name)].flat()].flat(),
);

const run: Code = [
  prologue,
  [i32.const(0), set('block')].flat(),
  loopWhile(
    each((q) => [f32x4.const(0), set(`total${q}`)]),
    [get('weights'), set('weight'), get('ids'), set('nextId')].flat(),
    [get('centres'), set('nextCentre'), get('scales'), set('nextScale')].flat(),
    [get('kernels'), set('kernel')].flat(),
    loopWhile(
      addKernel,
      increment('weight', i32.const(4)),
      increment('nextId', bytesOf('tables')),
      increment('nextCentre', bytesOf('coordinates')),
      increment('nextScale', bytesOf('coordinates')),
      countDown('kernel'),
    ),
    [get('totals'), get('block'), i32.add, set('pointer')].flat(),
    each((q) => [get('pointer'), get(`total${q}`), v128.store(16 * q)]),
    [get('block'), i32.const(blockBytes), i32.add, tee('block'), get('blocksBytes'), i32.ltU].flat(),
  ),
].flat();

/** The address of a row, or of another array of rows, whose number is on the stack. */
const rowOf = (array: Name): Code => [get('strideShift'), i32.shl, get(array), i32.add].flat();
/** The i32 of a job, `offset` bytes from its beginning. */
const field = (offset: number): Code => [get('pointer'), i32.const(offset), i32.add, i32.load].flat();
/** Everything for four candidates after the other, `block` counting the bytes. */
const forLanes = (body: Code): Code =>
  [
    [i32.const(0), set('block')].flat(),
    loopWhile(body, [get('block'), i32.const(16), i32.add, tee('block'), get('blocksBytes'), i32.ltU].flat()),
  ].flat();

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
      [field(0), rowOf('rows'), set('id'), field(4), set('weight')].flat(),
      [field(8), rowOf('grids'), set('centre'), field(8), rowOf('factors'), set('scale')].flat(),
      [get('pointer'), i32.const(12), i32.add, f32Load, f32x4.splat, set('splatScale')].flat(),
      forLanes(
        [
          [get('id'), get('block'), i32.add].flat(),
          quads.slice(1).reduce<Code>((vector, lane) => {
            const address = [get('centre'), get('block'), i32.add, i32.const(4 * lane), i32.add, i32.load];
            return [...[...address, get('weight'), i32.add].flat(), ...vector];
          }, []),
          [get('centre'), get('block'), i32.add, i32.load, get('weight'), i32.add, v128.loadFirst].flat(),
          // The addresses were put down from the last lane to the second, so that they come up from the second on.
          [v128.loadLane(1), v128.loadLane(2), v128.loadLane(3)].flat(),
          [get('scale'), get('block'), i32.add, v128.load(0), f32x4.mul, get('splatScale'), f32x4.mul].flat(),
          v128.store(0),
        ].flat(),
      ),
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
      [field(0), rowOf('rows'), set('id'), field(4), rowOf('rows'), set('centre')].flat(),
      [field(8), rowOf('rows'), set('scale')].flat(),
      forLanes(
        [
          [get('id'), get('block'), i32.add, get('centre'), get('block'), i32.add, v128.load(0)].flat(),
          [get('scale'), get('block'), i32.add, v128.load(0), f32x4.mul, v128.store(0)].flat(),
        ].flat(),
      ),
      increment('pointer', i32.const(4 * multiplyJobWords)),
      countDown('left'),
    ),
  ),
].flat();

/** The bytes of the module with the three loops. */
export function screenModule(): Uint8Array<ArrayBuffer> {
  const locals = { i32s: parameterNames.length + i32Names.length, v128s: vectorNames.length };
  return wasmModule([
    { name: 'run', ...locals, body: run },
    { name: 'fill', ...locals, body: fill },
    { name: 'multiply', ...locals, body: multiply },
  ]);
}
