import type { LeaseToken, StudyId } from '../../shared/core/ids.js';
import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import type { Tracer } from '../../shared/platform/tracing.js';
import type { Storage } from '../storage/port.js';
import { createCaches, type Caches } from './caches.js';
import type { DatasetTools } from './datasets.js';
import type { AppObserver } from './observer.js';
import type { Histories } from './history.js';
import type { WorkSignal } from './work-signal.js';

/** What every use case works with. Built once, in `main.ts`; holds no truth that storage does not hold. */
export interface AppContext {
  readonly storage: Storage;
  /** The time that is stored, and compared with what is stored: `AgreedClock` where others use the store as well. */
  readonly clock: Clock;
  /** Brings `clock` to the store's time; not there where nobody else uses the store. */
  readonly agreeOnTime?: () => Promise<void>;
  readonly log: Log;
  /** An unguessable token for a lease in this study: see `lease-token.ts`. */
  readonly mintToken: (study: StudyId) => LeaseToken;
  /** The random part of an access token: at least 256 unguessable bits as text. */
  readonly mintSecret: () => string;
  readonly settings: AppSettings;
  readonly signal: WorkSignal;
  readonly histories: Histories;
  readonly caches: Caches;
  readonly datasetTools: DatasetTools;
  /** Metrics; nobody by default. */
  readonly observer?: AppObserver;
  /** Traces; nobody by default. */
  readonly tracer?: Tracer;
}

export interface AppSettings {
  readonly leaseTtlMs: number;
  readonly heartbeatIntervalMs: number;
  /** A held ask looks at storage at least this often, for what other replicas changed. */
  readonly pollIntervalMs: number;
  /** How long ago a worker may have been seen to count as one that could take a trial. */
  readonly workerMemoryMs: number;
  /** Names of the studies that workers are given trials of; null for every running one. */
  readonly serves: ReadonlySet<string> | null;
}

/** The context with its caches, which are made of the rest. */
export const createContext = (parts: Omit<AppContext, 'caches'>): AppContext => ({
  ...parts,
  caches: createCaches(parts),
});
