import type { Clock } from '../../shared/platform/clock.js';
import type { Storage } from '../storage/port.js';
import { HeldAsks } from './held-asks.js';
import { KnownWorkers } from './known-workers.js';
import { SignsOfLife } from './signs-of-life.js';
import type { WorkSignal } from './work-signal.js';

/** What a coordinator keeps in memory between calls, beside histories: nothing that storage does not hold. */
export interface Caches {
  readonly workers: KnownWorkers;
  readonly asks: HeldAsks;
  readonly life: SignsOfLife;
}

export interface CacheParts {
  readonly storage: Storage;
  readonly clock: Clock;
  readonly signal: WorkSignal;
  readonly settings: { readonly pollIntervalMs: number; readonly leaseTtlMs: number };
}

export const createCaches = ({ storage, clock, signal, settings }: CacheParts): Caches => ({
  workers: new KnownWorkers(storage, clock),
  asks: new HeldAsks({ storage, clock, signal, pollIntervalMs: settings.pollIntervalMs }),
  life: new SignsOfLife(storage, clock, settings.leaseTtlMs),
});
