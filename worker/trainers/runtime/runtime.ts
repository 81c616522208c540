/**
 * What the model code knows about the thing that computes (runtimes.md §6). The model, its losses and its optimiser are
 * written once, on `tf` and on the fused ops below; a runtime brings the backend and the ops' bodies.
 *
 * Rules for code on `tf`, from measured traps (runtimes.md §2): matrix products only through `linear`; no `addN` with more
 * than seven inputs, no gradient of `gather`, no `slice` of large tensors, no `fused.*`; read values back once per
 * evaluation, not once per op.
 */
import type { LossSettings } from './loss-settings.js';
import type { Tensor, TensorFlow } from './tensorflow.js';

/**
 * Names that `--runtime` accepts besides `auto`, best first. TensorFlow's own come last: without fused ops they are slower than
 * one CPU core with them (runtimes.md §3), so that one has to ask for them.
 */
export const runtimeNames = ['webgpu', 'wasm', 'tensorflow-gpu', 'tensorflow'] as const;
export type RuntimeName = (typeof runtimeNames)[number];

export type HermiteVersion = 'probabilist' | 'physicist';

export interface HermiteOptions {
  readonly version: HermiteVersion;
  /** The first so many rows of the stacked maps count positive, the rest negative. */
  readonly positiveRows: number;
}

/** How an error thrown inside a run has to be understood (runtimes.md §5). */
export type RuntimeFailure =
  /** Out of memory; the process has to be replaced. */
  | 'oom'
  /** The heap was overwritten, most likely after running out of memory; the process has to be replaced. */
  | 'corrupt'
  /** The device went away. */
  | 'lost'
  | 'other';

export interface RuntimeMemory {
  readonly tensors: number;
  readonly tensorBytes: number;
  /** Memory of the fused ops outside TensorFlow.js, bytes. */
  readonly opBytes: number;
}

export interface Runtime {
  readonly name: RuntimeName;
  /** What it computes on, for people: a GPU's name, or a few words. */
  readonly description: string;
  readonly tf: TensorFlow;

  /**
   * Last hidden state of a one-layer LSTM with zero initial state (hermite-model.md §7.2).
   * `x` [B,T,F] is data: it gets no gradient. `wi` [4H,F], `wh` [4H,H], `bias` [4H] (the sum of both bias vectors); gate
   * blocks in the order input, forget, candidate, output. Result [B,H].
   */
  lstmLast(x: Tensor, weights: LstmWeights): Tensor;

  /**
   * The symmetric Hermite block without its bias (hermite-model.md §7.3, §7.4): `s` [B,D], stacked maps `v` [R,D],
   * `coefficients` [n+1]. Result [B,D+1]: columns 0…D−1 are S(s), the last is the trace J(s). Gradients flow through both
   * to all three arguments and are cut to 0 where a pre-activation lies strictly outside [−10, 10].
   */
  hermiteBlock(s: Tensor, v: Tensor, coefficients: Tensor, options: HermiteOptions): Tensor;

  /** x Wᵀ + b for `x` [B,D], `weight` [N,D], `bias` [N]; its gradient multiplies no transposed operands. */
  linear(x: Tensor, weight: Tensor, bias: Tensor): Tensor;

  /** x·½(1 + erf(x/√2)), any shape. */
  gelu(x: Tensor): Tensor;

  /** LayerNorm over the columns of `x` [B,K] with biased variance and ε = 1e-5; `gain` and `shift` [K]. */
  layerNorm(x: Tensor, gain: Tensor, shift: Tensor): Tensor;

  /**
   * What the shared layer sees (hermite-model.md §7.5): the block's input `s` [B,D] beside its output `block` [B,D+1], to whose
   * first D columns `bias` [D] is added. Result [B,2D+1].
   */
  blockFeatures(s: Tensor, block: Tensor, bias: Tensor): Tensor;

  /** The last layers of n heads: column h is the product of the h-th part of `hidden` [B,n·K] with row h of `weight` [n,K], plus `bias` [n]. */
  headOutputs(hidden: Tensor, weight: Tensor, bias: Tensor): Tensor;

  /**
   * The mean loss of a batch (hermite-model.md §8), a scalar with gradient to `outputs` [B,3]: mu, log variance not yet clamped,
   * logit. `y` [B] is data.
   */
  loss(outputs: Tensor, y: Tensor, settings: LossSettings): Tensor;

  /** A vector in pieces of these sizes, which add up to its own. No gradient. */
  split(flat: Tensor, sizes: readonly number[]): Tensor[];

  /** All entries of the tensors, one after another, as a vector. No gradient. */
  join(pieces: readonly Tensor[]): Tensor;

  /**
   * Global clipping and one AdamW step on flat vectors (hermite-model.md §9). `rates` holds the numbers of `adamWRates`
   * (optimiser.ts) in a tensor, because they change from step to step and a compiled step does not.
   */
  adamW(vectors: AdamWVectors, gradient: Tensor, rates: Tensor): AdamWVectors;

  /**
   * A function of tensors that will be called many times. `step` must do the same operations whenever the shapes are the same,
   * take all that changes from its arguments, and read nothing back: a runtime may remember what it did and do it again
   * without calling it. The results belong to the caller.
   */
  compile(step: TensorStep): CompiledStep;

  /** Waits for the device and throws what it has complained about since the last call. */
  flushErrors(): Promise<void>;
  /** False once the device has failed: nothing computed since is to be trusted, and the process has to be replaced. */
  healthy(): boolean;
  memory(): RuntimeMemory;
  /** Where the largest amount of memory that a trial takes is read. */
  readonly peak: PeakMemory;
  classify(error: unknown): RuntimeFailure;
  /** Gives back the memory of the fused ops, between trials; the runtime stays usable. */
  dispose(): void;
}

/** From tensors to tensors. */
export type TensorStep = (inputs: readonly Tensor[]) => readonly Tensor[];

/** A step that may be called many times. */
export interface CompiledStep extends TensorStep {
  /** Gives back what was remembered for it; it may be called again, and then begins anew. */
  release(): void;
}

/** The most memory that was in use at once, of the kind that a runtime computes in. */
export interface PeakMemory {
  /** Begins a new measurement. */
  reset(): void;
  /** Bytes since `reset`; null where nobody can say. */
  read(): number | null;
}

/** Parameters and both moments, flat and of the same length. */
export interface AdamWVectors {
  readonly parameters: Tensor;
  readonly first: Tensor;
  readonly second: Tensor;
}

export interface LstmWeights {
  readonly wi: Tensor;
  readonly wh: Tensor;
  readonly bias: Tensor;
}

/** The small ops: a runtime without kernels of its own for them takes the reference (reference-small-ops.ts). */
export type SmallOps = Pick<
  Runtime,
  'layerNorm' | 'blockFeatures' | 'headOutputs' | 'loss' | 'split' | 'join'
>;

/** The fused ops of a runtime: everything that has a body per backend. */
export type RuntimeOps = Pick<Runtime, 'lstmLast' | 'hermiteBlock' | 'linear' | 'gelu' | 'adamW'> & SmallOps;
