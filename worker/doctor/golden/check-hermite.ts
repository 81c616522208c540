/** Golden figures of kind `hermite`: the activation, in double precision and on the runtime (hermite-model.md §7.3). */
import { hermiteClampAt } from '../../trainers/runtime/reference-hermite.js';
import type { HermiteVersion, Runtime } from '../../trainers/runtime/runtime.js';
import type { Tensor } from '../../trainers/runtime/tensorflow.js';
import type { Deviations } from './deviations.js';
import type { Figures } from './figures.js';
import { take } from './golden-model.js';
import { hermiteActivation } from './hermite-activation.js';

const doubleTolerance = 1e-10;
/** Of the terms' sizes: single precision has seven digits, and the highest degrees cancel several of them. */
const singleTolerance = 1e-5;

/** Whether rounding to single precision carries a point over the edge of the clamp, where the slope jumps. */
const crossesClamp = (z: number): boolean =>
  Math.abs(z) > hermiteClampAt !== Math.abs(Math.fround(z)) > hermiteClampAt;

/** Value, derivative and back-propagated slope of a block of one map with weight 1: the activation itself. */
async function onRuntime(
  runtime: Runtime,
  coefficients: readonly number[],
  version: HermiteVersion,
  z: readonly number[],
) {
  const { tf } = runtime;
  const results = tf.tidy(() => {
    const weight = tf.ones([1, 1]);
    const a = tf.tensor1d([...coefficients]);
    const points: Tensor = tf.tensor2d([...z], [z.length, 1]);
    // Picks the value's column, so that the gradient is that of the value alone.
    const first = tf.tensor2d([1, 0], [1, 2]);
    const block = (x: Tensor): Tensor => runtime.hermiteBlock(x, weight, a, { version, positiveRows: 1 });
    return { both: block(points), slope: tf.grad((x) => tf.sum(tf.mul(block(x), first)))(points) };
  });
  const both = await take(results.both);
  return {
    value: z.map((_, i) => both[2 * i]),
    derivative: z.map((_, i) => both[2 * i + 1]),
    slope: await take(results.slope),
  };
}

/** Compares every case at every z, twice: the formulas in doubles, the runtime in single precision. */
export async function checkHermite(golden: Figures, deviations: Deviations, runtime: Runtime): Promise<void> {
  const z = golden.get('z').numbers();
  for (const fixed of golden.get('cases').list()) {
    const version = fixed.get('version').choice(['probabilist', 'physicist']);
    const coefficients = fixed.get('coeffs').numbers();
    const degree = fixed.find('degree');
    if (degree !== null) deviations.same(`${fixed.path} degree`, coefficients.length - 1, degree.number());
    const name = `${version} degree ${coefficients.length - 1}`;
    const exact = z.map((point) => hermiteActivation(coefficients, version, point));
    const single = await onRuntime(runtime, coefficients, version, z);
    const figures = [
      ['value', 'value', 'valueSize'],
      ['derivative', 'derivative', 'derivativeSize'],
      ['autograd_dvalue_dz', 'slope', 'derivativeSize'],
    ] as const;
    for (const [key, figure, size] of figures) {
      const expected = fixed.get(key).numbers();
      deviations.allNear(
        `${name} ${key}`,
        exact.map((point) => point[figure]),
        expected,
        doubleTolerance,
      );
      expected.forEach((value, i) => {
        if (figure === 'slope' && crossesClamp(z[i] ?? NaN)) return;
        const tolerance = singleTolerance * Math.max(exact[i]?.[size] ?? 0, 1e-6);
        deviations.absolute(`${name} ${key}[${i}] on ${runtime.name}`, single[figure][i], value, tolerance);
      });
    }
  }
}
