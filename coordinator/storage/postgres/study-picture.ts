import { randomInt } from 'node:crypto';
import type { TrialNumber } from '../../../shared/core/ids.js';
import type { Params } from '../../../shared/core/space/parameter.js';
import type { StudyRecord, TrialRecord } from '../port.js';

/** Finished trials kept at most; who is further behind reads them from the database. */
const recentMax = 1_024;

/** A state of a study: how many transactions have changed it, and which one did so last. */
export interface StudyVersion {
  readonly changes: number;
  /** Random; tells apart states of the same count, as after a database was put back to an earlier state. */
  readonly tag: number;
}

/** Tags are whole numbers below this. */
const tagsMax = 2 ** 48;

export const versionAfter = ({ changes }: StudyVersion): StudyVersion => ({
  changes: changes + 1,
  tag: randomInt(tagsMax - 1),
});

/**
 * What a process knows of a study from its own last transaction on it: a cache. It is true inside a transaction whose
 * study row has the same version; where another process has changed the study since, it is emptied and filled again by
 * need. Only what was committed gets in.
 */
export class StudyPicture {
  /** Of this record, what never changes is true for ever. */
  readonly study: StudyRecord;
  #version: StudyVersion | null = null;
  #waiting: Map<TrialNumber, TrialRecord> | null = null;
  #running: Map<TrialNumber, Params> | null = null;
  #recent: TrialRecord[] = [];

  constructor(study: StudyRecord) {
    this.study = study;
  }

  /** Forgets everything unless the study still is as this process left it. */
  check(version: StudyVersion): void {
    if (version.changes === this.#version?.changes && version.tag === this.#version.tag) return;
    this.#version = version;
    this.#waiting = null;
    this.#running = null;
    this.#recent = [];
  }

  /** WAITING trials in no order; null when they are to be read. */
  get waiting(): ReadonlyMap<TrialNumber, TrialRecord> | null {
    return this.#waiting;
  }

  /** RUNNING trials in no order; null when they are to be read. */
  get running(): ReadonlyMap<TrialNumber, Params> | null {
    return this.#running;
  }

  setWaiting(trials: readonly TrialRecord[]): ReadonlyMap<TrialNumber, TrialRecord> {
    return (this.#waiting ??= new Map(trials.map((trial) => [trial.number, trial])));
  }

  setRunning(
    trials: readonly { readonly number: TrialNumber; readonly params: Params }[],
  ): ReadonlyMap<TrialNumber, Params> {
    return (this.#running ??= new Map(trials.map(({ number, params }) => [number, params])));
  }

  /** The trials that finished after a finish sequence, as far as it goes back; null when it does not. */
  finishedAfter(finishSequence: number, last: number): readonly TrialRecord[] | null {
    if (finishSequence >= last) return [];
    const first = this.#recent[0]?.finishSequence ?? Infinity;
    return first <= finishSequence + 1 ? this.#recent.slice(finishSequence + 1 - first) : null;
  }

  /** Takes over what a transaction wrote, once that is committed. `finished` in the order of finishing. */
  apply(
    version: StudyVersion,
    { trials, finished }: { trials: Iterable<TrialRecord>; finished: readonly TrialRecord[] },
  ): void {
    this.#version = version;
    for (const trial of trials) {
      this.#waiting?.delete(trial.number);
      this.#running?.delete(trial.number);
      if (trial.state === 'WAITING') this.#waiting?.set(trial.number, trial);
      if (trial.state === 'RUNNING' && trial.params !== null) this.#running?.set(trial.number, trial.params);
    }
    this.#recent.push(...finished);
    if (this.#recent.length > 2 * recentMax) this.#recent = this.#recent.slice(-recentMax);
  }
}
