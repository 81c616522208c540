/**
 * The LSTM as WGSL: one dispatch forward over all time steps and one backward, because rows do not depend on each other. A
 * workgroup takes four rows through all steps with their state in its own memory; each thread has one gate of one unit and keeps
 * that column's weights in registers (`fast`), or reads them from the cache at every step (`plain`: any size, any device).
 * Units are padded to multiples of four (`padded`); padding has weight 0, so its state stays 0.
 *
 * Kept for the way back: activated gates [T][B][4·padded], cells and hidden states [T][B][padded]. The way back overwrites the
 * gates with the gradients at their pre-activations, of which the gradients of the weights are one large product.
 */
import type { Kernel } from './gpu.js';
import { splitProduct, type SplitProduct, type Tile } from './product.js';
import { activations, lines } from './wgsl.js';

export interface LstmSizes {
  readonly steps: number;
  readonly features: number;
  readonly units: number;
}

/** How the recurrent weights are read. */
export interface LstmVariant {
  readonly kind: 'fast' | 'plain';
  /** Threads of a workgroup. */
  readonly threads: number;
}

export const rowsPerGroup = 4;
/** Units whose column of weights a thread can keep in registers. */
const fastUnitsMax = 128;

export const paddedUnits = (units: number): number => Math.ceil(units / 4) * 4;

/** The variant for a device that allows so many threads in a workgroup; `plain` can be forced. */
export function lstmVariant(units: number, threadsMax: number, forcePlain: boolean): LstmVariant {
  const threads = 4 * paddedUnits(units);
  const fits = threads <= threadsMax && units <= fastUnitsMax;
  return fits && !forcePlain
    ? { kind: 'fast', threads }
    : { kind: 'plain', threads: Math.min(threads, threadsMax, 256) };
}

const keyOf = (name: string, { steps, features, units }: LstmSizes, { kind, threads }: LstmVariant): string =>
  `${name} ${kind} ${threads} T${steps} F${features} H${units}`;

/** `wh` entry (gate row of `gate` and unit `out`, column `column`), 0 in the padding. */
const recurrent = (units: number): string => `
fn weight(gate: u32, out: u32, column: u32) -> f32 {
  if (out < ${units}u && column < ${units}u) { return wh[(gate * ${units}u + out) * ${units}u + column]; }
  return 0.0;
}`;

/** Runs `body` for every column of `count` that the thread has; with one column per thread there is no loop. */
const columns = (count: number, threads: number, body: string): string =>
  count === threads
    ? `{ let j = lane; ${body} }`
    : `for (var j = lane; j < ${count}u; j += ${threads}u) { ${body} }`;

const rowNumbers = `let row0 = group.x * ${rowsPerGroup}u;`;

/** Sum of products of a column of weights with the four rows of `state` (as vectors of four, `stride` apart, from `offset`). */
function accumulate(
  quads: number,
  variant: LstmVariant,
  source: { weight: (k: string) => string; at: string; stride: string },
): string {
  const step = (k: string, weight: string): string =>
    lines(
      rowsPerGroup,
      (r) => `sum${r} = fma(${weight}, ${source.at}[${r}u * ${source.stride} + ${k}], sum${r});`,
    );
  if (variant.kind === 'fast') return lines(quads, (k) => step(`base + ${k}u`, `w${k}`));
  return `for (var k = 0u; k < ${quads}u; k++) { let w = ${source.weight('k')}; ${step('base + k', 'w')} }`;
}

const totals = lines(
  rowsPerGroup,
  (r) => `let total${r} = (sum${r}.x + sum${r}.y) + (sum${r}.z + sum${r}.w);`,
);
const zeroSums = lines(rowsPerGroup, (r) => `var sum${r} = vec4<f32>();`);

/** Four neighbouring entries of a row of `wh`, as a vector. */
const rowWeights = (gate: string, unit: string, k: string): string =>
  `vec4<f32>(${[0, 1, 2, 3].map((i) => `weight(${gate}, ${unit}, 4u * ${k} + ${i}u)`).join(', ')})`;

/** What a thread with one gate of one unit keeps in registers; otherwise it is read where it is used. */
function ownWeights({ units, features }: LstmSizes): string {
  const u = paddedUnits(units);
  return `
  let ownGate = lane / ${u}u; let ownUnit = lane % ${u}u;
  let ownRow = ownGate * ${units}u + min(ownUnit, ${units - 1}u);
  let ownAlive = f32(ownUnit < ${units}u);
  let ownBias = ownAlive * bias[ownRow];
  ${lines(features, (f) => `let ownInput${f} = ownAlive * wi[ownRow * ${features}u + ${f}u];`)}
  ${lines(u / 4, (k) => `let w${k} = ${rowWeights('ownGate', 'ownUnit', `${k}u`)};`)}`;
}

/** Gate `j` of the four rows: pre-activation, activation, and where it goes. */
function forwardColumn(sizes: LstmSizes, variant: LstmVariant): string {
  const { features, units } = sizes;
  const u = paddedUnits(units);
  const fast = variant.kind === 'fast';
  const weight = (k: string): string => rowWeights('gate', 'unit', k);
  const own = fast
    ? 'let gate = ownGate; let offset = ownBias;'
    : `let gate = j / ${u}u; let unit = j % ${u}u;
      let gateRow = gate * ${units}u + min(unit, ${units - 1}u);
      let alive = f32(unit < ${units}u);
      let offset = alive * bias[gateRow];`;
  const input = (f: number): string => (fast ? `ownInput${f}` : `alive * wi[gateRow * ${features}u + ${f}u]`);
  return `
      ${own}
      let base = 0u;
      ${zeroSums}
      ${accumulate(u / 4, variant, { weight, at: 'state', stride: `${u / 4}u` })}
      ${totals}
      ${lines(rowsPerGroup, (r) => `var a${r} = total${r} + offset;`)}
      ${lines(
        features,
        (f) =>
          `{ let w = ${input(f)}; ${lines(rowsPerGroup, (r) => `a${r} = fma(w, inputs[${r * features + f}u], a${r});`)} }`,
      )}
      if (gate == 2u) { ${lines(rowsPerGroup, (r) => `a${r} = tanh1(a${r});`)} }
      else { ${lines(rowsPerGroup, (r) => `a${r} = sigmoid1(a${r});`)} }
      ${lines(
        rowsPerGroup,
        (r) => `
      activated[${r * 4 * u}u + j] = a${r};
      if (row0 + ${r}u < P.batch) { gates[(time * P.batch + row0 + ${r}u) * ${4 * u}u + j] = a${r}; }`,
      )}`;
}

/** The new cells and hidden states of four units of one row. */
function forwardState({ steps, units }: LstmSizes, threads: number, s: number): string {
  const u = paddedUnits(units);
  const quads = u / 4;
  const quad = (gate: number): string =>
    `vec4<f32>(${[0, 1, 2, 3].map((i) => `activated[begins + ${gate * u + i}u]`).join(', ')})`;
  return `
    {
      let i = lane + ${s * threads}u;
      if (i < ${rowsPerGroup * quads}u) {
        let r = i / ${quads}u;
        let q = i % ${quads}u;
        let begins = r * ${4 * u}u + 4u * q;
        let c = fma(${quad(1)}, cell[${s}], ${quad(0)} * ${quad(2)});
        let h = ${quad(3)} * tanh4(c);
        cell[${s}] = c;
        state[i] = h;
        let row = row0 + r;
        if (row < P.batch) {
          cells[(time * P.batch + row) * ${quads}u + q] = c;
          hidden[(time * P.batch + row) * ${quads}u + q] = h;
          if (time == ${steps - 1}u) {
            ${lines(4, (c) => `if (4u * q + ${c}u < ${units}u) { last[row * ${units}u + 4u * q + ${c}u] = h[${c}]; }`)}
          }
        }
      }
    }`;
}

/** Vectors of four units that a thread has the states of; with one gate per thread there is one at most. */
const sharePerThread = (units: number, threads: number): number =>
  Math.ceil((rowsPerGroup * paddedUnits(units)) / 4 / threads);

export function lstmForward(sizes: LstmSizes, variant: LstmVariant): Kernel {
  const { steps, features, units } = sizes;
  const u = paddedUnits(units);
  const states = rowsPerGroup * (u / 4);
  const { threads } = variant;
  const share = sharePerThread(units, threads);
  return {
    key: keyOf('lstm forward', sizes, variant),
    buffers: ['x', 'wi', 'wh', 'bias', '*gates', '*cells:vec4<f32>', '*hidden:vec4<f32>', '*last'],
    code: () => `
${activations}
${recurrent(units)}
var<workgroup> state: array<vec4<f32>, ${states}>;
var<workgroup> activated: array<f32, ${rowsPerGroup * 4 * u}>;
var<workgroup> inputs: array<f32, ${rowsPerGroup * features}>;
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  ${rowNumbers}
  ${variant.kind === 'fast' ? ownWeights(sizes) : ''}
  var cell: array<vec4<f32>, ${share}>;
  for (var i = lane; i < ${states}u; i += ${threads}u) { state[i] = vec4<f32>(); }
  let inputRow = min(row0 + lane / ${features}u, P.batch - 1u);
  let inputAt = inputRow * ${steps * features}u + lane % ${features}u;
  var next = 0.0;
  if (lane < ${rowsPerGroup * features}u) { next = x[inputAt]; }
  for (var time = 0u; time < ${steps}u; time++) {
    if (lane < ${rowsPerGroup * features}u) {
      inputs[lane] = next;
      if (time + 1u < ${steps}u) { next = x[inputAt + (time + 1u) * ${features}u]; }
    }
    workgroupBarrier();
    ${columns(4 * u, threads, forwardColumn(sizes, variant))}
    workgroupBarrier();
    ${lines(share, (s) => forwardState(sizes, threads, s))}
  }
}`,
  };
}

/** Four neighbouring entries of a column of `wh`, as a vector. */
const columnWeights = (gate: string, unit: string, k: string): string =>
  `vec4<f32>(${[0, 1, 2, 3].map((i) => `weight(${gate}, 4u * ${k} + ${i}u, ${unit})`).join(', ')})`;

/** One gate's part of the previous dh of unit `j % padded`, for the four rows. */
function backwardColumn(units: number, variant: LstmVariant): string {
  const u = paddedUnits(units);
  const quads = u / 4;
  const weight = (k: string): string => columnWeights('gate', 'unit', k);
  return `
      let gate = j / ${u}u;
      let unit = j % ${u}u;
      let base = gate * ${quads}u;
      ${zeroSums}
      ${accumulate(quads, variant, { weight, at: 'slopes', stride: `${4 * quads}u` })}
      ${totals}
      ${lines(rowsPerGroup, (r) => `partial[${r * 4 * u}u + j] = total${r};`)}`;
}

/** Reads gates and the cells before step `time` ahead of their use. */
function backwardLoad(units: number, threads: number, s: number, time: string): string {
  const u = paddedUnits(units);
  const quads = u / 4;
  return `
      {
        let i = lane + ${s * threads}u;
        let row = min(row0 + i / ${quads}u, P.batch - 1u);
        let q = i % ${quads}u;
        if (i < ${rowsPerGroup * quads}u) {
          let at = (${time}) * P.batch + row;
          ${lines(4, (gate) => `gate${gate}_${s} = gates[at * ${u}u + ${gate * quads}u + q];`)}
          before${s} = vec4<f32>();
          if (${time} > 0u) { before${s} = cells[(at - P.batch) * ${quads}u + q]; }
        }
      }`;
}

function backwardPointwise({ steps, units }: LstmSizes, threads: number, s: number): string {
  const u = paddedUnits(units);
  const quads = u / 4;
  const part = (i: number): string =>
    `(partial[begins + ${i}u] + partial[begins + ${u + i}u]) + (partial[begins + ${2 * u + i}u] + partial[begins + ${3 * u + i}u])`;
  return `
      {
        let i = lane + ${s * threads}u;
        if (i < ${rowsPerGroup * quads}u) {
          let r = i / ${quads}u;
          let q = i % ${quads}u;
          let row = row0 + r;
          if (time < ${steps - 1}u) {
            let begins = r * ${4 * u}u + 4u * q;
            dh${s} = vec4<f32>(${[0, 1, 2, 3].map(part).join(', ')});
          }
          let in4 = gate0_${s}; let forget = gate1_${s}; let candidate = gate2_${s}; let out4 = gate3_${s};
          let tanhCell = tanh4(now${s});
          let dc = fma(dh${s} * out4, 1.0 - tanhCell * tanhCell, carry${s});
          let d0 = dc * candidate * in4 * (1.0 - in4);
          let d1 = dc * before${s} * forget * (1.0 - forget);
          let d2 = dc * in4 * (1.0 - candidate * candidate);
          let d3 = dh${s} * tanhCell * out4 * (1.0 - out4);
          carry${s} = dc * forget;
          now${s} = before${s};
          let at = r * ${4 * quads}u + q;
          slopes[at] = d0; slopes[at + ${quads}u] = d1; slopes[at + ${2 * quads}u] = d2; slopes[at + ${3 * quads}u] = d3;
          if (row < P.batch) {
            let to = (time * P.batch + row) * ${u}u + q;
            gates[to] = d0; gates[to + ${quads}u] = d1; gates[to + ${2 * quads}u] = d2; gates[to + ${3 * quads}u] = d3;
          }
        }
      }`;
}

function backwardBegin({ steps, units }: LstmSizes, threads: number, s: number): string {
  const quads = paddedUnits(units) / 4;
  return `
  var gate0_${s}: vec4<f32>; var gate1_${s}: vec4<f32>; var gate2_${s}: vec4<f32>; var gate3_${s}: vec4<f32>;
  var before${s}: vec4<f32>; var now${s}: vec4<f32>; var dh${s}: vec4<f32>; var carry${s}: vec4<f32>;
  {
    let i = lane + ${s * threads}u;
    let row = row0 + i / ${quads}u;
    let q = i % ${quads}u;
    if (i < ${rowsPerGroup * quads}u && row < P.batch) {
      now${s} = cells[(${steps - 1}u * P.batch + row) * ${quads}u + q];
      ${lines(4, (c) => `if (4u * q + ${c}u < ${units}u) { dh${s}[${c}] = dy[row * ${units}u + 4u * q + ${c}u]; }`)}
    }
  }`;
}

/**
 * With the gradients dh and dc at a step: dc += dh·o·(1 − tanh²c), then the gradients at the four pre-activations, then the
 * previous dh from all of them through the recurrent weights. A thread has one unit and one gate of that last sum.
 */
export function lstmBackward(sizes: LstmSizes, variant: LstmVariant): Kernel {
  const { steps, units } = sizes;
  const u = paddedUnits(units);
  const { threads } = variant;
  const share = sharePerThread(units, threads);
  const own = `
  let ownGate = lane / ${u}u; let ownUnit = lane % ${u}u;
  ${lines(u / 4, (k) => `let w${k} = ${columnWeights('ownGate', 'ownUnit', `${k}u`)};`)}`;
  return {
    key: keyOf('lstm backward', sizes, variant),
    buffers: ['dy', 'wh', '*gates:vec4<f32>', 'cells:vec4<f32>'],
    code: () => `
${activations}
${recurrent(units)}
var<workgroup> slopes: array<vec4<f32>, ${rowsPerGroup * u}>;
var<workgroup> partial: array<f32, ${rowsPerGroup * 4 * u}>;
@compute @workgroup_size(${threads})
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
  ${rowNumbers}
  ${variant.kind === 'fast' ? own : ''}
  ${lines(share, (s) => backwardBegin(sizes, threads, s))}
  ${lines(share, (s) => backwardLoad(units, threads, s, `${steps - 1}u`))}
  for (var left = ${steps}u; left > 0u; left--) {
    let time = left - 1u;
    ${lines(share, (s) => backwardPointwise(sizes, threads, s))}
    if (time > 0u) {
      ${lines(share, (s) => backwardLoad(units, threads, s, 'time - 1u'))}
    }
    workgroupBarrier();
    ${columns(4 * u, threads, backwardColumn(units, variant))}
    workgroupBarrier();
  }
}`,
  };
}

export const lstmWeightTile: Tile = { rows: 128, columns: 32, perThread: 8 };
/** Workgroups that share the long sum over steps and rows. */
export const lstmWeightChunks = 64;

/**
 * Gradients of all weights as one product over steps and rows, [h_{t−1} | x_t | 1] being the second operand. Stored as
 * dWi [4H,F], dWh [4H,H], dBias [4H].
 */
export function lstmWeightGradient({ steps, features, units }: LstmSizes): SplitProduct {
  const u = paddedUnits(units);
  return splitProduct(
    {
      key: `lstm weights T${steps} F${features} H${units}`,
      buffers: ['slopes', 'hidden', 'x'],
      rows: `${4 * u}u`,
      columns: `${units + features + 1}u`,
      terms: `(P.batch * ${steps}u)`,
      a: `return slopes[k * ${4 * u}u + m];`,
      b: `
  if (n < ${units}u) {
    if (k < P.batch) { return 0.0; }
    return hidden[(k - P.batch) * ${u}u + n];
  }
  if (n == ${units + features}u) { return 1.0; }
  let time = k / P.batch;
  return x[((k - time * P.batch) * ${steps}u + time) * ${features}u + n - ${units}u];`,
      aFast: 'm',
      bFast: 'n',
      store: `
  let unit = m % ${u}u;
  if (unit >= ${units}u) { return; }
  let row = (m / ${u}u) * ${units}u + unit;
  if (n < ${units}u) { dwh[row * ${units}u + n] = entry; }
  else if (n < ${units + features}u) { dwi[row * ${features}u + n - ${units}u] = entry; }
  else { dbias[row] = entry; }`,
      tile: lstmWeightTile,
    },
    lstmWeightChunks,
    ['*dwi', '*dwh', '*dbias'],
  );
}
