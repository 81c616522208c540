/**
 * The symmetric Hermite block as WGSL (formulas: reference-hermite.ts). Forward: pre-activations z = s Vᵀ with value and slope of
 * the series at each, signed by their map; features as one product, the trace as one sum per row. Backward: one product for the
 * gradient at z, two for those of `s` and `V`, and sums over all entries for the coefficients.
 */
import type { HermiteVersion } from '../runtime.js';
import type { Kernel } from './gpu.js';
import { product, splitProduct, type SplitProduct, type Tile } from './product.js';
import { lines } from './wgsl.js';

export interface BlockSizes {
  /** D: entries of the input. */
  readonly width: number;
  /** R: rows of all maps. */
  readonly rows: number;
  readonly degree: number;
  readonly version: HermiteVersion;
  readonly positiveRows: number;
}

const keyOf = (name: string, sizes: BlockSizes): string =>
  `${name} D${sizes.width} R${sizes.rows} n${sizes.degree} ${sizes.version} +${sizes.positiveRows}`;

export const blockTile: Tile = { rows: 64, columns: 64, perThread: 8 };
export const narrowTile: Tile = { rows: 64, columns: 32, perThread: 4 };
/** Workgroups that share the sums over all map rows. */
export const rowChunks = 8;
/** Workgroups that sum up the coefficients' gradients. */
export const coefficientGroups = 128;

const sign = ({ positiveRows }: BlockSizes): string =>
  `fn signOf(row: u32) -> f32 { return select(-1.0, 1.0, row < ${positiveRows}u); }`;

/** P_0 … P_degree at the clamped point as `p0`, `p1`, …; statements. */
function basis({ degree, version }: BlockSizes, z: string): string {
  const kappa = version === 'physicist' ? 2 : 1;
  const factor = kappa === 1 ? '' : '2.0 * ';
  return lines(degree + 1, (k) => {
    if (k === 0) return 'let p0 = 1.0;';
    if (k === 1) return `let p1 = ${factor}${z};`;
    return `let p${k} = ${factor}(${z} * p${k - 1} - ${k - 1}.0 * p${k - 2});`;
  });
}

/** `series(z)`: value, slope and curvature at the clamped point; NaN passes through. */
function series(sizes: BlockSizes): string {
  const { degree, version } = sizes;
  const kappa = version === 'physicist' ? 2 : 1;
  const sum = (terms: readonly string[]): string => (terms.length === 0 ? '0.0 * x' : terms.join(' + '));
  const indices = Array.from({ length: degree + 1 }, (_, k) => k);
  const value = sum(indices.map((k) => `coefficients[${k}] * p${k}`));
  const slope = sum(indices.slice(1).map((k) => `coefficients[${k}] * ${kappa * k}.0 * p${k - 1}`));
  const curvature = sum(
    indices.slice(2).map((k) => `coefficients[${k}] * ${kappa * kappa * k * (k - 1)}.0 * p${k - 2}`),
  );
  return `
fn bounded(z: f32) -> f32 { return select(select(z, 10.0, z > 10.0), -10.0, z < -10.0); }
fn series(z: f32) -> vec3<f32> {
  let x = bounded(z);
  ${basis(sizes, 'x')}
  return vec3<f32>(${value}, ${slope}, ${curvature});
}`;
}

/** Squared length of every row of V; 64 rows in a group. */
export const rowNorms = (sizes: BlockSizes): Kernel => ({
  key: keyOf('hermite norms', sizes),
  buffers: ['v', '*norms'],
  code: () => `
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  if (id.x >= ${sizes.rows}u) { return; }
  var total = 0.0;
  for (var d = 0u; d < ${sizes.width}u; d++) { let entry = v[id.x * ${sizes.width}u + d]; total = fma(entry, entry, total); }
  norms[id.x] = total;
}`,
});

/** z [B,R], σφ(z) and σφ'(z). */
export const preActivations = (sizes: BlockSizes): Kernel =>
  product({
    key: keyOf('hermite pre-activations', sizes),
    buffers: ['s', 'v', 'coefficients', '*z', '*value', '*slope'],
    rows: 'P.batch',
    columns: `${sizes.rows}u`,
    terms: `${sizes.width}u`,
    a: `return s[m * ${sizes.width}u + k];`,
    b: `return v[n * ${sizes.width}u + k];`,
    aFast: 'k',
    bFast: 'k',
    extra: `${sign(sizes)}${series(sizes)}`,
    store: `
  let at = m * ${sizes.rows}u + n;
  let parts = series(entry);
  z[at] = entry;
  value[at] = signOf(n) * parts.x;
  slope[at] = signOf(n) * parts.y;`,
    tile: blockTile,
  });

/** Columns 0…D−1 of the result. */
export const features = (sizes: BlockSizes): SplitProduct =>
  splitProduct(
    {
      key: keyOf('hermite features', sizes),
      buffers: ['value', 'v'],
      rows: 'P.batch',
      columns: `${sizes.width}u`,
      terms: `${sizes.rows}u`,
      a: `return value[m * ${sizes.rows}u + k];`,
      b: `return v[k * ${sizes.width}u + n];`,
      aFast: 'k',
      bFast: 'n',
      store: `result[m * ${sizes.width + 1}u + n] = entry;`,
      tile: narrowTile,
    },
    rowChunks,
    ['*result'],
  );

/** Column D of the result: one workgroup per row of the batch. */
export const trace = (sizes: BlockSizes): Kernel => ({
  key: keyOf('hermite trace', sizes),
  buffers: ['slope', 'norms', '*result'],
  code: () => `
var<workgroup> sums: array<f32, 128>;
@compute @workgroup_size(128)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  var total = 0.0;
  for (var r = lane; r < ${sizes.rows}u; r += 128u) { total = fma(slope[group.x * ${sizes.rows}u + r], norms[r], total); }
  sums[lane] = total;
  workgroupBarrier();
  for (var half = 64u; half > 0u; half /= 2u) {
    if (lane < half) { sums[lane] += sums[lane + half]; }
    workgroupBarrier();
  }
  if (lane == 0u) { result[group.x * ${sizes.width + 1}u + ${sizes.width}u] = sums[0]; }
}`,
});

/** Gradients at φ (`e`, signed) and at z (`dz`, 0 outside the clamp). */
export const preActivationGradient = (sizes: BlockSizes): Kernel =>
  product({
    key: keyOf('hermite pre-activation gradient', sizes),
    buffers: ['dy', 'v', 'z', 'coefficients', 'norms', '*e', '*dz'],
    rows: 'P.batch',
    columns: `${sizes.rows}u`,
    terms: `${sizes.width}u`,
    a: `return dy[m * ${sizes.width + 1}u + k];`,
    b: `return v[n * ${sizes.width}u + k];`,
    aFast: 'k',
    bFast: 'k',
    extra: `${sign(sizes)}${series(sizes)}`,
    store: `
  let at = m * ${sizes.rows}u + n;
  let point = z[at];
  let parts = series(point);
  let atValue = signOf(n) * entry;
  let atSlope = dy[m * ${sizes.width + 1}u + ${sizes.width}u] * signOf(n) * norms[n];
  e[at] = atValue;
  let inner = fma(atValue, parts.y, atSlope * parts.z);
  dz[at] = select(inner, 0.0, abs(point) > 10.0);`,
    tile: blockTile,
  });

/** Gradient of `s` [B,D]. */
export const inputGradient = (sizes: BlockSizes): SplitProduct =>
  splitProduct(
    {
      key: keyOf('hermite input gradient', sizes),
      buffers: ['dz', 'v'],
      rows: 'P.batch',
      columns: `${sizes.width}u`,
      terms: `${sizes.rows}u`,
      a: `return dz[m * ${sizes.rows}u + k];`,
      b: `return v[k * ${sizes.width}u + n];`,
      aFast: 'k',
      bFast: 'n',
      store: `ds[m * ${sizes.width}u + n] = entry;`,
      tile: narrowTile,
    },
    rowChunks,
    ['*ds'],
  );

/** Σ_b dJ_b σφ'(z_br) for every map row: 32 rows in a group of 256 threads. */
export const normGradient = (sizes: BlockSizes): Kernel => ({
  key: keyOf('hermite norm gradient', sizes),
  buffers: ['dy', 'slope', '*dNorms'],
  code: () => `
var<workgroup> sums: array<f32, 256>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let r = group.x * 32u + lane % 32u;
  var total = 0.0;
  if (r < ${sizes.rows}u) {
    for (var row = lane / 32u; row < P.batch; row += 8u) {
      total = fma(dy[row * ${sizes.width + 1}u + ${sizes.width}u], slope[row * ${sizes.rows}u + r], total);
    }
  }
  sums[lane] = total;
  workgroupBarrier();
  for (var half = 128u; half >= 32u; half /= 2u) {
    if (lane < half) { sums[lane] += sums[lane + half]; }
    workgroupBarrier();
  }
  if (lane < 32u && r < ${sizes.rows}u) { dNorms[r] = sums[lane]; }
}`,
});

/** Gradient of V [R,D]: dzᵀ s + σφᵀ dS + 2 V dNorms, the first two as one product over twice the batch. */
export const mapGradient = (sizes: BlockSizes): Kernel =>
  product({
    key: keyOf('hermite map gradient', sizes),
    buffers: ['dz', 'value', 's', 'dy', 'v', 'dNorms', '*dv'],
    rows: `${sizes.rows}u`,
    columns: `${sizes.width}u`,
    terms: '(2u * P.batch)',
    a: `if (k < P.batch) { return dz[k * ${sizes.rows}u + m]; }
  return value[(k - P.batch) * ${sizes.rows}u + m];`,
    b: `if (k < P.batch) { return s[k * ${sizes.width}u + n]; }
  return dy[(k - P.batch) * ${sizes.width + 1}u + n];`,
    aFast: 'm',
    bFast: 'n',
    store: `
  let at = m * ${sizes.width}u + n;
  dv[at] = fma(2.0 * v[at], dNorms[m], entry);`,
    tile: narrowTile,
  });

/** Partial sums of the coefficients' gradients, [group][coefficient]. */
export const coefficientPartials = (sizes: BlockSizes): Kernel => {
  const { degree, rows, width, version } = sizes;
  const kappa = version === 'physicist' ? 2 : 1;
  return {
    key: keyOf('hermite coefficient sums', sizes),
    buffers: ['z', 'e', 'dy', 'norms', '*partial'],
    code: () => `
${sign(sizes)}
fn bounded(z: f32) -> f32 { return select(select(z, 10.0, z > 10.0), -10.0, z < -10.0); }
var<workgroup> sums: array<f32, 256>;
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  ${lines(degree + 1, (k) => `var total${k} = 0.0;`)}
  for (var row = group.x; row < P.batch; row += ${coefficientGroups}u) {
    let dTrace = dy[row * ${width + 1}u + ${width}u];
    for (var r = lane; r < ${rows}u; r += 256u) {
      let at = row * ${rows}u + r;
      let x = bounded(z[at]);
      let atValue = e[at];
      let atSlope = dTrace * signOf(r) * norms[r];
      ${basis(sizes, 'x')}
      ${lines(degree + 1, (k) => `total${k} += ${k === 0 ? 'atValue' : `fma(atValue, p${k}, atSlope * ${kappa * k}.0 * p${k - 1})`};`)}
    }
  }
  ${lines(
    degree + 1,
    (k) => `
  sums[lane] = total${k};
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (lane < half) { sums[lane] += sums[lane + half]; }
    workgroupBarrier();
  }
  if (lane == 0u) { partial[group.x * ${degree + 1}u + ${k}u] = sums[0]; }
  workgroupBarrier();`,
  )}
}`,
  };
};

/** Their sum; one thread per coefficient. */
export const coefficientGradient = (sizes: BlockSizes): Kernel => ({
  key: keyOf('hermite coefficient gradient', sizes),
  buffers: ['partial', '*da'],
  code: () => `
@compute @workgroup_size(64)
fn main(@builtin(local_invocation_index) lane: u32) {
  for (var k = lane; k < ${sizes.degree + 1}u; k += 64u) {
    var total = 0.0;
    for (var group = 0u; group < ${coefficientGroups}u; group++) { total += partial[group * ${sizes.degree + 1}u + k]; }
    da[k] = total;
  }
}`,
});
