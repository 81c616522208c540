// Matrix products in single precision on 4×8 register tiles (eight accumulators of four floats). Without fused multiply-add
// the ceiling is about 12 operations per cycle; these reach most of it as long as a panel stays in the first-level cache.
// The inner loops are not unrolled: measured, that costs a fifth (22 instead of 27 GFLOP/s), as do 8×4 and 2×16 tiles.
//
// Sums of more than `partMax` products are made in parts: in one accumulator, thousands of terms that do not cancel lose two digits
// of single precision.
//
// Sizes: rows and depths are multiples of 4, columns multiples of 8; callers pad with zeros. Strides are in bytes.

/** Products in one part of a sum. A multiple of 4; the parts are added in memory, which costs little at this size. */
const partMax: usize = 128;

/** Rounds up to a multiple of 8. */
@inline
export function pad8(n: i32): i32 {
  return (n + 7) & ~7;
}

/** Bytes of a packed matrix [depth, columns]. */
@inline
export function panelBytes(depth: i32, columns: i32): usize {
  return <usize>(depth * pad8(columns)) * 4;
}

/**
 * Packs a row-major [rows, columns] matrix into panels of 8 columns, padded with zeros to `depth` rows: entry (k, j) of the
 * result is matrix[k][j].
 */
export function pack(source: usize, rows: i32, columns: i32, depth: i32, packed: usize): void {
  memory.fill(packed, 0, panelBytes(depth, columns));
  for (let k = 0; k < rows; k++) {
    for (let j = 0; j < columns; j++) {
      const to = packed + <usize>(((j >> 3) * depth + k) * 8 + (j & 7)) * 4;
      store<f32>(to, load<f32>(source + <usize>(k * columns + j) * 4));
    }
  }
}

/** Packs the transpose of a row-major [columns, rows] matrix: entry (k, j) of the result is matrix[j][k]. */
export function packTransposed(source: usize, columns: i32, rows: i32, depth: i32, packed: usize): void {
  memory.fill(packed, 0, panelBytes(depth, columns));
  for (let j = 0; j < columns; j++) {
    const to = packed + <usize>((j >> 3) * depth * 8 + (j & 7)) * 4;
    for (let k = 0; k < rows; k++) {
      store<f32>(to + <usize>k * 32, load<f32>(source + <usize>(j * rows + k) * 4));
    }
  }
}

/** c[m, n] = a[m, k] · packed[k, n]. */
export function multiply(
  a: usize,
  strideA: usize,
  packed: usize,
  c: usize,
  strideC: usize,
  m: i32,
  k: i32,
  n: i32,
): void {
  const panelSize = <usize>k * 32;
  for (let j = 0; j < n; j += 8) {
    const panel = packed + <usize>(j >> 3) * panelSize;
    const end = panel + panelSize;
    for (let i = 0; i < m; i += 4) {
      let a0 = a + <usize>i * strideA;
      let a1 = a0 + strideA;
      let a2 = a1 + strideA;
      let a3 = a2 + strideA;
      for (let part = panel; part < end; part += 32 * partMax) {
        const stop = min(end, part + 32 * partMax);
        let c00 = f32x4.splat(0);
        let c01 = c00;
        let c10 = c00;
        let c11 = c00;
        let c20 = c00;
        let c21 = c00;
        let c30 = c00;
        let c31 = c00;
        for (let p = part; p < stop; p += 32) {
          const b0 = v128.load(p);
          const b1 = v128.load(p, 16);
          let s = v128.load_splat<f32>(a0);
          c00 = f32x4.add(c00, f32x4.mul(s, b0));
          c01 = f32x4.add(c01, f32x4.mul(s, b1));
          s = v128.load_splat<f32>(a1);
          c10 = f32x4.add(c10, f32x4.mul(s, b0));
          c11 = f32x4.add(c11, f32x4.mul(s, b1));
          s = v128.load_splat<f32>(a2);
          c20 = f32x4.add(c20, f32x4.mul(s, b0));
          c21 = f32x4.add(c21, f32x4.mul(s, b1));
          s = v128.load_splat<f32>(a3);
          c30 = f32x4.add(c30, f32x4.mul(s, b0));
          c31 = f32x4.add(c31, f32x4.mul(s, b1));
          a0 += 4;
          a1 += 4;
          a2 += 4;
          a3 += 4;
        }
        let to = c + <usize>i * strideC + <usize>j * 4;
        if (part == panel) {
          v128.store(to, c00);
          v128.store(to, c01, 16);
          to += strideC;
          v128.store(to, c10);
          v128.store(to, c11, 16);
          to += strideC;
          v128.store(to, c20);
          v128.store(to, c21, 16);
          to += strideC;
          v128.store(to, c30);
          v128.store(to, c31, 16);
        } else {
          v128.store(to, f32x4.add(v128.load(to), c00));
          v128.store(to, f32x4.add(v128.load(to, 16), c01), 16);
          to += strideC;
          v128.store(to, f32x4.add(v128.load(to), c10));
          v128.store(to, f32x4.add(v128.load(to, 16), c11), 16);
          to += strideC;
          v128.store(to, f32x4.add(v128.load(to), c20));
          v128.store(to, f32x4.add(v128.load(to, 16), c21), 16);
          to += strideC;
          v128.store(to, f32x4.add(v128.load(to), c30));
          v128.store(to, f32x4.add(v128.load(to, 16), c31), 16);
        }
      }
    }
  }
}

/**
 * c[m, n] += aᵀ[m, k] · b[k, n] for row-major a [k, m] and b [k, n]. Each strip of 8 columns of b is copied to `scratch`
 * (k·32 bytes) first, because the rows of b lie a cache line or more apart.
 */
export function addTransposedProduct(
  a: usize,
  strideA: usize,
  b: usize,
  strideB: usize,
  c: usize,
  strideC: usize,
  m: i32,
  k: i32,
  n: i32,
  scratch: usize,
): void {
  const end = scratch + <usize>k * 32;
  for (let j = 0; j < n; j += 8) {
    let from = b + <usize>j * 4;
    for (let p = scratch; p < end; p += 32) {
      v128.store(p, v128.load(from));
      v128.store(p, v128.load(from, 16), 16);
      from += strideB;
    }
    for (let i = 0; i < m; i += 4) {
      const to0 = c + <usize>i * strideC + <usize>j * 4;
      const to1 = to0 + strideC;
      const to2 = to1 + strideC;
      const to3 = to2 + strideC;
      let c00 = f32x4.splat(0);
      let c01 = f32x4.splat(0);
      let c10 = f32x4.splat(0);
      let c11 = f32x4.splat(0);
      let c20 = f32x4.splat(0);
      let c21 = f32x4.splat(0);
      let c30 = f32x4.splat(0);
      let c31 = f32x4.splat(0);
      let q = a + <usize>i * 4;
      for (let p = scratch; p < end; p += 32) {
        const b0 = v128.load(p);
        const b1 = v128.load(p, 16);
        let s = v128.load_splat<f32>(q);
        c00 = f32x4.add(c00, f32x4.mul(s, b0));
        c01 = f32x4.add(c01, f32x4.mul(s, b1));
        s = v128.load_splat<f32>(q, 4);
        c10 = f32x4.add(c10, f32x4.mul(s, b0));
        c11 = f32x4.add(c11, f32x4.mul(s, b1));
        s = v128.load_splat<f32>(q, 8);
        c20 = f32x4.add(c20, f32x4.mul(s, b0));
        c21 = f32x4.add(c21, f32x4.mul(s, b1));
        s = v128.load_splat<f32>(q, 12);
        c30 = f32x4.add(c30, f32x4.mul(s, b0));
        c31 = f32x4.add(c31, f32x4.mul(s, b1));
        q += strideA;
      }
      v128.store(to0, f32x4.add(v128.load(to0), c00));
      v128.store(to0, f32x4.add(v128.load(to0, 16), c01), 16);
      v128.store(to1, f32x4.add(v128.load(to1), c10));
      v128.store(to1, f32x4.add(v128.load(to1, 16), c11), 16);
      v128.store(to2, f32x4.add(v128.load(to2), c20));
      v128.store(to2, f32x4.add(v128.load(to2, 16), c21), 16);
      v128.store(to3, f32x4.add(v128.load(to3), c30));
      v128.store(to3, f32x4.add(v128.load(to3, 16), c31), 16);
    }
  }
}
