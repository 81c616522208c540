/** A worker's own record of what it told and what the coordinator answered, apart from the coordinator's store. */
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { toJson } from '../../shared/core/json.js';
import type { Metrics } from '../../shared/core/study/trial.js';
import type { TellAnswer } from './coordinator-client.js';
import { WorkerUnfit } from './worker-unfit.js';

/** A result that the coordinator has acknowledged. */
export interface JournalEntry {
  readonly worker: string;
  readonly study: string;
  readonly trial: number;
  readonly attempt: number;
  readonly token: string;
  /** `done`, `stopped`, or the reason of a failure. */
  readonly outcome: string;
  /** Empty unless `done`. */
  readonly metrics: Metrics;
  readonly answer: TellAnswer;
}

export interface Journal {
  /** Returns when the entry is on disk. Throws `WorkerUnfit` when it cannot be written. */
  append(entry: JournalEntry): void;
  close(): void;
}

/**
 * Opens a file to append to, one JSON object a line with the time, synced line by line. Whatever is in it stays; several
 * workers may share one. Throws `WorkerUnfit` when that is not possible.
 */
export function openJournal(file: string, nowMs: () => number): Journal {
  const attempt = <T>(use: () => T): T => {
    try {
      return use();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new WorkerUnfit(`the journal cannot be written: ${reason}; name another file with --journal`);
    }
  };
  const descriptor = attempt(() => openSync(file, 'a'));
  return {
    append: (entry) =>
      attempt(() => {
        const line = toJson({ time: new Date(nowMs()).toISOString(), ...entry }, 0);
        writeSync(descriptor, `${line}\n`);
        fsyncSync(descriptor);
      }),
    close: () => closeSync(descriptor),
  };
}
