/** How much each parameter matters for the outcome: what both evaluators take and give (tpe.md §16). */
import { assert } from '../../shared/core/assert.js';
import type { Direction } from '../../shared/core/sampler/sampler.js';
import type { Params, Space } from '../../shared/core/space/parameter.js';

/** A COMPLETE trial. */
export interface AssessedTrial {
  readonly params: Params;
  /** One per direction. */
  readonly values: readonly number[];
  /** Feasible when none is above 0; importance looks at infeasible trials like at any other. */
  readonly constraints?: readonly number[];
  /** The parameters as this trial was asked for them, where they differ from the study's. */
  readonly space?: Space;
}

export interface AssessedStudy {
  readonly space: Space;
  readonly directions: readonly Direction[];
  /** COMPLETE trials in number order. */
  readonly trials: readonly AssessedTrial[];
  /** What to explain instead of the objective values, lower being better; needed by fANOVA with several objectives. */
  readonly target?: (trial: AssessedTrial) => number;
}

/** Input that importance cannot be computed for; the message says what would be right. */
export class ImportanceError extends Error {
  override readonly name = 'ImportanceError';
}

/** Importance by name, the largest first; the shares sum to 1. */
export type Importances = ReadonlyMap<string, number>;

/**
 * Raw importances as shares, the largest first; equal shares when all are 0. None may be negative, infinite or NaN: that
 * would be a mistake of the evaluator, and shares of it would look like an answer.
 */
export function normalised(raw: ReadonlyMap<string, number>): Importances {
  let sum = 0;
  for (const [name, value] of raw) {
    assert(value >= 0 && value < Infinity, `importance of ${JSON.stringify(name)} is ${value}`);
    sum += value;
  }
  const shares = [...raw].map(([name, value]): [string, number] => [
    name,
    sum === 0 ? 1 / raw.size : value / sum,
  ]);
  return new Map(shares.sort((a, b) => b[1] - a[1]));
}
