/**
 * The form in which a store keeps things, the same in every implementation: what a write answers is exactly what a
 * later read finds. Whatever PostgreSQL cannot hold as given is changed here, in one documented way:
 * - text: NUL and lone surrogates become U+FFFD, so that a trainer's garbled message never loses a result;
 * - numbers: -0 becomes 0; times and bytes are whole numbers; NaN and infinities stay where the port allows them;
 * - records: keys in the order of jsonb (shorter first, then by byte).
 * Results are frozen. What contradicts the port's rules is an assertion.
 */
import { assert } from '../../shared/core/assert.js';
import { leaseToken, requestId, workerId, type LeaseToken, type RequestId } from '../../shared/core/ids.js';
import type { ParameterValue, Params } from '../../shared/core/space/parameter.js';
import { isFinished } from '../../shared/core/study/transition.js';
import type { Metrics } from '../../shared/core/study/trial.js';
import type {
  AttemptRecord,
  DatasetRecord,
  LateResult,
  Lease,
  NewStudy,
  NewToken,
  TrialRecord,
  TrialReport,
  Watermark,
  WorkerRecord,
} from './port.js';

const unstorable = /\0|\p{Surrogate}/gu;

/** Text with NUL and lone surrogates replaced by U+FFFD. */
export const canonicalText = (text: string): string => text.replace(unstorable, '\ufffd');

/** Ids and names are indexed, and an index entry has a size limit. Wire and study file allow much less. */
const idLengthMax = 512;

/** A name or id to be stored: canonical text of a bounded length. */
function storedId(text: string): string {
  assert(
    text.length <= idLengthMax,
    `a name or id has ${text.length} characters, at most ${idLengthMax} can be stored`,
  );
  return canonicalText(text);
}

export const canonicalToken = (token: LeaseToken): LeaseToken => leaseToken(canonicalText(token));
export const canonicalRequest = (request: RequestId): RequestId => requestId(canonicalText(request));

/** A whole number (a time in ms, a size in bytes), rounded. */
export function canonicalWhole(value: number): number {
  const whole = Math.round(value) + 0;
  assert(Number.isSafeInteger(whole), `${value} is not a whole number that can be stored`);
  return whole;
}

const wholeOrNull = (value: number | null): number | null => (value === null ? null : canonicalWhole(value));
const textOrNull = (text: string | null): string | null => (text === null ? null : canonicalText(text));
const frozen = <T extends object>(value: T): Readonly<T> => Object.freeze(value);

/** Order of texts by their UTF-8 bytes, as under collation "C". */
export const compareText = (left: string, right: string): number =>
  Buffer.compare(Buffer.from(left), Buffer.from(right));

const byStoredOrder = (left: string, right: string): number =>
  Buffer.byteLength(left) - Buffer.byteLength(right) || compareText(left, right);

/** Names in the order of jsonb, by the names as they came: a study's records all have the same. */
const storedOrders = new Map<string, readonly string[]>();
const storedOrdersMax = 1_000;

/** The last names of each count that were put in order, and their order: mostly the next ones are the same. */
const lastOrders = new Map<
  number,
  { readonly names: readonly string[]; readonly order: readonly string[] }
>();
const lastOrdersMax = 100;

function inStoredOrder(names: readonly string[]): readonly string[] {
  const last = lastOrders.get(names.length);
  if (last?.names.every((name, index) => name === names[index]) === true) return last.order;
  const order = storedOrder(names);
  if (names.length < lastOrdersMax) lastOrders.set(names.length, { names, order });
  return order;
}

function storedOrder(names: readonly string[]): readonly string[] {
  const key = JSON.stringify(names);
  const known = storedOrders.get(key);
  if (known !== undefined) return known;
  const order = [...names].sort((left, right) => byStoredOrder(canonicalText(left), canonicalText(right)));
  if (storedOrders.size >= storedOrdersMax) storedOrders.clear();
  storedOrders.set(key, order);
  return order;
}

const own = { configurable: true, enumerable: true, writable: true } as const;

function canonicalRecord<V>(
  record: Readonly<Record<string, V>>,
  value: (value: V) => V,
): Readonly<Record<string, V>> {
  const stored: Record<string, V> = {};
  for (const name of inStoredOrder(Object.keys(record))) {
    const given = record[name];
    if (given === undefined) continue;
    // An assignment would set the object's prototype.
    if (name === '__proto__') Object.defineProperty(stored, name, { ...own, value: value(given) });
    else stored[canonicalText(name)] = value(given);
  }
  return frozen(stored);
}

function canonicalParameterValue(value: ParameterValue): ParameterValue {
  if (typeof value === 'string') return canonicalText(value);
  if (typeof value !== 'number') return value;
  assert(Number.isFinite(value), `${value} is not a value that a parameter can have`);
  return value + 0;
}

export const canonicalMetrics = (metrics: Metrics): Metrics => canonicalRecord(metrics, (value) => value + 0);
export const canonicalParams = (params: Params): Params => canonicalRecord(params, canonicalParameterValue);
const paramsOrNull = (params: Params | null): Params | null =>
  params === null ? null : canonicalParams(params);

/** Frozen copy of plain data (objects, arrays, scalars); key order stays, numbers must be finite. */
export function canonicalPlain<T>(value: T): T;
export function canonicalPlain(value: unknown): unknown {
  if (typeof value === 'string') return canonicalText(value);
  if (typeof value === 'number') {
    assert(Number.isFinite(value), `${value} cannot be part of a study definition`);
    return value + 0;
  }
  if (Array.isArray(value)) return frozen(value.map((each: unknown) => canonicalPlain(each)));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, each]) => each !== undefined);
  return frozen(Object.fromEntries(entries.map(([key, each]) => [canonicalText(key), canonicalPlain(each)])));
}

export function canonicalNewStudy(study: NewStudy): NewStudy {
  storedId(study.definition.name);
  return frozen({
    definition: canonicalPlain(study.definition),
    definitionText: canonicalText(study.definitionText),
    definitionHash: canonicalText(study.definitionHash),
    dataset: study.dataset,
    createdAtMs: canonicalWhole(study.createdAtMs),
  });
}

export function canonicalReport(report: TrialReport): TrialReport {
  assert(Number.isSafeInteger(report.step), `step ${report.step} is not a whole number`);
  return frozen({ step: report.step + 0, metrics: canonicalMetrics(report.metrics) });
}

const canonicalLease = (lease: Lease): Lease =>
  frozen({
    token: leaseToken(storedId(lease.token)),
    expiresAtMs: canonicalWhole(lease.expiresAtMs),
    worker: workerId(canonicalText(lease.worker)),
    gpuUuid: textOrNull(lease.gpuUuid),
    gpuMemoryBytes: wholeOrNull(lease.gpuMemoryBytes),
  });

const canonicalWatermark = (watermark: Watermark): Watermark =>
  frozen({ finishSequence: watermark.finishSequence, running: frozen([...watermark.running]) });

/** What a caller decides about a trial; number and finish sequence are the store's. */
export type TrialFields = Omit<TrialRecord, 'number' | 'finishSequence'>;

/**
 * A trial as stored; asserts what must hold of any trial in its state. `before`: the trial as it is stored, whose parts
 * are taken as they are.
 */
export function canonicalTrial(trial: TrialFields, before: TrialFields | null = null): TrialFields {
  const finished = isFinished(trial.state);
  assert((trial.lease !== null) === (trial.state === 'RUNNING'), `a ${trial.state} trial and its lease`);
  assert(trial.params !== null || !needsParams(trial), `a ${trial.state} trial has parameters`);
  assert((trial.finishedAtMs !== null) === finished, `a ${trial.state} trial and its time of finishing`);
  return frozen({
    state: trial.state,
    reason: trial.reason,
    given: trial.given === before?.given ? trial.given : paramsOrNull(trial.given),
    params: trial.params === before?.params ? trial.params : paramsOrNull(trial.params),
    offGrid: trial.offGrid,
    values: frozen(trial.values.map((value) => value + 0)),
    metrics: canonicalMetrics(trial.metrics),
    attempt: canonicalWhole(trial.attempt),
    retries: frozen({
      error: trial.retries.error,
      timeout: trial.retries.timeout,
      lost: trial.retries.lost,
    }),
    lease: trial.lease === null ? null : canonicalLease(trial.lease),
    memoryFloorBytes: wholeOrNull(trial.memoryFloorBytes),
    watermark: canonicalUnless(before?.watermark, trial.watermark, canonicalWatermark),
    worker: trial.worker === null ? null : workerId(canonicalText(trial.worker)),
    message: canonicalText(trial.message),
    cancelRequested: trial.cancelRequested,
    lastReport: canonicalUnless(before?.lastReport, trial.lastReport, canonicalReport),
    enqueueRequestId: trial.enqueueRequestId === null ? null : requestId(storedId(trial.enqueueRequestId)),
    createdAtMs: canonicalWhole(trial.createdAtMs),
    startedAtMs: wholeOrNull(trial.startedAtMs),
    finishedAtMs: wholeOrNull(trial.finishedAtMs),
  });
}

const canonicalUnless = <T>(
  same: T | null | undefined,
  value: T | null,
  canonical: (value: T) => T,
): T | null => (value === null || value === same ? value : canonical(value));

/** A trial that was cancelled before its first suggestion never gets parameters. */
const needsParams = ({ state }: TrialFields): boolean => state !== 'WAITING' && state !== 'CANCELLED';

/** A trial of the study file's queue: waits, with its given values. */
export const enqueuedTrial = (given: Params, createdAtMs: number): TrialFields => ({
  state: 'WAITING',
  reason: null,
  given,
  params: null,
  offGrid: false,
  values: [],
  metrics: {},
  attempt: 0,
  retries: { error: 0, timeout: 0, lost: 0 },
  lease: null,
  memoryFloorBytes: null,
  watermark: null,
  worker: null,
  message: '',
  cancelRequested: false,
  lastReport: null,
  enqueueRequestId: null,
  createdAtMs,
  startedAtMs: null,
  finishedAtMs: null,
});

/** How an attempt ended. */
export type AttemptEnd = Pick<AttemptRecord, 'endedAtMs' | 'outcome' | 'message' | 'peakMemoryBytes'>;

export const canonicalAttemptEnd = (end: AttemptEnd): AttemptEnd =>
  frozen({
    endedAtMs: wholeOrNull(end.endedAtMs),
    outcome: end.outcome,
    message: canonicalText(end.message),
    peakMemoryBytes: wholeOrNull(end.peakMemoryBytes),
  });

export const canonicalAttempt = (attempt: AttemptRecord): AttemptRecord =>
  frozen({
    number: attempt.number,
    attempt: attempt.attempt,
    token: leaseToken(storedId(attempt.token)),
    requestId: requestId(storedId(attempt.requestId)),
    worker: workerId(canonicalText(attempt.worker)),
    gpuUuid: textOrNull(attempt.gpuUuid),
    startedAtMs: canonicalWhole(attempt.startedAtMs),
    ...canonicalAttemptEnd(attempt),
  });

export const canonicalLateResult = (late: LateResult): LateResult =>
  frozen({
    number: late.number,
    token: leaseToken(storedId(late.token)),
    worker: workerId(canonicalText(late.worker)),
    receivedAtMs: canonicalWhole(late.receivedAtMs),
    outcome: late.outcome,
    metrics: canonicalMetrics(late.metrics),
    message: canonicalText(late.message),
  });

export const canonicalWorker = (worker: WorkerRecord): WorkerRecord =>
  frozen({
    id: workerId(storedId(worker.id)),
    host: canonicalText(worker.host),
    gpuUuid: textOrNull(worker.gpuUuid),
    gpuName: canonicalText(worker.gpuName),
    gpuMemoryBytes: wholeOrNull(worker.gpuMemoryBytes),
    slots: worker.slots,
    runtime: canonicalText(worker.runtime),
    version: canonicalText(worker.version),
    study: textOrNull(worker.study),
    trainers: Object.freeze(worker.trainers.map(canonicalText)),
    sharedGpu: worker.sharedGpu,
    draining: worker.draining,
    registeredAtMs: canonicalWhole(worker.registeredAtMs),
    lastSeenAtMs: canonicalWhole(worker.lastSeenAtMs),
  });

export const canonicalDataset = (dataset: DatasetRecord): DatasetRecord =>
  frozen({
    hash: dataset.hash,
    name: storedId(dataset.name),
    layout: canonicalText(dataset.layout),
    rows: canonicalWhole(dataset.rows),
    firstTimeMs: canonicalWhole(dataset.firstTimeMs),
    lastTimeMs: canonicalWhole(dataset.lastTimeMs),
    bytes: canonicalWhole(dataset.bytes),
    createdAtMs: canonicalWhole(dataset.createdAtMs),
  });

export const canonicalNewToken = ({ name, role, sha256, createdAtMs }: NewToken): NewToken =>
  frozen({ name: storedId(name), role, sha256, createdAtMs: canonicalWhole(createdAtMs) });

/** Shortest hash prefix that names a data set. */
export const hashPrefixMin = 8;

/** Could this text be (the start of) a hash? */
export const looksLikeHash = (text: string): boolean =>
  text.length >= hashPrefixMin && text.length <= 64 && /^[0-9a-f]+$/.test(text);
