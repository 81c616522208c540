/** Pieces of WGSL that several kernels share. */

/** Storage buffers in the order of their bindings, and the uniform `P` after them. A `*` makes a buffer writable. */
export function bindings(names: readonly string[]): string {
  const buffers = names.map((entry, binding) => {
    const [spec = '', type = 'f32'] = entry.split(':');
    const writable = spec.startsWith('*');
    const name = writable ? spec.slice(1) : spec;
    const access = writable ? 'read_write' : 'read';
    return `@group(0) @binding(${binding}) var<storage, ${access}> ${name}: array<${type}>;`;
  });
  return [
    'struct Parameters { batch: u32 }',
    ...buffers,
    `@group(0) @binding(${names.length}) var<uniform> P: Parameters;`,
  ].join('\n');
}

/** Lines, one per index below `count`. */
export const lines = (count: number, line: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => line(index)).join('\n');

/**
 * tanh and sigmoid within a few units in the last place; NaN passes through. Near 0 tanh is the rational function of the WASM
 * kernels (activations.as), else 1 − 2/(e^{2x}+1); arguments are bounded by `select`, which keeps NaN where `clamp` need not. NaN is
 * told by its bits: `exp` need not keep it, and compilers may take x ≠ x for false.
 */
export const activations = /* wgsl */ `
fn isNaN1(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }
fn tanh1(x: f32) -> f32 {
  let u = x * x;
  let p = fma(fma(fma(fma(1.3357544813666479e-8, u, 2.0611590930770981e-5), u, 0.0034957613789045823), u, 0.13381179487060698), u, 0.99999998070485123);
  let q = fma(fma(fma(fma(7.7778614069685096e-7, u, 0.00032859029873596502), u, 0.02587766524704003), u, 0.46714495652837005), u, 1.0);
  let bounded = select(select(x, 20.0, x > 20.0), -20.0, x < -20.0);
  let far = 1.0 - 2.0 / (exp(2.0 * bounded) + 1.0);
  return select(select(far, x * p / q, abs(x) < 0.625), x, isNaN1(x));
}
fn sigmoid1(x: f32) -> f32 {
  let bounded = select(x, -80.0, x < -80.0);
  return select(1.0 / (1.0 + exp(-bounded)), x, isNaN1(x));
}
fn tanh4(x: vec4<f32>) -> vec4<f32> { return vec4<f32>(tanh1(x.x), tanh1(x.y), tanh1(x.z), tanh1(x.w)); }
`;

/** erf by the rational function of the WASM kernels, ±1 beyond 4; NaN passes through. */
export const erf = /* wgsl */ `
fn erf1(value: f32) -> f32 {
  let x = select(select(value, 4.0, value > 4.0), -4.0, value < -4.0);
  let u = x * x;
  let p = fma(fma(fma(fma(fma(1.9867404384573819e-6, u, 0.0002844188625054967), u, 0.0038793472592803664), u, 0.053089476429459305), u, 0.19346013585948849), u, 1.1283791410505558);
  let q = fma(fma(fma(fma(fma(3.7411919758455127e-5, u, 0.001184489443537261), u, 0.015199384979355445), u, 0.11531393523183345), u, 0.50478216624105001), u, 1.0);
  return select(select(x * p / q, 1.0, value >= 4.0), -1.0, value <= -4.0);
}
`;
