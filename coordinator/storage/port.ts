/**
 * What the coordinator needs from its store. Two implementations (memory, PostgreSQL) pass one contract suite,
 * `test/contract/storage.ts`.
 *
 * Rules that both keep:
 * - Whatever a method acknowledges is durable (memory: until the process ends).
 * - All changes to a study's trials happen inside `inStudy`, which holds the study's row lock; so numbers and finish
 *   sequences become visible in increasing order, and what a transaction reads of its study is committed.
 * - Time is an argument, in UTC milliseconds. The store's clock, which `nowMs` tells, is the one that replicas agree on.
 * - NaN and ±Infinity survive in metrics, values and reports.
 * - A failure of the store itself is a `StorageUnavailable`; anything else thrown is a bug.
 */
import type { ArtifactStore } from './port/artifacts.js';
import type { DatasetStore } from './port/datasets.js';
import type { LeaseStore } from './port/leases.js';
import type { ConnectionCounts, Overview, OverviewRequest } from './port/overview.js';
import type { StudyStore } from './port/studies.js';
import type { TokenStore } from './port/tokens.js';
import type { WorkerStore } from './port/workers.js';

export type { LeaseAnswer, StudyState, TrialCounts } from '../../shared/core/study/study.js';
export type * from './port/artifacts.js';
export type * from './port/datasets.js';
export * from './port/failures.js';
export type * from './port/leases.js';
export type * from './port/overview.js';
export type * from './port/studies.js';
export type * from './port/tokens.js';
export type * from './port/transaction.js';
export type * from './port/trials.js';
export type * from './port/workers.js';

export interface Storage
  extends StudyStore, LeaseStore, ArtifactStore, WorkerStore, DatasetStore, TokenStore {
  /** The time by the store's own clock, the same for all who use the store. */
  nowMs(): Promise<number>;
  /** The whole store at a glance, in one read of one moment. Costs no more than what finished since the known moment. */
  overview(request: OverviewRequest): Promise<Overview>;
  /** Null for a store without connections. Looks at nothing but this process. */
  connections(): ConnectionCounts | null;

  close(): Promise<void>;
}
