import { beforeAll, describe, expect, test } from 'vitest';
import type { Runtime } from '../runtime/runtime.js';
import { createWasmRuntime } from '../runtime/wasm-runtime.js';
import { lossTerms, rawSignScale, readOutputs, emptyOutputs, type LossSettings } from './losses.js';

const settings: LossSettings = {
  regWeight: 0.7,
  clsWeight: 1.1,
  uncWeight: 0.3,
  signWeight: 0.2,
  classification: 'bce',
  focalGamma: 2,
  posWeight: 1.7,
  signScale: rawSignScale,
};

let runtime: Runtime;
beforeAll(async () => {
  runtime = await createWasmRuntime();
});

/** Loss tensor, its gradient with respect to the outputs, and the same loss in doubles. */
function evaluate(loss: LossSettings, outputs: readonly (readonly number[])[], y: readonly number[]) {
  const { tf } = runtime;
  const { value, grad } = tf.valueAndGrad((x) => runtime.loss(x, tf.tensor1d([...y]), loss))(
    tf.tensor2d(outputs.map((row) => [...row])),
  );
  const read = emptyOutputs(y.length);
  readOutputs(Float32Array.from(outputs.flat()), read, 0);
  return {
    tensor: value.dataSync<'float32'>()[0]!,
    gradient: [...grad.dataSync<'float32'>()],
    terms: lossTerms(loss, read, Float32Array.from(y)),
  };
}

describe.each(['bce', 'focal'] as const)('loss with %s', (classification) => {
  const rows = [
    [0.01, -8, 0.3],
    [-0.02, 0.5, -1.2],
    [0, -13, 2],
    [0.3, 6, -40],
    [-0.1, -2, 60],
  ];
  const y = [0.004, -0.003, 0, 0.002, -0.001];

  test('tensor and doubles agree, and the clamped log variance has no gradient', () => {
    const { tensor, gradient, terms } = evaluate({ ...settings, classification }, rows, y);
    expect(tensor / terms.total).toBeCloseTo(1, 5);
    expect(gradient.every(Number.isFinite)).toBe(true);
    // Rows 2 and 3 lie outside [−12, 5]; the others must feel it.
    expect([gradient[7], gradient[10]]).toEqual([0, 0]);
    expect(gradient[1]).not.toBe(0);
  });

  // Central differences of the loss in doubles.
  test('the gradient is that of the loss', () => {
    const loss = { ...settings, classification };
    const { gradient } = evaluate(loss, rows.slice(0, 2), y.slice(0, 2));
    const total = (changed: number, by: number): number => {
      const moved = rows.slice(0, 2).flat();
      moved[changed]! += by;
      const outputs = { mu: [0, 3], logvar: [1, 4], logit: [2, 5] };
      const column = (at: readonly number[]) => Float64Array.from(at, (i) => moved[i]!);
      const { mu, logvar, logit } = outputs;
      const read = { mu: column(mu), logvar: column(logvar), logit: column(logit) };
      return lossTerms(loss, read, Float32Array.from(y.slice(0, 2))).total;
    };
    gradient.forEach((slope, i) => {
      const expected = (total(i, 1e-6) - total(i, -1e-6)) / 2e-6;
      expect(Math.abs(slope - expected)).toBeLessThan(1e-4 * Math.max(1, Math.abs(expected)));
    });
  });

  test('is finite for logits beyond reason, also with a fractional γ', () => {
    const loss = { ...settings, classification, focalGamma: 0.5 };
    const { tensor, gradient } = evaluate(
      loss,
      [
        [0, 0, 500],
        [0, 0, -500],
      ],
      [0.1, 0.1],
    );
    expect(Number.isFinite(tensor)).toBe(true);
    expect(gradient.every(Number.isFinite)).toBe(true);
  });
});

test('the positive class weighs pos_weight under bce, and a flat target is down with sign 0', () => {
  const up = evaluate({ ...settings, posWeight: 3 }, [[0, 0, 0]], [0.1]).terms;
  const flat = evaluate({ ...settings, posWeight: 3 }, [[0.2, 0, 0]], [0]).terms;
  expect(up.cls).toBeCloseTo(3 * Math.LN2, 9);
  expect(flat.cls).toBeCloseTo(Math.LN2, 9);
  expect(flat.sign).toBeCloseTo(Math.tanh(5 * Math.fround(0.2)) ** 2, 9);
});
