// Entry of the SIMD kernels of the `wasm` runtime; scripts/build.js compiles them. Memory is laid out by the caller
// (wasm-kernels.ts), from `heapBase` on.
export { lstmBackward, lstmForward } from './lstm';
export { hermiteBackward, hermiteForward } from './hermite';
export { geluBackward, geluForward, linearBackward, linearForward } from './dense';

/** First byte that the caller may use. */
export const heapBase: usize = (__heap_base + 63) & ~63;
