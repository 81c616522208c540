/**
 * Asks that found nothing and are held open. They do not look at the store each by itself: per study one looks for all of
 * them, when a change in this process may have brought work, and once per poll interval for what other replicas did.
 */
import type { RequestId, StudyId } from '../../shared/core/ids.js';
import type { Clock } from '../../shared/platform/clock.js';
import type { LeasePlace, Storage, StudyRecord } from '../storage/port.js';
import { Batcher } from './batcher.js';
import { StudyGate, type HeldAsk } from './study-gate.js';
import type { WorkSignal } from './work-signal.js';

/** Why a held ask was woken: to look at a study, because the studies have changed, or because its time is over. */
export type Woken =
  | { readonly kind: 'look'; readonly study: StudyId; readonly gate: StudyGate }
  | { readonly kind: 'studies' }
  | { readonly kind: 'over' };

export interface HoldRequest {
  readonly studies: readonly StudyId[];
  readonly memoryBytes: number | null;
  readonly untilMs: number;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
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
  /** Wakes each held ask because the studies have changed. */
  readonly #held = new Set<() => void>();
  readonly #requests: Batcher<RequestId, LeasePlace | null>;
  #studies: { readonly records: Promise<readonly StudyRecord[]>; readonly readAtMs: number } | null = null;
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
  studies(): Promise<readonly StudyRecord[]> {
    const { clock, storage, pollIntervalMs } = this.#parts;
    const nowMs = clock.nowMs();
    if (this.#studies === null || Math.abs(nowMs - this.#studies.readAtMs) >= pollIntervalMs) {
      const read = { records: storage.listStudies(), readAtMs: nowMs };
      this.#studies = read;
      read.records.catch(() => {
        if (this.#studies === read) this.#studies = null;
      });
    }
    return this.#studies.records;
  }

  /** Holds an ask. */
  async hold({ studies, memoryBytes, untilMs, signal }: HoldRequest): Promise<Woken> {
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
    this.#held.add(changed);
    for (const [, gate] of gates) if (!ended.signal.aborted) gate.join(ask);
    if (ended.signal.aborted) return woken;
    signal.addEventListener('abort', end, { once: true });
    if (!this.#polling) void this.#poll();
    if (!signal.aborted) await clock.sleep(untilMs - clock.nowMs(), ended.signal);
    signal.removeEventListener('abort', end);
    leave();
    return woken;
  }

  #studiesChanged(): void {
    this.#studies = null;
    for (const wake of [...this.#held]) wake();
    for (const [study, gate] of this.#gates) {
      gate.open();
      if (!gate.isUsed) this.#gates.delete(study);
    }
  }

  /** Never rejects. */
  async #poll(): Promise<void> {
    this.#polling = true;
    const { clock, pollIntervalMs } = this.#parts;
    let before = '';
    while (this.#held.size > 0) {
      await clock.sleep(pollIntervalMs);
      try {
        const studies = (await this.studies()).map(({ id, state }) => `${id} ${state}`).join();
        if (before !== '' && studies !== before) for (const wake of [...this.#held]) wake();
        before = studies;
      } catch {
        // The store is away; the looks of the held asks will say so.
      }
      for (const gate of this.#gates.values()) gate.open();
    }
    this.#polling = false;
  }
}
