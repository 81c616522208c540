/** Random sampling (tpe.md §14): start-up of TPE and the `random` sampler. */
import { isSingle } from '../space/make-parameter.js';
import { fromInternal } from '../space/parameter-values.js';
import type { NumericParameter, Parameter, ParameterValue } from '../space/parameter.js';
import { modellingScale } from './modelling-scale.js';
import type { Mt19937 } from './mt19937.js';
import { clip, nextAfter, roundHalfEven } from './rounding.js';

/** The number of the parameter's own scale for a point of the modelling scale. */
function numericValue(parameter: NumericParameter, x: number): number {
  const { low, high, step } = parameter;
  if (parameter.kind === 'int') {
    if (parameter.log) return clip(roundHalfEven(Math.exp(x)), low, high);
    return clip(low + parameter.step * Math.floor((x - low) / parameter.step + 0.5), low, high);
  }
  if (step !== null) return clip(low + step * roundHalfEven((x - low) / step), low, high);
  const value = parameter.log ? Math.exp(x) : x;
  return Math.max(low, Math.min(value, nextAfter(high, high - 1)));
}

/** Index of the largest of `count` uniform draws, the first one on a tie. */
function largestDraw(count: number, rng: Mt19937): number {
  let best = 0;
  let largest = -1;
  for (let i = 0; i < count; i++) {
    const u = rng.nextDouble();
    if (u > largest) {
      largest = u;
      best = i;
    }
  }
  return best;
}

/**
 * A random value: every grid point or choice with the same chance, continuous values uniform (on the log scale where
 * log). Draws one double for a numeric parameter, one per choice for a categorical one, and none when only one value
 * is legal.
 */
export function sampleRandom(parameter: Parameter, rng: Mt19937): ParameterValue {
  if (isSingle(parameter))
    return fromInternal(parameter, parameter.kind === 'categorical' ? 0 : parameter.low);
  if (parameter.kind === 'categorical') {
    return fromInternal(parameter, largestDraw(parameter.choices.length, rng));
  }
  const { lo, hi } = modellingScale(parameter);
  return numericValue(parameter, lo + (hi - lo) * rng.nextDouble());
}
