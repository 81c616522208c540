import { randomInt } from 'node:crypto';
import type { LeaseToken, TrialNumber } from '../../../shared/core/ids.js';
import type { Params } from '../../../shared/core/space/parameter.js';
import type { AttemptRecord, LeasedTrial, StudyRecord, TrialRecord } from '../port.js';

/** Finished trials kept at most, and about how much memory they may take; who is further behind reads them from the database. */
const recentMax = 1_024;
const recentBytesMax = 8 * 1024 * 1024;

/** About the memory of a trial: its numbers under names, and its texts. Names are shared by all trials of a study. */
const bytesOf = ({ params, metrics, lastReport, message, watermark }: TrialRecord): number =>
  1_000 +
  50 * (countOf(params) + countOf(metrics) + countOf(lastReport?.metrics)) +
  8 * (watermark?.running.length ?? 0) +
  2 * message.length;

const countOf = (record: object | null | undefined): number => Object.keys(record ?? {}).length;

/** A state of a study: how many transactions have changed it, and which one did so last. */
export interface StudyVersion {
  readonly changes: number;
  /** Random; tells apart states of the same count, as after a database was put back to an earlier state. */
  readonly tag: number;
}

/** What a transaction wrote. */
export interface Written {
  readonly trials: ReadonlyMap<TrialNumber, TrialRecord>;
  readonly begun: Iterable<AttemptRecord>;
  readonly ended: Iterable<LeaseToken>;
  /** In the order of finishing. */
  readonly finished: readonly TrialRecord[];
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
  /** Trials that run under leases which this process gave. */
  readonly #leased = new Map<LeaseToken, LeasedTrial>();
  #recent: TrialRecord[] = [];
  #recentBytes = 0;

  constructor(study: StudyRecord) {
    this.study = study;
  }

  /** Forgets everything unless the study still is as this process left it; false when it did. */
  check(version: StudyVersion): boolean {
    if (version.changes === this.#version?.changes && version.tag === this.#version.tag) return true;
    this.#version = version;
    this.#waiting = null;
    this.#running = null;
    this.#leased.clear();
    this.#recent = [];
    this.#recentBytes = 0;
    return false;
  }

  /** WAITING trials in no order; null when they are to be read. */
  get waiting(): ReadonlyMap<TrialNumber, TrialRecord> | null {
    return this.#waiting;
  }

  /** RUNNING trials in no order; null when they are to be read. */
  get running(): ReadonlyMap<TrialNumber, Params> | null {
    return this.#running;
  }

  /** The trial under this lease; null when it is to be read. */
  leased(token: LeaseToken): LeasedTrial | null {
    return this.#leased.get(token) ?? null;
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

  /** Takes over what a transaction wrote, once that is committed. */
  apply(version: StudyVersion, { trials, begun, ended, finished }: Written): void {
    this.#version = version;
    for (const attempt of begun) {
      const trial = trials.get(attempt.number);
      if (trial?.lease?.token === attempt.token) this.#leased.set(attempt.token, { trial, attempt });
    }
    for (const token of ended) this.#leased.delete(token);
    for (const trial of trials.values()) {
      this.#waiting?.delete(trial.number);
      this.#running?.delete(trial.number);
      if (trial.state === 'WAITING') this.#waiting?.set(trial.number, trial);
      const leased = trial.lease === null ? undefined : this.#leased.get(trial.lease.token);
      if (leased !== undefined) this.#leased.set(leased.attempt.token, { ...leased, trial });
      if (trial.state === 'RUNNING' && trial.params !== null) this.#running?.set(trial.number, trial.params);
    }
    for (const trial of finished) this.#recentBytes += bytesOf(trial);
    this.#recent.push(...finished);
    if (this.#recent.length > 2 * recentMax || this.#recentBytes > 2 * recentBytesMax) this.#forgetOldest();
  }

  /** Down to half of what it may be, so that it is done now and then only. */
  #forgetOldest(): void {
    let from = this.#recent.length;
    let bytes = 0;
    while (from > 0 && this.#recent.length - from < recentMax && bytes < recentBytesMax) {
      from -= 1;
      const trial = this.#recent[from];
      bytes += trial === undefined ? 0 : bytesOf(trial);
    }
    this.#recent = this.#recent.slice(from);
    this.#recentBytes = bytes;
  }
}
