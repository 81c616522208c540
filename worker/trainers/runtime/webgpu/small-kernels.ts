/** LayerNorm, heads, loss and the flat vector of parameters as WGSL: each replaces some ten dispatches of TensorFlow.js. */
import { logvarRange, type LossSettings } from '../loss-settings.js';
import { layerNormEpsilon } from '../reference-small-ops.js';
import { elementwise } from './dense-kernels.js';
import type { Kernel } from './gpu.js';
import { activations } from './wgsl.js';

/** Threads that share a row in the kernels with one workgroup per row. */
const rowThreads = 64;

/** `fn total(lane, value)`: the sum over the workgroup, for every thread; called by all of them. */
const workgroupSum = (threads: number): string => `
var<workgroup> shares: array<f32, ${threads}>;
fn total(lane: u32, value: f32) -> f32 {
  workgroupBarrier();
  shares[lane] = value;
  workgroupBarrier();
  for (var half = ${threads / 2}u; half > 0u; half /= 2u) {
    if (lane < half) { shares[lane] += shares[lane + half]; }
    workgroupBarrier();
  }
  return shares[0];
}`;

/** One workgroup per row; `P.batch` is not needed: there are as many groups as rows. */
const perRow = (body: string): string => `${workgroupSum(rowThreads)}
@compute @workgroup_size(${rowThreads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let row = group.x;
  ${body}
}`;

/** `stats` [B,2]: mean and 1/√(variance + ε) of every row. */
export const layerNormForward = (width: number): Kernel => ({
  key: `layer norm ${width}`,
  buffers: ['x', 'gain', 'shift', '*y', '*stats'],
  code: () =>
    perRow(`
  let first = row * ${width}u;
  var part = 0.0;
  for (var k = lane; k < ${width}u; k += ${rowThreads}u) { part += x[first + k]; }
  let mean = total(lane, part) / ${width}.0;
  part = 0.0;
  for (var k = lane; k < ${width}u; k += ${rowThreads}u) { let c = x[first + k] - mean; part = fma(c, c, part); }
  let inverse = 1.0 / sqrt(total(lane, part) / ${width}.0 + ${layerNormEpsilon});
  for (var k = lane; k < ${width}u; k += ${rowThreads}u) { y[first + k] = (x[first + k] - mean) * inverse * gain[k] + shift[k]; }
  if (lane == 0u) { stats[2u * row] = mean; stats[2u * row + 1u] = inverse; }`),
});

/** dx = (g − mean(g) − x̂·mean(g·x̂)) / σ with g = dy·gain. */
export const layerNormInputGradient = (width: number): Kernel => ({
  key: `layer norm gradient ${width}`,
  buffers: ['x', 'gain', 'stats', 'dy', '*dx'],
  code: () =>
    perRow(`
  let first = row * ${width}u;
  let mean = stats[2u * row];
  let inverse = stats[2u * row + 1u];
  var part = 0.0;
  var along = 0.0;
  for (var k = lane; k < ${width}u; k += ${rowThreads}u) {
    let g = dy[first + k] * gain[k];
    part += g;
    along = fma(g, (x[first + k] - mean) * inverse, along);
  }
  let meanG = total(lane, part) / ${width}.0;
  let meanAlong = total(lane, along) / ${width}.0;
  for (var k = lane; k < ${width}u; k += ${rowThreads}u) {
    dx[first + k] = inverse * (dy[first + k] * gain[k] - meanG - (x[first + k] - mean) * inverse * meanAlong);
  }`),
});

/** Columns of a workgroup that sums columns, and threads that share one. */
export const sumColumns = 16;

/** Sums over the rows, two figures per column; `term` is WGSL for the pair at (row, column), `store` takes it as `sum`. */
const columnSums = (columns: number, term: string, store: string): string => `
var<workgroup> shares: array<vec2<f32>, ${sumColumns * sumColumns}>;
fn term(row: u32, column: u32) -> vec2<f32> { ${term} }
@compute @workgroup_size(${sumColumns * sumColumns})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  let column = group.x * ${sumColumns}u + lane % ${sumColumns}u;
  var part = vec2<f32>();
  if (column < ${columns}u) {
    for (var row = lane / ${sumColumns}u; row < P.batch; row += ${sumColumns}u) { part += term(row, column); }
  }
  shares[lane] = part;
  workgroupBarrier();
  if (lane >= ${sumColumns}u || column >= ${columns}u) { return; }
  var sum = vec2<f32>();
  for (var i = lane; i < ${sumColumns * sumColumns}u; i += ${sumColumns}u) { sum += shares[i]; }
  ${store}
}`;

export const layerNormParameterGradient = (width: number): Kernel => ({
  key: `layer norm parameter gradient ${width}`,
  buffers: ['x', 'stats', 'dy', '*dgain', '*dshift'],
  code: () =>
    columnSums(
      width,
      `let d = dy[row * ${width}u + column];
  return vec2<f32>(d * (x[row * ${width}u + column] - stats[2u * row]) * stats[2u * row + 1u], d);`,
      'dgain[column] = sum.x; dshift[column] = sum.y;',
    ),
});

/** Entries in a row of the features: s, S(s), J(s). */
const featureColumns = (width: number): number => 2 * width + 1;

export const blockFeaturesForward = (width: number): Kernel => ({
  key: `block features ${width}`,
  buffers: ['s', 'block', 'bias', '*y'],
  code: () =>
    elementwise(`
  let row = i / ${featureColumns(width)}u;
  let column = i % ${featureColumns(width)}u;
  if (column < ${width}u) { y[i] = s[row * ${width}u + column]; return; }
  let k = column - ${width}u;
  let entry = block[row * ${width + 1}u + k];
  if (k < ${width}u) { y[i] = entry + bias[k]; } else { y[i] = entry; }`),
});

export const blockFeaturesGradient = (width: number): Kernel => ({
  key: `block features gradient ${width}`,
  buffers: ['dy', '*ds', '*dblock'],
  code: () =>
    elementwise(`
  let row = i / ${featureColumns(width)}u;
  let column = i % ${featureColumns(width)}u;
  if (column < ${width}u) { ds[row * ${width}u + column] = dy[i]; } else { dblock[row * ${width + 1}u + column - ${width}u] = dy[i]; }`),
});

export const blockBiasGradient = (width: number): Kernel => ({
  key: `block bias gradient ${width}`,
  buffers: ['dy', '*dbias'],
  code: () =>
    columnSums(
      width,
      `return vec2<f32>(dy[row * ${featureColumns(width)}u + ${width}u + column], 0.0);`,
      'dbias[column] = sum.x;',
    ),
});

export const headOutputsForward = (heads: number, width: number): Kernel => ({
  key: `${heads} head outputs ${width}`,
  buffers: ['hidden', 'w', 'bias', '*y'],
  code: () =>
    perRow(`
  for (var head = 0u; head < ${heads}u; head++) {
    var part = 0.0;
    for (var k = lane; k < ${width}u; k += ${rowThreads}u) {
      part = fma(hidden[(row * ${heads}u + head) * ${width}u + k], w[head * ${width}u + k], part);
    }
    let sum = total(lane, part);
    if (lane == 0u) { y[row * ${heads}u + head] = sum + bias[head]; }
  }`),
});

export const headOutputsInputGradient = (heads: number, width: number): Kernel => ({
  key: `${heads} head outputs gradient ${width}`,
  buffers: ['dy', 'w', '*dhidden'],
  code: () => elementwise(`dhidden[i] = dy[i / ${width}u] * w[i % ${heads * width}u];`),
});

export const headOutputsParameterGradient = (heads: number, width: number): Kernel => ({
  key: `${heads} head outputs parameter gradient ${width}`,
  buffers: ['hidden', 'dy', '*dw', '*dbias'],
  code: () =>
    columnSums(
      heads * width,
      `let d = dy[row * ${heads}u + column / ${width}u];
  return vec2<f32>(d * hidden[row * ${heads * width}u + column], d);`,
      `dw[column] = sum.x; if (column % ${width}u == 0u) { dbias[column / ${width}u] = sum.y; }`,
    ),
});

/** Threads of the one workgroup that makes the loss. */
const lossThreads = 256;

/** The settings in the order in which the kernel reads them. */
export const lossNumbers = (settings: LossSettings): number[] => [
  ...[settings.regWeight, settings.clsWeight, settings.uncWeight, settings.signWeight],
  ...[settings.focalGamma, settings.posWeight, settings.signScale],
];

/** Entropy c of a row, its derivative by q; q = ±logit is positive when the forecast is right. */
const classificationTerms: Readonly<Record<LossSettings['classification'], string>> = {
  bce: `
    let weight = select(1.0, numbers[5], up);
    let c = weight * softplus1(-q);
    let dc = -weight * sigmoid1(-q);`,
  focal: `
    let wrong = exp(-numbers[4] * softplus1(q));
    let c = wrong * softplus1(-q);
    let dc = -wrong * (numbers[4] * sigmoid1(q) * softplus1(-q) + sigmoid1(-q));`,
};

/** The mean loss, and the gradient [B,3] of the outputs that belongs to it; NaN passes through. */
export const lossForward = (classification: LossSettings['classification']): Kernel => ({
  key: `loss ${classification}`,
  buffers: ['outputs', 'targets', 'numbers', '*loss', '*gradient'],
  code: () => `${activations}${workgroupSum(lossThreads)}
fn softplus1(x: f32) -> f32 {
  let e = exp(-abs(x));
  let value = select(0.0, x, x > 0.0) + select(log(1.0 + e), e * (1.0 - 0.5 * e), e < 1e-3);
  return select(value, x, isNaN1(x));
}
@compute @workgroup_size(${lossThreads})
fn main(@builtin(local_invocation_index) lane: u32) {
  let share = 1.0 / f32(P.batch);
  var part = 0.0;
  for (var row = lane; row < P.batch; row += ${lossThreads}u) {
    let y = targets[row];
    let mu = outputs[3u * row];
    let free = outputs[3u * row + 1u];
    let logvar = select(select(free, ${logvarRange.high}.0, free > ${logvarRange.high}.0), ${logvarRange.low}.0, free < ${logvarRange.low}.0);
    let up = y > 0.0;
    let side = select(-1.0, 1.0, up);
    let q = side * outputs[3u * row + 2u];
    let error = y - mu;
    let sharpness = exp(-logvar);
    let variance = exp(logvar);
    let bent = tanh1(numbers[6] * mu);
    let miss = bent - sign(y);
    ${classificationTerms[classification]}
    let nll = 0.5 * (error * error * sharpness + logvar);
    part += numbers[0] * nll + numbers[1] * c + numbers[2] * variance + numbers[3] * miss * miss;
    let inside = free >= ${logvarRange.low}.0 && free <= ${logvarRange.high}.0;
    let dLogvar = numbers[0] * 0.5 * (1.0 - error * error * sharpness) + numbers[2] * variance;
    gradient[3u * row] = share * (-numbers[0] * error * sharpness + numbers[3] * 2.0 * miss * (1.0 - bent * bent) * numbers[6]);
    gradient[3u * row + 1u] = select(0.0, share * dLogvar, inside);
    gradient[3u * row + 2u] = share * numbers[1] * dc * side;
  }
  let sum = total(lane, part);
  if (lane == 0u) { loss[0] = sum * share; }
}`,
});

/** A tensor times a scalar that lies on the device. */
export const scaled: Kernel = {
  key: 'scaled',
  buffers: ['x', 'factor', '*y'],
  code: () => elementwise('y[i] = x[i] * factor[0];'),
};

const starts = (sizes: readonly number[]): number[] =>
  sizes.map((_, i) => sizes.slice(0, i).reduce((sum, size) => sum + size, 0));

/** One buffer after another: `line` for entry `i` of the whole and entry `at` of piece `n`. */
function eachPiece(sizes: readonly number[], line: (n: number, at: string) => string): string {
  const pieces = starts(sizes).map(
    (start, n) => `if (i < ${start + (sizes[n] ?? 0)}u) { ${line(n, `i - ${start}u`)} return; }`,
  );
  return elementwise(pieces.join('\n  '));
}

const pieceNames = (sizes: readonly number[]): string[] => sizes.map((_, n) => `piece${n}`);

/** Copies the entries of `flat` from `offset` on into pieces of these sizes. */
export const splitPieces = (sizes: readonly number[], offset: number): Kernel => ({
  key: `split at ${offset} into ${sizes.join('+')}`,
  buffers: ['flat', ...pieceNames(sizes).map((name) => `*${name}`)],
  code: () => eachPiece(sizes, (n, at) => `piece${n}[${at}] = flat[i + ${offset}u];`),
});

/** Copies pieces of these sizes to `flat`, from `offset` on. */
export const joinPieces = (sizes: readonly number[], offset: number): Kernel => ({
  key: `join at ${offset} from ${sizes.join('+')}`,
  buffers: ['*flat', ...pieceNames(sizes)],
  code: () => eachPiece(sizes, (n, at) => `flat[i + ${offset}u] = piece${n}[${at}];`),
});
