import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { Draw } from './draw.js';
import type { HeldWatch } from './held-watch.js';
import type { Monitor } from './monitor.js';
import type { Mutant } from './mutants.js';
import type { Promises } from './promises.js';
import type { Scheduler } from './scheduler.js';
import type { SimDatabase } from './sim-database.js';
import type { SimNetwork } from './sim-network.js';
import type { Trace } from './trace.js';
import type { Weather } from './weather.js';

export interface SimStudy {
  readonly definition: StudyDefinition;
  /** The budget that people want by now. */
  readonly trials: () => number;
}

export interface SimSettings {
  readonly pollIntervalMs: number;
  /** Share of attempts that bring no result though nothing is wrong with the machines. */
  readonly failureShare: number;
  /** Longest training of a trial, ms. */
  readonly trialMaxMs: number;
  /** Workers ask ahead while a trial runs that is shorter than this many round trips. */
  readonly aheadRoundTrips: number;
}

/** What the parts of one simulation share. */
export interface World {
  readonly scheduler: Scheduler;
  readonly draw: Draw;
  readonly trace: Trace;
  readonly monitor: Monitor;
  readonly promises: Promises;
  readonly heldWatch: HeldWatch;
  readonly database: SimDatabase;
  readonly network: SimNetwork;
  readonly weather: () => Weather;
  readonly settings: SimSettings;
  readonly studies: readonly SimStudy[];
  /** A fresh id with this prefix. */
  readonly mintId: (prefix: string) => string;
  /** A worker is killed, frozen or cut off: it may lose its leases. */
  readonly harmed: (worker: string) => void;
  /** Faults of our own making; none in an honest run. */
  readonly mutant: Mutant;
}
