import type { FinishedTrial, RunningTrial } from '../../shared/core/sampler/sampler.js';
import type { StudySampler } from '../../shared/core/sampler/study-sampler.js';
import type { Params } from '../../shared/core/space/parameter.js';
import { reachableStates } from '../../shared/core/study/reachable.js';
import type { Verification } from '../../shared/core/study/study.js';
import type { StudyRecord, TrialRecord, Watermark } from '../storage/port.js';
import type { AppContext } from './context.js';
import { asFinishedTrial, samplerOf } from './history.js';
import { requireStudy, trialPageMax } from './study-view.js';
import {
  difference,
  placeDifference,
  rowDifference,
  watermarkDifference,
  type Difference,
} from './trial-soundness.js';

/** A study that goes on is looked at so often at most until the same difference is found twice. */
const looksMax = 5;

/**
 * Recomputes every suggestion of a study from what is stored: each trial's row says which trials its suggestion saw
 * (all finished up to a finish sequence, and these running ones). Before that, the rows by themselves: state, reason,
 * values, metrics and the last report have to fit each other and the transition table, numbers and finish sequences have
 * to be without gaps. Names the first difference in number order, and recomputes no suggestions of later trials than that.
 * Other work gets its turn between two suggestions.
 */
export async function verifyStudy(context: AppContext, name: string): Promise<Verification> {
  let found = await lookThrough(context, name);
  for (let look = 1; look < looksMax && found.difference !== null; look += 1) {
    const { state } = await requireStudy(context, name);
    if (state === 'FINISHED') return found;
    // Trials are read page by page: what changed meanwhile can look like a difference, but not twice the same.
    const before = found.difference;
    found = await lookThrough(context, name);
    if (found.difference?.number === before.number && found.difference.field === before.field) return found;
  }
  return found;
}

async function lookThrough(context: AppContext, name: string): Promise<Verification> {
  const before = await requireStudy(context, name);
  const byNumber = await everyTrial(context, before);
  const { finishSequence: finishedCount } = await requireStudy(context, name);
  const stored: StoredStudy = { study: before, byNumber, finishedCount };
  const rows = rowDifferences(stored);
  const [row] = rows;
  let first: Verification['difference'] = row === undefined ? null : { number: row[0], ...row[1] };
  const replay = new Replay(stored, rows);
  let suggestions = 0;
  // In the order in which the suggestions were made, so that the sampler takes in each finished trial once.
  for (const trial of [...byNumber.values()].filter(wasSuggested).sort(bySuggestion)) {
    if (first !== null && trial.number >= first.number) continue;
    const params = replay.suggest(trial);
    if (params === null) continue;
    suggestions += 1;
    const found = paramsDifference(trial.params, params);
    if (found !== null) first = { number: trial.number, ...found };
    await context.clock.sleep(0);
  }
  return { suggestions, difference: first };
}

/** A study as it was when the look began, its trials as read since, and how many had finished at the end. */
interface StoredStudy {
  readonly study: StudyRecord;
  readonly byNumber: ReadonlyMap<number, TrialRecord>;
  readonly finishedCount: number;
}

type Suggested = TrialRecord & { readonly params: Params; readonly watermark: Watermark };
const wasSuggested = (trial: TrialRecord): trial is Suggested =>
  trial.params !== null && trial.watermark !== null;
const bySuggestion = (a: Suggested, b: Suggested): number =>
  a.watermark.finishSequence - b.watermark.finishSequence || a.number - b.number;

/** By number, ascending. */
async function everyTrial(context: AppContext, study: StudyRecord): Promise<Map<number, TrialRecord>> {
  const byNumber = new Map<number, TrialRecord>();
  for (let fromNumber = 0; ;) {
    const page = await context.storage.listTrials(study.id, { fromNumber, limit: trialPageMax });
    if (page.length === 0) return byNumber;
    for (const trial of page) {
      byNumber.set(trial.number, trial);
      fromNumber = Math.max(fromNumber, trial.number + 1);
    }
  }
}

/** The trials that cannot be as they are stored, whatever the sampler made of them, in number order. */
function rowDifferences(stored: StoredStudy): ReadonlyMap<number, Difference> {
  const { study, byNumber, finishedCount } = stored;
  const { definition, nextNumber } = study;
  const reachable = reachableStates(definition.failure);
  /** Trials by finish sequence. */
  const taken = new Map<number, number>();
  const differences = new Map<number, Difference>();
  for (let number = 0; number < Math.max(nextNumber, byNumber.size); number += 1) {
    const trial = byNumber.get(number);
    const found =
      trial === undefined
        ? difference('number', undefined, number)
        : (placeDifference(trial, finishedCount, taken) ??
          rowDifference(definition, reachable, trial) ??
          watermarkDifference(trial, { byNumber, finishedCount }));
    if (found !== null) differences.set(number, found);
    else if (trial?.finishSequence != null) taken.set(trial.finishSequence, number);
  }
  return differences.size > 0 ? differences : gapDifference(stored, taken);
}

/**
 * A finish sequence that no trial has, although every row by itself could be right: named by the first trial that has not
 * finished, or else by the one that the study counts and does not have.
 */
function gapDifference(
  { study, byNumber }: StoredStudy,
  taken: ReadonlyMap<number, number>,
): ReadonlyMap<number, Difference> {
  let gap = 1;
  while (gap <= study.finishSequence && taken.has(gap)) gap += 1;
  if (gap > study.finishSequence) return new Map();
  const unfinished = [...byNumber.values()].find(({ finishSequence }) => finishSequence === null);
  const found = {
    field: 'finishSequence',
    stored: 'absent',
    recomputed: `${gap}: no other trial has it, and ${study.finishSequence} have finished`,
  };
  return new Map([[unfinished?.number ?? byNumber.size, found]]);
}

/** The study's sampler, taken again through what it saw. */
class Replay {
  readonly #sampler: StudySampler;
  readonly #stored: StoredStudy;
  readonly #unsound: ReadonlyMap<number, unknown>;
  /** By finish sequence, from 1; null for those that tell the sampler nothing. */
  readonly #finished = new Map<number, FinishedTrial | null>();
  #seen = 0;

  /** `unsound`: trials whose rows are known to be wrong; what saw them differs for that reason, and is not looked at. */
  constructor(stored: StoredStudy, unsound: ReadonlyMap<number, unknown>) {
    const { definition } = stored.study;
    this.#sampler = samplerOf(definition);
    this.#stored = stored;
    this.#unsound = unsound;
    for (const trial of stored.byNumber.values())
      if (trial.finishSequence !== null && !unsound.has(trial.number))
        this.#finished.set(trial.finishSequence, asFinishedTrial(definition.objectives, trial));
  }

  /**
   * What the sampler makes of what this trial's suggestion saw; null when that is not all there: a row is unsound, or it
   * finished after this look began.
   */
  suggest({ number, given, watermark }: Suggested): Params | null {
    const { study, byNumber } = this.#stored;
    if (watermark.finishSequence > study.finishSequence) return null;
    for (; this.#seen < watermark.finishSequence; this.#seen += 1) {
      const trial = this.#finished.get(this.#seen + 1);
      if (trial === undefined) return null;
      if (trial !== null) this.#sampler.fold(trial);
    }
    const running: RunningTrial[] = [];
    for (const other of watermark.running) {
      const params = byNumber.get(other)?.params ?? null;
      if (params === null || this.#unsound.has(other)) return null;
      running.push({ number: other, params });
    }
    return this.#sampler.suggest({ number, running, ...(given === null ? {} : { fixed: given }) });
  }
}

function paramsDifference(stored: Params, recomputed: Params): Difference | null {
  const names = [...new Set([...Object.keys(stored), ...Object.keys(recomputed)])];
  const name = names.find((each) => stored[each] !== recomputed[each]);
  return name === undefined ? null : difference(name, stored[name], recomputed[name]);
}
