/** The small ops of a step with their bodies in WGSL. */
import { at, differentiable } from '../differentiable.js';
import type { SmallOps } from '../runtime.js';
import type { Tensor } from '../tensorflow.js';
import type { Gpu } from './gpu.js';
import * as kernels from './small-kernels.js';
import { vectorGroups, Work } from './work.js';

const columnGroups = (columns: number): readonly [number] => [Math.ceil(columns / kernels.sumColumns)];

const layerNormOp =
  (gpu: Gpu): SmallOps['layerNorm'] =>
  (...operands) =>
    differentiable(gpu.tf, operands, (inputs) => {
      const [x, gain, shift] = [at(inputs, 0), at(inputs, 1), at(inputs, 2)];
      const [rows = 0, width = 0] = x.shape;
      const work = new Work(gpu, rows);
      const y = gpu.empty(x.shape);
      const stats = gpu.empty([rows, 2]);
      work.run(kernels.layerNormForward(width), [x, gain, shift, y, stats], [rows]);
      return {
        value: y,
        saved: [x, gain, stats],
        gradient: (dy, saved) => {
          const [keptX, keptGain, keptStats] = [at(saved, 0), at(saved, 1), at(saved, 2)];
          const dx = gpu.empty(x.shape);
          const [dGain, dShift] = [gpu.empty([width]), gpu.empty([width])];
          work.run(kernels.layerNormInputGradient(width), [keptX, keptGain, keptStats, dy, dx], [rows]);
          const forParameters = kernels.layerNormParameterGradient(width);
          work.run(forParameters, [keptX, keptStats, dy, dGain, dShift], columnGroups(width));
          return [dx, dGain, dShift];
        },
      };
    });

const blockFeaturesOp =
  (gpu: Gpu): SmallOps['blockFeatures'] =>
  (...operands) =>
    differentiable(gpu.tf, operands, (inputs) => {
      const [rows = 0, width = 0] = at(inputs, 0).shape;
      const y = gpu.empty([rows, 2 * width + 1]);
      const entries = new Work(gpu, y.size);
      entries.run(kernels.blockFeaturesForward(width), [...inputs, y], vectorGroups(y.size));
      return {
        value: y,
        saved: [],
        gradient: (dy) => {
          const [ds, dBlock, dBias] = [
            gpu.empty([rows, width]),
            gpu.empty([rows, width + 1]),
            gpu.empty([width]),
          ];
          entries.run(kernels.blockFeaturesGradient(width), [dy, ds, dBlock], vectorGroups(dy.size));
          new Work(gpu, rows).run(kernels.blockBiasGradient(width), [dy, dBias], columnGroups(width));
          return [ds, dBlock, dBias];
        },
      };
    });

const headOutputsOp =
  (gpu: Gpu): SmallOps['headOutputs'] =>
  (...operands) =>
    differentiable(gpu.tf, operands, (inputs) => {
      const [hidden, weight, bias] = [at(inputs, 0), at(inputs, 1), at(inputs, 2)];
      const rows = at(hidden.shape, 0);
      const [heads = 0, width = 0] = weight.shape;
      const work = new Work(gpu, rows);
      const y = gpu.empty([rows, heads]);
      work.run(kernels.headOutputsForward(heads, width), [hidden, weight, bias, y], [rows]);
      return {
        value: y,
        saved: [hidden, weight],
        gradient: (dy, saved) => {
          const [dHidden, dWeight, dBias] = [
            gpu.empty(hidden.shape),
            gpu.empty([heads, width]),
            gpu.empty([heads]),
          ];
          const forInput = kernels.headOutputsInputGradient(heads, width);
          new Work(gpu, dHidden.size).run(forInput, [dy, at(saved, 1), dHidden], vectorGroups(dHidden.size));
          const forParameters = kernels.headOutputsParameterGradient(heads, width);
          work.run(forParameters, [at(saved, 0), dy, dWeight, dBias], columnGroups(heads * width));
          return [dHidden, dWeight, dBias];
        },
      };
    });

const lossOp =
  (gpu: Gpu): SmallOps['loss'] =>
  (outputs, y, settings) =>
    differentiable(gpu.tf, [outputs], (inputs) => {
      const rows = at(outputs.shape, 0);
      const numbers = gpu.tf.tensor1d(kernels.lossNumbers(settings));
      const value = gpu.empty([]);
      const gradientOfLoss = gpu.empty([rows, 3]);
      const operands = [at(inputs, 0), y, numbers, value, gradientOfLoss];
      new Work(gpu, rows).run(kernels.lossForward(settings.classification), operands, [1]);
      return {
        value,
        saved: [gradientOfLoss],
        gradient: (dy, saved) => {
          const scaled = gpu.empty([rows, 3]);
          const work = new Work(gpu, scaled.size);
          work.run(kernels.scaled, [at(saved, 0), dy, scaled], vectorGroups(scaled.size));
          return [scaled];
        },
      };
    });

interface Group {
  readonly pieces: readonly Tensor[];
  readonly sizes: readonly number[];
  readonly offset: number;
}

/** The pieces in groups that one dispatch can take beside the flat vector. */
function groupsOf(gpu: Gpu, pieces: readonly Tensor[]): Group[] {
  const most = gpu.device.limits.maxStorageBuffersPerShaderStage - 1;
  const groups: Group[] = [];
  let offset = 0;
  for (let first = 0; first < pieces.length; first += most) {
    const some = pieces.slice(first, first + most);
    const sizes = some.map(({ size }) => size);
    groups.push({ pieces: some, sizes, offset });
    offset = sizes.reduce((sum, size) => sum + size, offset);
  }
  return groups;
}

function move(gpu: Gpu, flat: Tensor, pieces: readonly Tensor[], kernel: typeof kernels.splitPieces): void {
  for (const group of groupsOf(gpu, pieces)) {
    const entries = group.sizes.reduce((sum, size) => sum + size, 0);
    const work = new Work(gpu, entries);
    work.run(kernel(group.sizes, group.offset), [flat, ...group.pieces], vectorGroups(entries));
  }
}

export const webgpuSmallOps = (gpu: Gpu): SmallOps => ({
  layerNorm: layerNormOp(gpu),
  blockFeatures: blockFeaturesOp(gpu),
  headOutputs: headOutputsOp(gpu),
  loss: lossOp(gpu),
  split: (flat, sizes) => {
    const pieces = sizes.map((size) => gpu.empty([size]));
    move(gpu, flat, pieces, kernels.splitPieces);
    return pieces;
  },
  join: (pieces) => {
    const flat = gpu.empty([pieces.reduce((sum, { size }) => sum + size, 0)]);
    move(gpu, flat, pieces, kernels.joinPieces);
    return flat;
  },
});
