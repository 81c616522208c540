import { at, differentiable } from './differentiable.js';
import type { HermiteOptions, HermiteVersion } from './runtime.js';
import type { Tensor, TensorFlow } from './tensorflow.js';

/** Pre-activations are clamped to [−clampAt, clampAt] (hermite-model.md §7.3). */
export const hermiteClampAt = 10;

/** The factor κ of the derivative rule P'_k = κ·k·P_{k−1}. */
export const derivativeFactor = (version: HermiteVersion): number => (version === 'physicist' ? 2 : 1);

/** P_0 … P_degree at every entry of `z`: P_{k+1} = κ(z P_k − k P_{k−1}) for both versions. */
function polynomials(tf: TensorFlow, z: Tensor, degree: number, version: HermiteVersion): Tensor[] {
  const kappa = derivativeFactor(version);
  const result = [tf.onesLike(z)];
  if (degree >= 1) result.push(tf.mul(z, kappa));
  for (let k = 1; k < degree; k += 1) {
    const next = tf.sub(tf.mul(z, at(result, k)), tf.mul(at(result, k - 1), k));
    result.push(kappa === 1 ? next : tf.mul(next, kappa));
  }
  return result;
}

/** Σ_k weights[k]·P_k, 0 for an empty list. */
function combine(tf: TensorFlow, basis: readonly Tensor[], weights: readonly Tensor[]): Tensor {
  return weights.reduce<Tensor>(
    (sum, weight, k) => tf.add(sum, tf.mul(at(basis, k), weight)),
    tf.zerosLike(at(basis, 0)),
  );
}

/** Coefficients of the derivative in the same basis: Σ a_k κ k P_{k−1}, so entry j is κ (j+1) a_{j+1}. */
const differentiate = (tf: TensorFlow, weights: readonly Tensor[], kappa: number): Tensor[] =>
  weights.slice(1).map((weight, j) => tf.mul(weight, kappa * (j + 1)));

/** +1 for the first `positiveRows` of R rows and −1 for the rest, as a column [R,1]. */
export const signColumn = (tf: TensorFlow, rows: number, positiveRows: number): Tensor =>
  tf.tensor2d(
    Float32Array.from({ length: rows }, (_, row) => (row < positiveRows ? 1 : -1)),
    [rows, 1],
  );

/**
 * `Runtime.hermiteBlock` in TensorFlow.js operations. With z = s Vᵀ, sign σ_r and w_r = σ_r‖V_r‖²:
 * S = (φ(z)·σ) V and J = Σ_r φ'(z_r) w_r. Backwards, with E = dS Vᵀ·σ (the gradient at φ), inside the clamp
 * dz = E φ' + dJ w φ'', dV = dzᵀ s + σ φᵀ dS + 2 σ V Σ_b dJ φ', ds = dz V, da_k = Σ E P_k + Σ dJ w κ k P_{k−1}.
 */
export function referenceHermiteBlock(
  tf: TensorFlow,
  product: (a: Tensor, b: Tensor) => Tensor,
  inputs: { readonly s: Tensor; readonly v: Tensor; readonly coefficients: Tensor },
  options: HermiteOptions,
): Tensor {
  return differentiable(tf, [inputs.s, inputs.v, inputs.coefficients], (tensors) => {
    const s = at(tensors, 0);
    const v = at(tensors, 1);
    const coefficients = at(tensors, 2);
    const [rows = 0, width = 0] = v.shape;
    const signs = signColumn(tf, rows, options.positiveRows);
    const pieces = activation(tf, product(s, tf.transpose(v)), coefficients, options);
    const weights = tf.mul(tf.sum(tf.square(v), 1, true), signs);
    const features = product(pieces.value, tf.mul(v, signs));
    const trace = product(pieces.slope, weights);
    return {
      value: tf.concat([features, trace], 1),
      saved: [s, v, coefficients, signs],
      gradient: (dy, saved) => gradient(tf, product, { dy, saved, width, options }),
    };
  });
}

interface Activation {
  readonly inside: Tensor;
  readonly basis: readonly Tensor[];
  readonly value: Tensor;
  readonly slope: Tensor;
  readonly curvature: Tensor;
}

function activation(tf: TensorFlow, z: Tensor, coefficients: Tensor, options: HermiteOptions): Activation {
  const kappa = derivativeFactor(options.version);
  const degree = at(coefficients.shape, 0) - 1;
  const clamped = tf.clipByValue(z, -hermiteClampAt, hermiteClampAt);
  const basis = polynomials(tf, clamped, degree, options.version);
  const weights = tf.unstack(coefficients);
  const slopes = differentiate(tf, weights, kappa);
  return {
    inside: tf.cast(tf.equal(z, clamped), 'float32'),
    basis,
    value: combine(tf, basis, weights),
    slope: combine(tf, basis, slopes),
    curvature: combine(tf, basis, differentiate(tf, slopes, kappa)),
  };
}

function gradient(
  tf: TensorFlow,
  product: (a: Tensor, b: Tensor) => Tensor,
  pass: {
    readonly dy: Tensor;
    readonly saved: readonly Tensor[];
    readonly width: number;
    readonly options: HermiteOptions;
  },
): Tensor[] {
  const [s, v, coefficients, signs] = [0, 1, 2, 3].map((k) => at(pass.saved, k)) as [
    Tensor,
    Tensor,
    Tensor,
    Tensor,
  ];
  const batch = at(pass.dy.shape, 0);
  const dS = tf.slice(pass.dy, [0, 0], [batch, pass.width]);
  const dJ = tf.slice(pass.dy, [0, pass.width], [batch, 1]);
  const vT = tf.transpose(v);
  const pieces = activation(tf, product(s, vT), coefficients, pass.options);
  const weights = tf.transpose(tf.mul(tf.sum(tf.square(v), 1, true), signs));
  const dValue = tf.mul(product(dS, vT), tf.transpose(signs));
  const dSlope = product(dJ, weights);
  const dz = tf.mul(tf.add(tf.mul(dValue, pieces.slope), tf.mul(dSlope, pieces.curvature)), pieces.inside);
  const kappa = derivativeFactor(pass.options.version);
  const dCoefficients = pieces.basis.map((polynomial, k) => {
    const direct = tf.sum(tf.mul(dValue, polynomial));
    if (k === 0) return direct;
    return tf.add(direct, tf.mul(tf.sum(tf.mul(dSlope, at(pieces.basis, k - 1))), kappa * k));
  });
  const dNorm = tf.mul(product(tf.transpose(pieces.slope), dJ), signs);
  const dV = tf.add(
    tf.add(product(tf.transpose(dz), s), tf.mul(product(tf.transpose(pieces.value), dS), signs)),
    tf.mul(tf.mul(v, dNorm), 2),
  );
  return [product(dz, v), dV, tf.stack(dCoefficients)];
}
