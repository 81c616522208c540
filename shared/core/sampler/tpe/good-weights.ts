/** Weights of the good trials before normalisation (tpe.md §2 and §7.1). */
import { hypervolume } from '../../metrics/hypervolume.js';
import { referencePoint } from '../../metrics/hypervolume-subset.js';
import { compareLexicographic, paretoFront } from '../../metrics/pareto.js';
import type { Direction, FinishedTrial, TpeRules } from '../sampler.js';
import type { Violation } from './feasibility.js';
import { minimised } from './split.js';

/** What a trial weighs that adds nothing to the front; not 0, so that no density can vanish. */
const weightMin = 1e-12;

/**
 * What each point of a set adds to the hypervolume of its front, relative to the largest; dominated points and copies
 * add nothing. Null when the volume is infinite.
 */
function contributions(points: readonly (readonly number[])[]): number[] | null {
  const reference = referencePoint(points);
  const front = points.filter((p) => paretoFront(points).some((f) => compareLexicographic(f, p) === 0));
  const whole = hypervolume(front, reference);
  if (whole === Infinity) return null;
  const added = points.map((point) => {
    const position = front.indexOf(point);
    if (position < 0) return 0;
    return whole - hypervolume(front.toSpliced(position, 1), reference);
  });
  const most = Math.max(weightMin, ...added);
  return added.map((value) => Math.max(value / most, weightMin));
}

/** Optuna 4 with several objectives: hypervolume contributions of the feasible good trials. */
function hypervolumeWeights(
  good: readonly FinishedTrial[],
  directions: readonly Direction[],
  violation: Violation,
): Float64Array {
  const feasible = good.map((trial) => !(violation(trial) > 0));
  const points = good.map((trial, i) =>
    trial.state === 'COMPLETE' && feasible[i] === true ? minimised(trial.values, directions) : null,
  );
  const judged = points.filter((point) => point !== null);
  // A lone feasible trial weighs in full, pruned or not, and so do all where none is complete. Otherwise a pruned one has
  // no objective values and can add nothing to the front.
  if (judged.length === 0 || feasible.filter(Boolean).length <= 1)
    return Float64Array.from(feasible, (is) => (is ? 1 : weightMin));
  const added = contributions(judged);
  let next = 0;
  return Float64Array.from(points, (point) => {
    if (point === null) return weightMin;
    return added === null ? 1 : (added[next++] ?? weightMin);
  });
}

/**
 * One weight per good trial (in number order): the ramp with one objective; with several, all 1 (Optuna 5) or the
 * hypervolume contributions (Optuna 4). `null` means the ramp, which counts only the trials that are observations.
 */
export function goodTrialWeights(
  good: readonly FinishedTrial[],
  directions: readonly Direction[],
  rules: TpeRules,
  violation: Violation,
): Float64Array | null {
  if (directions.length === 1) return null;
  if (rules === 'optuna-5') return new Float64Array(good.length).fill(1);
  return hypervolumeWeights(good, directions, violation);
}
