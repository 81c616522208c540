import type { TokenView } from '../../../shared/core/access.js';
import {
  leaseToken,
  requestId,
  studyId,
  trialNumber,
  workerId,
  type DatasetHash,
  type LeaseToken,
  type RequestId,
  type StudyId,
  type TrialNumber,
  type WorkerId,
} from '../../../shared/core/ids.js';
import { assert } from '../../../shared/core/assert.js';
import type { TrialReason, TrialState } from '../../../shared/core/study/trial.js';
import { Batcher } from '../../app/batcher.js';
import {
  canonicalNewStudy,
  canonicalParams,
  canonicalReport,
  canonicalRequest,
  canonicalText,
  canonicalToken,
  canonicalWhole,
  canonicalWorker,
} from '../canonical.js';
import type {
  DatasetRecord,
  DeletionCheck,
  ConnectionCounts,
  LeaseAnswer,
  Overview,
  OverviewRequest,
  LeasePlace,
  CallOptions,
  NewStudy,
  NewToken,
  Storage,
  StoredArtifact,
  StudyRecord,
  TrialCounts,
  TrialPage,
  TrialRecord,
  TrialReport,
  WorkerRecord,
} from '../port.js';
import { findArtifact, putArtifact } from './artifacts.js';
import type { Database } from './database.js';
import { findDataset, listDatasets, putDataset, readDataset } from './datasets.js';
import { readOverview } from './overview.js';
import { encodeMetrics } from './metrics-json.js';
import { execute, query } from './query.js';
import {
  decodeAttempt,
  decodeLateResult,
  decodeLeasePlace,
  decodeReport,
  decodeStudy,
  decodeTrial,
  decodeWorker,
  leaseAnswer,
  encodeWorker,
  type AttemptRow,
  type CancelRow,
  type LateResultRow,
  type LeaseRow,
  type ReportRow,
  type StudyLockRow,
  type StudyRow,
  type TrialRow,
  type WorkerRow,
} from './rows.js';
import * as attempts from './statements/attempts.js';
import * as leases from './statements/leases.js';
import { now } from './statements/now.js';
import type { Statement } from './statements/statement.js';
import * as studies from './statements/studies.js';
import * as trials from './statements/trials.js';
import * as workers from './statements/workers.js';
import { findToken, listTokens, putToken, revokeToken } from './tokens.js';
import type { Work } from '../study-groups.js';

interface ExtendedRow extends CancelRow {
  readonly token: string;
}

/** The port on PostgreSQL. Transactions are in `study-transaction.ts`, retries and connections in `database.ts`. */
export class PostgresStorage implements Storage {
  readonly #database: Database;
  readonly #afterClose: () => Promise<void>;
  #closed: Promise<void> | null = null;
  /** After a failure of the network hundreds of workers may register at once. */
  readonly #registrations = new Batcher<WorkerRecord, undefined>((batch) => this.#putWorkers(batch), {
    sizeMax: 200,
  });

  constructor(database: Database, afterClose = (): Promise<void> => Promise.resolve()) {
    this.#database = database;
    this.#afterClose = afterClose;
  }

  async createStudy(study: NewStudy): Promise<StudyRecord | null> {
    const stored = canonicalNewStudy(study);
    const { definition } = stored;
    const enqueue = definition.enqueue.map(canonicalParams);
    const [row] = await this.#database.once((client) =>
      query<{ id: number }>(client, studies.createStudy, [
        definition.name,
        JSON.stringify(definition),
        stored.definitionText,
        stored.definitionHash,
        stored.dataset,
        definition.trials,
        stored.createdAtMs,
        JSON.stringify(enqueue),
      ]),
    );
    if (row === undefined) return null;
    return {
      ...stored,
      id: studyId(row.id),
      state: 'RUNNING',
      trialsMax: definition.trials,
      nextNumber: enqueue.length,
      finishSequence: 0,
    };
  }

  async findStudy(name: string): Promise<StudyRecord | null> {
    const [row] = await this.#read<StudyRow>(studies.findStudy, [canonicalText(name)]);
    return row === undefined ? null : decodeStudy(row);
  }

  async listStudies(): Promise<readonly StudyRecord[]> {
    return (await this.#read<StudyRow>(studies.listStudies)).map(decodeStudy);
  }

  async deleteStudy(id: StudyId, check?: DeletionCheck): Promise<boolean> {
    return this.#database.transaction(async (client) => {
      // A long study has many rows, and a transaction on it may still be under way.
      await client.query("set local statement_timeout = 0; set local lock_timeout = '60s'");
      const [lock] = await query<StudyLockRow>(client, studies.lockStudy, [id]);
      if (lock === undefined) return false;
      const running = await query(client, trials.runningParams, [id]);
      check?.({ state: lock.state, running: running.length });
      return (await execute(client, studies.deleteStudy, [id])) > 0;
    });
  }

  inStudy<T>(id: StudyId, work: Work<T>, options?: CallOptions): Promise<T | null> {
    return this.#database.inStudy(id, work, options);
  }

  async listTrials(study: StudyId, { fromNumber, limit, states = [] }: TrialPage) {
    const rows = await this.#read<TrialRow>(trials.listTrials, [study, fromNumber, limit, states]);
    return rows.map(decodeTrial);
  }

  async countTrials(study: StudyId): Promise<TrialCounts> {
    const rows = await this.#read<{ state: TrialState; trials: number }>(trials.countTrials, [study]);
    const counts = { WAITING: 0, RUNNING: 0, COMPLETE: 0, PRUNED: 0, FAIL: 0, CANCELLED: 0 };
    for (const row of rows) counts[row.state] = row.trials;
    return counts;
  }

  async countAttempts(study: StudyId): Promise<Readonly<Partial<Record<TrialReason, number>>>> {
    const rows = await this.#read<{ outcome: TrialReason; attempts: number }>(attempts.countAttempts, [
      study,
    ]);
    return Object.fromEntries(rows.map((row) => [row.outcome, row.attempts]));
  }

  async listAttempts(study: StudyId, number: TrialNumber) {
    return (await this.#read<AttemptRow>(attempts.listAttempts, [study, number])).map(decodeAttempt);
  }

  async listLateResults(study: StudyId) {
    return (await this.#read<LateResultRow>(attempts.listLateResults, [study])).map(decodeLateResult);
  }

  async listReports(study: StudyId, number: TrialNumber) {
    return (await this.#read<ReportRow>(leases.listReports, [study, number])).map(decodeReport);
  }

  async report(token: LeaseToken, report: TrialReport, leaseExpiresAtMs: number): Promise<LeaseAnswer> {
    const { step, metrics } = canonicalReport(report);
    const values = [canonicalToken(token), step, encodeMetrics(metrics), canonicalWhole(leaseExpiresAtMs)];
    const [row] = await this.#database.repeatable('leases', (pool) =>
      query<CancelRow>(pool, leases.storeReport, values),
    );
    return leaseAnswer(row);
  }

  async extendLeases(
    tokens: readonly LeaseToken[],
    leaseExpiresAtMs: number,
  ): Promise<readonly LeaseAnswer[]> {
    if (tokens.length === 0) return [];
    const wanted = tokens.map(canonicalToken);
    const expiresAtMs = canonicalWhole(leaseExpiresAtMs);
    const extend = (statement: Statement, which: unknown) =>
      this.#database.repeatable('leases', (pool) =>
        query<ExtendedRow>(pool, statement, [which, expiresAtMs]),
      );
    const free = await extend(leases.extendFreeLeases, wanted);
    const extended = new Map(free.map((row): [string, ExtendedRow] => [row.token, row]));
    for (const token of wanted) {
      if (extended.has(token)) continue;
      const [row] = await extend(leases.extendLease, token);
      if (row !== undefined) extended.set(token, row);
    }
    return wanted.map((token) => leaseAnswer(extended.get(token)));
  }

  async listFinished(study: StudyId, finishSequence: number, limit: number) {
    const rows = await this.#read<TrialRow>(trials.finishedAfter, [study, finishSequence, limit]);
    return rows.map((row): TrialRecord => decodeTrial(row));
  }

  async findLease(token: LeaseToken): Promise<LeasePlace | null> {
    const [row] = await this.#look<LeaseRow>(leases.findLease, [canonicalToken(token)]);
    return row === undefined ? null : decodeLeasePlace(row);
  }

  async findRequests(requestIds: readonly RequestId[]): Promise<ReadonlyMap<RequestId, LeasePlace>> {
    if (requestIds.length === 0) return new Map();
    const wanted = requestIds.map(canonicalRequest);
    const rows = await this.#look<LeaseRow & { request_id: string }>(attempts.leasesByRequests, [wanted]);
    const places = new Map(rows.map((row) => [requestId(row.request_id), decodeLeasePlace(row)]));
    return new Map(
      requestIds.flatMap((id, index) => {
        const place = places.get(wanted[index] ?? id);
        return place === undefined ? [] : [[id, place] as const];
      }),
    );
  }

  async expiredLeases(nowMs: number, limit: number) {
    const rows = await this.#look<{ study_id: number; number: number; lease_token: string }>(
      leases.expiredLeases,
      [Math.ceil(nowMs), limit],
    );
    return rows.map((row) => ({
      study: studyId(row.study_id),
      number: trialNumber(row.number),
      token: leaseToken(row.lease_token),
    }));
  }

  putArtifact(token: LeaseToken, artifact: StoredArtifact): Promise<LeaseAnswer> {
    return putArtifact(this.#database, token, artifact);
  }

  findArtifact(...[study, number, name]: Parameters<Storage['findArtifact']>) {
    return findArtifact(this.#database, { study, number, name });
  }

  putWorker(worker: WorkerRecord): Promise<void> {
    return this.#registrations.load(canonicalWorker(worker));
  }

  async #putWorkers(registered: readonly WorkerRecord[]): Promise<readonly undefined[]> {
    const latest = new Map(registered.map((worker) => [worker.id, encodeWorker(worker)]));
    const values = [JSON.stringify([...latest.values()])];
    await this.#database.repeatable('statements', (pool) => execute(pool, workers.putWorkers, values));
    return registered.map(() => undefined);
  }

  async touchWorkers(seen: ReadonlyMap<WorkerId, number>): Promise<ReadonlySet<WorkerId>> {
    if (seen.size === 0) return new Set();
    const ids = [...seen.keys()].map((id) => canonicalText(id));
    const times = [...seen.values()].map(canonicalWhole);
    const rows = await this.#read<{ id: string }>(workers.touchWorkers, [ids, times]);
    const known = new Set(rows.map(({ id }) => id));
    return new Set([...seen.keys()].filter((id) => known.has(canonicalText(id))));
  }

  async findWorkers(ids: readonly WorkerId[]): Promise<readonly WorkerRecord[]> {
    if (ids.length === 0) return [];
    const wanted = ids.map((id) => workerId(canonicalText(id)));
    return (await this.#read<WorkerRow>(workers.findWorkers, [wanted])).map(decodeWorker);
  }

  async listWorkers(): Promise<readonly WorkerRecord[]> {
    return (await this.#read<WorkerRow>(workers.listWorkers)).map(decodeWorker);
  }

  putDataset(dataset: DatasetRecord, chunks: Iterable<Uint8Array>): Promise<void> {
    return putDataset(this.#database, dataset, chunks);
  }

  findDataset(nameOrHash: string): Promise<DatasetRecord | null> {
    return findDataset(this.#database, nameOrHash);
  }

  listDatasets(): Promise<readonly DatasetRecord[]> {
    return listDatasets(this.#database);
  }

  readDataset(hash: DatasetHash): AsyncIterable<Uint8Array> {
    return readDataset(this.#database, hash);
  }

  putToken(token: NewToken): Promise<boolean> {
    return putToken(this.#database, token);
  }

  findToken(sha256: string): Promise<TokenView | null> {
    return findToken(this.#database, sha256);
  }

  listTokens(): Promise<readonly TokenView[]> {
    return listTokens(this.#database);
  }

  revokeToken(name: string, revokedAtMs: number): Promise<boolean> {
    return revokeToken(this.#database, name, revokedAtMs);
  }

  async nowMs(): Promise<number> {
    const [row] = await this.#read<{ now_ms: number }>(now);
    assert(row !== undefined, 'the time is one row');
    return row.now_ms;
  }

  overview(request: OverviewRequest): Promise<Overview> {
    return readOverview(this.#database, request);
  }

  connections(): ConnectionCounts {
    return this.#database.connections();
  }

  close(): Promise<void> {
    this.#closed ??= this.#database.close().then(this.#afterClose);
    return this.#closed;
  }

  /** Reads few rows by index, whatever was known of the tables when it was planned. */
  #look<Row extends object>(statement: Statement, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#database.repeatable('leases', (pool) => query<Row>(pool, statement, values));
  }

  #read<Row extends object>(statement: Statement, values: readonly unknown[] = []): Promise<readonly Row[]> {
    return this.#database.repeatable('statements', (pool) => query<Row>(pool, statement, values));
  }
}
