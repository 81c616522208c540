// One-layer LSTM with zero initial state, last hidden state only (hermite-model.md §7.2), and its back-propagation through time.
//
// A row of the input buffer is [h_{t−1} | x_t | 1 | zeros], so that input projection, bias and recurrence are one matrix
// product; the same row serves the weight gradient. Rows run through all T steps in blocks of 64: the weights and one
// step's state then stay in the second-level cache. Gates are stored activated, and overwritten by the derivatives with
// respect to the pre-activations on the way back.
//
// Buffers, in floats, for P padded rows (multiple of 4), U = pad8(H) units, D = U + pad8(F + 1) entries of a row:
//   rows  P·(T+1)·D    gates  P·T·4U    cells  P·(T+1)·U
// Within each, blocks follow one another, and inside a block the order is step, row, entry.

import { flush4, sigmoid4, tanh4 } from './activations';
import { addTransposedProduct, multiply, pad8 } from './gemm';

/** Rows that run through all steps together. */
const BLOCK: i32 = 64;
/** Steps whose weight gradient is added in one product, so that the sums are not rewritten at every step. */
const STEPS_PER_UPDATE: i32 = 4;

/** Entries of a row for H units and F features. */
@inline
function rowLength(units: i32, features: i32): i32 {
  return pad8(units) + pad8(features + 1);
}

/** Packs [4H,H] and [4H,F] weights and [4H] biases as the matrix that multiplies a row: D × 4U. */
function packForward(wi: usize, wh: usize, bias: usize, units: i32, features: i32, packed: usize): void {
  const u = pad8(units);
  const depth = rowLength(units, features);
  memory.fill(packed, 0, <usize>(depth * 4 * u) * 4);
  for (let gate = 0; gate < 4; gate++) {
    for (let j = 0; j < units; j++) {
      const column = gate * u + j;
      const source = gate * units + j;
      const to = packed + <usize>((column >> 3) * depth * 8 + (column & 7)) * 4;
      for (let k = 0; k < units; k++) {
        store<f32>(to + <usize>k * 32, load<f32>(wh + <usize>(source * units + k) * 4));
      }
      for (let f = 0; f < features; f++) {
        store<f32>(to + <usize>(u + f) * 32, load<f32>(wi + <usize>(source * features + f) * 4));
      }
      store<f32>(to + <usize>(u + features) * 32, load<f32>(bias + <usize>source * 4));
    }
  }
}

/** Packs the recurrent weights as the matrix that takes gate derivatives back to the hidden state: 4U × U. */
function packBackward(wh: usize, units: i32, packed: usize): void {
  const u = pad8(units);
  memory.fill(packed, 0, <usize>(4 * u * u) * 4);
  for (let gate = 0; gate < 4; gate++) {
    for (let j = 0; j < units; j++) {
      for (let k = 0; k < units; k++) {
        const to = packed + <usize>(((k >> 3) * 4 * u + gate * u + j) * 8 + (k & 7)) * 4;
        store<f32>(to, load<f32>(wh + <usize>((gate * units + j) * units + k) * 4));
      }
    }
  }
}

/** Writes x_t and the 1 into the rows of one step; `start` is the first row of the block in x [B,T,F]. */
function fillInputs(
  x: usize,
  batch: i32,
  steps: i32,
  features: i32,
  row: usize,
  stride: usize,
  start: i32,
  rows: i32,
  t: i32,
): void {
  for (let r = 0; r < rows; r++) {
    let to = row + <usize>r * stride;
    if (start + r < batch) {
      const from = x + <usize>(((start + r) * steps + t) * features) * 4;
      for (let f = 0; f < features; f++) store<f32>(to + <usize>f * 4, load<f32>(from + <usize>f * 4));
      store<f32>(to + <usize>features * 4, 1);
    }
  }
}

/** Activates the gates of one step in place, and writes the next cell and hidden state. */
function activate(gates: usize, cells: usize, nextCells: usize, hidden: usize, strideHidden: usize, rows: i32, u: i32): void {
  const bytes = <usize>u * 4;
  for (let r = 0; r < rows; r++) {
    let g = gates + <usize>r * bytes * 4;
    let c = cells + <usize>r * bytes;
    let next = nextCells + <usize>r * bytes;
    let h = hidden + <usize>r * strideHidden;
    const end = g + bytes;
    while (g < end) {
      const input = sigmoid4(v128.load(g));
      const forget = sigmoid4(v128.load(g + bytes));
      const candidate = tanh4(v128.load(g + 2 * bytes));
      const output = sigmoid4(v128.load(g + 3 * bytes));
      const cell = f32x4.add(f32x4.mul(forget, v128.load(c)), f32x4.mul(input, candidate));
      v128.store(g, input);
      v128.store(g + bytes, forget);
      v128.store(g + 2 * bytes, candidate);
      v128.store(g + 3 * bytes, output);
      v128.store(next, cell);
      v128.store(h, f32x4.mul(output, tanh4(cell)));
      g += 16;
      c += 16;
      next += 16;
      h += 16;
    }
  }
}

/** x [B,T,F] → out [B,H]. `packed` takes D × 4U floats. Keeps rows, gates and cells for `lstmBackward`. */
export function lstmForward(
  x: usize,
  wi: usize,
  wh: usize,
  bias: usize,
  packed: usize,
  rows: usize,
  gates: usize,
  cells: usize,
  out: usize,
  batch: i32,
  steps: i32,
  features: i32,
  units: i32,
): void {
  packForward(wi, wh, bias, units, features, packed);
  const u = pad8(units);
  const depth = rowLength(units, features);
  const padded = (batch + 3) & ~3;
  const strideRow = <usize>depth * 4;
  for (let start = 0; start < padded; start += BLOCK) {
    const count = min(BLOCK, padded - start);
    const rowStep = <usize>count * strideRow;
    const gateStep = <usize>(count * 4 * u) * 4;
    const cellStep = <usize>(count * u) * 4;
    let row = rows + <usize>(start * (steps + 1)) * strideRow;
    let gate = gates + <usize>(start * steps * 4 * u) * 4;
    let cell = cells + <usize>(start * (steps + 1) * u) * 4;
    memory.fill(row, 0, rowStep * <usize>(steps + 1));
    memory.fill(cell, 0, cellStep);
    for (let t = 0; t < steps; t++) {
      fillInputs(x, batch, steps, features, row + <usize>u * 4, strideRow, start, count, t);
      multiply(row, strideRow, packed, gate, <usize>u * 16, count, depth, 4 * u);
      activate(gate, cell, cell + cellStep, row + rowStep, strideRow, count, u);
      row += rowStep;
      gate += gateStep;
      cell += cellStep;
    }
    for (let r = 0; r < count && start + r < batch; r++) {
      memory.copy(out + <usize>((start + r) * units) * 4, row + <usize>r * strideRow, <usize>units * 4);
    }
  }
}

/**
 * Turns dh and dc into derivatives with respect to the pre-activations, which overwrite the gates, and dc of the step before.
 * Returns false when all of them are 0.
 */
function derive(gates: usize, cells: usize, nextCells: usize, dh: usize, dc: usize, rows: i32, u: i32): bool {
  const bytes = <usize>u * 4;
  const one = f32x4.splat(1);
  let any = i32x4.splat(0);
  for (let r = 0; r < rows; r++) {
    let g = gates + <usize>r * bytes * 4;
    let at = <usize>r * bytes;
    const end = g + bytes;
    while (g < end) {
      const input = v128.load(g);
      const forget = v128.load(g + bytes);
      const candidate = v128.load(g + 2 * bytes);
      const output = v128.load(g + 3 * bytes);
      const tanhCell = tanh4(v128.load(nextCells + at));
      const dHidden = v128.load(dh + at);
      const slope = f32x4.sub(one, f32x4.mul(tanhCell, tanhCell));
      const dCell = f32x4.add(v128.load(dc + at), f32x4.mul(f32x4.mul(dHidden, output), slope));
      const dInput = f32x4.mul(
        f32x4.mul(dCell, candidate),
        f32x4.mul(input, f32x4.sub(one, input)),
      );
      const dForget = f32x4.mul(
        f32x4.mul(dCell, v128.load(cells + at)),
        f32x4.mul(forget, f32x4.sub(one, forget)),
      );
      const dCandidate = f32x4.mul(
        f32x4.mul(dCell, input),
        f32x4.sub(one, f32x4.mul(candidate, candidate)),
      );
      const dOutput = f32x4.mul(
        f32x4.mul(dHidden, tanhCell),
        f32x4.mul(output, f32x4.sub(one, output)),
      );
      const flushed0 = flush4(dInput);
      const flushed1 = flush4(dForget);
      const flushed2 = flush4(dCandidate);
      const flushed3 = flush4(dOutput);
      const before = flush4(f32x4.mul(dCell, forget));
      v128.store(g, flushed0);
      v128.store(g + bytes, flushed1);
      v128.store(g + 2 * bytes, flushed2);
      v128.store(g + 3 * bytes, flushed3);
      v128.store(dc + at, before);
      any = v128.or(any, v128.or(v128.or(flushed0, flushed1), v128.or(flushed2, flushed3)));
      any = v128.or(any, before);
      g += 16;
      at += 16;
    }
  }
  return v128.any_true(any);
}

/** Copies the gradient of the packed matrix, D × 4U, to the shapes of the weights. */
function unpackGradient(dw: usize, units: i32, features: i32, dwi: usize, dwh: usize, dBias: usize): void {
  const u = pad8(units);
  for (let gate = 0; gate < 4; gate++) {
    for (let j = 0; j < units; j++) {
      const from = dw + <usize>(gate * u + j) * 4;
      const to = gate * units + j;
      for (let k = 0; k < units; k++) {
        store<f32>(dwh + <usize>(to * units + k) * 4, load<f32>(from + <usize>(k * 4 * u) * 4));
      }
      for (let f = 0; f < features; f++) {
        store<f32>(dwi + <usize>(to * features + f) * 4, load<f32>(from + <usize>((u + f) * 4 * u) * 4));
      }
      store<f32>(dBias + <usize>to * 4, load<f32>(from + <usize>((u + features) * 4 * u) * 4));
    }
  }
}

/**
 * Gradients for dy [B,H] after `lstmForward` with the same sizes. Scratch in floats: `packed` 4U·U, `dh` and `dc` 64·U each,
 * `strip` 2048, `dw` D·4U. Destroys the gates.
 */
export function lstmBackward(
  dy: usize,
  wh: usize,
  packed: usize,
  rows: usize,
  gates: usize,
  cells: usize,
  dh: usize,
  dc: usize,
  strip: usize,
  dw: usize,
  dwi: usize,
  dwh: usize,
  dBias: usize,
  batch: i32,
  steps: i32,
  features: i32,
  units: i32,
): void {
  packBackward(wh, units, packed);
  const u = pad8(units);
  const depth = rowLength(units, features);
  const padded = (batch + 3) & ~3;
  const strideRow = <usize>depth * 4;
  const strideGate = <usize>u * 16;
  memory.fill(dw, 0, <usize>depth * strideGate);
  for (let start = 0; start < padded; start += BLOCK) {
    const count = min(BLOCK, padded - start);
    const rowStep = <usize>count * strideRow;
    const gateStep = <usize>count * strideGate;
    const cellStep = <usize>(count * u) * 4;
    const row = rows + <usize>(start * (steps + 1)) * strideRow;
    const gate = gates + <usize>(start * steps) * strideGate;
    const cell = cells + <usize>(start * (steps + 1) * u) * 4;
    memory.fill(dc, 0, cellStep);
    memory.fill(dh, 0, cellStep);
    for (let r = 0; r < count && start + r < batch; r++) {
      memory.copy(dh + <usize>(r * u) * 4, dy + <usize>((start + r) * units) * 4, <usize>units * 4);
    }
    let pending = 0;
    for (let t = steps - 1; t >= 0; t--) {
      const g = gate + <usize>t * gateStep;
      const c = cell + <usize>t * cellStep;
      const alive = derive(g, c, c + cellStep, dh, dc, count, u);
      pending += 1;
      if (pending == STEPS_PER_UPDATE || t == 0 || !alive) {
        const from = row + <usize>t * rowStep;
        addTransposedProduct(from, strideRow, g, strideGate, dw, strideGate, depth, pending * count, 4 * u, strip);
        pending = 0;
      }
      // Everything further back would be exactly 0 as well.
      if (!alive) break;
      if (t > 0) multiply(g, strideGate, packed, dh, <usize>u * 4, count, 4 * u, u);
    }
  }
  unpackGradient(dw, units, features, dwi, dwh, dBias);
}
