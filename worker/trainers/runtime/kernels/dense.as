// Linear layer y = x Wᵀ + b and GELU, both with gradients. TensorFlow.js has faster products, but its transposes and its
// error function cost more than what is gained.

import { erf4, expNegative4 } from './activations';
import { addTransposedProduct, multiply, pack, packTransposed, pad8 } from './gemm';

const BLOCK: i32 = 64;

/** Copies [valid, width] rows into a block of `count` rows padded with zeros. */
function padRows(source: usize, block: usize, count: i32, width: i32, valid: i32): void {
  const stride = <usize>pad8(width) * 4;
  memory.fill(block, 0, <usize>count * stride);
  for (let r = 0; r < valid; r++) {
    memory.copy(block + <usize>r * stride, source + <usize>(r * width) * 4, <usize>width * 4);
  }
}

/**
 * x [B,D], w [N,D], bias [N] → y [B,N]. Scratch in floats: `packed` D'·N', `rowsX` 64·D', `rowsY` 64·N'; primes mean padded to 8.
 */
export function linearForward(
  x: usize,
  w: usize,
  bias: usize,
  y: usize,
  packed: usize,
  rowsX: usize,
  rowsY: usize,
  batch: i32,
  inputs: i32,
  outputs: i32,
): void {
  const d = pad8(inputs);
  const n = pad8(outputs);
  packTransposed(w, outputs, inputs, d, packed);
  const all = (batch + 3) & ~3;
  for (let start = 0; start < all; start += BLOCK) {
    const count = min(BLOCK, all - start);
    const valid = min(count, batch - start);
    padRows(x + <usize>(start * inputs) * 4, rowsX, count, inputs, valid);
    multiply(rowsX, <usize>d * 4, packed, rowsY, <usize>n * 4, count, d, n);
    for (let r = 0; r < valid; r++) {
      const from = rowsY + <usize>(r * n) * 4;
      const to = y + <usize>((start + r) * outputs) * 4;
      for (let j = 0; j < outputs; j++) {
        const at = <usize>j * 4;
        store<f32>(to + at, load<f32>(from + at) + load<f32>(bias + at));
      }
    }
  }
}

/**
 * Gradients for dy [B,N]: dx [B,D], dw [N,D], dBias [N]. Scratch in floats: `packed` N'·D', `rowsX` 64·D', `rowsY` 64·N', `strip`
 * 512, `dwPadded` N'·D'.
 */
export function linearBackward(
  x: usize,
  w: usize,
  dy: usize,
  dx: usize,
  dw: usize,
  dBias: usize,
  packed: usize,
  rowsX: usize,
  rowsY: usize,
  strip: usize,
  dwPadded: usize,
  batch: i32,
  inputs: i32,
  outputs: i32,
): void {
  const d = pad8(inputs);
  const n = pad8(outputs);
  const strideX = <usize>d * 4;
  const strideY = <usize>n * 4;
  pack(w, outputs, inputs, n, packed);
  memory.fill(dwPadded, 0, <usize>n * strideX);
  memory.fill(dBias, 0, <usize>outputs * 4);
  const all = (batch + 3) & ~3;
  for (let start = 0; start < all; start += BLOCK) {
    const count = min(BLOCK, all - start);
    const valid = min(count, batch - start);
    padRows(dy + <usize>(start * outputs) * 4, rowsY, count, outputs, valid);
    for (let r = 0; r < valid; r++) {
      for (let j = 0; j < outputs; j++) {
        const at = <usize>j * 4;
        store<f32>(dBias + at, load<f32>(dBias + at) + load<f32>(rowsY + <usize>r * strideY + at));
      }
    }
    multiply(rowsY, strideY, packed, rowsX, strideX, count, n, d);
    for (let r = 0; r < valid; r++) {
      memory.copy(dx + <usize>((start + r) * inputs) * 4, rowsX + <usize>r * strideX, <usize>inputs * 4);
    }
    padRows(x + <usize>(start * inputs) * 4, rowsX, count, inputs, valid);
    addTransposedProduct(rowsY, strideY, rowsX, strideX, dwPadded, strideX, n, count, d, strip);
  }
  for (let j = 0; j < outputs; j++) {
    memory.copy(dw + <usize>(j * inputs) * 4, dwPadded + <usize>j * strideX, <usize>inputs * 4);
  }
}

/** Φ(x). */
@inline
function normalCdf4(x: v128): v128 {
  const half = f32x4.splat(0.5);
  return f32x4.add(f32x4.mul(erf4(f32x4.mul(x, f32x4.splat(0.7071067811865476))), half), half);
}

/** y = x Φ(x) for `count` floats, a multiple of 4. */
export function geluForward(x: usize, y: usize, count: i32): void {
  for (let at: usize = 0; at < <usize>count * 4; at += 16) {
    const value = v128.load(x + at);
    v128.store(y + at, f32x4.mul(value, normalCdf4(value)));
  }
}

/** dx = dy (Φ(x) + x φ(x)) for `count` floats, a multiple of 4. */
export function geluBackward(x: usize, dy: usize, dx: usize, count: i32): void {
  for (let at: usize = 0; at < <usize>count * 4; at += 16) {
    const value = v128.load(x + at);
    const exponent = f32x4.mul(f32x4.mul(value, value), f32x4.splat(-0.5));
    const density = f32x4.mul(expNegative4(exponent), f32x4.splat(0.3989422804014327));
    const slope = f32x4.add(normalCdf4(value), f32x4.mul(value, density));
    v128.store(dx + at, f32x4.mul(v128.load(dy + at), slope));
  }
}
