import type { Numbers } from './numbers.js';
import { mean } from './numbers.js';
import { chiSquareTail } from './special-functions.js';
import type { TestForm } from './test-form.js';

export interface LjungBox {
  readonly statistic: number;
  readonly pValue: number;
  readonly lags: number;
}

const rowsMin = 20;
const lagsMax = 10;

/**
 * Ljung-Box test of no autocorrelation (hermite-model.md §13.8) with min(10, ⌊m/4⌋) lags, made even. `v6` inflates every
 * autocorrelation by m/(m − k), which makes p too small. NaN below 20 rows or when nothing varies.
 */
export function ljungBox(series: Numbers, form: TestForm = 'textbook'): LjungBox {
  const m = series.length;
  if (m < rowsMin) return { statistic: NaN, pValue: NaN, lags: 0 };
  const candidate = Math.min(lagsMax, Math.floor(m / 4));
  const lags = Math.max(2, candidate - (candidate % 2));
  const center = mean(series);
  let power = 0;
  for (let t = 0; t < m; t++) power += ((series[t] ?? NaN) - center) ** 2;
  let sum = 0;
  for (let lag = 1; lag <= lags; lag++) {
    let product = 0;
    for (let t = lag; t < m; t++)
      product += ((series[t] ?? NaN) - center) * ((series[t - lag] ?? NaN) - center);
    const correlation = (product / power) * (form === 'v6' ? m / (m - lag) : 1);
    sum += (correlation * correlation) / (m - lag);
  }
  const statistic = m * (m + 2) * sum;
  return { statistic, pValue: chiSquareTail(statistic, lags), lags };
}
