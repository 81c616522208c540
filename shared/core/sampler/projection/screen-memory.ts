/** The memory that the inner loops work in, and the calls to them (`screen-program.ts`). */
import { assert } from '../../assert.js';
import {
  blockBytes,
  blockLanes,
  fillJobWords,
  multiplyJobWords,
  parameterNames,
  powerUnit,
  rowsModule,
  stageTables,
  sumModule,
  type ParameterName,
} from './screen-program.js';

declare const WebAssembly: {
  Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  Instance: new (module: object, imports: object) => { readonly exports: Exports };
  Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
};
type Loop = (parameters: number) => void;
type Exports = Readonly<Record<string, Loop>>;

/** Kernels per call of the inner loop. */
export const chunkLength = 512;
const pageBytes = 65_536;
/** Programs kept; each is a few kilobytes. */
const programsMax = 256;

/** What the memory is laid out for. */
export interface ScreenShape {
  readonly candidates: number;
  /** Table axes, coordinate axes, and axes on which rows can be filled from tables of masses. */
  readonly tables: number;
  readonly coordinates: number;
  readonly grids: number;
  readonly rows: number;
  readonly fills: number;
  readonly multiplications: number;
  /** Entries of all tables of masses together. */
  readonly masses: number;
  readonly kernels: number;
  /** Whether every kernel has its own scales. */
  readonly scaled: boolean;
}

/** Words of every array, the ones that all blocks share and the ones of each. */
function wordsOf(shape: ScreenShape) {
  const { tables, coordinates, grids, kernels } = shape;
  return {
    weights: kernels,
    ids: kernels * tables,
    centres: kernels * coordinates,
    scales: (shape.scaled ? kernels : 1) * coordinates,
    fillJobs: shape.fills * fillJobWords,
    multiplyJobs: shape.multiplications * multiplyJobWords,
    masses: shape.masses,
    rows: shape.rows * blockLanes,
    points: coordinates * blockLanes,
    grids: grids * blockLanes,
    factors: grids * blockLanes,
    units: blockLanes,
    thresholds: Math.ceil(tables / stageTables),
  };
}
type Words = ReturnType<typeof wordsOf>;
type ArrayName = keyof Words;

const parameterAt = Object.fromEntries(parameterNames.map((name, i) => [name, i])) as Record<
  ParameterName,
  number
>;

/** What the loops know of sixteen candidates, or fewer; in the other lanes units are 0. */
export class Block {
  /** Candidates in it. */
  used = 0;
  readonly rows: Float32Array;
  /** Coordinate c of the candidate in lane j at c · 16 + j. */
  readonly points: Float32Array;
  /** Position, in bytes, of the candidate in lane j in the tables of axis a at a · 16 + j. */
  readonly grids: Int32Array;
  /** Factor of the candidate in lane j on axis a. */
  readonly factors: Float32Array;
  /** What the kernels of the candidate in lane j are multiplied with, so that one threshold does for all lanes. */
  readonly units: Float32Array;
  /**
   * After every third row, and after the last, a kernel is dropped whose product is at or below the next of these for all
   * candidates. Zeros drop only what is nothing already.
   */
  readonly thresholds: Float32Array;
  readonly totals: Float32Array;
  readonly #parameters: Int32Array;

  /** `at` are the addresses of the arrays, and of the loops' parameters. */
  constructor(buffer: ArrayBuffer, words: Words, at: Readonly<Record<string, number>>) {
    this.rows = new Float32Array(buffer, at['rows'], words.rows);
    this.points = new Float32Array(buffer, at['points'], words.points);
    this.grids = new Int32Array(buffer, at['grids'], words.grids);
    this.factors = new Float32Array(buffer, at['factors'], words.factors);
    this.units = new Float32Array(buffer, at['units'], words.units);
    this.thresholds = new Float32Array(buffer, at['thresholds'], words.thresholds);
    this.totals = new Float32Array(buffer, at['totals'], blockLanes);
    this.#parameters = new Int32Array(buffer, at['parameters'], parameterNames.length);
    for (const name of parameterNames) this.set(name, at[name] ?? 0);
    for (const array of [this.rows, this.points, this.grids, this.factors, this.units]) array.fill(0);
  }

  /** Takes so many candidates, at most sixteen; everything of them must be written. */
  take(candidates: number): void {
    this.units.fill(0, candidates);
    this.used = candidates;
  }

  set(name: ParameterName, value: number): void {
    this.#parameters[parameterAt[name]] = value;
  }

  get address(): number {
    return this.#parameters.byteOffset;
  }
}

/** Lays arrays out one after the other, each at the beginning of a row. */
class Layout {
  end = 0;

  place(words: number): number {
    const start = this.end;
    this.end += Math.ceil((words * 4) / blockBytes) * blockBytes;
    return start;
  }
}

/** Kernels from one position up to another, which is not among them. */
export interface Range {
  readonly from: number;
  readonly to: number;
}

export class ScreenMemory {
  tables = 0;
  coordinates = 0;
  grids = 0;
  /** To be filled: one weight per kernel, `tables` addresses of rows, `coordinates` centres, and factors s. */
  weights = new Float32Array(0);
  ids = new Uint32Array(0);
  centres = new Float32Array(0);
  scales = new Float32Array(0);
  /** Jobs of `fill` and `multiply`; the factors of fill jobs are floats in the same place. */
  fillJobs = new Int32Array(0);
  fillJobFactors = new Float32Array(0);
  multiplyJobs = new Int32Array(0);
  masses = new Float32Array(0);
  /** Address of `masses`. */
  massesAddress = 0;
  /** All candidates, sixteen to a block. */
  wide: readonly Block[] = [];
  #blocks: Block[] = [];
  #narrow: Block | null = null;
  #words: Words | null = null;
  #isScaled = false;
  #addresses: Readonly<Record<string, number>> = {};
  readonly #memory = new WebAssembly.Memory({ initial: 1 });
  readonly #fill: Loop;
  readonly #multiply: Loop;
  readonly #programs = new Map<string, Loop>();
  #run: Loop | null = null;

  constructor() {
    const rows = this.#instantiate(rowsModule());
    this.#fill = loopOf(rows, 'fill');
    this.#multiply = loopOf(rows, 'multiply');
  }

  /** Its size; it only grows. */
  get byteLength(): number {
    return this.#memory.buffer.byteLength;
  }

  /** A block for a few candidates beside those of `wide`. */
  get narrow(): Block {
    assert(this.#narrow !== null, 'begin comes first');
    return this.#narrow;
  }

  #instantiate(bytes: Uint8Array<ArrayBuffer>): Exports {
    return new WebAssembly.Instance(new WebAssembly.Module(bytes), { env: { memory: this.#memory } }).exports;
  }

  /** Makes ready for one mixture. Arrays may change, and what they hold may be of the last one: all must be written. */
  begin(shape: ScreenShape): void {
    this.#run = this.#program(shape.tables, shape.coordinates);
    this.tables = shape.tables;
    this.coordinates = shape.coordinates;
    this.grids = shape.grids;
    this.#isScaled = shape.scaled;
    const words = wordsOf(shape);
    const blocks = Math.ceil(shape.candidates / blockLanes);
    const known = this.#words;
    const fits = known !== null && Object.entries(words).every(([name, n]) => n <= known[name as ArrayName]);
    if (!fits || blocks > this.#blocks.length) {
      // Room for more than asked for: the numbers change a little from one mixture to the next.
      const roomy = Object.entries(words).map(([name, n]) => {
        const old = known?.[name as ArrayName] ?? 0;
        return [name, n <= old ? old : Math.ceil(1.25 * n)];
      });
      this.#layOut(Object.fromEntries(roomy) as Words, Math.max(blocks, this.#blocks.length));
    }
    if (this.wide.length !== blocks) this.wide = this.#blocks.slice(0, blocks);
    this.wide.forEach((block, b) => block.take(Math.min(blockLanes, shape.candidates - b * blockLanes)));
  }

  #program(tables: number, coordinates: number): Loop {
    const key = `${tables},${coordinates}`;
    const known = this.#programs.get(key);
    if (known !== undefined) return known;
    if (this.#programs.size >= programsMax) this.#programs.clear();
    const program = loopOf(this.#instantiate(sumModule(tables, coordinates)), 'run');
    this.#programs.set(key, program);
    return program;
  }

  #layOut(words: Words, blockCount: number): void {
    const layout = new Layout();
    const shared = {
      weights: layout.place(words.weights),
      ids: layout.place(words.ids),
      centres: layout.place(words.centres),
      scales: layout.place(words.scales),
      fillJobs: layout.place(words.fillJobs),
      multiplyJobs: layout.place(words.multiplyJobs),
      masses: layout.place(words.masses),
    };
    const blocks = Array.from({ length: blockCount + 1 }, () => ({
      ...shared,
      parameters: layout.place(parameterNames.length),
      rows: layout.place(words.rows),
      points: layout.place(words.points),
      grids: layout.place(words.grids),
      factors: layout.place(words.factors),
      units: layout.place(words.units),
      thresholds: layout.place(words.thresholds),
      totals: layout.place(blockLanes),
    }));
    const missing = layout.end - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / pageBytes));
    const { buffer } = this.#memory;
    this.#words = words;
    this.#addresses = shared;
    this.weights = new Float32Array(buffer, shared.weights, words.weights);
    this.ids = new Uint32Array(buffer, shared.ids, words.ids);
    this.centres = new Float32Array(buffer, shared.centres, words.centres);
    this.scales = new Float32Array(buffer, shared.scales, words.scales);
    this.fillJobs = new Int32Array(buffer, shared.fillJobs, words.fillJobs);
    this.fillJobFactors = new Float32Array(buffer, shared.fillJobs, words.fillJobs);
    this.multiplyJobs = new Int32Array(buffer, shared.multiplyJobs, words.multiplyJobs);
    this.massesAddress = shared.masses;
    this.masses = new Float32Array(buffer, shared.masses, words.masses);
    this.#blocks = blocks.map((at) => new Block(buffer, words, at));
    this.#narrow = this.#blocks.pop() ?? null;
    this.wide = [];
  }

  /** Does the first so many jobs: fills rows from tables of masses, then multiplies rows. */
  fillRows(block: Block, fills: number, multiplications: number): void {
    block.set('fills', fills);
    block.set('multiplications', multiplications);
    this.#fill(block.address);
    this.#multiply(block.address);
  }

  /** Adds a range of kernels to totals, one per candidate of the block. */
  add(block: Block, { from, to }: Range, totals: Float64Array): void {
    const { tables, coordinates } = this;
    const { weights = 0, ids = 0, centres = 0, scales = 0 } = this.#addresses;
    const scalesWidth = this.#isScaled ? coordinates : 0;
    const scale = coordinates > 0 ? powerUnit : 1;
    block.set('scaleStep', 4 * scalesWidth);
    for (let next = from; next < to; next += chunkLength) {
      block.set('kernels', Math.min(chunkLength, to - next));
      block.set('weights', weights + 4 * next);
      block.set('ids', ids + 4 * next * tables);
      block.set('centres', centres + 4 * next * coordinates);
      block.set('scales', scales + 4 * next * scalesWidth);
      assert(this.#run !== null, 'begin comes first');
      this.#run(block.address);
      for (let j = 0; j < totals.length; j++) {
        totals[j] = (totals[j] ?? 0) + (block.totals[j] ?? 0) / ((block.units[j] ?? 1) * scale);
      }
    }
  }
}

function loopOf(exports: Exports, name: string): Loop {
  const loop = exports[name];
  assert(loop !== undefined, `the module exports ${name}`);
  return loop;
}

let shared: ScreenMemory | null = null;

/**
 * The one memory of the process. It holds nothing between two suggestions, and these never overlap: so all studies work in
 * the same, as a memory each is more than the address space has room for when there are thousands of them.
 */
export function sharedScreenMemory(): ScreenMemory {
  shared ??= new ScreenMemory();
  return shared;
}
