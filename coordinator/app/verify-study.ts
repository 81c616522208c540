import { assert } from '../../shared/core/assert.js';
import type { FinishedTrial, RunningTrial } from '../../shared/core/sampler/sampler.js';
import { suggest } from '../../shared/core/sampler/suggest.js';
import type { Params } from '../../shared/core/space/parameter.js';
import type { StudyRecord, TrialRecord } from '../storage/port.js';
import { objectiveValues, type ObjectiveValues } from '../../shared/core/study/objective.js';
import type { Verification } from '../../shared/core/study/study.js';
import type { AppContext } from './context.js';
import { asFinishedTrial } from './history.js';
import { requireStudy, trialPageMax } from './study-view.js';

/**
 * Recomputes every suggestion of a study from what is stored: each trial's row says which trials its suggestion saw
 * (all finished up to a finish sequence, and these running ones). Objective values are recomputed from the metrics as
 * well. Names the first difference in number order. Other work gets its turn between two suggestions.
 */
export async function verifyStudy(context: AppContext, name: string): Promise<Verification> {
  const study = await requireStudy(context, name);
  const trials = await everyTrial(context, study);
  const { objectives } = study.definition;
  // In finish order; numbers of trials that the sampler does not see stay as holes.
  const seen: (FinishedTrial | null)[] = [];
  for (const trial of trials)
    if (trial.finishSequence !== null) seen[trial.finishSequence - 1] = asFinishedTrial(objectives, trial);
  let suggestions = 0;
  for (const trial of trials) {
    if (trial.params === null || trial.watermark === null) continue;
    suggestions += 1;
    const recomputed = recompute(study, trial, { trials, seen });
    const difference = paramsDifference(trial.params, recomputed) ?? valuesDifference(study, trial);
    if (difference !== null) return { suggestions, difference: { number: trial.number, ...difference } };
    await context.clock.sleep(0);
  }
  return { suggestions, difference: null };
}

async function everyTrial(context: AppContext, study: StudyRecord): Promise<readonly TrialRecord[]> {
  const trials: TrialRecord[] = [];
  for (;;) {
    const page = await context.storage.listTrials(study.id, {
      fromNumber: trials.length,
      limit: trialPageMax,
    });
    if (page.length === 0) return trials;
    assert(page[0]?.number === trials.length, `trial ${trials.length} is missing`);
    trials.push(...page);
  }
}

interface Stored {
  readonly trials: readonly TrialRecord[];
  readonly seen: readonly (FinishedTrial | null)[];
}

function recompute({ definition }: StudyRecord, trial: TrialRecord, { trials, seen }: Stored): Params {
  assert(trial.watermark !== null, 'a suggested trial says what it saw');
  const { finishSequence, running } = trial.watermark;
  const finished = seen.slice(0, finishSequence).flatMap((each) => each ?? []);
  return suggest({
    space: definition.space,
    directions: definition.objectives.map(({ direction }) => direction),
    settings: definition.sampler,
    number: trial.number,
    finished: finished.sort((a, b) => a.number - b.number),
    running: running.flatMap((number): RunningTrial[] => {
      const params = trials[number]?.params;
      return params == null ? [] : [{ number, params }];
    }),
    ...(trial.given === null ? {} : { fixed: trial.given }),
  });
}

type Difference = Omit<NonNullable<Verification['difference']>, 'number'>;

function paramsDifference(stored: Params, recomputed: Params): Difference | null {
  const names = [...new Set([...Object.keys(stored), ...Object.keys(recomputed)])];
  const name = names.find((each) => stored[each] !== recomputed[each]);
  if (name === undefined) return null;
  return { field: name, stored: text(stored[name]), recomputed: text(recomputed[name]) };
}

/** Values must be what the objective makes of the metrics; a diverged trial has the policy's value instead. */
function valuesDifference({ definition }: StudyRecord, trial: TrialRecord): Difference | null {
  if (trial.state !== 'COMPLETE') return null;
  const { objectives, failure } = definition;
  const judged: ObjectiveValues =
    trial.reason === 'diverged'
      ? { kind: 'values', values: objectives.map(() => failure.divergedValue) }
      : objectiveValues(objectives, trial.metrics);
  const expected = judged.kind === 'values' ? judged.values : [];
  const same =
    expected.length === trial.values.length &&
    expected.every((value, index) => value === trial.values[index]);
  return same ? null : { field: 'values', stored: text(trial.values), recomputed: text(expected) };
}

const text = (value: unknown): string => (value === undefined ? 'absent' : JSON.stringify(value));
