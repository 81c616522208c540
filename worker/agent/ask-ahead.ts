/**
 * One trial ahead: while a short trial runs, the slot asks for its next one, so that the GPU need not wait for the
 * network. Only while trials are shorter than a few round trips; a longer one would gain nothing and keep the next from
 * an idle worker. When a trial turns out longer than thought, or the worker stops, what was asked for ahead is given
 * back, with nothing counted against it. Whoever takes `#asked` away first (the slot, or time) owns what it brings.
 */
import { aheadHoldFactor, aheadHoldMinMs } from '../limits.js';
import { ask, giveBack, hold } from './ask.js';
import { withEither } from './either-signal.js';
import type { HeldTrial, SlotOptions } from './slot-options.js';

interface Asked {
  readonly answer: Promise<HeldTrial | null>;
  /** Ends the waiting for the running trial. */
  readonly taken: AbortController;
}

/** Trials that tell how long the next one may take: the longest of this many. */
const remembered = 2;

export class AskAhead {
  readonly #options: SlotOptions;
  readonly #lengthsMs: number[] = [];
  readonly #givingBack = new Set<Promise<void>>();
  #asked: Asked | null = null;

  constructor(options: SlotOptions) {
    this.#options = options;
  }

  /** A trial starts: asks for the next one if this one is likely to be short. */
  trialStarts(): void {
    const { clock, stopping, client } = this.#options;
    const shortMs = this.#options.aheadRoundTrips * (client.roundTripMs ?? 0);
    const expectedMs = this.#lengthsMs.length < remembered ? Infinity : Math.max(...this.#lengthsMs);
    if (stopping.aborted || this.#asked !== null || !(expectedMs < shortMs)) return;
    const asked: Asked = { answer: this.#ask(), taken: new AbortController() };
    // Taken or given back, a failure is met there.
    asked.answer.catch(() => undefined);
    this.#asked = asked;
    const holdMs = Math.max(aheadHoldFactor * shortMs, aheadHoldMinMs);
    void withEither([asked.taken.signal, stopping], (either) => clock.sleep(holdMs, either)).then(() => {
      if (this.#asked === asked) this.#return(asked);
    });
  }

  /** A trial has ended after this long, ms. */
  trialEnded(lengthMs: number): void {
    this.#lengthsMs.push(lengthMs);
    if (this.#lengthsMs.length > remembered) this.#lengthsMs.shift();
  }

  /** The trial that was asked for ahead, waiting for the answer if need be; null when there is none. */
  async take(): Promise<HeldTrial | null> {
    const asked = this.#asked;
    this.#asked = null;
    asked?.taken.abort();
    return asked === null ? null : asked.answer;
  }

  /** Gives back what was asked for ahead, and waits until all of that is done. */
  async close(): Promise<void> {
    if (this.#asked !== null) this.#return(this.#asked);
    await Promise.all(this.#givingBack);
  }

  async #ask(): Promise<HeldTrial | null> {
    const outcome = await ask(this.#options, true);
    return outcome?.$case === 'assignment' ? hold(this.#options, outcome.value) : null;
  }

  #return(asked: Asked): void {
    this.#asked = null;
    asked.taken.abort();
    const returned = asked.answer
      .then((held) => (held === null ? undefined : giveBack(this.#options, held, 'unstarted')))
      .catch((error: unknown) => {
        this.#options.log.debug({ err: error }, 'an ask ahead failed');
      })
      .finally(() => this.#givingBack.delete(returned));
    this.#givingBack.add(returned);
  }
}
