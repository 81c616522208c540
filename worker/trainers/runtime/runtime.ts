/**
 * What the model code knows about the thing that computes (runtimes.md §6). The model, its losses and its optimiser are
 * written once, on `tf` and on the fused ops below; a runtime brings the backend and the ops' bodies.
 *
 * Rules for code on `tf`, from measured traps (runtimes.md §2): matrix products only through `linear`; no `addN` with more
 * than seven inputs, no gradient of `gather`, no `slice` of large tensors, no `fused.*`; read values back once per
 * evaluation, not once per op.
 */
import type { Tensor, TensorFlow } from './tensorflow.js';

/** Names that `--runtime` accepts besides `auto`, best first. */
export const runtimeNames = ['wasm'] as const;
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

  /** Waits for the device and throws what it has complained about since the last call. */
  flushErrors(): Promise<void>;
  memory(): RuntimeMemory;
  classify(error: unknown): RuntimeFailure;
  /** Gives back the memory of the fused ops, between trials; the runtime stays usable. */
  dispose(): void;
}

export interface LstmWeights {
  readonly wi: Tensor;
  readonly wh: Tensor;
  readonly bias: Tensor;
}

/** The fused ops of a runtime: everything that has a body per backend. */
export type RuntimeOps = Pick<Runtime, 'lstmLast' | 'hermiteBlock' | 'linear' | 'gelu'>;
