/** Where the screen (`mixture-screen.ts`) and the plain estimators compute the same but for rounding that it allows for. */
import type { NumericParameter } from '../../space/parameter.js';
import { modellingScale } from '../modelling-scale.js';
import type { EstimatorRules } from '../tpe/estimator-rules.js';

/** Narrower ranges leave bandwidths, a hundredth of them or more, too few digits: doubles are denormal below 2.2e-308. */
const widthMin = 1e-290;
/** Range on the modelling scale over the largest number in it: below that doubles round its middle visibly. */
const relativeWidthMin = 1e-9;
/** Numbers of that many steps: beyond it the plain path's difference of two cell bounds is rounded by over 4e-6. */
const stepsMax = 1e10;

/** Whether the screen can stand for a continuous parameter, or for one with more grid points than fit in a table. */
export function isScreenableCoordinate(parameter: NumericParameter): boolean {
  const { lo, hi } = modellingScale(parameter);
  const largest = Math.max(Math.abs(lo), Math.abs(hi));
  const width = hi - lo;
  if (!(width >= widthMin && width >= relativeWidthMin * largest)) return false;
  return parameter.step === null || largest <= stepsMax * parameter.step;
}

/** Whether the screen can stand for a parameter of which every grid point has a cell in a table. */
export function isScreenableGrid(parameter: NumericParameter): boolean {
  const { lo, hi } = modellingScale(parameter);
  return hi - lo >= widthMin;
}

/** Whether the screen knows the rules: the prior weighs 1, bandwidths are clipped, and bounds are no neighbours. */
export function isScreenableBy({ priorWeight, magicClip, endpoints }: EstimatorRules): boolean {
  return priorWeight === 1 && magicClip && !endpoints;
}
