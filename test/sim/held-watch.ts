/**
 * No ask is held while there is work for it: where nothing is wrong with the machines, it is answered within a poll
 * interval, whichever coordinator brought the work.
 */
import type { AskRequest } from '../../shared/wire/gen/parzen/v1/trial.js';
import type { StudyRecord, TrialRecord } from '../../coordinator/storage/port.js';
import type { Monitor } from './monitor.js';

/** Messages, statements and commits on the way, ms. */
const slackMs = 1_000;

interface Held {
  readonly request: AskRequest;
  /** Since when there has been work for it; null when there is none. */
  hungrySinceMs: number | null;
}

export class HeldWatch {
  readonly #monitor: Monitor;
  readonly #pollIntervalMs: number;
  readonly #held = new Set<Held>();
  /** Memory of the workers' GPUs, bytes. */
  readonly #memories = new Map<string, number | null>();

  constructor(monitor: Monitor, pollIntervalMs: number) {
    this.#monitor = monitor;
    this.#pollIntervalMs = pollIntervalMs;
  }

  workerStarts(worker: string, memoryBytes: number | null): void {
    this.#memories.set(worker, memoryBytes);
  }

  /** A coordinator has got an ask; what this returns is called when it needs no answer any more. */
  asked(request: AskRequest): () => void {
    const held: Held = { request, hungrySinceMs: null };
    // One that is asked ahead is not held.
    if (!request.ahead) this.#held.add(held);
    return () => this.#held.delete(held);
  }

  /** To be called at every step while nothing is wrong with the machines. */
  look(nowMs: number): void {
    for (const held of this.#held) {
      const study = this.#workFor(held.request);
      held.hungrySinceMs = study === null ? null : (held.hungrySinceMs ?? nowMs);
      const hungryMs = nowMs - (held.hungrySinceMs ?? nowMs);
      this.#monitor.expect(
        hungryMs <= this.#pollIntervalMs + slackMs,
        () =>
          `ask ${held.request.requestId} has been held for ${hungryMs} ms though ${study} has work for it; ` +
          `the poll interval is ${this.#pollIntervalMs} ms`,
      );
    }
  }

  /** A study with a trial for this ask; null when there is none. */
  #workFor({ workerId, study: only }: AskRequest): string | null {
    const memoryBytes = this.#memories.get(workerId) ?? 0;
    const fits = ({ state, memoryFloorBytes }: TrialRecord): boolean =>
      state === 'WAITING' && (memoryFloorBytes === null || memoryFloorBytes < memoryBytes);
    const hasWork = ({ id, state, nextNumber, trialsMax, definition }: StudyRecord): boolean =>
      (only === '' || only === definition.name) &&
      state === 'RUNNING' &&
      (nextNumber < trialsMax || this.#monitor.trials(id).some(fits));
    return this.#monitor.studies().find(hasWork)?.definition.name ?? null;
  }
}
