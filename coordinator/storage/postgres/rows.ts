/**
 * Rows as `pg` gives them (with bigint as number: see `pools.ts`) and their decoders, one per kind of row. The types
 * repeat the schema; the contract suite holds them to it.
 */
import {
  datasetHash,
  leaseToken,
  requestId,
  studyId,
  trialNumber,
  workerId,
} from '../../../shared/core/ids.js';
import type { Params } from '../../../shared/core/space/parameter.js';
import type { StudyDefinition } from '../../../shared/core/study/definition.js';
import type { LeaseAnswer } from '../../../shared/core/study/study.js';
import type { TrialReason, TrialState } from '../../../shared/core/study/trial.js';
import type {
  AttemptRecord,
  DatasetRecord,
  LateResult,
  Lease,
  LeasePlace,
  StudyRecord,
  StudyState,
  TrialRecord,
  TrialReport,
  Watermark,
  WorkerRecord,
} from '../port.js';
import { decodeMetrics, encodeMetrics, plainMetrics } from './metrics-json.js';
import type { TrialOrigin, TrialOutcome } from './statements/trials.js';

type StoredMetrics = Readonly<Record<string, number | string>>;

export interface StudyRow {
  readonly id: number;
  readonly definition: StudyDefinition;
  readonly definition_text: string;
  readonly definition_hash: string;
  readonly dataset: string | null;
  readonly state: StudyState;
  readonly trials_max: number;
  readonly next_number: number;
  readonly finish_sequence: number;
  readonly created_at_ms: number;
}

export const decodeStudy = (row: StudyRow): StudyRecord => ({
  id: studyId(row.id),
  definition: row.definition,
  definitionText: row.definition_text,
  definitionHash: row.definition_hash,
  dataset: row.dataset === null ? null : datasetHash(row.dataset),
  createdAtMs: row.created_at_ms,
  state: row.state,
  trialsMax: row.trials_max,
  nextNumber: row.next_number,
  finishSequence: row.finish_sequence,
});

/** What of a study changes. */
export interface StudyLockRow {
  readonly state: StudyState;
  readonly trials_max: number;
  readonly next_number: number;
  readonly finish_sequence: number;
  readonly changes: number;
  readonly change_tag: number;
}

export interface LeaseRow {
  readonly study_id: number;
  readonly number: number;
  readonly token: string;
}

export const decodeLeasePlace = (row: LeaseRow): LeasePlace => ({
  study: studyId(row.study_id),
  number: trialNumber(row.number),
  token: leaseToken(row.token),
});

export interface TrialRow {
  readonly number: number;
  readonly state: TrialState;
  readonly reason: TrialReason | null;
  readonly given: Params | null;
  readonly params: Params | null;
  readonly off_grid: boolean;
  readonly objective_values: readonly number[];
  readonly metrics: StoredMetrics;
  readonly attempt: number;
  readonly retries_error: number;
  readonly retries_timeout: number;
  readonly retries_lost: number;
  readonly lease_token: string | null;
  readonly lease_expires_at_ms: number | null;
  readonly lease_worker: string | null;
  readonly lease_gpu_uuid: string | null;
  readonly lease_gpu_memory_bytes: number | null;
  readonly memory_floor_bytes: number | null;
  readonly watermark_finish_sequence: number | null;
  readonly watermark_running: readonly number[] | null;
  readonly worker: string | null;
  readonly message: string;
  readonly cancel_requested: boolean;
  readonly last_report_step: number | null;
  readonly last_report_metrics: StoredMetrics | null;
  readonly enqueue_request_id: string | null;
  readonly created_at_ms: number;
  readonly started_at_ms: number | null;
  readonly finished_at_ms: number | null;
  readonly finish_sequence: number | null;
}

export const decodeTrial = (row: TrialRow): TrialRecord => ({
  number: trialNumber(row.number),
  state: row.state,
  reason: row.reason,
  given: row.given,
  params: row.params,
  offGrid: row.off_grid,
  values: row.objective_values,
  metrics: decodeMetrics(row.metrics),
  attempt: row.attempt,
  retries: { error: row.retries_error, timeout: row.retries_timeout, lost: row.retries_lost },
  lease: decodeLease(row),
  memoryFloorBytes: row.memory_floor_bytes,
  watermark: decodeWatermark(row),
  worker: row.worker === null ? null : workerId(row.worker),
  message: row.message,
  cancelRequested: row.cancel_requested,
  lastReport: decodeLastReport(row),
  enqueueRequestId: row.enqueue_request_id === null ? null : requestId(row.enqueue_request_id),
  createdAtMs: row.created_at_ms,
  startedAtMs: row.started_at_ms,
  finishedAtMs: row.finished_at_ms,
  finishSequence: row.finish_sequence,
});

function decodeLease(row: TrialRow): Lease | null {
  const { lease_token: token, lease_expires_at_ms: expiresAtMs, lease_worker: worker } = row;
  if (token === null || expiresAtMs === null || worker === null) return null;
  return {
    token: leaseToken(token),
    expiresAtMs,
    worker: workerId(worker),
    gpuUuid: row.lease_gpu_uuid,
    gpuMemoryBytes: row.lease_gpu_memory_bytes,
  };
}

function decodeWatermark({
  watermark_finish_sequence: finishSequence,
  watermark_running: running,
}: TrialRow): Watermark | null {
  return finishSequence === null || running === null ? null : { finishSequence, running };
}

function decodeLastReport({
  last_report_step: step,
  last_report_metrics: metrics,
}: TrialRow): TrialReport | null {
  return step === null || metrics === null ? null : { step, metrics: decodeMetrics(metrics) };
}

const plainNumber = (value: number): number | string => (Number.isFinite(value) ? value : String(value));

/** Values of the columns that the end of an attempt changes. */
export const encodeOutcome = (trial: TrialRecord): TrialOutcome => ({
  state: trial.state,
  reason: trial.reason,
  objective_values: trial.values.map(plainNumber),
  metrics: plainMetrics(trial.metrics),
  retries_error: trial.retries.error,
  retries_timeout: trial.retries.timeout,
  retries_lost: trial.retries.lost,
  lease_token: trial.lease?.token ?? null,
  lease_expires_at_ms: trial.lease?.expiresAtMs ?? null,
  lease_worker: trial.lease?.worker ?? null,
  lease_gpu_uuid: trial.lease?.gpuUuid ?? null,
  lease_gpu_memory_bytes: trial.lease?.gpuMemoryBytes ?? null,
  memory_floor_bytes: trial.memoryFloorBytes,
  message: trial.message,
  cancel_requested: trial.cancelRequested,
  finished_at_ms: trial.finishedAtMs,
  finish_sequence: trial.finishSequence,
});

/** Values of all other writable columns. */
export const encodeOrigin = (trial: TrialRecord): TrialOrigin => ({
  given: trial.given,
  params: trial.params,
  off_grid: trial.offGrid,
  attempt: trial.attempt,
  watermark_finish_sequence: trial.watermark?.finishSequence ?? null,
  watermark_running: trial.watermark?.running ?? null,
  worker: trial.worker,
  last_report_step: trial.lastReport?.step ?? null,
  last_report_metrics: trial.lastReport === null ? null : plainMetrics(trial.lastReport.metrics),
  enqueue_request_id: trial.enqueueRequestId,
  created_at_ms: trial.createdAtMs,
  started_at_ms: trial.startedAtMs,
});

export interface AttemptRow {
  readonly number: number;
  readonly attempt: number;
  readonly token: string;
  readonly request_id: string;
  readonly worker: string;
  readonly gpu_uuid: string | null;
  readonly started_at_ms: number;
  readonly ended_at_ms: number | null;
  readonly outcome: TrialReason | null;
  readonly message: string;
  readonly peak_memory_bytes: number | null;
}

export const decodeAttempt = (row: AttemptRow): AttemptRecord => ({
  number: trialNumber(row.number),
  attempt: row.attempt,
  token: leaseToken(row.token),
  requestId: requestId(row.request_id),
  worker: workerId(row.worker),
  gpuUuid: row.gpu_uuid,
  startedAtMs: row.started_at_ms,
  endedAtMs: row.ended_at_ms,
  outcome: row.outcome,
  message: row.message,
  peakMemoryBytes: row.peak_memory_bytes,
});

/** Values for `insertAttempts`, as JSON has them. */
export const encodeAttempt = (attempt: AttemptRecord): AttemptRow => ({
  number: attempt.number,
  attempt: attempt.attempt,
  token: attempt.token,
  request_id: attempt.requestId,
  worker: attempt.worker,
  gpu_uuid: attempt.gpuUuid,
  started_at_ms: attempt.startedAtMs,
  ended_at_ms: attempt.endedAtMs,
  outcome: attempt.outcome,
  message: attempt.message,
  peak_memory_bytes: attempt.peakMemoryBytes,
});

export interface ReportRow {
  readonly step: number;
  readonly metrics: StoredMetrics;
}

export const decodeReport = (row: ReportRow): TrialReport => ({
  step: row.step,
  metrics: decodeMetrics(row.metrics),
});

export interface LateResultRow {
  readonly number: number;
  readonly token: string;
  readonly worker: string;
  readonly received_at_ms: number;
  readonly outcome: TrialReason;
  readonly metrics: StoredMetrics;
  readonly message: string;
}

export const decodeLateResult = (row: LateResultRow): LateResult => ({
  number: trialNumber(row.number),
  token: leaseToken(row.token),
  worker: workerId(row.worker),
  receivedAtMs: row.received_at_ms,
  outcome: row.outcome,
  metrics: decodeMetrics(row.metrics),
  message: row.message,
});

/** Values for `insertLateResult`, after the study's. */
export const encodeLateResult = (late: LateResult): readonly unknown[] => [
  late.number,
  late.token,
  late.worker,
  late.receivedAtMs,
  late.outcome,
  encodeMetrics(late.metrics),
  late.message,
];

export interface WorkerRow {
  readonly id: string;
  readonly host: string;
  readonly gpu_uuid: string | null;
  readonly gpu_name: string;
  readonly gpu_memory_bytes: number | null;
  readonly slots: number;
  readonly runtime: string;
  readonly version: string;
  readonly study: string | null;
  readonly trainers: readonly string[];
  readonly shared_gpu: boolean;
  readonly draining: boolean;
  readonly registered_at_ms: number;
  readonly last_seen_at_ms: number;
}

export const decodeWorker = (row: WorkerRow): WorkerRecord => ({
  id: workerId(row.id),
  host: row.host,
  gpuUuid: row.gpu_uuid,
  gpuName: row.gpu_name,
  gpuMemoryBytes: row.gpu_memory_bytes,
  slots: row.slots,
  runtime: row.runtime,
  version: row.version,
  study: row.study,
  trainers: row.trainers,
  sharedGpu: row.shared_gpu,
  draining: row.draining,
  registeredAtMs: row.registered_at_ms,
  lastSeenAtMs: row.last_seen_at_ms,
});

/** Values for `putWorkers`, as JSON has them. */
export const encodeWorker = (worker: WorkerRecord): WorkerRow => ({
  id: worker.id,
  host: worker.host,
  gpu_uuid: worker.gpuUuid,
  gpu_name: worker.gpuName,
  gpu_memory_bytes: worker.gpuMemoryBytes,
  slots: worker.slots,
  runtime: worker.runtime,
  version: worker.version,
  study: worker.study,
  trainers: worker.trainers,
  shared_gpu: worker.sharedGpu,
  draining: worker.draining,
  registered_at_ms: worker.registeredAtMs,
  last_seen_at_ms: worker.lastSeenAtMs,
});

export interface DatasetRow {
  readonly hash: string;
  readonly name: string;
  readonly layout: string;
  readonly rows: number;
  readonly first_time_ms: number;
  readonly last_time_ms: number;
  readonly bytes: number;
  readonly created_at_ms: number;
}

export const decodeDataset = (row: DatasetRow): DatasetRecord => ({
  hash: datasetHash(row.hash),
  name: row.name,
  layout: row.layout,
  rows: row.rows,
  firstTimeMs: row.first_time_ms,
  lastTimeMs: row.last_time_ms,
  bytes: row.bytes,
  createdAtMs: row.created_at_ms,
});

/** What a statement on a lease returns where the lease holds. */
export interface CancelRow {
  readonly cancel_requested: boolean;
}

/** No row: the lease is lost. */
export function leaseAnswer(row: CancelRow | undefined): LeaseAnswer {
  if (row === undefined) return 'lost';
  return row.cancel_requested ? 'cancel' : 'ok';
}
