import type { Numbers } from './numbers.js';
import { mean } from './numbers.js';

export interface MincerZarnowitz {
  readonly intercept: number;
  readonly slope: number;
  readonly fStatistic: number;
  readonly pValue: number;
}

/**
 * Least squares `y = a + b·forecast` and the joint test of a = 0, b = 1 (hermite-model.md §13.6): p = e^−F, χ² with two degrees of
 * freedom at 2F. A constant forecast takes the minimum-norm solution. All NaN below three rows; F and p NaN for a perfect fit.
 */
export function mincerZarnowitz(y: Numbers, forecast: Numbers): MincerZarnowitz {
  const m = y.length;
  if (m < 3) return { intercept: NaN, slope: NaN, fStatistic: NaN, pValue: NaN };
  const { intercept, slope } = leastSquares(y, forecast);
  let residual = 0;
  let restricted = 0;
  for (let i = 0; i < m; i++) {
    const actual = y[i] ?? NaN;
    const predicted = forecast[i] ?? NaN;
    residual += (actual - intercept - slope * predicted) ** 2;
    restricted += (actual - predicted) ** 2;
  }
  if (!(residual > 0)) return { intercept, slope, fStatistic: NaN, pValue: NaN };
  const fStatistic = Math.max(0, (restricted - residual) / 2 / (residual / (m - 2)));
  return { intercept, slope, fStatistic, pValue: Math.exp(-fStatistic) };
}

/** Spread of the forecast, relative to its size, below which it counts as constant (rounding of its own mean). */
const relativeSpreadMin = 1e-14;

function leastSquares(y: Numbers, x: Numbers): { intercept: number; slope: number } {
  const m = y.length;
  const meanX = mean(x);
  const meanY = mean(y);
  let xx = 0;
  let xy = 0;
  for (let i = 0; i < m; i++) {
    const dx = (x[i] ?? NaN) - meanX;
    xx += dx * dx;
    xy += dx * ((y[i] ?? NaN) - meanY);
  }
  if (Math.sqrt(xx / m) <= relativeSpreadMin * Math.abs(meanX)) {
    // Of all (a, b) with a + b·c = mean(y), the one nearest to 0.
    const scale = meanY / (1 + meanX * meanX);
    return { intercept: scale, slope: scale * meanX };
  }
  const slope = xy / xx;
  return { intercept: meanY - slope * meanX, slope };
}
