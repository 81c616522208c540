/** Volume dominated by a set of points, all coordinates minimised (tpe.md §13.5). */
import { paretoFront } from './pareto.js';

/** Σ (ref₁ − xᵢ)(yᵢ₋₁ − yᵢ) over the front in ascending order of x. */
function area(points: readonly (readonly number[])[], reference: readonly number[]): number {
  const [refX = 0, refY = 0] = reference;
  const sorted = [...points].sort((a, b) => (a[0] ?? 0) - (b[0] ?? 0) || (a[1] ?? 0) - (b[1] ?? 0));
  let lowest = refY;
  let sum = 0;
  for (const [x = 0, y = 0] of sorted) {
    if (!(y < lowest)) continue;
    sum += (refX - x) * (lowest - y);
    lowest = y;
  }
  return sum;
}

/** inc(p): the box between the point and the reference. */
function box(point: readonly number[], reference: readonly number[]): number {
  return point.reduce((product, x, j) => product * ((reference[j] ?? 0) - x), 1);
}

/** p ∧ q: the corner of what both boxes cover. */
function meet(p: readonly number[], q: readonly number[]): number[] {
  return p.map((x, j) => Math.max(x, q[j] ?? 0));
}

/**
 * The WFG recursion with the points in descending order of their first coordinate: all later points, raised to the
 * present one, share its first coordinate, so that what they cover of its box has one dimension less.
 */
function volume(points: readonly (readonly number[])[], reference: readonly number[]): number {
  if (reference.length === 1) return (reference[0] ?? 0) - Math.min(...points.map((p) => p[0] ?? 0));
  if (reference.length === 2) return area(points, reference);
  const front = paretoFront(points);
  const [first = [], second] = front;
  // Closed forms, multiplied in the order of the coordinates: gains that are equal come out equal, as in Optuna.
  if (second === undefined) return box(first, reference);
  if (front.length === 2)
    return box(first, reference) + box(second, reference) - box(meet(first, second), reference);
  const sorted = front.sort((a, b) => (b[0] ?? 0) - (a[0] ?? 0));
  const rest = reference.slice(1);
  let sum = 0;
  sorted.forEach((point, i) => {
    const tail = point.slice(1);
    const covered = sorted.slice(i + 1).map((later) => tail.map((x, j) => Math.max(x, later[j + 1] ?? 0)));
    const slice = box(tail, rest) - (covered.length === 0 ? 0 : volume(covered, rest));
    sum += ((reference[0] ?? 0) - (point[0] ?? 0)) * slice;
  });
  return sum;
}

/**
 * Hypervolume of the points with respect to `reference`, which must be at least as large as every point in every
 * coordinate (a `RangeError` otherwise). 0 without points; ∞ when the reference is not finite, and for results that
 * infinities make undefined.
 */
export function hypervolume(points: readonly (readonly number[])[], reference: readonly number[]): number {
  points.forEach((point, i) => {
    const beyond = reference.findIndex((r, j) => !((point[j] ?? NaN) <= r));
    if (point.length !== reference.length || beyond >= 0) {
      throw new RangeError(
        `point ${i} (${point.join(', ')}) must not exceed the reference (${reference.join(', ')}) anywhere`,
      );
    }
  });
  if (!reference.every((r) => Number.isFinite(r))) return Infinity;
  if (points.length === 0) return 0;
  const result = volume(points, reference);
  return Number.isNaN(result) ? Infinity : result;
}
