/** Mixtures over one parameter of every kind, for tests. */
import { makeCategorical, makeFloat, makeInt } from '../../space/make-parameter.js';
import type { Parameter } from '../../space/parameter.js';
import { estimatorRules, type EstimatorRules } from './estimator-rules.js';
import { ParzenEstimator } from './parzen-estimator.js';
import { rampWeights } from './weights.js';

export const optuna5 = estimatorRules('optuna-5', true);
export const optuna4 = estimatorRules('optuna-4', true);

/** A mixture with weights by age over the given columns, in the order of the parameters. */
export function mixture(
  parameters: Parameter[],
  columns: number[][],
  rules: EstimatorRules = optuna5,
): ParzenEstimator {
  const weights = rampWeights(columns[0]?.length ?? 0);
  return new ParzenEstimator(
    parameters,
    columns.map((column) => Float64Array.from(column)),
    weights,
    rules,
  );
}

export const a = makeFloat({ name: 'a', low: -2, high: 6 });
export const c = makeFloat({ name: 'c', low: 1e-4, high: 1, log: true });
export const d = makeInt({ name: 'd', low: -4, high: 19, step: 3 });
export const e = makeInt({ name: 'e', low: 1, high: 64, log: true });
export const f = makeFloat({ name: 'f', low: 0, high: 1, step: 0.25 });
export const h = makeCategorical('h', ['p', 'q', 'r', 's']);
