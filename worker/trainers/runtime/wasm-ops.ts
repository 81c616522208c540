/**
 * The fused ops with their bodies in the SIMD kernels. An op copies its inputs into the kernels' own memory and its result
 * back into a tensor; the copies cost a few percent of the smallest model's step.
 */
import { assert } from '../../../shared/core/assert.js';
import { at, differentiable, type Evaluation } from './differentiable.js';
import { derivativeFactor } from './reference-hermite.js';
import { referenceAdamW } from './reference-ops.js';
import type { HermiteOptions, RuntimeOps, SmallOps } from './runtime.js';
import type { Tensor, TensorFlow } from './tensorflow.js';
import type { KernelInstance } from './wasm-kernels.js';

const pad4 = (n: number): number => (n + 3) & ~3;
const pad8 = (n: number): number => (n + 7) & ~7;
/** Rows that a kernel works on together. */
const block = 64;
/** Floats of the strip that a transposed product copies columns to: 8 columns of the rows of four LSTM steps. */
const stripFloats = 8 * block * 4;

/** The backend's way to look at a tensor without copying it; the view is valid until the next operation. */
interface HeapBackend {
  typedArrayFromHeap(tensor: Tensor): Float32Array;
}

interface Context {
  readonly tf: TensorFlow;
  readonly values: (tensor: Tensor) => Float32Array;
}

interface Sizes {
  readonly batch: number;
  readonly steps: number;
  readonly features: number;
  readonly units: number;
}

function placeLstm(kernel: KernelInstance, { batch, steps, features, units }: Sizes) {
  const padded = pad4(batch);
  const u = pad8(units);
  const depth = u + pad8(features + 1);
  return kernel.place({
    x: batch * steps * features,
    wi: 4 * units * features,
    wh: 4 * units * units,
    bias: 4 * units,
    packed: depth * 4 * u,
    out: batch * units,
    dh: block * u,
    dc: block * u,
    strip: stripFloats,
    dw: depth * 4 * u,
    dwi: 4 * units * features,
    dwh: 4 * units * units,
    dBias: 4 * units,
    rows: padded * (steps + 1) * depth,
    gates: padded * steps * 4 * u,
    cells: padded * (steps + 1) * u,
  });
}

/**
 * The state that the way back needs stays in the kernels' memory, so a gradient can only be taken of the latest forward
 * pass, once; the counter holds callers to that.
 */
function lstmOp({ tf, values }: Context, kernel: KernelInstance): RuntimeOps['lstmLast'] {
  let passes = 0;
  const evaluate = (x: Tensor, weights: readonly Tensor[]): Evaluation => {
    const [batch = 0, steps = 0, features = 0] = x.shape;
    const units = at(at(weights, 1).shape, 1);
    const p = placeLstm(kernel, { batch, steps, features, units });
    kernel.write(p.x, values(x));
    [p.wi, p.wh, p.bias].forEach((pointer, i) => kernel.write(pointer, values(at(weights, i))));
    const sizes = [batch, steps, features, units];
    kernel.call.lstmForward(p.x, p.wi, p.wh, p.bias, p.packed, p.rows, p.gates, p.cells, p.out, ...sizes);
    passes += 1;
    const pass = passes;
    return {
      value: tf.tensor2d(kernel.view(p.out, batch * units), [batch, units]),
      saved: [],
      gradient: (dy) => {
        assert(
          passes === pass,
          'the LSTM state of this pass is gone: only the latest pass has a gradient, once',
        );
        passes += 1;
        kernel.write(p.out, values(dy));
        const scratch = [p.packed, p.rows, p.gates, p.cells, p.dh, p.dc, p.strip, p.dw];
        kernel.call.lstmBackward(p.out, p.wh, ...scratch, p.dwi, p.dwh, p.dBias, ...sizes);
        return [
          tf.tensor2d(kernel.view(p.dwi, 4 * units * features), [4 * units, features]),
          tf.tensor2d(kernel.view(p.dwh, 4 * units * units), [4 * units, units]),
          tf.tensor1d(kernel.view(p.dBias, 4 * units)),
        ];
      },
    };
  };
  return (x, { wi, wh, bias }) => differentiable(tf, [wi, wh, bias], (weights) => evaluate(x, weights));
}

interface BlockSizes {
  readonly batch: number;
  readonly width: number;
  readonly rows: number;
  readonly degree: number;
}

function placeHermite(kernel: KernelInstance, { batch, width, rows, degree }: BlockSizes) {
  const padded = pad4(batch);
  const d = pad8(width);
  const r = pad8(rows);
  return kernel.place({
    s: batch * width,
    v: rows * width,
    coefficients: degree + 1,
    out: batch * (width + 1),
    padded: padded * d,
    z: padded * r,
    forwardPack: d * r,
    backwardPack: d * r,
    signs: r,
    weights: r,
    table: 3 * (degree + 1),
    phi: block * r,
    block: block * d,
    e: block * r,
    dS: block * d,
    strip: stripFloats,
    dvPadded: d * r,
    lanes: 4 * (degree + 1),
    dWeights: r,
    ds: batch * width,
    dv: rows * width,
    da: degree + 1,
  });
}

/** As with the LSTM, only the latest forward pass has a gradient. */
function hermiteOp({ tf, values }: Context, kernel: KernelInstance): RuntimeOps['hermiteBlock'] {
  let passes = 0;
  const evaluate = (inputs: readonly Tensor[], options: HermiteOptions): Evaluation => {
    const [batch = 0, width = 0] = at(inputs, 0).shape;
    const rows = at(at(inputs, 1).shape, 0);
    const degree = at(at(inputs, 2).shape, 0) - 1;
    const p = placeHermite(kernel, { batch, width, rows, degree });
    [p.s, p.v, p.coefficients].forEach((pointer, i) => kernel.write(pointer, values(at(inputs, i))));
    const sizes = [batch, width, rows, degree, derivativeFactor(options.version)];
    const kept = [p.padded, p.z, p.forwardPack, p.backwardPack, p.signs, p.weights, p.table];
    const call = kernel.call;
    call.hermiteForward(
      p.s,
      p.v,
      p.coefficients,
      p.out,
      ...kept,
      p.phi,
      p.block,
      ...sizes,
      options.positiveRows,
    );
    passes += 1;
    const pass = passes;
    return {
      value: tf.tensor2d(kernel.view(p.out, batch * (width + 1)), [batch, width + 1]),
      saved: [],
      gradient: (dy) => {
        assert(passes === pass, 'the block state of this pass is gone: only the latest pass has a gradient');
        kernel.write(p.out, values(dy));
        const scratch = [p.e, p.phi, p.dS, p.block, p.strip, p.dvPadded, p.lanes, p.dWeights];
        call.hermiteBackward(p.out, p.v, ...kept, ...scratch, p.ds, p.dv, p.da, ...sizes);
        return [
          tf.tensor2d(kernel.view(p.ds, batch * width), [batch, width]),
          tf.tensor2d(kernel.view(p.dv, rows * width), [rows, width]),
          tf.tensor1d(kernel.view(p.da, degree + 1)),
        ];
      },
    };
  };
  return (s, v, coefficients, options) =>
    differentiable(tf, [s, v, coefficients], (inputs) => evaluate(inputs, options));
}

function placeLinear(kernel: KernelInstance, batch: number, inputs: number, outputs: number) {
  const d = pad8(inputs);
  const n = pad8(outputs);
  return kernel.place({
    x: batch * inputs,
    w: outputs * inputs,
    bias: outputs,
    y: batch * outputs,
    packed: d * n,
    rowsX: block * d,
    rowsY: block * n,
    strip: stripFloats,
    dwPadded: d * n,
    dx: batch * inputs,
    dw: outputs * inputs,
    dBias: outputs,
  });
}

function linearOp({ tf, values }: Context, kernel: KernelInstance): RuntimeOps['linear'] {
  const evaluate = (tensors: readonly Tensor[]): Evaluation => {
    const [batch = 0, inputs = 0] = at(tensors, 0).shape;
    const outputs = at(at(tensors, 1).shape, 0);
    const p = placeLinear(kernel, batch, inputs, outputs);
    [p.x, p.w, p.bias].forEach((pointer, i) => kernel.write(pointer, values(at(tensors, i))));
    kernel.call.linearForward(p.x, p.w, p.bias, p.y, p.packed, p.rowsX, p.rowsY, batch, inputs, outputs);
    return {
      value: tf.tensor2d(kernel.view(p.y, batch * outputs), [batch, outputs]),
      saved: tensors.slice(0, 2),
      gradient: (dy, saved) => {
        const q = placeLinear(kernel, batch, inputs, outputs);
        [q.x, q.w].forEach((pointer, i) => kernel.write(pointer, values(at(saved, i))));
        kernel.write(q.y, values(dy));
        const scratch = [q.packed, q.rowsX, q.rowsY, q.strip, q.dwPadded];
        kernel.call.linearBackward(q.x, q.w, q.y, q.dx, q.dw, q.dBias, ...scratch, batch, inputs, outputs);
        return [
          tf.tensor2d(kernel.view(q.dx, batch * inputs), [batch, inputs]),
          tf.tensor2d(kernel.view(q.dw, outputs * inputs), [outputs, inputs]),
          tf.tensor1d(kernel.view(q.dBias, outputs)),
        ];
      },
    };
  };
  return (x, weight, bias) => differentiable(tf, [x, weight, bias], evaluate);
}

function geluOp({ tf, values }: Context, kernel: KernelInstance): RuntimeOps['gelu'] {
  const evaluate = (inputs: readonly Tensor[]): Evaluation => {
    const input = at(inputs, 0);
    const count = input.size;
    const place = () => kernel.place({ x: pad4(count), dy: pad4(count), y: pad4(count) });
    const p = place();
    kernel.write(p.x, values(input));
    kernel.call.geluForward(p.x, p.y, pad4(count));
    return {
      value: tf.tensor(kernel.view(p.y, count), input.shape),
      saved: [input],
      gradient: (dy, saved) => {
        const q = place();
        kernel.write(q.x, values(at(saved, 0)));
        kernel.write(q.dy, values(dy));
        kernel.call.geluBackward(q.x, q.dy, q.y, pad4(count));
        return [tf.tensor(kernel.view(q.y, count), dy.shape)];
      },
    };
  };
  return (x) => differentiable(tf, [x], evaluate);
}

function heapBackend(tf: TensorFlow): HeapBackend {
  const backend: unknown = tf.backend();
  const known = backend as Partial<HeapBackend>;
  if (typeof known.typedArrayFromHeap !== 'function') {
    throw new Error('the wasm backend of TensorFlow.js no longer shows its heap');
  }
  return known as HeapBackend;
}

/** The kernels' instances, one per op that keeps state between forward and backward, and one for the others. */
export interface WasmOps extends Omit<RuntimeOps, keyof SmallOps> {
  memoryBytes(): number;
}

/** The ops on fresh instances of the kernels; the wasm backend must be the current one. */
export function wasmOps(tf: TensorFlow, instantiate: () => KernelInstance): WasmOps {
  const [lstm, hermite, dense] = [instantiate(), instantiate(), instantiate()];
  const backend = heapBackend(tf);
  const context: Context = { tf, values: (tensor) => backend.typedArrayFromHeap(tensor) };
  return {
    lstmLast: lstmOp(context, lstm),
    hermiteBlock: hermiteOp(context, hermite),
    linear: linearOp(context, dense),
    gelu: geluOp(context, dense),
    adamW: (vectors, gradient, rates) =>
      referenceAdamW(tf, vectors, gradient, Float32Array.from(context.values(rates))),
    memoryBytes: () => [lstm, hermite, dense].reduce((sum, instance) => sum + instance.memoryBytes(), 0),
  };
}
