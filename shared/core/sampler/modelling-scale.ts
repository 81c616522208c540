import type { NumericParameter } from '../space/parameter.js';

/** The range of a numeric parameter as the sampler models it (tpe.md §7.2). */
export interface ModellingScale {
  readonly lo: number;
  readonly hi: number;
}

/** A number of the parameter's own scale on the modelling scale: its logarithm where the parameter is log. */
export function toModellingScale(parameter: NumericParameter, x: number): number {
  return parameter.log ? Math.log(x) : x;
}

/**
 * Bounds on the modelling scale: with a step, half a step wider than the grid on both sides, so that every grid
 * point owns a cell of the same width; then the logarithm where the parameter is log (tpe.md §7.2).
 */
export function modellingScale(parameter: NumericParameter): ModellingScale {
  const half = parameter.step === null ? 0 : parameter.step / 2;
  return {
    lo: toModellingScale(parameter, parameter.low - half),
    hi: toModellingScale(parameter, parameter.high + half),
  };
}
