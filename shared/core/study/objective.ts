import type { Metrics } from './trial.js';
import type { Objective } from './definition.js';

export type ObjectiveValues =
  | { readonly kind: 'values'; readonly values: readonly number[] }
  /** No value can be formed; `message` names the metric and what is wrong with it. */
  | { readonly kind: 'invalid'; readonly message: string };

/**
 * The objective values of a result: per objective `Σ weight · metric`, summed in the order of the study file.
 * Infinite values are legal; NaN, and a metric that was not reported, are not.
 */
export function objectiveValues(objectives: readonly Objective[], metrics: Metrics): ObjectiveValues {
  const values: number[] = [];
  for (const objective of objectives) {
    let sum = 0;
    for (const [metric, weight] of Object.entries(objective.weights)) {
      const value = metrics[metric];
      if (value === undefined)
        return {
          kind: 'invalid',
          message: `the trainer reported no metric '${metric}', which objective '${objective.name}' needs`,
        };
      sum += weight * value;
    }
    if (Number.isNaN(sum))
      return {
        kind: 'invalid',
        message: `objective '${objective.name}' is NaN (metrics ${Object.keys(objective.weights).join(', ')})`,
      };
    values.push(sum);
  }
  return { kind: 'values', values };
}
