/** Greedy choice of the points that dominate the most volume together (tpe.md §13.4). */
import { hypervolume } from './hypervolume.js';
import { compareLexicographic } from './pareto.js';

type Point = readonly number[];

/** Coordinates that would be 0 are moved this far from it, so that boxes do not collapse. */
const referenceMin = 1e-12;

/** The reference point of a front: per coordinate a tenth beyond the worst value, whatever its sign. */
export function referencePoint(points: readonly Point[]): number[] {
  const first = points[0] ?? [];
  return first.map((_, j) => {
    const worst = points.reduce((largest, point) => Math.max(largest, point[j] ?? 0), -Infinity);
    const reference = Math.max(1.1 * worst, 0.9 * worst);
    return reference === 0 ? referenceMin : reference;
  });
}

/** Position of the largest gain, the first one on a tie; a gain that infinities make undefined comes before all. */
function largest(gains: readonly number[], taken: ReadonlySet<number>): number {
  let best = -1;
  gains.forEach((gain, i) => {
    const most = best < 0 ? -Infinity : (gains[best] ?? -Infinity);
    if (taken.has(i) || Number.isNaN(most)) return;
    if (best < 0 || Number.isNaN(gain) || gain > most) best = i;
  });
  return best;
}

/**
 * Two objectives: a candidate's gain is the rectangle between itself and a corner that moves to the nearest chosen
 * neighbours. `front` is distinct and in lexicographic order.
 */
function greedyPlanar(front: readonly Point[], reference: Point, count: number): number[] {
  const corners = front.map(() => ({ x: reference[0] ?? 0, y: reference[1] ?? 0 }));
  const taken = new Set<number>();
  while (taken.size < count) {
    const gains = front.map((point, i) => {
      const corner = corners[i] ?? { x: 0, y: 0 };
      return (corner.x - (point[0] ?? 0)) * (corner.y - (point[1] ?? 0));
    });
    const chosen = largest(gains, taken);
    const [x = 0, y = 0] = front[chosen] ?? [];
    taken.add(chosen);
    corners.forEach((corner, i) => {
      if ((front[i]?.[0] ?? 0) < x) corner.x = Math.min(corner.x, x);
      else corner.y = Math.min(corner.y, y);
    });
  }
  return [...taken];
}

/** HV(S ∪ {p}) − HV(S): the point's own box less what the chosen points cover of it. */
function gain(point: Point, chosen: readonly Point[], reference: Point): number {
  const own = hypervolume([point], reference);
  const covered = chosen.map((other) => point.map((x, j) => Math.max(x, other[j] ?? 0)));
  return own - hypervolume(covered, reference);
}

/**
 * Any number of objectives. Gains only shrink as points are chosen (submodularity), so an old gain is an upper bound:
 * it is recomputed only where it could still be the largest.
 */
function greedyLazy(front: readonly Point[], reference: Point, count: number): number[] {
  const bounds = front.map((point) => gain(point, [], reference));
  const taken = new Set<number>();
  const chosen: Point[] = [];
  while (taken.size < count) {
    let best = -1;
    let most = -Infinity;
    const byBound = front.map((_, i) => i).filter((i) => !taken.has(i));
    byBound.sort((i, j) => compareNumbers(bounds[j] ?? 0, bounds[i] ?? 0) || i - j);
    for (const i of byBound) {
      if ((bounds[i] ?? 0) < most) break;
      const exact = gain(front[i] ?? [], chosen, reference);
      bounds[i] = exact;
      if (exact > most || (exact === most && i < best) || best < 0) {
        best = i;
        most = exact;
      }
    }
    taken.add(best);
    chosen.push(front[best] ?? []);
  }
  return [...taken];
}

/** Ascending order that also holds between infinities, whose difference is NaN. */
function compareNumbers(x: number, y: number): number {
  return x === y ? 0 : x < y ? -1 : 1;
}

/**
 * `count` positions out of `points`, a front in trial order, chosen by largest hypervolume gain; in the order in which
 * they were chosen (tpe.md §13.4). Duplicates of a point come in only when the distinct points do not suffice.
 */
export function selectByHypervolume(points: readonly Point[], count: number): number[] {
  if (count >= points.length) return points.map((_, i) => i);
  const sorted = points.map((_, i) => i);
  sorted.sort((i, j) => compareLexicographic(points[i] ?? [], points[j] ?? []) || i - j);
  const distinct = sorted.filter(
    (i, k) => k === 0 || compareLexicographic(points[sorted[k - 1] ?? 0] ?? [], points[i] ?? []) !== 0,
  );
  if (distinct.length <= count) {
    const kept = new Set(distinct);
    const duplicates = points.map((_, i) => i).filter((i) => !kept.has(i));
    return [...distinct, ...duplicates.slice(0, count - distinct.length)];
  }
  const front = distinct.map((i) => points[i] ?? []);
  const reference = referencePoint(points);
  if (!reference.every((r) => Number.isFinite(r))) return distinct.slice(0, count);
  if (reference.length === 2) return greedyPlanar(front, reference, count).map((k) => distinct[k] ?? 0);
  // With a coordinate of −∞ the first point of infinite volume is as good as all together; no other adds anything.
  const boundless = front.findIndex((point) => hypervolume([point], reference) === Infinity);
  if (boundless >= 0)
    return [boundless, ...front.map((_, k) => k).filter((k) => k !== boundless)]
      .slice(0, count)
      .map((k) => distinct[k] ?? 0);
  return greedyLazy(front, reference, count).map((k) => distinct[k] ?? 0);
}
