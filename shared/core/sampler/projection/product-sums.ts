/**
 * The inner loop of the sampler: for every candidate j, Σ_k weight_k · Π_t row[id_kt][j] · 2^−Σ_c ((x_cj − u_kc)·s_kc)²,
 * in single precision, sixteen candidates at a time. Rows hold what each distinct one-dimensional kernel says about
 * every candidate, so that stepped and categorical parameters cost one multiplication and continuous ones share one
 * exponential. After every few rows a kernel is dropped whose product can no longer matter to any of the sixteen: in a
 * space with categorical parameters that is most of them.
 *
 * Single precision is twice as wide as double; its result only narrows the choice (see `space-model.ts`). Sums over a
 * chunk of kernels are kept short and added up in double precision, so that rounding does not grow with their number.
 */
import { assert } from '../../assert.js';
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

declare const WebAssembly: {
  Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  Instance: new (
    module: object,
    imports: object,
  ) => {
    readonly exports: Readonly<Record<string, () => void>>;
  };
  Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
};

/** Kernels per call of the inner loop. */
export const chunkLength = 512;
/** Candidates per turn of the inner loop: four vectors of four lanes. */
const blockLanes = 16;
const blockBytes = blockLanes * 4;
const pageBytes = 65_536;
/** Rows multiplied between two looks at whether the product still matters. */
export const stageTables = 3;
/** Adding it leaves the nearest integer in the low bits of a float, for numbers well below 2²². */
const roundingMagic = 1.5 * 2 ** 23;
/** Largest exponent of the factor 2^−e: beyond it the factor is as good as nothing, but still a normal number. */
const exponentMax = 100;

/** What the inner loop reads from the beginning of the memory, one i32 each. */
const parameterNames = [
  'kernels',
  'tables',
  'coordinates',
  'weights',
  'ids',
  'centres',
  'scales',
  'rows',
  'points',
  'thresholds',
  'totals',
  'strideShift',
  'blocksBytes',
] as const;

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
type Name = (typeof parameterNames)[number] | (typeof i32Names)[number] | (typeof vectorNames)[number];
const indexOf = new Map<Name, number>(
  [...parameterNames, ...i32Names, ...vectorNames].map((name, i) => [name, i]),
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

const program: Code = [
  parameterNames.flatMap((name, i) => [...i32.const(4 * i), ...i32.load, ...set(name)]),
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

/** One summation: the sizes that its memory is laid out for. */
export interface SumShape {
  readonly candidates: number;
  /** Rows that kernels may refer to. */
  readonly rows: number;
  /** Factors per kernel that are read from rows. */
  readonly tables: number;
  /** Continuous coordinates per kernel and candidate. */
  readonly coordinates: number;
}

/** Runs summations in one memory of its own; nothing of one is left in the next. */
export class ProductSums {
  readonly #memory = new WebAssembly.Memory({ initial: 1 });
  readonly #run: () => void;
  /** What the memory is laid out for. */
  shape: SumShape = { candidates: 0, rows: 0, tables: 0, coordinates: 0 };
  #parameters = new Int32Array(0);
  #totals = new Float32Array(0);

  /** Floats from one row to the next: a power of two, at least the number of candidates. */
  stride = blockLanes;
  /** To be filled: row r starts at r · stride. */
  rows = new Float32Array(0);
  /** To be filled: coordinate c of candidate j at c · stride + j. */
  points = new Float32Array(0);
  /**
   * To be filled: after every third row, and after the last, a kernel is dropped whose product is at or below the next
   * of these for all candidates of a block. Zeros drop only what is nothing already.
   */
  thresholds = new Float32Array(0);
  /** To be filled for every chunk: one weight per kernel. */
  weights = new Float32Array(0);
  /** To be filled for every chunk: `tables` row numbers per kernel. */
  ids = new Uint32Array(0);
  /** To be filled for every chunk: `coordinates` centres per kernel. */
  centres = new Float32Array(0);
  /** To be filled for every chunk: `coordinates` factors s per kernel. */
  scales = new Float32Array(0);

  constructor() {
    const instance = new WebAssembly.Instance(
      new WebAssembly.Module(
        wasmModule({ i32s: parameterNames.length + i32Names.length, v128s: vectorNames.length }, program),
      ),
      { env: { memory: this.#memory } },
    );
    const { run } = instance.exports;
    assert(run !== undefined, 'the module exports its function');
    this.#run = run;
  }

  /**
   * Makes ready for one summation. Views may change and what they hold may be of the last one: all that is read must be
   * filled anew.
   */
  begin(shape: SumShape): void {
    const { candidates, rows, tables, coordinates } = this.shape;
    const fits =
      shape.candidates === candidates &&
      shape.rows <= rows &&
      shape.tables === tables &&
      shape.coordinates === coordinates;
    // Room for more rows than asked for: their number changes a little from one summation to the next.
    if (!fits) this.#layOut({ ...shape, rows: shape.rows + Math.ceil(shape.rows / 4) });
  }

  #layOut({ candidates, rows, tables, coordinates }: SumShape): void {
    let stride = blockLanes;
    while (stride < candidates) stride *= 2;
    let end = 0;
    const place = (floats: number): number => {
      const start = end;
      end += Math.ceil((floats * 4) / blockBytes) * blockBytes;
      return start;
    };
    const at = {
      parameters: place(parameterNames.length),
      totals: place(stride),
      weights: place(chunkLength),
      ids: place(chunkLength * tables),
      centres: place(chunkLength * coordinates),
      scales: place(chunkLength * coordinates),
      points: place(stride * coordinates),
      thresholds: place(Math.ceil(tables / stageTables)),
      rows: place(stride * rows),
    };
    const missing = end - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / pageBytes));
    const { buffer } = this.#memory;
    this.stride = stride;
    this.shape = { candidates, rows, tables, coordinates };
    this.#totals = new Float32Array(buffer, at.totals, stride);
    this.weights = new Float32Array(buffer, at.weights, chunkLength);
    this.ids = new Uint32Array(buffer, at.ids, chunkLength * tables);
    this.centres = new Float32Array(buffer, at.centres, chunkLength * coordinates);
    this.scales = new Float32Array(buffer, at.scales, chunkLength * coordinates);
    this.points = new Float32Array(buffer, at.points, stride * coordinates);
    this.thresholds = new Float32Array(buffer, at.thresholds, Math.ceil(tables / stageTables));
    // Lanes beyond the candidates are never written again; what they held might be no number.
    this.rows = new Float32Array(buffer, at.rows, stride * rows).fill(0);
    this.points.fill(0);
    const blocksBytes = Math.ceil(candidates / blockLanes) * blockBytes;
    const values: Record<(typeof parameterNames)[number], number> = {
      ...{ ...at, kernels: 0, tables, coordinates, blocksBytes },
      strideShift: Math.log2(stride * 4),
    };
    this.#parameters = new Int32Array(buffer, at.parameters, parameterNames.length);
    this.#parameters.set(parameterNames.map((name) => values[name]));
  }

  /** Adds the first `kernels` entries of the present chunk to the totals, one per candidate. */
  addChunk(kernels: number, totals: Float64Array): void {
    if (kernels === 0) return;
    this.#parameters[0] = kernels;
    this.#run();
    for (let j = 0; j < this.shape.candidates; j++) totals[j] = (totals[j] ?? 0) + (this.#totals[j] ?? 0);
  }
}
