/**
 * How much memory a trial of the Hermite trainer will need, from its sizes alone, so that a hopeless configuration is pruned
 * instead of crashing a process (runtimes.md §4, §5). It follows the buffers of the wasm runtime one by one; what is not a
 * buffer is a constant that was measured. Against the peaks of real trials (estimate-memory.slow.test.ts), MB measured and
 * estimated: small 131 / 146, median 267 / 271, large 498 / 502, large with batches of 1,024 812 / 843, maps of 1,024 rows
 * 765 / 765, without LSTM 220 / 210, batches of 8,192 1,134 / 1,197. The buffers of a GPU are about the same: a step of 512 rows on an
 * NVIDIA H200 took 18, 139 and 369 MiB, estimated without `base` and `data` 21, 147 and 376.
 */
import { blockWidth, candleFeatures, mapRows, type ModelShape } from './model-shape.js';

export interface TrialSize {
  readonly shape: ModelShape;
  /** Rows of the largest batch, training or forecasting. */
  readonly batchRows: number;
  /** Rows of the candle table. */
  readonly candles: number;
}

/** Bytes by purpose. */
export interface MemoryEstimate {
  /** Node, TensorFlow.js and its compiled code. */
  readonly base: number;
  /** Candles, features and their scaled copies. */
  readonly data: number;
  /** States and gates of every time step, kept for the way back. */
  readonly lstm: number;
  /** Pre-activations and padded copies of the Hermite block. */
  readonly block: number;
  /** Buffers of the linear layers. */
  readonly dense: number;
  /** Parameters, moments, gradients, batches and outputs as tensors. */
  readonly tensors: number;
}

const floatBytes = 4;
const pad4 = (n: number): number => Math.ceil(n / 4) * 4;
const pad8 = (n: number): number => Math.ceil(n / 8) * 8;
/** Rows that a kernel works on together, and floats of its strip buffer. */
const kernelBlock = 64;
const stripFloats = 8 * kernelBlock * 4;

/** Measured, resident bytes of an idle process with the runtime loaded. */
const baseBytes = 120 * 1024 * 1024;
/** Measured: decoded columns, features, samples, scaled copies and what the collector has not yet taken back. */
const bytesPerCandle = 750;
/** Copies of the flat parameter vector alive at once: weights, two moments, best weights, gradient, and AdamW's temporaries. */
const parameterCopies = 14;
/** Copies of a batch's activations alive at once: on the tape, in the backend's heap, and on their way to the kernels. */
const activationCopies = 5;

function lstmFloats(rows: number, steps: number, units: number): number {
  const padded = pad4(rows);
  const u = pad8(units);
  const depth = u + pad8(candleFeatures + 1);
  const weights = 4 * units * (candleFeatures + units + 1);
  const state = padded * ((steps + 1) * (depth + u) + steps * 4 * u);
  const scratch = 2 * kernelBlock * u + stripFloats + 2 * depth * 4 * u;
  return rows * steps * candleFeatures + rows * units + 2 * weights + state + scratch;
}

function blockFloats(rows: number, width: number, maps: number): number {
  const padded = pad4(rows);
  const d = pad8(width);
  const r = pad8(maps);
  const kept = padded * (d + r) + 3 * d * r;
  const scratch = 2 * kernelBlock * (r + d) + stripFloats;
  return rows * (3 * width + 1) + 2 * maps * width + kept + scratch;
}

function linearFloats(rows: number, inputs: number, outputs: number): number {
  const d = pad8(inputs);
  const n = pad8(outputs);
  const scratch = kernelBlock * (d + n) + stripFloats;
  return 2 * rows * inputs + rows * outputs + 2 * outputs * (inputs + 1) + 2 * d * n + scratch;
}

function parameterCount({ lstmHidden, hidden, degree, ...shape }: ModelShape, width: number): number {
  const lstm = lstmHidden === null ? 0 : 4 * lstmHidden * (candleFeatures + lstmHidden + 2);
  const maps = mapRows({ lstmHidden, hidden, degree, ...shape }) * width;
  const shared = hidden * (2 * width + 1 + 3);
  const heads = 3 * (hidden * (hidden + 2) + 1);
  return lstm + degree + 1 + maps + width + shared + heads;
}

/** The parts of the estimate, bytes. */
export function estimateMemory({ shape, batchRows, candles }: TrialSize): MemoryEstimate {
  const { window, context, lstmHidden, hidden } = shape;
  const width = blockWidth(shape);
  const input = window * candleFeatures + context;
  const activations = input + 5 * width + 12 * hidden;
  return {
    base: baseBytes,
    data: candles * bytesPerCandle,
    lstm: lstmHidden === null ? 0 : floatBytes * lstmFloats(batchRows, window, lstmHidden),
    block: floatBytes * blockFloats(batchRows, width, mapRows(shape)),
    dense:
      floatBytes *
      Math.max(linearFloats(batchRows, 2 * width + 1, hidden), linearFloats(batchRows, hidden, 3 * hidden)),
    tensors:
      floatBytes *
      (parameterCopies * parameterCount(shape, width) + activationCopies * batchRows * activations),
  };
}

/** The whole estimate, bytes. */
export const totalMemory = (estimate: MemoryEstimate): number =>
  Object.values<number>({ ...estimate }).reduce((sum, bytes) => sum + bytes, 0);
