// The symmetric Hermite block (hermite-model.md §7.3, §7.4) and its gradients. With z = s Vᵀ, sign σ_r of row r, w_r = σ_r‖V_r‖²:
//   S = (σ φ(z)) V            J = Σ_r φ'(z_r) w_r
// and backwards, with E = σ dS Vᵀ and inside the clamp
//   dz = E φ' + dJ w φ''      ds = dz V      dV = dzᵀ s + (σ φ)ᵀ dS + 2 σ V Σ_b dJ φ'      da_k = Σ E P_k + Σ dJ w κ k P_{k−1}.
// Rows of the batch go in blocks of 64, whose [64,R] intermediates stay in the second-level cache.

import { addTransposedProduct, multiply, pack, packTransposed, pad8 } from './gemm';

const BLOCK: i32 = 64;
const CLAMP: f32 = 10;

/**
 * Coefficients of φ, φ' and φ'' in the same basis, zero-filled to degree + 1 entries each, one after the other: derivative
 * j is κ (j+1) a_{j+1}.
 */
function coefficientTable(coefficients: usize, degree: i32, kappa: f32, table: usize): void {
  const length = degree + 1;
  for (let k = 0; k <= degree; k++) store<f32>(table + <usize>k * 4, load<f32>(coefficients + <usize>k * 4));
  for (let order = 1; order <= 2; order++) {
    const from = table + <usize>((order - 1) * length) * 4;
    const to = table + <usize>(order * length) * 4;
    for (let k = 0; k < degree; k++) {
      store<f32>(to + <usize>k * 4, kappa * <f32>(k + 1) * load<f32>(from + <usize>(k + 1) * 4));
    }
    store<f32>(to + <usize>degree * 4, 0);
  }
}

/** σ_r and σ_r‖V_r‖² for all rows; zeros in the padding. */
function rowTables(v: usize, rows: i32, width: i32, positive: i32, signs: usize, weights: usize): void {
  memory.fill(signs, 0, <usize>pad8(rows) * 4);
  memory.fill(weights, 0, <usize>pad8(rows) * 4);
  for (let r = 0; r < rows; r++) {
    const sign: f32 = r < positive ? 1 : -1;
    let sum: f32 = 0;
    for (let d = 0; d < width; d++) {
      const value = load<f32>(v + <usize>(r * width + d) * 4);
      sum += value * value;
    }
    store<f32>(signs + <usize>r * 4, sign);
    store<f32>(weights + <usize>r * 4, sign * sum);
  }
}

@inline
function clamp4(z: v128): v128 {
  return f32x4.pmax(f32x4.pmin(z, f32x4.splat(CLAMP)), f32x4.splat(-CLAMP));
}

@inline
function sumLanes(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}

/** φ and φ' of one row of z: writes σ φ, returns J. P_{k+1} = κ(z P_k − k P_{k−1}). */
function evaluateRow(z: usize, phi: usize, signs: usize, weights: usize, table: usize, degree: i32, kappa: f32, padded: i32): f32 {
  const slopes = table + <usize>(degree + 1) * 4;
  const factor = f32x4.splat(kappa);
  let trace = f32x4.splat(0);
  for (let r: usize = 0; r < <usize>padded * 4; r += 16) {
    const x = clamp4(v128.load(z + r));
    let before = f32x4.splat(0);
    let p = f32x4.splat(1);
    let value = v128.load_splat<f32>(table);
    let slope = v128.load_splat<f32>(slopes);
    for (let k = 1; k <= degree; k++) {
      const next = f32x4.mul(factor, f32x4.sub(f32x4.mul(x, p), f32x4.mul(f32x4.splat(<f32>(k - 1)), before)));
      before = p;
      p = next;
      const at = <usize>k * 4;
      value = f32x4.add(value, f32x4.mul(v128.load_splat<f32>(table + at), p));
      slope = f32x4.add(slope, f32x4.mul(v128.load_splat<f32>(slopes + at), p));
    }
    v128.store(phi + r, f32x4.mul(value, v128.load(signs + r)));
    trace = f32x4.add(trace, f32x4.mul(slope, v128.load(weights + r)));
  }
  return sumLanes(trace);
}

/** Copies [count, width] rows into a zero-padded block. */
function padRows(source: usize, strideSource: usize, block: usize, count: i32, width: i32, valid: i32): void {
  const stride = <usize>pad8(width) * 4;
  memory.fill(block, 0, <usize>count * stride);
  for (let r = 0; r < valid; r++) {
    memory.copy(block + <usize>r * stride, source + <usize>r * strideSource, <usize>width * 4);
  }
}

/**
 * s [B,D], v [R,D], coefficients [n+1] → out [B,D+1]. Keeps for the way back: `padded` (P·D' floats, the padded s), `z` (P·R'),
 * `forwardPack` (D'·R', for products with Vᵀ), `backwardPack` (R'·D', for products with V), `signs` and `weights` (R'), `table`
 * (3(n+1)). Scratch: `phi` 64·R', `block` 64·D'. Primes mean padded to 8, P to 4.
 */
export function hermiteForward(
  s: usize,
  v: usize,
  coefficients: usize,
  out: usize,
  padded: usize,
  z: usize,
  forwardPack: usize,
  backwardPack: usize,
  signs: usize,
  weights: usize,
  table: usize,
  phi: usize,
  block: usize,
  batch: i32,
  width: i32,
  rows: i32,
  degree: i32,
  kappa: f32,
  positive: i32,
): void {
  const d = pad8(width);
  const r = pad8(rows);
  packTransposed(v, rows, width, d, forwardPack);
  pack(v, rows, width, r, backwardPack);
  rowTables(v, rows, width, positive, signs, weights);
  coefficientTable(coefficients, degree, kappa, table);
  const strideS = <usize>d * 4;
  const strideZ = <usize>r * 4;
  const all = (batch + 3) & ~3;
  for (let start = 0; start < all; start += BLOCK) {
    const count = min(BLOCK, all - start);
    const valid = min(count, batch - start);
    const rowsOfS = padded + <usize>start * strideS;
    const rowsOfZ = z + <usize>start * strideZ;
    padRows(s + <usize>(start * width) * 4, <usize>width * 4, rowsOfS, count, width, valid);
    multiply(rowsOfS, strideS, forwardPack, rowsOfZ, strideZ, count, d, r);
    for (let row = 0; row < count; row++) {
      const at = <usize>row * strideZ;
      const trace = evaluateRow(rowsOfZ + at, phi + at, signs, weights, table, degree, kappa, r);
      if (row < valid) store<f32>(out + <usize>((start + row) * (width + 1) + width) * 4, trace);
    }
    multiply(phi, strideZ, backwardPack, block, strideS, count, r, d);
    for (let row = 0; row < valid; row++) {
      memory.copy(out + <usize>((start + row) * (width + 1)) * 4, block + <usize>row * strideS, <usize>width * 4);
    }
  }
}

/**
 * One row on the way back: e (= dS Vᵀ) becomes dz, phi becomes σ φ; adds to the sums of da_k (four lanes each) and of dJ φ'.
 */
function deriveRow(
  z: usize,
  e: usize,
  phi: usize,
  trace: f32,
  signs: usize,
  weights: usize,
  table: usize,
  degree: i32,
  kappa: f32,
  padded: i32,
  dCoefficients: usize,
  dWeights: usize,
): void {
  const slopes = table + <usize>(degree + 1) * 4;
  const curvatures = slopes + <usize>(degree + 1) * 4;
  const factor = f32x4.splat(kappa);
  const dTrace = f32x4.splat(trace);
  for (let r: usize = 0; r < <usize>padded * 4; r += 16) {
    const raw = v128.load(z + r);
    const x = clamp4(raw);
    const sign = v128.load(signs + r);
    const dValue = f32x4.mul(v128.load(e + r), sign);
    const dSlope = f32x4.mul(dTrace, v128.load(weights + r));
    let before = f32x4.splat(0);
    let p = f32x4.splat(1);
    let value = v128.load_splat<f32>(table);
    let slope = v128.load_splat<f32>(slopes);
    let curvature = v128.load_splat<f32>(curvatures);
    v128.store(dCoefficients, f32x4.add(v128.load(dCoefficients), dValue));
    for (let k = 1; k <= degree; k++) {
      const next = f32x4.mul(factor, f32x4.sub(f32x4.mul(x, p), f32x4.mul(f32x4.splat(<f32>(k - 1)), before)));
      before = p;
      p = next;
      const at = <usize>k * 4;
      value = f32x4.add(value, f32x4.mul(v128.load_splat<f32>(table + at), p));
      slope = f32x4.add(slope, f32x4.mul(v128.load_splat<f32>(slopes + at), p));
      curvature = f32x4.add(curvature, f32x4.mul(v128.load_splat<f32>(curvatures + at), p));
      const direct = f32x4.mul(dValue, p);
      const throughTrace = f32x4.mul(f32x4.mul(dSlope, f32x4.splat(kappa * <f32>k)), before);
      const sum = dCoefficients + <usize>k * 16;
      v128.store(sum, f32x4.add(v128.load(sum), f32x4.add(direct, throughTrace)));
    }
    v128.store(phi + r, f32x4.mul(value, sign));
    const dz = f32x4.add(f32x4.mul(dValue, slope), f32x4.mul(dSlope, curvature));
    v128.store(e + r, v128.and(dz, f32x4.eq(raw, x)));
    v128.store(dWeights + r, f32x4.add(v128.load(dWeights + r), f32x4.mul(dTrace, slope)));
  }
}

/**
 * Gradients for dy [B,D+1] after `hermiteForward` with the same sizes: ds [B,D], dv [R,D], da [n+1]. Scratch in floats: `e` and
 * `phi` 64·R', `dS` and `block` 64·D', `strip` 512, `dvPadded` R'·D', `lanes` 4(n+1), `dWeights` R'.
 */
export function hermiteBackward(
  dy: usize,
  v: usize,
  padded: usize,
  z: usize,
  forwardPack: usize,
  backwardPack: usize,
  signs: usize,
  weights: usize,
  table: usize,
  e: usize,
  phi: usize,
  dS: usize,
  block: usize,
  strip: usize,
  dvPadded: usize,
  lanes: usize,
  dWeights: usize,
  ds: usize,
  dv: usize,
  da: usize,
  batch: i32,
  width: i32,
  rows: i32,
  degree: i32,
  kappa: f32,
): void {
  const d = pad8(width);
  const r = pad8(rows);
  const strideS = <usize>d * 4;
  const strideZ = <usize>r * 4;
  const strideY = <usize>(width + 1) * 4;
  const all = (batch + 3) & ~3;
  memory.fill(dvPadded, 0, <usize>r * strideS);
  memory.fill(lanes, 0, <usize>(degree + 1) * 16);
  memory.fill(dWeights, 0, strideZ);
  for (let start = 0; start < all; start += BLOCK) {
    const count = min(BLOCK, all - start);
    const valid = min(count, batch - start);
    const rowsOfY = dy + <usize>start * strideY;
    padRows(rowsOfY, strideY, dS, count, width, valid);
    multiply(dS, strideS, forwardPack, e, strideZ, count, d, r);
    for (let row = 0; row < count; row++) {
      const at = <usize>row * strideZ;
      const trace: f32 = row < valid ? load<f32>(rowsOfY + <usize>row * strideY + <usize>width * 4) : 0;
      const rowOfZ = z + <usize>start * strideZ + at;
      deriveRow(rowOfZ, e + at, phi + at, trace, signs, weights, table, degree, kappa, r, lanes, dWeights);
    }
    multiply(e, strideZ, backwardPack, block, strideS, count, r, d);
    for (let row = 0; row < valid; row++) {
      memory.copy(ds + <usize>((start + row) * width) * 4, block + <usize>row * strideS, <usize>width * 4);
    }
    const rowsOfS = padded + <usize>start * strideS;
    addTransposedProduct(e, strideZ, rowsOfS, strideS, dvPadded, strideS, r, count, d, strip);
    addTransposedProduct(phi, strideZ, dS, strideS, dvPadded, strideS, r, count, d, strip);
  }
  for (let row = 0; row < rows; row++) {
    const at = <usize>row * 4;
    const factor = <f32>2 * load<f32>(signs + at) * load<f32>(dWeights + at);
    for (let column = 0; column < width; column++) {
      const entry = <usize>(row * width + column) * 4;
      const sum = load<f32>(dvPadded + <usize>row * strideS + <usize>column * 4);
      store<f32>(dv + entry, sum + factor * load<f32>(v + entry));
    }
  }
  for (let k = 0; k <= degree; k++) store<f32>(da + <usize>k * 4, sumLanes(v128.load(lanes + <usize>k * 16)));
}
