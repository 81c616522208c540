import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { WorkerRecord } from '../storage/port.js';
import type { AppContext } from './context.js';

export interface RegisterReply {
  readonly heartbeatIntervalMs: number;
  readonly leaseTtlMs: number;
}

/** Announces a worker, or refreshes what is known of it. */
export async function registerWorker(
  context: AppContext,
  worker: Omit<WorkerRecord, 'registeredAtMs' | 'lastSeenAtMs'>,
): Promise<RegisterReply> {
  const nowMs = context.clock.nowMs();
  const record = { ...worker, registeredAtMs: nowMs, lastSeenAtMs: nowMs };
  await context.storage.putWorker(record);
  context.caches.workers.put(record);
  context.log.info(
    { worker: worker.id, host: worker.host, gpu: worker.gpuName, runtime: worker.runtime },
    worker.draining ? 'worker is about to stop' : 'worker registered',
  );
  const { heartbeatIntervalMs, leaseTtlMs } = context.settings;
  return { heartbeatIntervalMs, leaseTtlMs };
}

/**
 * Is there a worker, alive of late, that may take trials of this study and has more memory than this? Unknown memory is
 * no promise. A worker that works only for another study, or lacks the trainer, is none either: hoping for it, the study
 * would not end while that worker lives.
 */
export async function biggerGpuExists(
  context: AppContext,
  study: Pick<StudyDefinition, 'name' | 'trainer'>,
  memoryBytes: number | null,
): Promise<boolean> {
  if (memoryBytes === null) return false;
  const since = context.clock.nowMs() - context.settings.workerMemoryMs;
  const workers = await context.storage.listWorkers();
  return workers.some(
    (worker) =>
      worker.lastSeenAtMs >= since &&
      (worker.gpuMemoryBytes ?? 0) > memoryBytes &&
      (worker.study === null || worker.study === study.name) &&
      (worker.trainers.length === 0 || worker.trainers.includes(study.trainer)),
  );
}
