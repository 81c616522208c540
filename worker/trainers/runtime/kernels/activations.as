// Elementary functions on four floats at once. Each is within a few units in the last place of single precision, passes NaN
// through, and never produces a denormal from a normal argument.

/** Where tanh rounds to 1 in single precision. */
const TANH_LIMIT: f32 = 9.0;

/**
 * tanh x = x P(x²)/Q(x²) on [−9, 9], clamped beyond. Coefficients: minimax fit of the relative error (2.1e−8) by
 * iteratively reweighted least squares on Chebyshev nodes in 60 digits.
 */
@inline
export function tanh4(value: v128): v128 {
  const x = f32x4.pmax(f32x4.pmin(value, f32x4.splat(TANH_LIMIT)), f32x4.splat(-TANH_LIMIT));
  const u = f32x4.mul(x, x);
  let p = f32x4.splat(1.3357544813666479e-8);
  p = f32x4.add(f32x4.mul(p, u), f32x4.splat(2.0611590930770981e-5));
  p = f32x4.add(f32x4.mul(p, u), f32x4.splat(0.0034957613789045823));
  p = f32x4.add(f32x4.mul(p, u), f32x4.splat(0.13381179487060698));
  p = f32x4.add(f32x4.mul(p, u), f32x4.splat(0.99999998070485123));
  let q = f32x4.splat(7.7778614069685096e-7);
  q = f32x4.add(f32x4.mul(q, u), f32x4.splat(0.00032859029873596502));
  q = f32x4.add(f32x4.mul(q, u), f32x4.splat(0.02587766524704003));
  q = f32x4.add(f32x4.mul(q, u), f32x4.splat(0.46714495652837005));
  q = f32x4.add(f32x4.mul(q, u), f32x4.splat(1.0));
  return f32x4.div(f32x4.mul(x, p), q);
}

/** σ(x) = ½ + ½ tanh(x/2). */
@inline
export function sigmoid4(x: v128): v128 {
  const half = f32x4.splat(0.5);
  return f32x4.add(f32x4.mul(tanh4(f32x4.mul(x, half)), half), half);
}

/** Where erf rounds to ±1 in single precision. */
const ERF_LIMIT: f32 = 4.0;

/**
 * erf x = x P(x²)/Q(x²) on [−4, 4], fitted like tanh (2.5e−8), and exactly ±1 beyond, so that GELU of a large negative
 * number is exactly 0.
 */
@inline
export function erf4(value: v128): v128 {
  const x = f32x4.pmax(f32x4.pmin(value, f32x4.splat(ERF_LIMIT)), f32x4.splat(-ERF_LIMIT));
  const u = f32x4.mul(x, x);
  let p = f32x4.splat(1.9867404384573819e-6);
  p = f32x4.add(f32x4.mul(p, u), f32x4.splat(0.0002844188625054967));
  p = f32x4.add(f32x4.mul(p, u), f32x4.splat(0.0038793472592803664));
  p = f32x4.add(f32x4.mul(p, u), f32x4.splat(0.053089476429459305));
  p = f32x4.add(f32x4.mul(p, u), f32x4.splat(0.19346013585948849));
  p = f32x4.add(f32x4.mul(p, u), f32x4.splat(1.1283791410505558));
  let q = f32x4.splat(3.7411919758455127e-5);
  q = f32x4.add(f32x4.mul(q, u), f32x4.splat(0.001184489443537261));
  q = f32x4.add(f32x4.mul(q, u), f32x4.splat(0.015199384979355445));
  q = f32x4.add(f32x4.mul(q, u), f32x4.splat(0.11531393523183345));
  q = f32x4.add(f32x4.mul(q, u), f32x4.splat(0.50478216624105001));
  q = f32x4.add(f32x4.mul(q, u), f32x4.splat(1.0));
  const inside = f32x4.lt(f32x4.abs(value), f32x4.splat(ERF_LIMIT));
  const beyond = v128.bitselect(value, f32x4.splat(1), i32x4.splat(0x80000000));
  const nan = f32x4.ne(value, value);
  return v128.bitselect(f32x4.div(f32x4.mul(x, p), q), beyond, v128.or(inside, nan));
}

/**
 * eˣ for x ≤ 0, 0 below −87: 2ⁿ·e^r with n = round(x/ln 2), the Taylor polynomial of degree 6 on |r| ≤ ln 2/2 (1e−8), and
 * 2ⁿ made from exponent bits. ln 2 is subtracted in two parts so that r keeps its precision.
 */
@inline
export function expNegative4(value: v128): v128 {
  const x = f32x4.pmax(value, f32x4.splat(-87.0));
  const n = f32x4.nearest(f32x4.mul(x, f32x4.splat(1.4426950408889634)));
  let r = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.12194440054690581e-4)));
  let p = f32x4.splat(1.0 / 720.0);
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 120.0));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 24.0));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0 / 6.0));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(0.5));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0));
  p = f32x4.add(f32x4.mul(p, r), f32x4.splat(1.0));
  const scale = i32x4.shl(i32x4.add(i32x4.trunc_sat_f32x4_s(n), i32x4.splat(127)), 23);
  return v128.and(f32x4.mul(p, scale), f32x4.gt(x, f32x4.splat(-87.0)));
}

/**
 * Zero where |x| < 1e−20. WebAssembly cannot flush denormals, each of which costs a hundred cycles, and gradients that
 * vanish over many steps end there; next to AdamW's ε of 1e−8 such a gradient moves nothing.
 */
@inline
export function flush4(x: v128): v128 {
  return v128.andnot(x, f32x4.lt(f32x4.abs(x), f32x4.splat(1e-20)));
}
