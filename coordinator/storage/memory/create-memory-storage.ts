import {
  trialNumber,
  type LeaseToken,
  type RequestId,
  type StudyId,
  type TrialNumber,
  type WorkerId,
} from '../../../shared/core/ids.js';
import { trialStates, type TrialReason } from '../../../shared/core/study/trial.js';
import {
  canonicalNewStudy,
  canonicalReport,
  canonicalRequest,
  canonicalText,
  canonicalToken,
  canonicalTrial,
  canonicalWhole,
  canonicalWorker,
  compareText,
  enqueuedTrial,
} from '../canonical.js';
import {
  type DeletionCheck,
  StorageUnavailable,
  type LeaseAnswer,
  type LeasePlace,
  type CallOptions,
  type NewStudy,
  type Overview,
  type OverviewRequest,
  type Storage,
  type StudyRecord,
  type TrialCounts,
  type TrialPage,
  type TrialRecord,
  type TrialReport,
  type WorkerRecord,
} from '../port.js';
import { MemoryDatabase } from './memory-database.js';
import { overviewOf } from './memory-overview.js';
import { StudyGroups, type GroupPace, type GroupWork, type Work } from '../study-groups.js';
import { StudyState } from './study-state.js';

/** A store in this process's memory with one handle on it: for simulation and tests. Gone with the process. */
export const createMemoryStorage = (nowMs?: () => number): Storage => createMemoryDatabase(nowMs).open();

/** A store in memory that several handles share, as replicas (or a restarted coordinator) share a database. */
export interface SharedMemory {
  /** `pace` is how this handle's groups measure time: the real one unless given. */
  open(pace?: GroupPace): Storage;
  /** One transaction that belongs to no handle and shares with nobody. */
  readonly runTransaction: (study: StudyId, body: GroupWork['body']) => Promise<boolean>;
}

/** `nowMs` is the store's clock: this process's unless given. */
export function createMemoryDatabase(nowMs: () => number = () => Date.now()): SharedMemory {
  const database = new MemoryDatabase(nowMs);
  return {
    open: (pace) => new MemoryStorage(database, pace),
    runTransaction: (study, body) => database.runTransaction(study, body),
  };
}

class MemoryStorage implements Storage {
  readonly #database: MemoryDatabase;
  readonly #groups: StudyGroups;
  #open = true;

  constructor(database: MemoryDatabase, pace?: GroupPace) {
    this.#database = database;
    this.#groups = new StudyGroups((study, { body }) => database.runTransaction(study, body), pace);
  }

  createStudy(study: NewStudy): Promise<StudyRecord | null> {
    return this.#run((database) => {
      const stored = canonicalNewStudy(study);
      const { name, enqueue, trials } = stored.definition;
      if (findByName(database, name) !== null) return null;
      const record: StudyRecord = Object.freeze({
        ...stored,
        id: database.mintStudyId(),
        state: 'RUNNING',
        trialsMax: trials,
        nextNumber: enqueue.length,
        finishSequence: 0,
      });
      const state = new StudyState(record);
      enqueue.forEach((given, index) => {
        const fields = canonicalTrial(enqueuedTrial(given, stored.createdAtMs));
        state.putTrial(Object.freeze({ ...fields, number: trialNumber(index), finishSequence: null }));
      });
      database.studies.set(record.id, state);
      return record;
    });
  }

  findStudy(name: string): Promise<StudyRecord | null> {
    return this.#run((database) => findByName(database, canonicalText(name)));
  }

  listStudies(): Promise<readonly StudyRecord[]> {
    return this.#run((database) => [...database.studies.values()].map(({ record }) => record));
  }

  deleteStudy(id: StudyId, check: DeletionCheck = () => undefined): Promise<boolean> {
    return this.#run(({ queues, studies }) =>
      queues.run(id, async () => {
        const study = studies.get(id);
        if (study === undefined) return false;
        check({ state: study.record.state, running: study.running.size });
        return Promise.resolve(studies.delete(id));
      }),
    );
  }

  inStudy<T>(id: StudyId, work: Work<T>, options?: CallOptions): Promise<T | null> {
    return this.#run(() => this.#groups.run(id, work, options));
  }

  listTrials(study: StudyId, page: TrialPage): Promise<readonly TrialRecord[]> {
    return this.#run(({ studies }) => {
      const states = page.states ?? [];
      const trials = studies.get(study)?.trials.slice(Math.max(page.fromNumber, 0)) ?? [];
      const chosen = states.length === 0 ? trials : trials.filter(({ state }) => states.includes(state));
      return chosen.slice(0, page.limit);
    });
  }

  countTrials(study: StudyId): Promise<TrialCounts> {
    return this.#run(({ studies }) => {
      const counts = { WAITING: 0, RUNNING: 0, COMPLETE: 0, PRUNED: 0, FAIL: 0, CANCELLED: 0 };
      const trials = studies.get(study)?.trials ?? [];
      for (const state of trialStates) counts[state] = trials.filter((trial) => trial.state === state).length;
      return counts;
    });
  }

  countAttempts(study: StudyId): Promise<Readonly<Partial<Record<TrialReason, number>>>> {
    return this.#run(({ studies }) => {
      const counts: Partial<Record<TrialReason, number>> = {};
      for (const { outcome } of studies.get(study)?.attempts.values() ?? [])
        if (outcome !== null) counts[outcome] = (counts[outcome] ?? 0) + 1;
      return counts;
    });
  }

  listAttempts(study: StudyId, number: TrialNumber) {
    return this.#run(({ studies }) =>
      [...(studies.get(study)?.attempts.values() ?? [])]
        .filter((attempt) => attempt.number === number)
        .sort((left, right) => left.attempt - right.attempt),
    );
  }

  listLateResults(study: StudyId) {
    return this.#run(({ studies }) => [...(studies.get(study)?.lateResults.values() ?? [])]);
  }

  listReports(study: StudyId, number: TrialNumber) {
    return this.#run(({ studies }) => studies.get(study)?.reports(number) ?? []);
  }

  report(token: LeaseToken, report: TrialReport, leaseExpiresAtMs: number): Promise<LeaseAnswer> {
    return this.#run(() => {
      const stored = canonicalReport(report);
      return this.#withLease(token, (study, trial) => {
        const { lastReport } = trial;
        const newest = lastReport === null || stored.step >= lastReport.step ? stored : lastReport;
        study.putReport(trial, stored);
        extend(study, { ...trial, lastReport: newest }, leaseExpiresAtMs);
      });
    });
  }

  extendLeases(tokens: readonly LeaseToken[], leaseExpiresAtMs: number): Promise<readonly LeaseAnswer[]> {
    return this.#run(() =>
      Promise.all(
        tokens.map((token) =>
          this.#withLease(token, (study, trial) => extend(study, trial, leaseExpiresAtMs)),
        ),
      ),
    );
  }

  listFinished(study: StudyId, finishSequence: number, limit: number): Promise<readonly TrialRecord[]> {
    return this.#run(({ studies }) => {
      const { finished, trials } = studies.get(study) ?? { finished: [], trials: [] };
      const numbers = finished.slice(finishSequence, finishSequence + limit);
      return numbers.flatMap((number) => trials[number] ?? []);
    });
  }

  findLease(token: LeaseToken): Promise<LeasePlace | null> {
    return this.#run((database) => {
      const wanted = canonicalToken(token);
      const study = database.find(({ attempts }) => attempts.has(wanted));
      const attempt = study?.attempts.get(wanted);
      if (study === null || attempt === undefined) return null;
      return { study: study.record.id, number: attempt.number, token: wanted };
    });
  }

  findRequests(requestIds: readonly RequestId[]): Promise<ReadonlyMap<RequestId, LeasePlace>> {
    return this.#run((database) => {
      const found = new Map<RequestId, LeasePlace>();
      for (const request of requestIds) {
        const place = database.findRequest(canonicalRequest(request));
        if (place !== null) found.set(request, place);
      }
      return found;
    });
  }

  expiredLeases(nowMs: number, limit: number) {
    return this.#run(({ studies }) =>
      [...studies.values()]
        .flatMap((study) => [...study.running].flatMap((number) => leaseOf(study, number)))
        .filter(({ expiresAtMs }) => expiresAtMs < nowMs)
        .sort((a, b) => a.expiresAtMs - b.expiresAtMs || a.study - b.study || a.number - b.number)
        .slice(0, limit)
        .map(({ study, number, token }) => ({ study, number, token })),
    );
  }

  putArtifact(...[token, artifact]: Parameters<Storage['putArtifact']>): Promise<LeaseAnswer> {
    return this.#run(() => this.#withLease(token, (study, trial) => study.putArtifact(trial, artifact)));
  }

  findArtifact(...[study, number, name]: Parameters<Storage['findArtifact']>) {
    return this.#run(({ studies }) => studies.get(study)?.artifact(number, name) ?? null);
  }

  putWorker(worker: WorkerRecord): Promise<void> {
    return this.#run(({ workers }) => {
      const stored = canonicalWorker(worker);
      const registeredAtMs = workers.get(stored.id)?.registeredAtMs ?? stored.registeredAtMs;
      workers.set(stored.id, Object.freeze({ ...stored, registeredAtMs }));
    });
  }

  touchWorkers(seen: ReadonlyMap<WorkerId, number>): Promise<ReadonlySet<WorkerId>> {
    return this.#run(({ workers }) => {
      const touched = new Set<WorkerId>();
      for (const [id, lastSeenAtMs] of seen) {
        const known = workers.get(canonicalText(id));
        if (known === undefined) continue;
        const latest = Math.max(known.lastSeenAtMs, canonicalWhole(lastSeenAtMs));
        workers.set(known.id, Object.freeze({ ...known, lastSeenAtMs: latest }));
        touched.add(id);
      }
      return touched;
    });
  }

  findWorkers(ids: readonly WorkerId[]): Promise<readonly WorkerRecord[]> {
    return this.#run(({ workers }) => ids.flatMap((id) => workers.get(canonicalText(id)) ?? []));
  }

  listWorkers(): Promise<readonly WorkerRecord[]> {
    return this.#run(({ workers }) =>
      [...workers.values()].sort(
        (left, right) => left.registeredAtMs - right.registeredAtMs || compareText(left.id, right.id),
      ),
    );
  }

  putDataset(...[dataset, chunks]: Parameters<Storage['putDataset']>): Promise<void> {
    return this.#run(({ datasets }) => datasets.put(dataset, chunks));
  }

  findDataset(nameOrHash: string) {
    return this.#run(({ datasets }) => datasets.find(nameOrHash));
  }

  listDatasets() {
    return this.#run(({ datasets }) => datasets.list());
  }

  async *readDataset(hash: Parameters<Storage['readDataset']>[0]): AsyncIterable<Uint8Array> {
    yield* await this.#run(({ datasets }) => datasets.read(hash));
  }

  putToken(token: Parameters<Storage['putToken']>[0]): Promise<boolean> {
    return this.#run(({ tokens }) => tokens.put(token));
  }

  findToken(sha256: string) {
    return this.#run(({ tokens }) => tokens.find(sha256));
  }

  listTokens() {
    return this.#run(({ tokens }) => tokens.list());
  }

  revokeToken(name: string, revokedAtMs: number): Promise<boolean> {
    return this.#run(({ tokens }) => tokens.revoke(name, revokedAtMs));
  }

  nowMs(): Promise<number> {
    return this.#run(({ nowMs }) => nowMs());
  }

  overview(request: OverviewRequest): Promise<Overview> {
    return this.#run(({ studies, workers }) =>
      overviewOf([...studies.values()], [...workers.values()], request),
    );
  }

  connections(): null {
    return null;
  }

  close(): Promise<void> {
    this.#open = false;
    return Promise.resolve();
  }

  /** Reports and heartbeats wait for a transaction under way, as they would wait for its lock on the trial's row. */
  #withLease(
    token: LeaseToken,
    change: (study: StudyState, trial: TrialRecord) => void,
  ): Promise<LeaseAnswer> {
    const { studies, queues } = this.#database;
    const wanted = canonicalToken(token);
    const study = this.#database.find((each) => each.leaseHolder(wanted) !== null);
    if (study === null) return Promise.resolve('lost');
    return queues.run(study.record.id, () => {
      const trial = studies.get(study.record.id)?.leaseHolder(wanted) ?? null;
      if (trial === null) return Promise.resolve('lost');
      change(study, trial);
      return Promise.resolve(trial.cancelRequested ? 'cancel' : 'ok');
    });
  }

  async #run<T>(operation: (database: MemoryDatabase) => T | Promise<T>): Promise<T> {
    if (!this.#open) throw new StorageUnavailable('the store is closed');
    return operation(this.#database);
  }
}

function findByName(database: MemoryDatabase, name: string): StudyRecord | null {
  for (const { record } of database.studies.values()) if (record.definition.name === name) return record;
  return null;
}

function extend(study: StudyState, trial: TrialRecord, leaseExpiresAtMs: number): void {
  if (trial.lease === null) return;
  const expiresAtMs = Math.max(trial.lease.expiresAtMs, canonicalWhole(leaseExpiresAtMs));
  const lease = Object.freeze({ ...trial.lease, expiresAtMs });
  study.putTrial(Object.freeze({ ...trial, lease }));
}

function leaseOf(study: StudyState, number: TrialNumber) {
  const lease = study.trials[number]?.lease;
  if (lease === undefined || lease === null) return [];
  return [{ study: study.record.id, number, token: lease.token, expiresAtMs: lease.expiresAtMs }];
}
