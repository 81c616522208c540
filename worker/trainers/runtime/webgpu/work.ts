import type { Tensor } from '../tensorflow.js';
import { vectorGroup } from './dense-kernels.js';
import type { Gpu, Kernel } from './gpu.js';
import type { SplitProduct } from './product.js';

/** Threads of the kernels that finish a split product. */
const sumGroup = 64;

/** The dispatches of one op on a batch. */
export class Work {
  readonly gpu: Gpu;
  readonly batch: number;

  constructor(gpu: Gpu, batch: number) {
    this.gpu = gpu;
    this.batch = batch;
  }

  /** One dispatch; operands are tensors or scratch buffers in the order of the bindings. */
  run(
    kernel: Kernel,
    operands: readonly (Tensor | GPUBuffer)[],
    groups: readonly [number, number?, number?],
  ): void {
    const tensors = operands.filter((operand): operand is Tensor => !(operand instanceof GPUBuffer));
    const buffers = operands.map((operand) =>
      operand instanceof GPUBuffer ? operand : this.gpu.buffer(operand),
    );
    this.gpu.run({ kernel, buffers, batch: this.batch, groups }, tensors);
  }

  /** A split product of `entries` results: the partial sums, then the results into `results`. */
  split(
    product: SplitProduct,
    operands: readonly (Tensor | GPUBuffer)[],
    plan: { readonly tiles: readonly [number, number]; readonly chunks: number; readonly entries: number },
    results: readonly Tensor[],
  ): void {
    const partial = this.gpu.scratch('partial sums', plan.chunks * plan.entries);
    this.run(product.partial, [...operands, partial], [...plan.tiles, plan.chunks]);
    this.run(product.sum, [...results, partial], [Math.ceil(plan.entries / sumGroup)]);
  }
}

/** Workgroups of a kernel with one thread per entry of a vector. */
export const vectorGroups = (size: number): readonly [number] => [Math.ceil(size / vectorGroup)];
