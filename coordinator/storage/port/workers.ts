import type { WorkerId } from '../../../shared/core/ids.js';

export interface WorkerRecord {
  readonly id: WorkerId;
  readonly host: string;
  readonly gpuUuid: string | null;
  readonly gpuName: string;
  readonly gpuMemoryBytes: number | null;
  readonly slots: number;
  readonly runtime: string;
  readonly version: string;
  /** Name of the one study that the worker works for; null for any. */
  readonly study: string | null;
  /** Trainers that the worker can run; empty for any. */
  readonly trainers: readonly string[];
  /** Other programs use the GPU's memory as well. */
  readonly sharedGpu: boolean;
  /** It is about to stop, and takes nothing new. */
  readonly draining: boolean;
  readonly registeredAtMs: number;
  readonly lastSeenAtMs: number;
}

export interface WorkerStore {
  /** Inserts or refreshes a worker by id (registeredAtMs stays). */
  putWorker(worker: WorkerRecord): Promise<void>;
  /** Notes signs of life, never an earlier one; answers which of the workers are known. */
  touchWorkers(seen: ReadonlyMap<WorkerId, number>): Promise<ReadonlySet<WorkerId>>;
  /** Those of the workers that are known. */
  findWorkers(ids: readonly WorkerId[]): Promise<readonly WorkerRecord[]>;
  listWorkers(): Promise<readonly WorkerRecord[]>;
}
