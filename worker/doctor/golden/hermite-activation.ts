/** The activation of hermite-model.md §7.3 in double precision: what the runtimes' single-precision ops are judged by. */
import { derivativeFactor, hermiteClampAt } from '../../trainers/runtime/reference-hermite.js';
import type { HermiteVersion } from '../../trainers/runtime/runtime.js';

export interface Activation {
  readonly value: number;
  /** Analytic derivative at the clamped point. */
  readonly derivative: number;
  /** What back-propagation sees: 0 strictly outside the clamp. */
  readonly slope: number;
  /** Sizes of the terms that value and derivative are sums of: rounding errors are in proportion to them. */
  readonly valueSize: number;
  readonly derivativeSize: number;
}

/** P_0 … P_n at z by P_{k+1} = κ(z P_k − k P_{k−1}); with `sign` +1 the sums of the absolute monomials at |z|. */
function polynomials(z: number, degree: number, kappa: number, sign: 1 | -1): number[] {
  const values = [1, kappa * z];
  for (let k = 1; k < degree; k += 1)
    values.push(kappa * (z * (values[k] ?? NaN) + sign * k * (values[k - 1] ?? NaN)));
  return values.slice(0, degree + 1);
}

/** Σ a_k P_k at the clamped z, with its derivative Σ a_k κ k P_{k−1}. */
export function hermiteActivation(
  coefficients: readonly number[],
  version: HermiteVersion,
  z: number,
): Activation {
  const kappa = derivativeFactor(version);
  const degree = coefficients.length - 1;
  const clamped = Math.min(Math.max(z, -hermiteClampAt), hermiteClampAt);
  const basis = polynomials(clamped, degree, kappa, -1);
  const sizes = polynomials(Math.abs(clamped), degree, kappa, 1);
  const sum = (terms: readonly number[], at: (k: number) => number): number =>
    coefficients.reduce((total, _, k) => total + at(k) * (terms[k] ?? 0), 0);
  const shifted = (terms: readonly number[]): number[] => [0, ...terms];
  const factor = (k: number): number => (coefficients[k] ?? NaN) * kappa * k;
  const derivative = sum(shifted(basis), factor);
  return {
    value: sum(basis, (k) => coefficients[k] ?? NaN),
    derivative,
    slope: z === clamped ? derivative : 0,
    valueSize: sum(sizes, (k) => Math.abs(coefficients[k] ?? NaN)),
    derivativeSize: sum(shifted(sizes), (k) => Math.abs(factor(k))),
  };
}
