/** The memory that the inner loops work in, and the calls to them (`screen-program.ts`). */
import { assert } from '../../assert.js';
import {
  blockBytes,
  blockLanes,
  fillJobWords,
  multiplyJobWords,
  parameterNames,
  screenModule,
  stageTables,
  type ParameterName,
} from './screen-program.js';

declare const WebAssembly: {
  Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  Instance: new (module: object, imports: object) => { readonly exports: Exports };
  Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer; grow(pages: number): number };
};
type Exports = Readonly<Record<string, (parameters: number) => void>>;

/** Kernels per call of the inner loop. */
export const chunkLength = 512;
const pageBytes = 65_536;

/** What the memory is laid out for; more of anything but candidates, tables and coordinates does no harm. */
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
}

const shapeKeys = ['tables', 'coordinates', 'grids', 'rows', 'fills', 'multiplications', 'masses'] as const;

/** Rows and candidates of one width. */
export class Region {
  /** Entries from one row to the next: a power of two, at least the number of candidates. */
  readonly stride: number;
  readonly candidates: number;
  readonly rows: Float32Array;
  /** Coordinate c of candidate j at c · stride + j. */
  readonly points: Float32Array;
  /** Position, in bytes, of candidate j in the tables of axis a at a · stride + j. */
  readonly grids: Int32Array;
  /** Factor of candidate j on axis a. */
  readonly factors: Float32Array;
  /**
   * After every third row, and after the last, a kernel is dropped whose product is at or below the next of these for all
   * candidates of a block. Zeros drop only what is nothing already.
   */
  readonly thresholds: Float32Array;
  readonly totals: Float32Array;
  readonly parameters: Int32Array;

  /** `at` are the addresses of the arrays, and of the loops' parameters. */
  constructor(
    buffer: ArrayBuffer,
    shape: ScreenShape,
    candidates: number,
    at: Readonly<Record<ParameterName | 'parameters', number>>,
  ) {
    const stride = strideFor(candidates);
    this.stride = stride;
    this.candidates = candidates;
    this.rows = new Float32Array(buffer, at.rows, stride * shape.rows).fill(0);
    this.points = new Float32Array(buffer, at.points, stride * shape.coordinates).fill(0);
    this.grids = new Int32Array(buffer, at.grids, stride * shape.grids).fill(0);
    this.factors = new Float32Array(buffer, at.factors, stride * shape.grids).fill(0);
    this.thresholds = new Float32Array(buffer, at.thresholds, Math.ceil(shape.tables / stageTables));
    this.totals = new Float32Array(buffer, at.totals, stride);
    this.parameters = new Int32Array(buffer, at.parameters, parameterNames.length);
    this.parameters.set(parameterNames.map((name) => at[name]));
  }

  set(name: ParameterName, value: number): void {
    this.parameters[parameterNames.indexOf(name)] = value;
  }
}

function strideFor(candidates: number): number {
  let stride = blockLanes;
  while (stride < candidates) stride *= 2;
  return stride;
}

/** Lays arrays out one after the other, each at the beginning of a block. */
class Layout {
  end = 0;

  place(words: number): number {
    const start = this.end;
    this.end += Math.ceil((words * 4) / blockBytes) * blockBytes;
    return start;
  }
}

const noShape: ScreenShape = {
  candidates: 0,
  tables: 0,
  coordinates: 0,
  grids: 0,
  rows: 0,
  fills: 0,
  multiplications: 0,
  masses: 0,
};

export class ScreenMemory {
  shape = noShape;
  /** To be filled for every chunk: one weight per kernel. */
  weights = new Float32Array(0);
  /** To be filled for every chunk: `tables` row numbers per kernel. */
  ids = new Uint32Array(0);
  /** To be filled for every chunk: `coordinates` centres, and factors s, per kernel. */
  centres = new Float32Array(0);
  scales = new Float32Array(0);
  /** Jobs of `fill` and `multiply`; the factors of fill jobs are floats in the same place. */
  fillJobs = new Int32Array(0);
  fillJobFactors = new Float32Array(0);
  multiplyJobs = new Int32Array(0);
  masses = new Float32Array(0);
  /** Address of `masses`. */
  massesAddress = 0;
  #wide: Region | null = null;
  #narrow: Region | null = null;
  readonly #memory = new WebAssembly.Memory({ initial: 1 });
  readonly #exports: Exports;

  constructor() {
    const module = new WebAssembly.Module(screenModule());
    this.#exports = new WebAssembly.Instance(module, { env: { memory: this.#memory } }).exports;
  }

  /** All candidates. */
  get wide(): Region {
    assert(this.#wide !== null, 'begin comes first');
    return this.#wide;
  }

  /** As many candidates as the inner loop takes at a time. */
  get narrow(): Region {
    assert(this.#narrow !== null, 'begin comes first');
    return this.#narrow;
  }

  /**
   * Makes ready for one mixture. Arrays may change and what they hold may be of the last one: all that is read must be
   * written anew, except in lanes beyond the candidates.
   */
  begin(shape: ScreenShape): void {
    const { candidates, tables, coordinates } = this.shape;
    const isSame =
      shape.candidates === candidates && shape.tables === tables && shape.coordinates === coordinates;
    if (isSame && shapeKeys.every((key) => shape[key] <= this.shape[key])) return;
    // Room for more than asked for: the numbers change a little from one mixture to the next.
    const roomy = (count: number): number => Math.ceil(1.25 * count);
    const { grids, rows, fills, multiplications, masses } = shape;
    this.#layOut({
      ...shape,
      grids,
      rows: roomy(rows),
      fills: roomy(fills),
      multiplications: roomy(multiplications),
      masses: roomy(masses),
    });
  }

  #layOut(shape: ScreenShape): void {
    const { tables, coordinates } = shape;
    const layout = new Layout();
    const shared = {
      weights: layout.place(chunkLength),
      ids: layout.place(chunkLength * tables),
      centres: layout.place(chunkLength * coordinates),
      scales: layout.place(chunkLength * coordinates),
      fillJobs: layout.place(shape.fills * fillJobWords),
      multiplyJobs: layout.place(shape.multiplications * multiplyJobWords),
      ...{ kernels: 0, tables, coordinates, fills: 0, multiplications: 0 },
    };
    this.massesAddress = layout.place(shape.masses);
    const regionAt = (candidates: number): Record<ParameterName | 'parameters', number> => {
      const stride = strideFor(candidates);
      return {
        ...shared,
        parameters: layout.place(parameterNames.length),
        rows: layout.place(stride * shape.rows),
        points: layout.place(stride * coordinates),
        grids: layout.place(stride * shape.grids),
        factors: layout.place(stride * shape.grids),
        thresholds: layout.place(Math.ceil(tables / stageTables)),
        totals: layout.place(stride),
        strideShift: Math.log2(stride * 4),
        blocksBytes: Math.ceil(candidates / blockLanes) * blockBytes,
      };
    };
    const wide = regionAt(shape.candidates);
    const narrow = regionAt(blockLanes);
    const missing = layout.end - this.#memory.buffer.byteLength;
    if (missing > 0) this.#memory.grow(Math.ceil(missing / pageBytes));
    const { buffer } = this.#memory;
    this.shape = shape;
    this.weights = new Float32Array(buffer, shared.weights, chunkLength);
    this.ids = new Uint32Array(buffer, shared.ids, chunkLength * tables);
    this.centres = new Float32Array(buffer, shared.centres, chunkLength * coordinates);
    this.scales = new Float32Array(buffer, shared.scales, chunkLength * coordinates);
    this.fillJobs = new Int32Array(buffer, shared.fillJobs, shape.fills * fillJobWords);
    this.fillJobFactors = new Float32Array(buffer, shared.fillJobs, shape.fills * fillJobWords);
    this.multiplyJobs = new Int32Array(buffer, shared.multiplyJobs, shape.multiplications * multiplyJobWords);
    this.masses = new Float32Array(buffer, this.massesAddress, shape.masses);
    this.#wide = new Region(buffer, shape, shape.candidates, wide);
    this.#narrow = new Region(buffer, shape, blockLanes, narrow);
  }

  /** Does the first so many jobs: fills rows from tables of masses, then multiplies rows. */
  fillRows(region: Region, fills: number, multiplications: number): void {
    region.set('fills', fills);
    region.set('multiplications', multiplications);
    this.#call('fill', region);
    this.#call('multiply', region);
  }

  /** Adds the first `kernels` entries of the present chunk to the totals, one per candidate. */
  addChunk(region: Region, kernels: number, totals: Float64Array): void {
    if (kernels === 0) return;
    region.set('kernels', kernels);
    this.#call('run', region);
    for (let j = 0; j < totals.length; j++) totals[j] = (totals[j] ?? 0) + (region.totals[j] ?? 0);
  }

  #call(name: string, region: Region): void {
    const loop = this.#exports[name];
    assert(loop !== undefined, `the module exports ${name}`);
    loop(region.parameters.byteOffset);
  }
}
