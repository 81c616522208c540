/** What a trial's stored row must be, by itself and among the others, whatever the sampler made of it. */
import { parameterProblem } from '../../shared/core/space/parameter-values.js';
import type { Params } from '../../shared/core/space/parameter.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import { objectiveValues, type ObjectiveValues } from '../../shared/core/study/objective.js';
import type { Reachable } from '../../shared/core/study/reachable.js';
import type { Verification } from '../../shared/core/study/study.js';
import { isFinished } from '../../shared/core/study/transition.js';
import type { Metrics } from '../../shared/core/study/trial.js';
import type { TrialRecord, Watermark } from '../storage/port.js';

/** What is stored, and what would fit the rest. */
export type Difference = Omit<NonNullable<Verification['difference']>, 'number'>;

export const difference = (field: string, stored: unknown, recomputed: unknown): Difference => ({
  field,
  stored: text(stored),
  recomputed: text(recomputed),
});

/** As JSON; what is not there is `absent`. */
const text = (value: unknown): string => (value === undefined ? 'absent' : JSON.stringify(value));

/** A trial by itself: state, reason, values, metrics and the last report fit each other, the policy and the table. */
export function rowDifference(
  definition: StudyDefinition,
  reachable: Reachable,
  trial: TrialRecord,
): Difference | null {
  const { state, reason } = trial;
  const reasons = reachable.get(state);
  if (reasons?.has(reason) !== true)
    return {
      field: 'reason',
      stored: text(reason),
      recomputed: `a reason for ${state} in this study: ${[...(reasons ?? [])].map(text).join(', ') || 'none'}`,
    };
  const isHeld = (held: boolean): string => (held ? 'held' : 'absent');
  if ((trial.lease !== null) !== (state === 'RUNNING'))
    return {
      field: 'lease',
      stored: isHeld(trial.lease !== null),
      recomputed: `${isHeld(state === 'RUNNING')}: the trial is ${state}`,
    };
  return (
    givenDifference(definition, trial) ??
    paramsProblem(definition, trial) ??
    resultDifference(definition, trial)
  );
}

/**
 * Values are given by the study file, to the first trials, or by a request to enqueue, which leaves its id; a trial of
 * neither would be taken at its word otherwise. They are values that their parameters can have.
 */
function givenDifference({ enqueue, space }: StudyDefinition, trial: TrialRecord): Difference | null {
  const { number, given, enqueueRequestId } = trial;
  const enqueued = enqueue[number];
  const differs = (recomputed: string): Difference => ({ field: 'given', stored: text(given), recomputed });
  if (enqueued !== undefined)
    return given !== null && sameEntries(given, enqueued) ? null : differs(text(enqueued));
  if ((given === null) !== (enqueueRequestId === null))
    return differs(given === null ? 'values of its request' : 'nothing, as it was not enqueued');
  for (const [name, value] of Object.entries(given ?? {})) {
    const parameter = space.find((each) => each.name === name);
    if (parameter === undefined) return differs(`the study has no parameter ${name}`);
    const problem = parameterProblem(parameter, value);
    if (problem !== null) return differs(problem);
  }
  return null;
}

/** Parameters are there once the trial has run, and each has a value that its parameter can have, on its grid or not. */
function paramsProblem({ space }: StudyDefinition, trial: TrialRecord): Difference | null {
  const { state, attempt, params, watermark } = trial;
  if (params === null) {
    const mayBeAbsent = attempt === 0 && (state === 'WAITING' || state === 'CANCELLED');
    return mayBeAbsent && watermark === null
      ? null
      : {
          field: 'params',
          stored: 'absent',
          recomputed: `a ${state} trial after ${attempt} attempts has them`,
        };
  }
  for (const parameter of space) {
    const value = params[parameter.name];
    const problem = value === undefined ? null : parameterProblem(parameter, value);
    if (problem !== null) return { field: parameter.name, stored: text(value), recomputed: problem };
  }
  return null;
}

/**
 * The values are what the objective makes of the metrics; a diverged trial has the policy's value instead and no metrics;
 * all others have none. A pruned trial's metrics are those of its last report.
 */
function resultDifference({ objectives, failure }: StudyDefinition, trial: TrialRecord): Difference | null {
  const { state, reason, values, metrics, lastReport } = trial;
  const diverged = reason === 'diverged';
  const judged: ObjectiveValues =
    state !== 'COMPLETE'
      ? { kind: 'values', values: [] }
      : diverged
        ? { kind: 'values', values: objectives.map(() => failure.divergedValue) }
        : objectiveValues(objectives, metrics);
  const expected = judged.kind === 'values' ? judged.values : [];
  if (expected.length !== values.length || expected.some((value, index) => value !== values[index]))
    return difference('values', values, expected);
  if (diverged && Object.keys(metrics).length > 0) return difference('metrics', metrics, {});
  if (state === 'PRUNED' && reason === 'pruner' && !sameEntries(metrics, lastReport?.metrics ?? {}))
    return difference('lastReport', lastReport?.metrics, metrics);
  if (lastReport !== null && !isCount(lastReport.step))
    return { field: 'lastReport', stored: text(lastReport.step), recomputed: 'a step from 0' };
  return null;
}

function sameEntries(a: Metrics | Params, b: Metrics | Params): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => Object.is(a[name], b[name]));
}

const isCount = (value: number): boolean => Number.isSafeInteger(value) && value >= 0;

/** A study's trials while they are looked at one by one. */
export interface Trials {
  readonly byNumber: ReadonlyMap<number, TrialRecord>;
  /** How many had finished when the last of them was read. */
  readonly finishedCount: number;
}

/** Its place in the order of finishing: a finished trial has one that no trial before it in number order has. */
export function placeDifference(
  trial: TrialRecord,
  finishedCount: number,
  taken: ReadonlyMap<number, number>,
): Difference | null {
  const { state, finishSequence } = trial;
  const stored = text(finishSequence ?? undefined);
  const differs = (recomputed: string): Difference => ({ field: 'finishSequence', stored, recomputed });
  if (!isFinished(state)) return finishSequence === null ? null : differs(`none: the trial is ${state}`);
  if (
    finishSequence === null ||
    !isCount(finishSequence) ||
    finishSequence < 1 ||
    finishSequence > finishedCount
  )
    return differs(`from 1 to ${finishedCount}: the trial is ${state}`);
  const other = taken.get(finishSequence);
  return other === undefined ? null : differs(`another one: that is trial ${other}'s`);
}

/**
 * What its suggestion saw: no more trials than have finished, and as running ones others of this study that had been
 * suggested by then and had not finished, ascending.
 */
export function watermarkDifference(trial: TrialRecord, trials: Trials): Difference | null {
  const { params, watermark } = trial;
  if (params === null) return null;
  const { finishedCount } = trials;
  const recomputed = `at most ${finishedCount} finished trials seen`;
  if (watermark === null) return { field: 'watermark', stored: 'absent', recomputed };
  const { finishSequence, running } = watermark;
  if (!isCount(finishSequence) || finishSequence > finishedCount)
    return { field: 'watermark', stored: text(finishSequence), recomputed };
  let before = -1;
  for (const number of running) {
    if (!(number > before) || number === trial.number || !couldRun(trials.byNumber.get(number), watermark))
      return {
        field: 'watermark',
        stored: text(running),
        recomputed: `trial ${number} was not running when ${finishSequence} trials had finished`,
      };
    before = number;
  }
  return null;
}

function couldRun(other: TrialRecord | undefined, { finishSequence }: Watermark): boolean {
  if (other === undefined || other.params === null || other.watermark === null) return false;
  return (
    other.watermark.finishSequence <= finishSequence &&
    (other.finishSequence === null || other.finishSequence > finishSequence)
  );
}
