import type { Tensor, TensorFlow } from './tensorflow.js';

/** One forward evaluation and what its gradient needs. */
export interface Evaluation {
  readonly value: Tensor;
  /** Tensors kept for `gradient`, handed back to it in this order. */
  readonly saved: readonly Tensor[];
  /** Gradients with respect to the inputs, in their order; `dy` has the shape of `value`. */
  readonly gradient: (dy: Tensor, saved: readonly Tensor[]) => Tensor[];
}

/**
 * Evaluates an operation with a hand-written gradient. Wraps `tf.customGrad`, whose types leave the inputs and the
 * `save` function in one untyped list; everything the gradient closes over beside `saved` must not be a tensor.
 */
export function differentiable(
  tf: TensorFlow,
  inputs: readonly Tensor[],
  evaluate: (inputs: readonly Tensor[]) => Evaluation,
): Tensor {
  const op = tf.customGrad((...args) => {
    const save = args.at(-1);
    const tensors = args.slice(0, -1).filter((argument) => typeof argument !== 'function');
    const { value, saved, gradient } = evaluate(tensors);
    if (typeof save === 'function') save([...saved]);
    return { value, gradFunc: (dy: Tensor, kept: Tensor[]) => gradient(dy, kept) };
  });
  return op(...inputs);
}

/** The element `index` of `items`, which must exist. */
export function at<T>(items: ArrayLike<T>, index: number): T {
  const item = items[index];
  if (item === undefined) throw new RangeError(`no element ${index} in a list of ${items.length}`);
  return item;
}
