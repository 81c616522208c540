import { createHash } from 'node:crypto';
import {
  datasetHash,
  leaseToken,
  requestId,
  workerId,
  type StudyId,
  type TrialNumber,
} from '../../shared/core/ids.js';
import type { Params } from '../../shared/core/space/parameter.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type {
  AttemptRecord,
  DatasetRecord,
  Lease,
  NewStudy,
  Storage,
  StudyRecord,
  StudyTransaction,
  TrialRecord,
  WorkerRecord,
} from '../../coordinator/storage/port.js';

/** The store under test; valid inside a test. */
export type CurrentStorage = () => Storage;

/** Any moment; the store has no clock of its own. */
export const t0 = 1_755_000_000_000;

export const definition = (name: string, change: Partial<StudyDefinition> = {}): StudyDefinition => ({
  name,
  objectives: [{ name: 'score', direction: 'maximize', weights: { zeta: 0.7, alpha: 0.3 } }],
  trials: 10,
  sampler: { type: 'random', seed: 42 },
  space: [
    { kind: 'float', name: 'x', low: 0, high: 1, log: false, step: null },
    { kind: 'categorical', name: 'kind', choices: ['a', null, true, 3] },
  ],
  fixed: { use_lstm: true, batch: 512 },
  enqueue: [],
  trainer: 'none',
  data: { kind: 'none' },
  evaluation: { profile: 'honest' },
  failure: {
    oom: 'retry-bigger-gpu',
    diverged: 'value',
    divergedValue: 0,
    errorRetriesMax: 1,
    timeoutRetriesMax: 1,
    lostRetriesMax: 5,
    stallTimeoutSeconds: 60,
    trialTimeoutSeconds: 600,
  },
  ...change,
});

export const newStudy = (name: string, change: Partial<StudyDefinition> = {}): NewStudy => ({
  definition: definition(name, change),
  definitionText: `name: ${name}\n`,
  definitionHash: createHash('sha256').update(name).digest('hex'),
  dataset: null,
  createdAtMs: t0,
});

/** Creates a study and answers its record; fails where the name is taken. */
export async function created(
  storage: Storage,
  name = 'demo',
  change: Partial<StudyDefinition> = {},
): Promise<StudyRecord> {
  const study = await storage.createStudy(newStudy(name, change));
  if (study === null) throw new Error(`study ${name} exists already`);
  return study;
}

export const lease = (token: string, change: Partial<Lease> = {}): Lease => ({
  token: leaseToken(token),
  expiresAtMs: t0 + 45_000,
  worker: workerId('worker-1'),
  gpuUuid: 'GPU-1',
  gpuMemoryBytes: 8_000_000_000,
  ...change,
});

type NewTrial = Parameters<StudyTransaction['insertTrial']>[0];

const blank: NewTrial = {
  state: 'WAITING',
  reason: null,
  given: null,
  params: { x: 0.5, kind: 'a' },
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
  createdAtMs: t0,
  startedAtMs: null,
  finishedAtMs: null,
};

export const waiting = (change: Partial<NewTrial> = {}): NewTrial => ({ ...blank, ...change });

export const running = (token: string, change: Partial<NewTrial> = {}): NewTrial => ({
  ...blank,
  state: 'RUNNING',
  attempt: 1,
  lease: lease(token),
  worker: workerId('worker-1'),
  startedAtMs: t0 + 1,
  ...change,
});

/** A trial's fields as they are when it has finished with this value. */
export const completed = (values: readonly number[] = [0.5]) =>
  ({ state: 'COMPLETE', reason: 'finished', values, lease: null, finishedAtMs: t0 + 2 }) as const;

export const attemptOf = (trial: TrialRecord, change: Partial<AttemptRecord> = {}): AttemptRecord => ({
  number: trial.number,
  attempt: trial.attempt,
  token: trial.lease?.token ?? leaseToken('none'),
  requestId: requestId(`request-${trial.lease?.token ?? 'none'}`),
  worker: workerId('worker-1'),
  gpuUuid: 'GPU-1',
  startedAtMs: t0 + 1,
  endedAtMs: null,
  outcome: null,
  message: '',
  peakMemoryBytes: null,
  ...change,
});

/** Stores a running trial with its attempt, as an ask does. */
export async function leased(
  storage: Storage,
  study: StudyId,
  token: string,
  change: Partial<NewTrial> = {},
): Promise<TrialRecord> {
  const trial = await storage.inStudy(study, async (transaction) => {
    const inserted = await transaction.insertTrial(running(token, change));
    await transaction.insertAttempt(attemptOf(inserted));
    return inserted;
  });
  if (trial === null) throw new Error('no such study');
  return trial;
}

/** Finishes a running or waiting trial. */
export async function finish(
  storage: Storage,
  study: StudyId,
  number: TrialNumber,
  change: Partial<TrialRecord> = {},
): Promise<TrialRecord> {
  const finished = await storage.inStudy(study, async (transaction) => {
    const trial = await transaction.trial(number);
    if (trial === null) throw new Error(`no trial ${number}`);
    return transaction.updateTrial({ ...trial, ...completed(), ...change });
  });
  if (finished === null) throw new Error('no such study');
  return finished;
}

export const worker = (id: string, change: Partial<WorkerRecord> = {}): WorkerRecord => ({
  id: workerId(id),
  host: 'host-a',
  gpuUuid: 'GPU-1',
  gpuName: 'Some GPU',
  gpuMemoryBytes: 24_000_000_000,
  slots: 2,
  runtime: 'wasm',
  version: '0.1.0',
  study: 'btc',
  trainers: ['hermite', 'my-program'],
  sharedGpu: false,
  draining: false,
  registeredAtMs: t0,
  lastSeenAtMs: t0,
  ...change,
});

/** A data set of these bytes. */
export function dataset(
  name: string,
  chunks: readonly Uint8Array[],
  change: Partial<DatasetRecord> = {},
): DatasetRecord {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return {
    hash: datasetHash(hash.digest('hex')),
    name,
    layout: 'candles-1',
    rows: 3,
    firstTimeMs: t0,
    lastTimeMs: t0 + 7_200_000,
    bytes: chunks.reduce((sum, chunk) => sum + chunk.length, 0),
    createdAtMs: t0,
    ...change,
  };
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const collected: Uint8Array[] = [];
  for await (const chunk of chunks) collected.push(new Uint8Array(chunk));
  return collected;
}

export const params = (...names: readonly string[]): Params =>
  Object.fromEntries(names.map((name, index) => [name, index]));
