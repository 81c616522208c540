/** Domination among points whose coordinates are all minimised (tpe.md §13.1 and §13.2). */
type Point = readonly number[];

/** Order by the first coordinate, then the second, and so on; 0 for equal points. */
export function compareLexicographic(a: Point, b: Point): number {
  for (let j = 0; j < a.length; j++) {
    const x = a[j] ?? 0;
    const y = b[j] ?? 0;
    if (x !== y) return x < y ? -1 : 1;
  }
  return 0;
}

/** Whether `a` is at least as good everywhere and not the same point. */
export function dominates(a: Point, b: Point): boolean {
  return a.every((x, j) => x <= (b[j] ?? 0)) && compareLexicographic(a, b) !== 0;
}

/** The distinct points in lexicographic order. */
export function distinctSorted<P extends Point>(points: readonly P[]): P[] {
  const sorted = [...points].sort(compareLexicographic);
  return sorted.filter((point, i) => {
    const previous = sorted[i - 1];
    return previous === undefined || compareLexicographic(previous, point) !== 0;
  });
}

/**
 * The front of distinct, lexicographically sorted points. The first remaining point is never dominated: a point that
 * dominated it would come before it. What it dominates is nowhere better after the first coordinate.
 */
function frontOfSorted<P extends Point>(sorted: readonly P[]): P[] {
  const front: P[] = [];
  let remaining = sorted;
  while (remaining[0] !== undefined) {
    const first = remaining[0];
    front.push(first);
    remaining = remaining.filter((point) => point.some((x, j) => j > 0 && x < (first[j] ?? 0)));
  }
  return front;
}

/** The distinct non-dominated points, in lexicographic order. */
export function paretoFront<P extends Point>(points: readonly P[]): P[] {
  return frontOfSorted(distinctSorted(points));
}

/** The front of two-dimensional distinct sorted points: those whose second coordinate is a new strict minimum. */
function planarFront<P extends Point>(sorted: readonly P[]): P[] {
  let lowest = Infinity;
  return sorted.filter((point, i) => {
    const y = point[1] ?? 0;
    const isNew = i === 0 || y < lowest;
    if (isNew) lowest = y;
    return isNew;
  });
}

/**
 * Non-domination rank of every point: 0 for the front, 1 for the front of the rest, and so on. Copies of a point
 * share its rank. With `enough`, ranking stops once that many distinct points have a rank (or all have); every point
 * left gets the next rank number (tpe.md §13.2).
 */
export function nonDominationRanks(points: readonly Point[], enough = Infinity): Uint32Array {
  // Each distinct point with the positions of its copies.
  const order = points.map((_, i) => i);
  order.sort((i, j) => compareLexicographic(points[i] ?? [], points[j] ?? []) || i - j);
  const groups: { point: Point; members: number[] }[] = [];
  for (const i of order) {
    const point = points[i] ?? [];
    const last = groups.at(-1);
    if (last !== undefined && compareLexicographic(last.point, point) === 0) last.members.push(i);
    else groups.push({ point, members: [i] });
  }
  const ranks = new Uint32Array(points.length);
  const membersOf = new Map(groups.map((group) => [group.point, group.members]));
  let remaining = groups.map((group) => group.point);
  let ranked = 0;
  let rank = 0;
  for (; remaining.length > 0 && ranked < enough; rank++) {
    const front = new Set(remaining[0]?.length === 2 ? planarFront(remaining) : frontOfSorted(remaining));
    for (const point of front) for (const i of membersOf.get(point) ?? []) ranks[i] = rank;
    ranked += front.size;
    remaining = remaining.filter((point) => !front.has(point));
  }
  for (const point of remaining) for (const i of membersOf.get(point) ?? []) ranks[i] = rank;
  return ranks;
}
