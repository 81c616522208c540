/** Which finished trials count as good (tpe.md §6). */
import { selectByHypervolume } from '../../metrics/hypervolume-subset.js';
import { nonDominationRanks } from '../../metrics/pareto.js';
import type { CompletedTrial, Direction, FinishedTrial, PrunedTrial, TpeRules } from '../sampler.js';
import type { Violation } from './feasibility.js';

/** Share of the trials that are good, and the most there may be where a cap applies (tpe.md §1). */
const goodShare = 0.1;
const goodMax = 25;

export interface Split {
  /** In number order, as everywhere: the age of an observation decides its weight. */
  readonly good: readonly FinishedTrial[];
  readonly bad: readonly FinishedTrial[];
}

/** γ(N): how many of `finishedCount` COMPLETE and PRUNED trials are good. */
export function goodCount(finishedCount: number, objectives: number, rules: TpeRules): number {
  const share = Math.ceil(goodShare * finishedCount);
  return objectives === 1 || rules === 'optuna-4' ? Math.min(share, goodMax) : share;
}

/** The objective values with every direction turned to minimise. */
export function minimised(values: readonly number[], directions: readonly Direction[]): number[] {
  return directions.map((direction, j) => {
    const value = values[j] ?? NaN;
    return direction === 'maximize' ? -value : value;
  });
}

/** Ascending order that also holds between infinities, whose difference is NaN. */
function ascending(x: number, y: number): number {
  return x === y ? 0 : x < y ? -1 : 1;
}

/**
 * Order of pruned trials, best first: the largest last step, then the better value there, NaN being the worst of all;
 * trials that reported nothing come last. Only the first direction counts: several objectives have no reports.
 */
function comparePruned(a: PrunedTrial, b: PrunedTrial, direction: Direction): number {
  if (a.lastReport === null || b.lastReport === null) {
    return Number(a.lastReport === null) - Number(b.lastReport === null);
  }
  const key = (value: number): number => {
    if (Number.isNaN(value)) return Infinity;
    return direction === 'maximize' ? -value : value;
  };
  return (
    ascending(b.lastReport.step, a.lastReport.step) ||
    ascending(key(a.lastReport.value), key(b.lastReport.value))
  );
}

/** Several objectives: whole fronts while they fit, then the next one's points of largest hypervolume gain (§13.3). */
function bestByDomination(
  completed: readonly CompletedTrial[],
  directions: readonly Direction[],
  count: number,
): CompletedTrial[] {
  if (count === 0) return [];
  if (count >= completed.length) return [...completed];
  const points = completed.map((trial) => minimised(trial.values, directions));
  const ranks = nonDominationRanks(points, count);
  const chosen = new Set<number>();
  for (let rank = 0; chosen.size < count; rank++) {
    const front = completed.map((_, i) => i).filter((i) => ranks[i] === rank);
    const places = count - chosen.size;
    const picked =
      front.length <= places
        ? front
        : selectByHypervolume(
            front.map((i) => points[i] ?? []),
            places,
          ).map((k) => front[k] ?? 0);
    for (const i of picked) chosen.add(i);
  }
  return completed.filter((_, i) => chosen.has(i));
}

/** One objective: best value first, equal ones in number order. */
function bestByValue(completed: readonly CompletedTrial[], direction: Direction): CompletedTrial[] {
  const key = (trial: CompletedTrial): number => minimised(trial.values, [direction])[0] ?? 0;
  return [...completed].sort((a, b) => ascending(key(a), key(b)));
}

/**
 * Splits the finished trials (in number order) by the queue of tpe.md §6.3: feasible COMPLETE ones, best first; then
 * feasible PRUNED ones, furthest first; then infeasible ones, least violated first. The first γ(N) are good.
 */
export function splitTrials(
  finished: readonly FinishedTrial[],
  directions: readonly Direction[],
  rules: TpeRules,
  violation: Violation,
): Split {
  const count = goodCount(finished.length, directions.length, rules);
  const feasible = finished.filter((trial) => !(violation(trial) > 0));
  const infeasible = finished.filter((trial) => violation(trial) > 0);
  const completed = feasible.filter((trial) => trial.state === 'COMPLETE');
  const pruned = feasible.filter((trial) => trial.state === 'PRUNED');
  const direction = directions[0] ?? 'minimize';

  const queue: FinishedTrial[] = [
    ...(directions.length === 1
      ? bestByValue(completed, direction)
      : bestByDomination(completed, directions, Math.min(count, completed.length))),
  ];
  // Several objectives put only the chosen trials into the queue; the others must not be overtaken by pruned ones
  // unless all were chosen, which is the only case in which places are left.
  queue.push(...pruned.sort((a, b) => comparePruned(a, b, direction)));
  queue.push(...infeasible.sort((a, b) => ascending(violation(a), violation(b))));

  const good = new Set(queue.slice(0, count));
  return {
    good: finished.filter((trial) => good.has(trial)),
    bad: finished.filter((trial) => !good.has(trial)),
  };
}
