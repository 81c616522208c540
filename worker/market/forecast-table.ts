import type { Forecasts } from '../../shared/core/market/forecast-codec.js';
import type { FoldEvaluation, TestPredictions } from './evaluate-fold.js';

type Column = 'y' | 'score' | 'probability' | 'mu' | 'sigma';

/** The test rows of all folds as one table, what a trial leaves for others to compare it by. */
export function forecastTable(
  folds: readonly Pick<FoldEvaluation, 'predictions'>[],
  { horizon, secondsPerStep }: Pick<Forecasts, 'horizon' | 'secondsPerStep'>,
): Forecasts {
  const column = (name: Column): Float32Array =>
    Float32Array.from(folds.flatMap(({ predictions }) => [...predictions[name]]));
  const times = (predictions: TestPredictions): number[] => [...predictions.anchorTimeMs];
  return {
    folds: folds.map(({ predictions }) => predictions.y.length),
    ...{ horizon, secondsPerStep },
    anchorTimeMs: Float64Array.from(folds.flatMap(({ predictions }) => times(predictions))),
    y: column('y'),
    score: column('score'),
    probability: column('probability'),
    mu: column('mu'),
    sigma: column('sigma'),
  };
}
