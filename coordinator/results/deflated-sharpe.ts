/**
 * How probable it is that the best trial's Sharpe ratio is more than luck, so many having been tried (hermite-model.md §18.8):
 * Bailey and López de Prado, "The Deflated Sharpe Ratio" (2014).
 */
import { expectedNormalMaximum } from '../../shared/core/metrics/normal-maximum.js';
import { probabilisticSharpe } from '../../shared/core/metrics/sharpe.js';
import type { Trial } from '../../shared/core/study/trial.js';

export interface DeflatedSharpe {
  readonly sharpe: number;
  /** Trials that reported a Sharpe ratio. */
  readonly trials: number;
  /** Expected best Sharpe ratio of as many trials whose true one is 0: sd over the trials · E[max of N standard normals]. */
  readonly expectedBest: number;
  /** Probability that the true ratio of `best` lies above that. */
  readonly probability: number;
}

/** For `best` among `trials`; null where its ratio or its error is not known, or fewer than two trials differ in it. */
export function deflatedSharpeOf(best: Trial, trials: readonly Trial[]): DeflatedSharpe | null {
  const sharpe = best.metrics['sharpe'] ?? NaN;
  const standardError = best.metrics['sharpe_se'] ?? NaN;
  const all = trials.map(({ metrics }) => metrics['sharpe'] ?? NaN).filter(Number.isFinite);
  if (!Number.isFinite(sharpe) || !(standardError > 0) || all.length < 2) return null;
  const mean = all.reduce((sum, value) => sum + value, 0) / all.length;
  const sd = Math.sqrt(all.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (all.length - 1));
  if (!(sd > 0)) return null;
  const expectedBest = sd * expectedNormalMaximum(all.length);
  const probability = probabilisticSharpe(sharpe, standardError, expectedBest);
  return { sharpe, trials: all.length, expectedBest, probability };
}
