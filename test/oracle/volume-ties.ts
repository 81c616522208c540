/**
 * Ties of the greedy choice by hypervolume (tpe.md §13.4). Of equally large gains Parzen takes the first, and so would
 * Optuna, but with three objectives it sums volumes by matrix products and takes gains as differences of them: gains that
 * are equal by symmetry come out some ulps apart, which differs between builds of NumPy. Values on a lattice have such
 * symmetries. A choice of Optuna's that is greedy up to `volumeTolerance` is therefore as good as ours.
 */
import { hypervolume } from '../../shared/core/metrics/hypervolume.js';
import { referencePoint } from '../../shared/core/metrics/hypervolume-subset.js';
import { nonDominationRanks } from '../../shared/core/metrics/pareto.js';
import type { CompletedTrial, SuggestRequest, TpeSettings } from '../../shared/core/sampler/sampler.js';
import { violationOf } from '../../shared/core/sampler/tpe/feasibility.js';
import { goodTrialWeights } from '../../shared/core/sampler/tpe/good-weights.js';
import { splitHistory, type SplitHistory } from '../../shared/core/sampler/tpe/model.js';
import { goodCount, minimised } from '../../shared/core/sampler/tpe/split.js';

/** Gains closer than this, relative to the volume of what is chosen so far, cannot be told apart. */
const volumeTolerance = 1e-12;

type Point = readonly number[];

/** Whether every one of `picks`, in this order, had the largest gain but for rounding. */
export function isGreedyChoice(points: readonly Point[], picks: readonly number[]): boolean {
  if (new Set(picks).size < picks.length || !points.flat().every(Number.isFinite)) return false;
  const reference = referencePoint(points);
  const chosen: Point[] = [];
  return picks.every((pick) => {
    const volumes = points.map((point) => hypervolume([...chosen, point], reference));
    const largest = Math.max(...volumes);
    chosen.push(points[pick] ?? []);
    return (volumes[pick] ?? 0) >= largest * (1 - volumeTolerance);
  });
}

/** The front of which only a part is good, in trial order, and how many of it are. */
interface PartialFront {
  readonly trials: readonly CompletedTrial[];
  readonly points: readonly Point[];
  readonly places: number;
}

/** Null when no front is cut, or it has infinite values: then nothing is decided by rounding. */
export function partialFront(request: SuggestRequest, { rules }: TpeSettings): PartialFront | null {
  const { finished, directions } = request;
  const violation = violationOf(finished, rules);
  const completed = finished.filter(
    (trial): trial is CompletedTrial => trial.state === 'COMPLETE' && !(violation(trial) > 0),
  );
  const count = goodCount(finished.length, directions.length, rules);
  if (directions.length < 2 || completed.length <= count) return null;
  const points = completed.map(({ values }) => minimised(values, directions));
  const ranks = nonDominationRanks(points, count);
  let places = count;
  for (let rank = 0; ; rank++) {
    const members = completed.map((_, i) => i).filter((i) => ranks[i] === rank);
    const front = members.map((i) => points[i] ?? []);
    if (members.length < places) places -= members.length;
    else if (members.length === places || !front.flat().every(Number.isFinite)) return null;
    else return { trials: completed.filter((_, i) => ranks[i] === rank), points: front, places };
  }
}

/** The history as it is split when `picks` of the front are good instead of ours. */
export function splitWith(
  request: SuggestRequest,
  settings: TpeSettings,
  { front, picks }: { readonly front: PartialFront; readonly picks: readonly number[] },
): SplitHistory {
  const { finished, running, directions } = request;
  const ours = splitHistory(finished, running, directions, settings);
  const tied = new Set<unknown>(front.trials);
  const taken = new Set<unknown>(picks.map((pick) => front.trials[pick]));
  const wasGood = new Set<unknown>(ours.good);
  const isGood = (trial: unknown): boolean => (tied.has(trial) ? taken.has(trial) : wasGood.has(trial));
  const good = finished.filter(isGood);
  const bad = [...finished, ...(settings.constantLiar ? running : [])].filter((trial) => !isGood(trial));
  const violation = violationOf(finished, settings.rules);
  return {
    good,
    bad: bad.sort((a, b) => a.number - b.number),
    goodWeights: goodTrialWeights(good, directions, settings.rules, violation),
  };
}
