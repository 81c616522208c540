import { closeSync, copyFileSync, openSync, readSync, renameSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';

/** Does this text, said by PostgreSQL, mean that the disk is full? */
export const saysDiskFull = (text: string): boolean =>
  /No space left on device|Disk quota exceeded|Check free disk space|wrote only \d+ of \d+ bytes/.test(text);

/** At this size the log starts anew; the old one is kept once. */
const sizeMaxBytes = 4 * 1024 * 1024;
const tailBytes = 8 * 1024;

/**
 * The server's log: `postgres.log` in the storage directory, written by the server itself, so that it also holds what
 * happened after this process died. At most twice `sizeMaxBytes` and what comes in between two checks.
 */
export class ServerLog {
  readonly file: string;

  constructor(directory: string) {
    this.file = path.join(directory, 'postgres.log');
  }

  /** Size now; a later `tail` from here tells what happened since. */
  size(): number {
    return statSync(this.file, { throwIfNoEntry: false })?.size ?? 0;
  }

  /** Opens the log for a server to append to. Close the descriptor when the server has it. */
  open(): number {
    if (this.size() > sizeMaxBytes) renameSync(this.file, `${this.file}.1`);
    return openSync(this.file, 'a', 0o600);
  }

  /** Keeps the size in bounds while a server appends. */
  trim(): void {
    if (this.size() <= sizeMaxBytes) return;
    copyFileSync(this.file, `${this.file}.1`);
    truncateSync(this.file);
  }

  /** The end of what was written since the log had this size. */
  tail(sinceBytes: number): string {
    const end = this.size();
    const start = Math.max(Math.min(sinceBytes, end), end - tailBytes);
    if (end === start) return '';
    const descriptor = openSync(this.file, 'r');
    try {
      const buffer = Buffer.alloc(end - start);
      return buffer.toString('utf8', 0, readSync(descriptor, buffer, 0, buffer.length, start));
    } finally {
      closeSync(descriptor);
    }
  }

  /** What the server said went wrong since then, in a line; '' when it said nothing. */
  complaint(sinceBytes: number): string {
    const lines = this.tail(sinceBytes).split('\n');
    const serious = lines.filter((line) => /\b(PANIC|FATAL|ERROR|error while loading)\b/.test(line));
    return (serious.at(-1) ?? lines.findLast((line) => line.trim() !== '') ?? '')
      .replace(/^.*?\] /, '')
      .trim();
  }
}
