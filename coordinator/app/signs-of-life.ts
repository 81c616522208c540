import type { LeaseToken, WorkerId } from '../../shared/core/ids.js';
import type { Clock } from '../../shared/platform/clock.js';
import type { LeaseAnswer, Storage } from '../storage/port.js';
import { Batcher } from './batcher.js';

/** Heartbeats are gathered for so long, ms: far less than what separates them from the end of a lease. */
const gatherMs = 20;
const heartbeatsPerWrite = 500;

export interface SignOfLife {
  readonly worker: WorkerId;
  readonly tokens: readonly LeaseToken[];
}

export interface LifeAnswer {
  /** One per lease, in the order given. */
  readonly answers: readonly LeaseAnswer[];
  readonly knownWorker: boolean;
}

/** Stores heartbeats, those of some milliseconds together. */
export class SignsOfLife {
  readonly #writes: Batcher<SignOfLife, LifeAnswer>;

  constructor(storage: Storage, clock: Clock, leaseTtlMs: number) {
    const write = async (signs: readonly SignOfLife[]): Promise<LifeAnswer[]> => {
      const nowMs = clock.nowMs();
      const tokens = signs.flatMap((sign) => sign.tokens);
      const [known, answers] = await Promise.all([
        storage.touchWorkers(new Map(signs.map(({ worker }) => [worker, nowMs]))),
        tokens.length === 0 ? [] : storage.extendLeases(tokens, nowMs + leaseTtlMs),
      ]);
      let from = 0;
      return signs.map(({ worker, tokens: own }) => {
        const mine = answers.slice(from, (from += own.length));
        return { answers: mine, knownWorker: known.has(worker) };
      });
    };
    const gather = (): Promise<void> => clock.sleep(gatherMs);
    this.#writes = new Batcher(write, { sizeMax: heartbeatsPerWrite, gather });
  }

  write(sign: SignOfLife): Promise<LifeAnswer> {
    return this.#writes.load(sign);
  }
}
