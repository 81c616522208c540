import { assert } from '../../shared/core/assert.js';
import type { StudyId } from '../../shared/core/ids.js';
import type { FinishedTrial } from '../../shared/core/sampler/sampler.js';
import { StudySampler, type Asked, type StudyToSample } from '../../shared/core/sampler/study-sampler.js';
import type { Params } from '../../shared/core/space/parameter.js';
import type { Objective, StudyDefinition } from '../../shared/core/study/definition.js';
import { objectiveValues } from '../../shared/core/study/objective.js';
import { BestSoFar } from '../../shared/core/study/ranking.js';
import type { TrialReason, TrialState } from '../../shared/core/study/trial.js';
import {
  StorageUnavailable,
  type Commitment,
  type Storage,
  type StudyRecord,
  type StudyTransaction,
  type TrialRecord,
} from '../storage/port.js';
import { silentAppObserver, type AppObserver } from './observer.js';

/** Rows read per query while a history catches up, and at most while it holds the study's lock. */
const pageSize = 1_000;

/** Readings outside of transactions before a call gives up. */
const readingsMax = 5;

/** A history is missing, or so far behind that it has to be read without holding the study's lock. */
export class HistoryBehind extends Error {
  override readonly name = 'HistoryBehind';
  readonly study: StudyRecord;

  constructor(study: StudyRecord) {
    super(`the history of study '${study.definition.name}' has to be read first`);
    this.study = study;
  }
}

type FinishedState = Exclude<TrialState, 'WAITING' | 'RUNNING'>;

/**
 * The projection of one study: its finished trials as the sampler sees them, folded into its model one by one, and what
 * else is asked of all of them; the trials themselves, which take many times as much memory, are not kept. A cache: it
 * can be dropped at any time, and is brought up to date inside the transaction that uses it. What it reads there is
 * committed, because every finish happens under the study's lock, or it finished earlier in the same transaction: should
 * that one come to nothing, the projection is no longer true and another is made, before the call runs again.
 */
export class History {
  readonly #objectives: readonly Objective[];
  readonly #best: BestSoFar;
  readonly #reasons: Partial<Record<TrialReason, number>> = {};
  readonly #states: Record<FinishedState, number> = { COMPLETE: 0, PRUNED: 0, FAIL: 0, CANCELLED: 0 };
  readonly #observer: AppObserver;
  #finishSequence = 0;
  /** What was folded in last. */
  #last: TrialRecord | null = null;
  /** The latest transaction in which that was found to be what the database has. */
  #foundIn: Commitment | null = null;
  /** The latest transaction whose own finishes were folded in. */
  #leantOn: Commitment | null = null;

  /** Suggests for this study from all that finished. */
  readonly sampler: StudySampler;

  constructor(definition: StudyDefinition, observer: AppObserver = silentAppObserver) {
    this.#objectives = definition.objectives;
    this.#best = new BestSoFar(definition.objectives.map(({ direction }) => direction));
    this.#observer = observer;
    this.sampler = new ObservedSampler(definition, observer);
  }

  /** Numbers of the best COMPLETE trials, in order: one, or with several objectives the Pareto front. */
  get best(): readonly number[] {
    return this.#best.trials.map(({ number }) => number);
  }

  /** Finished trials, of all finished states, by reason. */
  get reasons(): Readonly<Partial<Record<TrialReason, number>>> {
    return { ...this.#reasons };
  }

  /** How many finished trials it knows. */
  get known(): number {
    return this.#finishSequence;
  }

  /** How many finished trials it does not know yet. */
  behind(study: StudyRecord): number {
    return study.finishSequence - this.#finishSequence;
  }

  /** Finished trials that it knows, by state. */
  get states(): Readonly<Record<FinishedState, number>> {
    return { ...this.#states };
  }

  /**
   * False when what it holds may never have happened: a transaction came to nothing, or the database was put back to an
   * earlier state. `transaction` is the one that wants to use it.
   */
  isTrue(transaction: StudyTransaction): boolean {
    if (this.#finishSequence > transaction.study().finishSequence) return false;
    const { commitment } = transaction;
    return this.#leantOn === null || this.#leantOn === commitment || this.#leantOn.committed;
  }

  /**
   * False when the database was put back to an earlier state and went on from there, past what this process has seen: another
   * trial finished where the last one did that was folded in.
   */
  async isOf(transaction: StudyTransaction): Promise<boolean> {
    const { commitment } = transaction;
    if (this.#last === null || commitment.continues || this.#foundIn === commitment) return true;
    const [stored] = await transaction.finishedAfter(this.#finishSequence - 1, 1);
    if (stored === undefined || !isSame(stored, this.#last)) return false;
    this.#foundIn = commitment;
    return true;
  }

  /** Reads what finished, outside of any transaction, until little is left to `refresh`. */
  async catchUp(storage: Storage, study: StudyId): Promise<void> {
    const end = this.#observer.refreshing('full');
    for (;;) {
      const from = this.#finishSequence;
      const page = await storage.listFinished(study, from, pageSize);
      for (const trial of page) if (trial.finishSequence === this.#finishSequence + 1) this.#fold(trial);
      if (page.length < pageSize) break;
      assert(this.#finishSequence > from, `finish sequence ${from + 1} of study ${study} is missing`);
    }
    end();
  }

  /** Reads what finished since the last time. */
  async refresh(transaction: StudyTransaction): Promise<void> {
    const { commitment } = transaction;
    const target = transaction.study().finishSequence;
    if (target > commitment.finishSequenceBefore) this.#leantOn = commitment;
    if (this.#finishSequence >= target) return;
    const end = this.#observer.refreshing(this.#finishSequence === 0 ? 'full' : 'tail');
    while (this.#finishSequence < target) {
      const page = await transaction.finishedAfter(this.#finishSequence, pageSize);
      assert(page.length > 0, `finish sequence ${this.#finishSequence + 1} of ${target} is missing`);
      // Another reader may have been faster.
      for (const trial of page) if (trial.finishSequence === this.#finishSequence + 1) this.#fold(trial);
    }
    end();
  }

  #fold(trial: TrialRecord): void {
    assert(trial.finishSequence === this.#finishSequence + 1, 'finished trials come in finish order');
    this.#finishSequence = trial.finishSequence;
    this.#last = trial;
    assert(
      trial.state !== 'WAITING' && trial.state !== 'RUNNING',
      'a trial with a finish sequence has finished',
    );
    this.#states[trial.state] += 1;
    if (trial.reason !== null) this.#reasons[trial.reason] = (this.#reasons[trial.reason] ?? 0) + 1;
    const seen = asFinishedTrial(this.#objectives, trial);
    if (seen === null) return;
    this.sampler.fold(seen);
    if (seen.state === 'COMPLETE') this.#best.add(seen);
  }
}

/** Is it the same finished trial? Numbers alone come again after a database was put back. */
const isSame = (left: TrialRecord, right: TrialRecord): boolean =>
  left.number === right.number &&
  left.state === right.state &&
  left.finishedAtMs === right.finishedAtMs &&
  left.values.length === right.values.length &&
  left.values.every((value, index) => Object.is(value, right.values[index]));

const studyToSample = ({ space, objectives, sampler }: StudyDefinition): StudyToSample => ({
  ...{ space, directions: objectives.map(({ direction }) => direction), settings: sampler },
});

/** A sampler of this study that has seen no trial yet. */
export const samplerOf = (definition: StudyDefinition): StudySampler =>
  new StudySampler(studyToSample(definition));

/** A sampler whose suggestions are told to an observer. */
class ObservedSampler extends StudySampler {
  readonly #definition: StudyDefinition;
  readonly #observer: AppObserver;

  constructor(definition: StudyDefinition, observer: AppObserver) {
    super(studyToSample(definition));
    this.#definition = definition;
    this.#observer = observer;
  }

  override suggest(asked: Asked): Params {
    const { name, sampler } = this.#definition;
    const end = this.#observer.suggesting(sampler.type);
    const params = super.suggest(asked);
    end({ study: name, number: asked.number });
    return params;
  }
}

/** A finished trial as the sampler sees it; null for FAIL and CANCELLED ones, which tell it nothing. */
export function asFinishedTrial(objectives: readonly Objective[], trial: TrialRecord): FinishedTrial | null {
  const { number, params } = trial;
  if (params === null) return null;
  if (trial.state === 'COMPLETE') return { state: 'COMPLETE', number, params, values: trial.values };
  if (trial.state !== 'PRUNED') return null;
  const report = trial.lastReport;
  if (report === null) return { state: 'PRUNED', number, params, lastReport: null };
  const judged = objectiveValues(objectives, report.metrics);
  const value = judged.kind === 'values' ? (judged.values[0] ?? NaN) : NaN;
  return { state: 'PRUNED', number, params, lastReport: { step: report.step, value } };
}

/** Finished trials that all histories together may know, at about a kilobyte each. */
const keptTrialsMax = 300_000;

/** The histories of the studies that this process has worked for; those longest unused go when all together know too much. */
export class Histories {
  /** In the order in which they were last used. */
  readonly #byStudy = new Map<StudyId, History>();
  readonly #readings = new Map<StudyId, Promise<void>>();
  readonly #observer: AppObserver;
  readonly #trialsMax: number;

  constructor(observer: AppObserver = silentAppObserver, trialsMax = keptTrialsMax) {
    this.#observer = observer;
    this.#trialsMax = trialsMax;
  }

  /**
   * Reads the history of a study that this process has not worked for yet, without holding its lock: others can tell
   * results meanwhile. Ends at once for a study that it knows.
   */
  async prepare(storage: Storage, study: StudyRecord): Promise<void> {
    if (this.#byStudy.has(study.id)) return this.#readings.get(study.id);
    return this.#read(storage, study);
  }

  /** Runs a call that may end with `HistoryBehind`: again once the history has been read. */
  async withHistory<T>(storage: Storage, call: () => Promise<T>): Promise<T> {
    for (let readings = 0; ; readings += 1) {
      try {
        return await call();
      } catch (error) {
        if (!(error instanceof HistoryBehind)) throw error;
        if (readings === readingsMax)
          throw new StorageUnavailable(`${error.message}, and that came to nothing again and again`);
        await this.#read(storage, error.study);
      }
    }
  }

  /** The study's history as of this transaction. Rejects with `HistoryBehind` where that would take long. */
  async upToDate(transaction: StudyTransaction): Promise<History> {
    let history = this.asItIs(transaction);
    const study = transaction.study();
    if (!(await history.isOf(transaction))) {
      this.#byStudy.delete(study.id);
      history = this.asItIs(transaction);
    }
    if (history.behind(study) > pageSize) throw new HistoryBehind(study);
    await history.refresh(transaction);
    return history;
  }

  /** Readings of one study are one reading. */
  #read(storage: Storage, study: StudyRecord): Promise<void> {
    const { id, definition } = study;
    const reading = this.#readings.get(id);
    if (reading !== undefined) return reading;
    const history = this.#byStudy.get(id) ?? new History(definition, this.#observer);
    this.#use(study, history);
    const read = history
      .catchUp(storage, id)
      .catch((error: unknown) => {
        // What it has read is good for nothing but a longer reading under the lock.
        if (this.#byStudy.get(id) === history) this.#byStudy.delete(id);
        throw error;
      })
      .finally(() => this.#readings.delete(id));
    this.#readings.set(id, read);
    return read;
  }

  /** The study's history, whatever it has seen: enough for a sampler that looks at nothing. */
  asItIs(transaction: StudyTransaction): History {
    const study = transaction.study();
    const { id, definition } = study;
    let history = this.#byStudy.get(id);
    if (history?.isTrue(transaction) !== true) history = new History(definition, this.#observer);
    this.#use(study, history);
    return history;
  }

  /** This study's is the one used last; others make room where it is new. */
  #use(study: StudyRecord, history: History): void {
    const isNew = !this.#byStudy.delete(study.id);
    this.#byStudy.set(study.id, history);
    if (!isNew) return;
    let known = study.finishSequence - history.known;
    for (const each of this.#byStudy.values()) known += each.known;
    for (const [id, each] of this.#byStudy) {
      if (known <= this.#trialsMax || id === study.id) return;
      if (this.#readings.has(id)) continue;
      this.#byStudy.delete(id);
      known -= each.known;
    }
  }

  forget(study: StudyId): void {
    this.#byStudy.delete(study);
  }
}
