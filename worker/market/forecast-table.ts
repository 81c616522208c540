import type { Forecasts } from '../../shared/core/market/forecast-codec.js';
import type { TestPredictions } from './evaluate-fold.js';

type Column = 'anchorTimeMs' | 'y' | 'score' | 'probability' | 'mu' | 'sigma';

/** The test rows of all folds as one table, what a trial leaves for others to compare it by. */
export function forecastTable(
  folds: readonly { readonly predictions: Pick<TestPredictions, Column> }[],
  { horizon, secondsPerStep }: Pick<Forecasts, 'horizon' | 'secondsPerStep'>,
): Forecasts {
  const column = (name: Column): number[] => folds.flatMap(({ predictions }) => [...predictions[name]]);
  return {
    folds: folds.map(({ predictions }) => predictions.y.length),
    ...{ horizon, secondsPerStep },
    anchorTimeMs: Float64Array.from(column('anchorTimeMs')),
    y: Float32Array.from(column('y')),
    score: Float64Array.from(column('score')),
    probability: Float64Array.from(column('probability')),
    mu: Float32Array.from(column('mu')),
    sigma: Float32Array.from(column('sigma')),
  };
}
