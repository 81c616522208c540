/** The fused ops with their bodies in WGSL. Results are ordinary tensors of the backend; what the way back needs is scratch. */
import { assert } from '../../../../shared/core/assert.js';
import { at, differentiable, type Evaluation } from '../differentiable.js';
import type { HermiteOptions, RuntimeOps } from '../runtime.js';
import type { Tensor } from '../tensorflow.js';
import * as dense from './dense-kernels.js';
import type { Gpu } from './gpu.js';
import * as block from './hermite-kernels.js';
import * as lstm from './lstm-kernels.js';
import { tilesOf } from './product.js';
import { webgpuSmallOps } from './small-ops.js';
import { vectorGroups, Work } from './work.js';

/** Settings that trade speed for certainty; `plain` is for devices whose compiler cannot cope with the fast kernel. */
export interface OpSettings {
  readonly plainLstm: boolean;
}

/** The state of a forward pass lives in scratch buffers, so a gradient can only be taken of the latest one, once. */
function lstmOp(gpu: Gpu, settings: OpSettings): RuntimeOps['lstmLast'] {
  let passes = 0;
  const evaluate = (x: Tensor, weights: readonly Tensor[]): Evaluation => {
    const [wi, wh, bias] = [at(weights, 0), at(weights, 1), at(weights, 2)];
    const [batch = 0, steps = 0, features = 0] = x.shape;
    const units = at(wh.shape, 1);
    const sizes = { steps, features, units };
    const padded = lstm.paddedUnits(units);
    const variant = lstm.lstmVariant(
      units,
      gpu.device.limits.maxComputeInvocationsPerWorkgroup,
      settings.plainLstm,
    );
    assert(lstm.rowsPerGroup * features <= variant.threads, `${features} features are too many for this op`);
    const states = steps * batch * padded;
    const gates = gpu.scratch('lstm gates', 4 * states);
    const cells = gpu.scratch('lstm cells', states);
    const hidden = gpu.scratch('lstm hidden', states);
    const groups = [Math.ceil(batch / lstm.rowsPerGroup)] as const;
    const work = new Work(gpu, batch);
    const last = gpu.empty([batch, units]);
    work.run(lstm.lstmForward(sizes, variant), [x, wi, wh, bias, gates, cells, hidden, last], groups);
    passes += 1;
    const pass = passes;
    return {
      value: last,
      saved: [wh, x],
      gradient: (dy, saved) => {
        assert(
          passes === pass,
          'the LSTM state of this pass is gone: only the latest pass has a gradient, once',
        );
        passes += 1;
        const kept = at(saved, 0);
        work.run(lstm.lstmBackward(sizes, variant), [dy, kept, gates, cells], groups);
        const [dwi, dwh, dBias] = [[4 * units, features], [4 * units, units], [4 * units]].map((shape) =>
          gpu.empty(shape),
        ) as [Tensor, Tensor, Tensor];
        const columns = units + features + 1;
        const plan = {
          tiles: tilesOf(lstm.lstmWeightTile, 4 * padded, columns),
          chunks: lstm.lstmWeightChunks,
          entries: 4 * padded * columns,
        };
        work.split(lstm.lstmWeightGradient(sizes), [gates, hidden, at(saved, 1)], plan, [dwi, dwh, dBias]);
        return [dwi, dwh, dBias];
      },
    };
  };
  return (x, { wi, wh, bias }) => differentiable(gpu.tf, [wi, wh, bias], (weights) => evaluate(x, weights));
}

interface BlockState {
  readonly z: GPUBuffer;
  readonly value: GPUBuffer;
  readonly slope: GPUBuffer;
  readonly norms: GPUBuffer;
}

function blockGradient(
  gpu: Gpu,
  work: Work,
  sizes: block.BlockSizes,
  pass: { readonly state: BlockState; readonly dy: Tensor; readonly saved: readonly Tensor[] },
): Tensor[] {
  const { width, rows, degree } = sizes;
  const { batch } = work;
  const { z, value, slope, norms } = pass.state;
  const [s, v, coefficients] = [at(pass.saved, 0), at(pass.saved, 1), at(pass.saved, 2)];
  const e = gpu.scratch('hermite e', batch * rows);
  const dz = gpu.scratch('hermite dz', batch * rows);
  const wide = tilesOf(block.blockTile, batch, rows);
  work.run(block.preActivationGradient(sizes), [pass.dy, v, z, coefficients, norms, e, dz], wide);
  const ds = gpu.empty([batch, width]);
  const tiles = tilesOf(block.narrowTile, batch, width);
  const plan = { tiles, chunks: block.rowChunks, entries: batch * width };
  work.split(block.inputGradient(sizes), [dz, v], plan, [ds]);
  const dNorms = gpu.scratch('hermite norm gradient', rows);
  work.run(block.normGradient(sizes), [pass.dy, slope, dNorms], [Math.ceil(rows / 32)]);
  const dv = gpu.empty([rows, width]);
  const narrow = tilesOf(block.narrowTile, rows, width);
  work.run(block.mapGradient(sizes), [dz, value, s, pass.dy, v, dNorms, dv], narrow);
  const sums = gpu.scratch('hermite coefficient sums', block.coefficientGroups * (degree + 1));
  work.run(block.coefficientPartials(sizes), [z, e, pass.dy, norms, sums], [block.coefficientGroups]);
  const da = gpu.empty([degree + 1]);
  work.run(block.coefficientGradient(sizes), [sums, da], [1]);
  return [ds, dv, da];
}

/** As with the LSTM, only the latest forward pass has a gradient. */
function hermiteOp(gpu: Gpu): RuntimeOps['hermiteBlock'] {
  let passes = 0;
  const evaluate = (inputs: readonly Tensor[], options: HermiteOptions): Evaluation => {
    const [s, v, coefficients] = [at(inputs, 0), at(inputs, 1), at(inputs, 2)];
    const [batch = 0, width = 0] = s.shape;
    const rows = at(v.shape, 0);
    const degree = at(coefficients.shape, 0) - 1;
    const sizes = { width, rows, degree, ...options };
    const work = new Work(gpu, batch);
    const state: BlockState = {
      z: gpu.scratch('hermite z', batch * rows),
      value: gpu.scratch('hermite value', batch * rows),
      slope: gpu.scratch('hermite slope', batch * rows),
      norms: gpu.scratch('hermite norms', rows),
    };
    const { z, value, slope, norms } = state;
    const result = gpu.empty([batch, width + 1]);
    const wide = tilesOf(block.blockTile, batch, rows);
    work.run(block.rowNorms(sizes), [v, norms], [Math.ceil(rows / 64)]);
    work.run(block.preActivations(sizes), [s, v, coefficients, z, value, slope], wide);
    const tiles = tilesOf(block.narrowTile, batch, width);
    const plan = { tiles, chunks: block.rowChunks, entries: batch * width };
    work.split(block.features(sizes), [value, v], plan, [result]);
    work.run(block.trace(sizes), [slope, norms, result], [batch]);
    passes += 1;
    const pass = passes;
    return {
      value: result,
      saved: [s, v, coefficients],
      gradient: (dy, saved) => {
        assert(passes === pass, 'the block state of this pass is gone: only the latest pass has a gradient');
        return blockGradient(gpu, work, sizes, { state, dy, saved });
      },
    };
  };
  return (s, v, coefficients, options) =>
    differentiable(gpu.tf, [s, v, coefficients], (inputs) => evaluate(inputs, options));
}

function linearOp(gpu: Gpu): RuntimeOps['linear'] {
  const evaluate = (tensors: readonly Tensor[]): Evaluation => {
    const [x, weight, bias] = [at(tensors, 0), at(tensors, 1), at(tensors, 2)];
    const [batch = 0, inputs = 0] = x.shape;
    const outputs = at(weight.shape, 0);
    const work = new Work(gpu, batch);
    const y = gpu.empty([batch, outputs]);
    const tile = dense.denseTile;
    work.run(dense.linearForward(inputs, outputs), [x, weight, bias, y], tilesOf(tile, batch, outputs));
    return {
      value: y,
      saved: [x, weight],
      gradient: (dy, saved) => {
        const dx = gpu.empty([batch, inputs]);
        const dw = gpu.empty([outputs, inputs]);
        const dBias = gpu.empty([outputs]);
        const forInput = dense.linearInputGradient(inputs, outputs);
        work.run(forInput, [dy, at(saved, 1), dx], tilesOf(tile, batch, inputs));
        const forWeight = dense.linearWeightGradient(inputs, outputs);
        work.run(forWeight, [dy, at(saved, 0), dw, dBias], tilesOf(tile, outputs, inputs + 1));
        return [dx, dw, dBias];
      },
    };
  };
  return (x, weight, bias) => differentiable(gpu.tf, [x, weight, bias], evaluate);
}

function geluOp(gpu: Gpu): RuntimeOps['gelu'] {
  const evaluate = (tensors: readonly Tensor[]): Evaluation => {
    const x = at(tensors, 0);
    const work = new Work(gpu, x.size);
    const y = gpu.empty(x.shape);
    work.run(dense.geluForward, [x, y], vectorGroups(x.size));
    return {
      value: y,
      saved: [x],
      gradient: (dy, saved) => {
        const dx = gpu.empty(x.shape);
        work.run(dense.geluBackward, [at(saved, 0), dy, dx], vectorGroups(x.size));
        return [dx];
      },
    };
  };
  return (x) => differentiable(gpu.tf, [x], evaluate);
}

const adamWOp =
  (gpu: Gpu): RuntimeOps['adamW'] =>
  ({ parameters, first, second }, gradient, rates) => {
    const size = parameters.size;
    const work = new Work(gpu, size);
    const partial = gpu.scratch('squares', dense.normGroups);
    work.run(dense.squares, [gradient, partial], [dense.normGroups]);
    const next = { parameters: gpu.empty([size]), first: gpu.empty([size]), second: gpu.empty([size]) };
    const operands = [partial, gradient, first, second, rates, next.first, next.second];
    work.run(dense.moments, operands, vectorGroups(size));
    const moved = [parameters, next.first, next.second, rates, next.parameters];
    work.run(dense.move, moved, vectorGroups(size));
    return next;
  };

/** The ops on a device; the webgpu backend must be the current one. */
export const webgpuOps = (gpu: Gpu, settings: OpSettings): RuntimeOps => ({
  lstmLast: lstmOp(gpu, settings),
  hermiteBlock: hermiteOp(gpu),
  linear: linearOp(gpu),
  gelu: geluOp(gpu),
  adamW: adamWOp(gpu),
  ...webgpuSmallOps(gpu),
});
