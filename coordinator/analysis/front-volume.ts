/** The hypervolume that a study's completed trials dominate (tpe.md §13.5). */
import { hypervolume } from '../../shared/core/metrics/hypervolume.js';
import { referencePoint } from '../../shared/core/metrics/hypervolume-subset.js';
import { paretoFront } from '../../shared/core/metrics/pareto.js';
import type { Direction } from '../../shared/core/sampler/sampler.js';
import type { AssessedTrial } from './importance.js';

export interface FrontVolume {
  readonly hypervolume: number;
  /** In the units of the objectives. */
  readonly reference: readonly number[];
}

/**
 * Values of the trials that keep all constraints: the others dominate nothing (tpe.md §13.1). Throws a `RangeError` when
 * no trial does.
 */
export function feasibleValues(trials: readonly AssessedTrial[]): (readonly number[])[] {
  const feasible = trials.filter(({ constraints = [] }) => constraints.every((value) => value <= 0));
  if (feasible.length === 0 && trials.length > 0)
    throw new RangeError('every completed trial has a constraint above 0: none is feasible');
  return feasible.map(({ values }) => values);
}

/**
 * Volume between the values' front and a reference point that is nowhere better than any of them; by default a tenth beyond
 * the worst of the front in every objective. Throws a `RangeError` when a value is worse than the reference, or when it
 * has not one value per objective.
 */
export function frontVolume(
  directions: readonly Direction[],
  values: readonly (readonly number[])[],
  reference?: readonly number[],
): FrontVolume {
  // As losses, so that smaller is better throughout.
  const turned = (point: readonly number[]): number[] =>
    point.map((value, j) => (directions[j] === 'maximize' ? -value : value));
  if (reference !== undefined && reference.length !== directions.length)
    throw new RangeError(
      `the reference has ${reference.length} values; there are ${directions.length} objectives`,
    );
  const points = values.map(turned);
  const corner = reference === undefined ? referencePoint(paretoFront(points)) : turned(reference);
  const within = reference === undefined ? paretoFront(points) : points;
  const outside = within.find((point) => point.some((value, j) => value > (corner[j] ?? 0)));
  if (outside !== undefined)
    throw new RangeError(
      `a trial with the values ${turned(outside).join(', ')} is worse than the reference ${turned(corner).join(', ')}; ` +
        'take a reference that no trial is worse than',
    );
  return { hypervolume: hypervolume(within, corner), reference: turned(corner) };
}
