/** The hypervolume that a study's completed trials dominate (tpe.md §13.5). */
import { hypervolume } from '../../shared/core/metrics/hypervolume.js';
import { referencePoint } from '../../shared/core/metrics/hypervolume-subset.js';
import { paretoFront } from '../../shared/core/metrics/pareto.js';
import type { Direction } from '../../shared/core/sampler/sampler.js';

export interface FrontVolume {
  readonly hypervolume: number;
  /** In the units of the objectives. */
  readonly reference: readonly number[];
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
