import { at, differentiable } from './differentiable.js';
import type { LstmWeights } from './runtime.js';
import type { Tensor, TensorFlow } from './tensorflow.js';

/** Products without gradient and without transposed operands. */
type Product = (a: Tensor, b: Tensor) => Tensor;

/** State after one time step, kept for the way back. */
interface Step {
  /** Activated gates: input, forget, candidate, output; each [B,H]. */
  readonly gates: readonly Tensor[];
  readonly cell: Tensor;
  readonly hidden: Tensor;
}

/** Splits [4H,N] into four transposed blocks [N,H]: one matrix per gate spares slicing every step's result. */
const perGate = (tf: TensorFlow, weights: Tensor): Tensor[] => {
  const [rows = 0, columns = 0] = weights.shape;
  return tf.unstack(tf.transpose(tf.reshape(weights, [4, rows / 4, columns]), [0, 2, 1]));
};

function forwardStep(tf: TensorFlow, activations: readonly Tensor[], cell: Tensor): Step {
  const gates = activations.map((a, gate) => (gate === 2 ? tf.tanh(a) : tf.sigmoid(a)));
  const next = tf.add(tf.mul(at(gates, 1), cell), tf.mul(at(gates, 0), at(gates, 2)));
  return { gates, cell: next, hidden: tf.mul(at(gates, 3), tf.tanh(next)) };
}

/** Derivatives with respect to the four pre-activations, and with respect to the previous cell state. */
function backwardStep(
  tf: TensorFlow,
  step: Step,
  previousCell: Tensor,
  grad: { readonly dh: Tensor; readonly dc: Tensor },
): { readonly da: readonly Tensor[]; readonly dc: Tensor } {
  const input = at(step.gates, 0);
  const forget = at(step.gates, 1);
  const candidate = at(step.gates, 2);
  const output = at(step.gates, 3);
  const tanhCell = tf.tanh(step.cell);
  const sigmoidSlope = (gate: Tensor): Tensor => tf.mul(gate, tf.sub(1, gate));
  const tanhSlope = (value: Tensor): Tensor => tf.sub(1, tf.square(value));
  const dc = tf.add(grad.dc, tf.mul(tf.mul(grad.dh, output), tanhSlope(tanhCell)));
  return {
    da: [
      tf.mul(tf.mul(dc, candidate), sigmoidSlope(input)),
      tf.mul(tf.mul(dc, previousCell), sigmoidSlope(forget)),
      tf.mul(tf.mul(dc, input), tanhSlope(candidate)),
      tf.mul(tf.mul(grad.dh, tanhCell), sigmoidSlope(output)),
    ],
    dc: tf.mul(dc, forget),
  };
}

/** Sum of a list; pairwise, as `addN` of many tensors breaks on WebGPU. */
const total = (tf: TensorFlow, terms: readonly Tensor[]): Tensor =>
  terms.reduce((sum, term) => tf.add(sum, term));

function backward(
  tf: TensorFlow,
  product: Product,
  pass: {
    readonly dy: Tensor;
    readonly inputs: readonly Tensor[];
    readonly steps: readonly Step[];
    readonly zero: Tensor;
    readonly wh: Tensor;
  },
): Tensor[] {
  const hiddenSize = at(pass.dy.shape, 1);
  const recurrent = tf.unstack(tf.reshape(pass.wh, [4, hiddenSize, hiddenSize]));
  let sums: Tensor[][] = [];
  let dh = pass.dy;
  let dc = pass.zero;
  for (let time = pass.steps.length - 1; time >= 0; time -= 1) {
    const previous = pass.steps[time - 1];
    const slope = backwardStep(tf, at(pass.steps, time), previous?.cell ?? pass.zero, { dh, dc });
    const x = at(pass.inputs, time);
    const parts = slope.da.map((da) => {
      const daT = tf.transpose(da);
      return [product(daT, x), product(daT, previous?.hidden ?? pass.zero), tf.sum(da, 0)];
    });
    sums =
      sums.length === 0
        ? parts
        : sums.map((row, gate) => row.map((sum, k) => tf.add(sum, at(at(parts, gate), k))));
    dh = total(
      tf,
      slope.da.map((da, gate) => product(da, at(recurrent, gate))),
    );
    dc = slope.dc;
  }
  return [0, 1, 2].map((k) => tf.concat(sums.map((row) => at(row, k))));
}

/** `Runtime.lstmLast` in TensorFlow.js operations, forward and back-propagation through time by hand. */
export function referenceLstmLast(tf: TensorFlow, product: Product, x: Tensor, weights: LstmWeights): Tensor {
  return differentiable(tf, [weights.wi, weights.wh, weights.bias], ([wi, wh, bias]) => {
    if (wi === undefined || wh === undefined || bias === undefined) throw new TypeError('three weights');
    const [batch = 0] = x.shape;
    const hiddenSize = at(wh.shape, 1);
    const inputs = tf.unstack(tf.transpose(x, [1, 0, 2]));
    const fromInput = perGate(tf, wi);
    const fromHidden = perGate(tf, wh);
    const biases = tf.unstack(tf.reshape(bias, [4, 1, hiddenSize]));
    const zero = tf.zeros([batch, hiddenSize]);
    const steps: Step[] = [];
    for (const input of inputs) {
      const last = steps.at(-1);
      const activations = fromInput.map((w, gate) =>
        tf.add(
          tf.add(product(input, w), at(biases, gate)),
          product(last?.hidden ?? zero, at(fromHidden, gate)),
        ),
      );
      steps.push(forwardStep(tf, activations, last?.cell ?? zero));
    }
    const count = inputs.length;
    return {
      value: at(steps, count - 1).hidden,
      saved: [wh, zero, ...inputs, ...steps.flatMap((step) => [...step.gates, step.cell, step.hidden])],
      gradient: (dy, saved) => {
        const kept = saved.slice(2 + count);
        const keptSteps = Array.from({ length: count }, (_, time) => ({
          gates: kept.slice(6 * time, 6 * time + 4),
          cell: at(kept, 6 * time + 4),
          hidden: at(kept, 6 * time + 5),
        }));
        return backward(tf, product, {
          dy,
          inputs: saved.slice(2, 2 + count),
          steps: keptSteps,
          zero: at(saved, 1),
          wh: at(saved, 0),
        });
      },
    };
  });
}
