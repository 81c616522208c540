import type { FinishedTrial, TpeRules } from '../sampler.js';

/** v(t): sum of the strictly positive constraint values; a trial is infeasible when it is above 0 (tpe.md §6.2). */
export type Violation = (trial: FinishedTrial) => number;

/** Sum of what is violated; satisfied constraints do not offset violated ones. */
function violated(constraints: readonly number[]): number {
  return constraints.reduce((sum, value) => (value > 0 ? sum + value : sum), 0);
}

/**
 * How trials are judged. A trial without constraint values is feasible, except by the rules of Optuna 4 in a study
 * that has constraints (any trial with values): there it is infinitely violated (tpe.md §2).
 */
export function violationOf(finished: readonly FinishedTrial[], rules: TpeRules): Violation {
  const constrained = finished.some((trial) => trial.constraints !== undefined);
  const withoutValues = rules === 'optuna-4' && constrained ? Infinity : 0;
  return ({ constraints }) => (constraints === undefined ? withoutValues : violated(constraints));
}
