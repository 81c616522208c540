import type { Objective } from '../../shared/core/study/definition.js';
import type { Metrics } from '../../shared/core/study/trial.js';

/** The standard error of an objective's value. */
export interface ObjectiveError {
  readonly value: number;
  /** It may be less: how two of the objective's metrics move together was not reported. */
  readonly atMost: boolean;
}

/** The metric of a trial by this name; NaN where it was not reported. */
const metricOf = (metrics: Metrics, name: string): number =>
  Object.hasOwn(metrics, name) ? (metrics[name] ?? NaN) : NaN;

/**
 * From the standard errors that a trainer reports (`<metric>_se`) and the covariances (`<metric>_<metric>_cov`):
 * `√(Σ_i Σ_j w_i w_j cov_ij)`. Where a covariance is missing it is bounded by the product of the two errors, as for metrics that move
 * together. Null where a standard error is missing, or is not a number.
 */
export function objectiveError({ weights }: Objective, metrics: Metrics): ObjectiveError | null {
  const terms = Object.entries(weights);
  let square = 0;
  let atMost = false;
  for (const [index, [metric, weight]] of terms.entries()) {
    const error = metricOf(metrics, `${metric}_se`);
    if (!(error >= 0)) return null;
    square += (weight * error) ** 2;
    for (const [other, otherWeight] of terms.slice(index + 1)) {
      const bound = error * metricOf(metrics, `${other}_se`);
      const reported = [`${metric}_${other}_cov`, `${other}_${metric}_cov`]
        .map((name) => metricOf(metrics, name))
        .find((covariance) => !Number.isNaN(covariance));
      atMost ||= reported === undefined && bound > 0;
      const product = weight * otherWeight;
      square +=
        2 *
        (reported === undefined
          ? Math.abs(product) * bound
          : product * Math.max(-bound, Math.min(reported, bound)));
    }
  }
  return Number.isNaN(square) ? null : { value: Math.sqrt(Math.max(0, square)), atMost };
}
