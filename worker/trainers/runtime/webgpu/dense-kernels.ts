/** Linear layers, GELU, and AdamW on flat vectors as WGSL. */
import type { Kernel } from './gpu.js';
import { product, type Tile } from './product.js';
import { erf } from './wgsl.js';

export const denseTile: Tile = { rows: 32, columns: 32, perThread: 4 };

/** y [B,N] = x Wᵀ + b. */
export const linearForward = (inputs: number, outputs: number): Kernel =>
  product({
    key: `linear ${inputs} to ${outputs}`,
    buffers: ['x', 'w', 'bias', '*y'],
    ...{ rows: 'P.batch', columns: `${outputs}u`, terms: `${inputs}u` },
    a: `return x[m * ${inputs}u + k];`,
    b: `return w[n * ${inputs}u + k];`,
    ...{ aFast: 'k', bFast: 'k', tile: denseTile },
    store: `y[m * ${outputs}u + n] = entry + bias[n];`,
  });

/** Gradient of x [B,D]. */
export const linearInputGradient = (inputs: number, outputs: number): Kernel =>
  product({
    key: `linear input gradient ${inputs} to ${outputs}`,
    buffers: ['dy', 'w', '*dx'],
    ...{ rows: 'P.batch', columns: `${inputs}u`, terms: `${outputs}u` },
    a: `return dy[m * ${outputs}u + k];`,
    b: `return w[k * ${inputs}u + n];`,
    ...{ aFast: 'k', bFast: 'n', tile: denseTile },
    store: `dx[m * ${inputs}u + n] = entry;`,
  });

/** Gradients of W [N,D] and, as one more column, of b [N]. */
export const linearWeightGradient = (inputs: number, outputs: number): Kernel =>
  product({
    key: `linear weight gradient ${inputs} to ${outputs}`,
    buffers: ['dy', 'x', '*dw', '*dbias'],
    ...{ rows: `${outputs}u`, columns: `${inputs + 1}u`, terms: 'P.batch' },
    a: `return dy[k * ${outputs}u + m];`,
    b: `if (n == ${inputs}u) { return 1.0; }
  return x[k * ${inputs}u + n];`,
    ...{ aFast: 'm', bFast: 'n', tile: denseTile },
    store: `if (n < ${inputs}u) { dw[m * ${inputs}u + n] = entry; } else { dbias[m] = entry; }`,
  });

/** Entries of a vector per workgroup of the kernels below. */
export const vectorGroup = 256;

/** One thread per entry; `P.batch` counts them. */
export const elementwise = (body: string): string => `
@compute @workgroup_size(${vectorGroup})
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let i = id.x;
  if (i >= P.batch) { return; }
  ${body}
}`;

/** x·Φ(x); `P.batch` counts entries. */
export const geluForward: Kernel = {
  key: 'gelu',
  buffers: ['x', '*y'],
  code: () => `${erf}${elementwise('let v = x[i]; y[i] = v * (0.5 + 0.5 * erf1(v * 0.7071067811865476));')}`,
};

export const geluBackward: Kernel = {
  key: 'gelu gradient',
  buffers: ['x', 'dy', '*dx'],
  code: () =>
    `${erf}${elementwise(`
  let v = x[i];
  let density = 0.3989422804014327 * exp(-0.5 * v * v);
  dx[i] = dy[i] * fma(v, density, 0.5 + 0.5 * erf1(v * 0.7071067811865476));`)}`,
};

/** Workgroups that sum up the squares of a gradient. */
export const normGroups = 64;

/** Partial sums of squares; `P.batch` counts entries, here and below. */
export const squares: Kernel = {
  key: 'squares',
  buffers: ['gradient', '*partial'],
  code: () => `
var<workgroup> sums: array<f32, ${vectorGroup}>;
@compute @workgroup_size(${vectorGroup})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  var total = 0.0;
  for (var i = group.x * ${vectorGroup}u + lane; i < P.batch; i += ${normGroups * vectorGroup}u) { total = fma(gradient[i], gradient[i], total); }
  sums[lane] = total;
  workgroupBarrier();
  for (var half = ${vectorGroup / 2}u; half > 0u; half /= 2u) {
    if (lane < half) { sums[lane] += sums[lane + half]; }
    workgroupBarrier();
  }
  if (lane == 0u) { partial[group.x] = sums[0]; }
}`,
};

/** The moments after a step; the rates are in the order of `AdamWRates`. */
export const moments: Kernel = {
  key: 'adamw moments',
  buffers: ['partial', 'gradient', 'first', 'second', 'rates', '*nextFirst', '*nextSecond'],
  code: () => `
var<workgroup> scale: f32;
@compute @workgroup_size(${vectorGroup})
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  if (lane == 0u) {
    var total = 0.0;
    for (var group = 0u; group < ${normGroups}u; group++) { total += partial[group]; }
    let factor = rates[0] / (sqrt(total) + 1e-6);
    scale = select(factor, 1.0, factor > 1.0);
  }
  workgroupBarrier();
  let i = id.x;
  if (i >= P.batch) { return; }
  let g = gradient[i] * scale;
  nextFirst[i] = fma(first[i], rates[1], g * rates[2]);
  nextSecond[i] = fma(second[i], rates[3], g * g * rates[4]);
}`,
};

/** The parameters after a step, from the new moments. */
export const move: Kernel = {
  key: 'adamw parameters',
  buffers: ['parameters', 'nextFirst', 'nextSecond', 'rates', '*next'],
  code: () =>
    elementwise(`
  let spread = sqrt(nextSecond[i] * rates[7]) + rates[5];
  next[i] = parameters[i] * rates[8] - rates[6] * nextFirst[i] / spread;`),
};
