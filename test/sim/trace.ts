import { createHash } from 'node:crypto';
import type { Scheduler } from './scheduler.js';

/** Lines kept for the report of a failure. */
const tailMax = 120;

/** What happened, line by line; its hash tells whether two runs were the same. */
export class Trace {
  readonly #scheduler: Scheduler;
  readonly #print: ((line: string) => void) | null;
  readonly #hash = createHash('sha256');
  readonly #tail: string[] = [];

  constructor(scheduler: Scheduler, print: ((line: string) => void) | null) {
    this.#scheduler = scheduler;
    this.#print = print;
  }

  add(who: string, what: string): void {
    const line = `${(this.#scheduler.nowMs / 1000).toFixed(3).padStart(9)} ${who.padEnd(7)} ${what}`;
    this.#hash.update(line);
    this.#print?.(line);
    this.#tail.push(line);
    if (this.#tail.length > 2 * tailMax) this.#tail.splice(0, tailMax);
  }

  /** The latest lines. */
  tail(): readonly string[] {
    return this.#tail.slice(-tailMax);
  }

  /** Of all lines so far; ends the trace. */
  digest(): string {
    return this.#hash.digest('hex').slice(0, 16);
  }
}
