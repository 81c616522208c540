/**
 * Matrix products as WGSL, for operands that need not lie in memory as they are multiplied: the caller says in WGSL what
 * A(m,k) and B(k,n) are, and what becomes of an entry of the result. One workgroup makes a tile, each thread 4 or 8 rows times
 * 4 columns of it; where tiles are few and the sum is long, workgroups share the sum (`split`) and a second kernel adds up.
 */
import type { Kernel } from './gpu.js';
import { lines } from './wgsl.js';

export interface ProductSpec {
  readonly key: string;
  /** As for `bindings`, without the buffer of partial sums. */
  readonly buffers: readonly string[];
  /** Rows, columns and terms as WGSL expressions of `P.batch` and constants. */
  readonly rows: string;
  readonly columns: string;
  readonly terms: string;
  /** Bodies of `fn a(m, k) -> f32`, `fn b(k, n) -> f32`, only called within bounds. */
  readonly a: string;
  readonly b: string;
  /** The index along which neighbours lie side by side in memory. */
  readonly aFast: 'm' | 'k';
  readonly bFast: 'k' | 'n';
  /** Body of `fn store(m, n, v)`. */
  readonly store: string;
  /** More functions that the bodies use. */
  readonly extra?: string;
  readonly tile: Tile;
}

export interface Tile {
  /** Rows and columns of the result that a workgroup makes. */
  readonly rows: number;
  readonly columns: number;
  /** Rows that a thread makes: 4 or 8. */
  readonly perThread: 4 | 8;
}

/** Terms that are loaded at a time. */
const depth = 16;

const threadsOf = ({ rows, columns, perThread }: Tile): number => (rows / perThread) * (columns / 4);

/** Loads a strip of an operand, four neighbours per vector, into workgroup memory as [term][column / 4]. */
function loader(name: 'a' | 'b', tile: Tile, fastAlongTerms: boolean): string {
  const quads = (name === 'a' ? tile.rows : tile.columns) / 4;
  const base = name === 'a' ? 'rowBase' : 'columnBase';
  const limit = name === 'a' ? 'rows' : 'columns';
  const place = fastAlongTerms
    ? `let kk = i % ${depth}u; let q = i / ${depth}u;`
    : `let q = i % ${quads}u; let kk = i / ${quads}u;`;
  const entry = (j: number): string => {
    const call = name === 'a' ? `a(first + ${j}u, k)` : `b(k, first + ${j}u)`;
    return `if (first + ${j}u < ${limit}) { v[${j}] = ${call}; }`;
  };
  return `
    for (var i = lane; i < ${quads * depth}u; i += ${threadsOf(tile)}u) {
      ${place}
      let first = ${base} + 4u * q;
      let k = start + kk;
      var v = vec4<f32>();
      if (k < end) {
        ${lines(4, entry)}
      }
      ${name}Tile[kk * ${quads}u + q] = v;
    }`;
}

function multiply({ rows, columns, perThread }: Tile): string {
  const rowQuads = perThread / 4;
  const update = (r: number): string =>
    `acc${r} = fma(vec4<f32>(x${Math.floor(r / 4)}[${r % 4}]), y, acc${r});`;
  return `
    for (var kk = 0u; kk < ${depth}u; kk++) {
      ${lines(rowQuads, (q) => `let x${q} = aTile[kk * ${rows / 4}u + ${rowQuads}u * threadRow + ${q}u];`)}
      let y = bTile[kk * ${columns / 4}u + threadColumn];
      ${lines(perThread, update)}
    }`;
}

function main(spec: ProductSpec, chunk: string): string {
  const { tile } = spec;
  const row = (r: number): string => `
    if (rowBase + ${tile.perThread}u * threadRow + ${r}u < rows) {
      ${lines(4, (c) => `if (column + ${c}u < columns) { put(rowBase + ${tile.perThread}u * threadRow + ${r}u, column + ${c}u, acc${r}[${c}]); }`)}
    }`;
  return `
var<workgroup> aTile: array<vec4<f32>, ${(depth * tile.rows) / 4}>;
var<workgroup> bTile: array<vec4<f32>, ${(depth * tile.columns) / 4}>;
@compute @workgroup_size(${threadsOf(tile)})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let rows = ${spec.rows};
  let columns = ${spec.columns};
  let rowBase = group.y * ${tile.rows}u;
  let columnBase = group.x * ${tile.columns}u;
  let threadRow = lane / ${tile.columns / 4}u;
  let threadColumn = lane % ${tile.columns / 4}u;
  ${chunk}
  ${lines(tile.perThread, (r) => `var acc${r} = vec4<f32>();`)}
  for (var start = first; start < end; start += ${depth}u) {
    ${loader('a', tile, spec.aFast === 'k')}
    ${loader('b', tile, spec.bFast === 'k')}
    workgroupBarrier();
    ${multiply(tile)}
    workgroupBarrier();
  }
  let column = columnBase + 4u * threadColumn;
  ${lines(tile.perThread, row)}
}`;
}

const operands = (spec: ProductSpec): string => `
${spec.extra ?? ''}
fn a(m: u32, k: u32) -> f32 { ${spec.a} }
fn b(k: u32, n: u32) -> f32 { ${spec.b} }`;

const storing = (spec: ProductSpec, name: string): string =>
  `fn ${name}(m: u32, n: u32, entry: f32) { ${spec.store} }`;

/** The product in one kernel. */
export const product = (spec: ProductSpec): Kernel => ({
  key: spec.key,
  buffers: spec.buffers,
  code: () =>
    [operands(spec), storing(spec, 'put'), main(spec, `let first = 0u; let end = ${spec.terms};`)].join('\n'),
});

/** The product in two kernels: `chunks` partial sums in the buffer `partial`, and their sum. */
export interface SplitProduct {
  readonly partial: Kernel;
  /** Its buffers: those named in `sumBuffers`, then `partial`. One thread per entry, 64 in a group. */
  readonly sum: Kernel;
}

/** As `product`, with the sum shared by `chunks` workgroups. `store` is used by the second kernel only. */
export function splitProduct(spec: ProductSpec, chunks: number, sumBuffers: readonly string[]): SplitProduct {
  const put = `fn put(m: u32, n: u32, entry: f32) { partial[(chunkIndex * (${spec.rows}) + m) * (${spec.columns}) + n] = entry; }`;
  const chunk = `
  let share = (((${spec.terms}) + ${chunks - 1}u) / ${chunks}u + ${depth - 1}u) / ${depth}u * ${depth}u;
  chunkIndex = group.z;
  let first = group.z * share;
  let end = min(first + share, ${spec.terms});`;
  return {
    partial: {
      key: `${spec.key} partial ${chunks}`,
      buffers: [...spec.buffers, '*partial'],
      code: () => [operands(spec), 'var<private> chunkIndex: u32;', put, main(spec, chunk)].join('\n'),
    },
    sum: {
      key: `${spec.key} sum ${chunks}`,
      buffers: [...sumBuffers, 'partial'],
      code: () => `
${storing(spec, 'finish')}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let rows = ${spec.rows};
  let columns = ${spec.columns};
  let size = rows * columns;
  if (id.x >= size) { return; }
  var total = 0.0;
  for (var chunk = 0u; chunk < ${chunks}u; chunk++) { total += partial[chunk * size + id.x]; }
  finish(id.x / columns, id.x % columns, total);
}`,
    },
  };
}

/** Workgroups of a product in x and y. */
export const tilesOf = (tile: Tile, rows: number, columns: number): readonly [number, number] => [
  Math.ceil(columns / tile.columns),
  Math.ceil(rows / tile.rows),
];
