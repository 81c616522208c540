import { assert } from '../../shared/core/assert.js';
import type { FinishedTrial, RunningTrial } from '../../shared/core/sampler/sampler.js';
import { SamplerError } from '../../shared/core/sampler/sampler-error.js';
import type { StudySampler } from '../../shared/core/sampler/study-sampler.js';
import type { Params } from '../../shared/core/space/parameter.js';
import type { StudyRecord, TrialRecord, Watermark } from '../storage/port.js';
import { objectiveValues, type ObjectiveValues } from '../../shared/core/study/objective.js';
import type { Verification } from '../../shared/core/study/study.js';
import type { AppContext } from './context.js';
import { AppError } from './errors.js';
import { asFinishedTrial, samplerOf } from './history.js';
import { requireStudy, trialPageMax } from './study-view.js';

/**
 * Recomputes every suggestion of a study from what is stored: each trial's row says which trials its suggestion saw
 * (all finished up to a finish sequence, and these running ones). Objective values are recomputed from the metrics as
 * well. Values given from outside are not suggested: where they are, the trial must have been enqueued. Names the first
 * difference in number order. Other work gets its turn between two suggestions.
 */
export async function verifyStudy(context: AppContext, name: string): Promise<Verification> {
  const study = await requireStudy(context, name);
  const trials = await everyTrial(context, study);
  const replay = new Replay(study, trials);
  let suggestions = 0;
  let difference: Verification['difference'] = null;
  const finishedCount = trials.filter(({ finishSequence }) => finishSequence !== null).length;
  for (const trial of trials) {
    const found = givenDifference(study, trial) ?? watermarkDifference(trial, finishedCount);
    if (found !== null) return { suggestions, difference: { number: trial.number, ...found } };
  }
  // In the order in which the suggestions were made, so that the sampler takes in each finished trial once.
  for (const trial of trials.filter(wasSuggested).sort(bySuggestion)) {
    suggestions += 1;
    const found = paramsDifference(trial.params, replayed(replay, trial)) ?? valuesDifference(study, trial);
    if (found !== null && (difference === null || trial.number < difference.number))
      difference = { number: trial.number, ...found };
    await context.clock.sleep(0);
  }
  return { suggestions, difference };
}

/** A stored value that no trial could have had stops the replay; the sampler says which trial has it. */
function replayed(replay: Replay, trial: Suggested): Params {
  try {
    return replay.suggest(trial);
  } catch (error) {
    if (!(error instanceof SamplerError)) throw error;
    throw new AppError(
      'failed-precondition',
      `the suggestion for trial ${trial.number} cannot be recomputed: ${error.message}`,
    );
  }
}

type Suggested = TrialRecord & { readonly params: Params; readonly watermark: Watermark };
const wasSuggested = (trial: TrialRecord): trial is Suggested =>
  trial.params !== null && trial.watermark !== null;
const bySuggestion = (a: Suggested, b: Suggested): number =>
  a.watermark.finishSequence - b.watermark.finishSequence || a.number - b.number;

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

/** The study's sampler, taken again through what it saw. */
class Replay {
  readonly #sampler: StudySampler;
  readonly #trials: readonly TrialRecord[];
  /** By finish sequence, from 1; null for those that tell the sampler nothing. */
  readonly #finished: (FinishedTrial | null)[] = [];
  #seen = 0;

  constructor({ definition }: StudyRecord, trials: readonly TrialRecord[]) {
    this.#sampler = samplerOf(definition);
    this.#trials = trials;
    for (const trial of trials)
      if (trial.finishSequence !== null)
        this.#finished[trial.finishSequence - 1] = asFinishedTrial(definition.objectives, trial);
  }

  suggest({ number, given, watermark }: Suggested): Params {
    for (; this.#seen < watermark.finishSequence; this.#seen += 1) {
      const trial = this.#finished[this.#seen];
      assert(trial !== undefined, `finish sequence ${this.#seen + 1} is missing`);
      if (trial !== null) this.#sampler.fold(trial);
    }
    const running = watermark.running.flatMap((other): RunningTrial[] => {
      const params = this.#trials[other]?.params;
      return params == null ? [] : [{ number: other, params }];
    });
    return this.#sampler.suggest({ number, running, ...(given === null ? {} : { fixed: given }) });
  }
}

type Difference = Omit<NonNullable<Verification['difference']>, 'number'>;

function paramsDifference(stored: Params, recomputed: Params): Difference | null {
  const names = [...new Set([...Object.keys(stored), ...Object.keys(recomputed)])];
  const name = names.find((each) => stored[each] !== recomputed[each]);
  if (name === undefined) return null;
  return { field: name, stored: text(stored[name]), recomputed: text(recomputed[name]) };
}

/**
 * Values are given by the study file, to the first trials, or by a request to enqueue, which leaves its id; a trial of
 * neither would be taken at its word otherwise.
 */
function givenDifference({ definition }: StudyRecord, trial: TrialRecord): Difference | null {
  const { number, given, enqueueRequestId } = trial;
  const enqueued = definition.enqueue[number];
  if (enqueued === undefined && (given === null) === (enqueueRequestId === null)) return null;
  if (enqueued !== undefined && given !== null && paramsDifference(given, enqueued) === null) return null;
  const nothing = enqueueRequestId === null ? 'nothing, as it was not enqueued' : 'values of its request';
  return {
    field: 'given',
    stored: text(given),
    recomputed: enqueued === undefined ? nothing : text(enqueued),
  };
}

/** A trial that was handed out says what its suggestion saw, and it saw no more than has finished. */
function watermarkDifference({ params, watermark }: TrialRecord, finishedCount: number): Difference | null {
  if (params === null) return null;
  const recomputed = `at most ${finishedCount} finished trials seen`;
  if (watermark === null) return { field: 'watermark', stored: 'absent', recomputed };
  if (watermark.finishSequence <= finishedCount) return null;
  return { field: 'watermark', stored: text(watermark.finishSequence), recomputed };
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
