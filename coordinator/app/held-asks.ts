/**
 * Asks that found nothing and are held open. They do not look at the store each by itself: per study one looks for all of
 * them, when a change in this process may have brought work, and once per poll interval for what other replicas did.
 */
import type { RequestId, StudyId } from '../../shared/core/ids.js';
import type { Clock } from '../../shared/platform/clock.js';
import type { LeasePlace, Storage, StudyRecord } from '../storage/port.js';
import { Batcher } from './batcher.js';
import type { CallEnd } from './call-end.js';
import { StudyGate, type HeldAsk } from './study-gate.js';
import type { WorkSignal } from './work-signal.js';

/** Why a held ask was woken: to look at a study, because the studies have changed, or because its time is over. */
export type Woken =
  | { readonly kind: 'look'; readonly study: StudyId; readonly gate: StudyGate }
  | { readonly kind: 'studies' }
  | { readonly kind: 'over' };

/** All studies as they were at one moment. */
export interface KnownStudies {
  readonly records: readonly StudyRecord[];
  /** Another one when the studies or their states are others; −1 for a reading that was out of date when it came. */
  readonly version: number;
}

export interface HoldRequest {
  readonly studies: readonly StudyId[];
  /** Of the studies that the ask has last seen: it is woken when there are others. */
  readonly seen: number;
  readonly memoryBytes: number | null;
  readonly untilMs: number;
  /** Ends the waiting. */
  readonly signal: CallEnd;
}

const requestsPerRead = 500;
/** Nobody reads it; to make one at every wake-up would cost more than the rest. */
const wokenUp = new Error('woken');

interface Parts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly signal: WorkSignal;
  readonly pollIntervalMs: number;
}

export class HeldAsks {
  readonly #parts: Parts;
  readonly #gates = new Map<StudyId, StudyGate>();
  /** Wakes each held ask because the studies have changed; with the version that it has seen. */
  readonly #held = new Map<() => void, number>();
  readonly #requests: Batcher<RequestId, LeasePlace | null>;
  #studies: { readonly known: Promise<KnownStudies>; readonly readAtMs: number } | null = null;
  /** Ids and states of the studies as last read; null before the first reading. */
  #picture: string | null = null;
  /** Counts changes of `#picture`, and those that this process made. */
  #version = 0;
  /** Asks that wait: held, or between one hold and the next. */
  #waiting = 0;
  #polling = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#requests = new Batcher(
      async (ids) => {
        const found = await parts.storage.findRequests(ids);
        return ids.map((id) => found.get(id) ?? null);
      },
      { sizeMax: requestsPerRead },
    );
    parts.signal.listen(({ study, what }) => {
      if (study === null) this.#studiesChanged();
      else if (what === 'work') this.#gates.get(study)?.open();
      else this.#gates.get(study)?.forget();
    });
  }

  /** The lease that a copy of an ask led to; null when there is none. */
  findRequest(id: RequestId): Promise<LeasePlace | null> {
    return this.#requests.load(id);
  }

  gate(study: StudyId): StudyGate {
    const gate = this.#gates.get(study) ?? new StudyGate(this.#parts.pollIntervalMs);
    this.#gates.set(study, gate);
    return gate;
  }

  /** All studies, read at most once per poll interval and after every change that this process made. */
  studies(): Promise<KnownStudies> {
    const { clock, pollIntervalMs } = this.#parts;
    const known = this.#studies;
    if (known !== null && Math.abs(clock.nowMs() - known.readAtMs) < pollIntervalMs) return known.known;
    return this.#readStudies();
  }

  /** An ask begins to wait: until it calls what this returns, the store is looked at once per poll interval. */
  beginWaiting(): () => void {
    this.#waiting += 1;
    if (!this.#polling) void this.#poll();
    return () => void (this.#waiting -= 1);
  }

  /** Holds an ask. */
  async hold({ studies, seen, memoryBytes, untilMs, signal }: HoldRequest): Promise<Woken> {
    if (seen !== this.#version) return { kind: 'studies' };
    const { clock } = this.#parts;
    const ended = new AbortController();
    const end = (): void => ended.abort(wokenUp);
    let woken: Woken = { kind: 'over' };
    const gates = studies.map((study): [StudyId, StudyGate] => [study, this.gate(study)]);
    const ask: HeldAsk = {
      memoryBytes,
      wake: (gate) => {
        leave();
        const study = gates.find((each) => each[1] === gate)?.[0];
        if (study !== undefined) woken = { kind: 'look', study, gate };
        end();
      },
    };
    const changed = (): void => {
      leave();
      woken = { kind: 'studies' };
      end();
    };
    const leave = (): void => {
      for (const [, gate] of gates) gate.leave(ask);
      this.#held.delete(changed);
    };
    this.#held.set(changed, seen);
    for (const [, gate] of gates) if (!ended.signal.aborted) gate.join(ask);
    if (ended.signal.aborted) return woken;
    signal.addEventListener('abort', end, { once: true });
    if (!signal.aborted) await clock.sleep(untilMs - clock.nowMs(), ended.signal);
    signal.removeEventListener('abort', end);
    leave();
    return woken;
  }

  #studiesChanged(): void {
    this.#studies = null;
    this.#version += 1;
    for (const wake of [...this.#held.keys()]) wake();
    for (const [study, gate] of this.#gates) {
      gate.open();
      if (!gate.isUsed) this.#gates.delete(study);
    }
  }

  #readStudies(): Promise<KnownStudies> {
    const { clock, storage } = this.#parts;
    const known = storage.listStudies().then((records) => {
      // A change of this process, or a later reading, has overtaken it.
      if (this.#studies !== read) return { records, version: -1 };
      const picture = records.map(({ id, state }) => `${id} ${state}`).join();
      if (picture !== this.#picture) this.#version += 1;
      this.#picture = picture;
      return { records, version: this.#version };
    });
    const read = { known, readAtMs: clock.nowMs() };
    this.#studies = read;
    known.catch(() => {
      if (this.#studies === read) this.#studies = null;
    });
    return known;
  }

  /** Looks at the store while asks wait; never rejects. */
  async #poll(): Promise<void> {
    this.#polling = true;
    const { clock, pollIntervalMs } = this.#parts;
    for (;;) {
      await clock.sleep(pollIntervalMs);
      if (this.#waiting === 0) break;
      try {
        await this.#readStudies();
        for (const [wake, seen] of [...this.#held]) if (seen !== this.#version) wake();
      } catch {
        // The store is away; the looks of the held asks will say so.
      }
      for (const gate of this.#gates.values()) gate.open();
    }
    this.#polling = false;
  }
}
