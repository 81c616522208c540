/** Do forecast and outcome agree in direction more often than chance allows (hermite-model.md §13.3, 18.15). */
import type { Numbers } from './numbers.js';
import { normalTwoSided } from './special-functions.js';
import type { TestForm, TestResult } from './test-form.js';

/** Variance below which the textbook statistic is undefined: one side never changes. */
const varianceMin = 1e-15;

/**
 * Pesaran and Timmermann (1992) on directions 0/1. `v6` uses the original's variance, which is not the published one and rejects
 * too rarely. NaN for no rows and, in the textbook form, when either side is constant.
 */
export function pesaranTimmermann(
  actual: Numbers,
  predicted: Numbers,
  form: TestForm = 'textbook',
): TestResult {
  const m = actual.length;
  let ups = 0;
  let predictedUps = 0;
  let hits = 0;
  for (let i = 0; i < m; i++) {
    ups += actual[i] ?? NaN;
    predictedUps += predicted[i] ?? NaN;
    if (actual[i] === predicted[i]) hits++;
  }
  const a = ups / m;
  const b = predictedUps / m;
  const bothUp = a * b;
  const bothDown = (1 - a) * (1 - b);
  const expected = bothUp + bothDown;
  const v6 = (bothUp * (1 - bothUp) + bothDown * (1 - bothDown) - a * (1 - a) * b * (1 - b)) / m;
  const textbook =
    (expected * (1 - expected)) / m -
    (((2 * a - 1) ** 2 * b * (1 - b) + (2 * b - 1) ** 2 * a * (1 - a)) / m +
      (4 * a * b * (1 - a) * (1 - b)) / (m * m));
  const spread = form === 'v6' ? Math.max(v6, 1e-12) : textbook;
  if (!(spread > (form === 'v6' ? 0 : varianceMin))) return { statistic: NaN, pValue: NaN };
  const statistic = (hits / m - expected) / Math.sqrt(spread);
  return { statistic, pValue: normalTwoSided(statistic) };
}
