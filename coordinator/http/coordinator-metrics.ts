/** The coordinator's metrics: listens to the use cases, the store and the gRPC server, and counts. */
import { isFinished } from '../../shared/core/study/transition.js';
import type { StudyId } from '../../shared/core/ids.js';
import { combinations, createInstruments, startAtZero, stopwatch } from '../../shared/platform/metrics.js';
import {
  refusalReasons,
  type AppObserver,
  type CallName,
  type CallObserver,
  type StoreObserver,
  type StudyChange,
} from '../app/observer.js';
import { coordinatorMetrics } from '../metrics.js';
import type { ConnectionCounts } from '../storage/port.js';
import { failureClass, failureClasses } from './failure-class.js';
import { StudySeries } from './study-series.js';

export interface CoordinatorMetricsOptions {
  readonly version: string;
  /** What the store is: `postgres` or `embedded`. */
  readonly storage: string;
  /** Studies with series of their own at most. */
  readonly studiesMax: number;
  /** Label values that exist from the start. */
  readonly operations: readonly string[];
  readonly calls: readonly CallName[];
  readonly codes: readonly string[];
}

const tellResults = {
  recorded: 'recorded',
  'already-recorded': 'already_recorded',
  'lease-lost': 'lease_lost',
} as const;

export class CoordinatorMetrics {
  readonly #created = createInstruments(coordinatorMetrics);
  readonly registry = this.#created.registry;
  readonly instruments = this.#created.instruments;
  readonly studies: StudySeries;
  readonly #names = new Map<StudyId, string>();
  #held = 0;

  constructor(options: CoordinatorMetricsOptions) {
    const { studiesMax, version, storage, operations, calls, codes } = options;
    const metrics = this.instruments;
    this.studies = new StudySeries(metrics, studiesMax);
    const revision = process.env['PARZEN_REVISION'] ?? '';
    metrics.buildInfo.set({ version, revision, node_version: process.version, storage }, 1);
    startAtZero(metrics.tells, combinations({ result: Object.values(tellResults) }));
    startAtZero(metrics.leaseRenewals, combinations({ result: ['ok', 'lost', 'cancel'] }));
    startAtZero(metrics.askDuration, combinations({ result: ['assigned', 'empty'] }));
    startAtZero(metrics.suggestionDuration, combinations({ sampler: ['tpe', 'random'] }));
    startAtZero(metrics.projectionRefresh, combinations({ kind: ['tail', 'full'] }));
    startAtZero(metrics.dbQueryDuration, combinations({ operation: operations }));
    startAtZero(metrics.dbErrors, combinations({ operation: operations, class: failureClasses }));
    startAtZero(metrics.dbRetries, combinations({ operation: ['transaction'] }));
    startAtZero(metrics.callsRefused, combinations({ reason: refusalReasons }));
    metrics.asksWaiting.set(0);
    metrics.eventSubscribers.set({ kind: 'study' }, 0);
    const { callsStarted, messagesReceived, messagesSent, callDuration, callsHandled } = metrics;
    for (const call of calls) {
      for (const metric of [callsStarted, messagesReceived, messagesSent, callDuration])
        startAtZero(metric, [{ ...call }]);
      startAtZero(
        callsHandled,
        codes.map((code) => ({ ...call, grpc_code: code })),
      );
    }
  }

  /** Figures that are looked up when Prometheus asks. */
  collect(connections: ConnectionCounts | null): void {
    if (connections === null) return;
    const { dbConnections, dbWaiting } = this.instruments;
    dbConnections.set({ state: 'idle' }, connections.idle);
    dbConnections.set({ state: 'busy' }, connections.busy);
    dbWaiting.set(connections.waiting);
  }

  /** Keeps a study's name, and makes its series exist. */
  see(id: StudyId, name: string): boolean {
    this.#names.set(id, name);
    return this.studies.show(name);
  }

  /** Was this the name of another study before, which is deleted then? */
  hadAnother(id: StudyId, name: string): boolean {
    return [...this.#names].some(([other, known]) => known === name && other !== id);
  }

  async forget(name: string): Promise<void> {
    for (const [id, known] of this.#names) if (known === name) this.#names.delete(id);
    await this.studies.hide(name);
  }

  readonly app: AppObserver = {
    looking: () => {
      const seconds = stopwatch();
      return (result) => this.instruments.askDuration.observe({ result }, seconds());
    },
    holding: () => {
      this.#holding(1);
      return () => this.#holding(-1);
    },
    suggesting: (sampler) => {
      const seconds = stopwatch();
      return ({ study, number }) =>
        this.instruments.suggestionDuration.observe({
          ...{ labels: { sampler }, value: seconds() },
          exemplarLabels: { study: study.slice(0, exemplarLengthMax), trial: String(number) },
        });
    },
    refreshing: (kind) => {
      const seconds = stopwatch();
      return () => this.instruments.projectionRefresh.observe({ kind }, seconds());
    },
    withheld: (id) => {
      const study = this.#names.get(id);
      if (study !== undefined && this.studies.show(study))
        this.instruments.assignmentsWithheld.inc({ study });
    },
    told: (result) => this.instruments.tells.inc({ result: tellResults[result] }),
  };

  readonly store: StoreObserver = {
    calling: (operation) => {
      const seconds = stopwatch();
      return (failure) => {
        this.instruments.dbQueryDuration.observe({ operation }, seconds());
        const kind = failure === undefined ? null : failureClass(failure);
        if (kind !== null) this.instruments.dbErrors.inc({ operation, class: kind });
      };
    },
    retried: (operation) => this.instruments.dbRetries.inc({ operation }),
    studyCreated: ({ id, definition }) => void this.see(id, definition.name),
    changed: (change) => this.#changed(change),
    reported: (id) => {
      const study = this.#names.get(id);
      if (study !== undefined && this.studies.show(study)) this.instruments.trialReports.inc({ study });
    },
    leasesAnswered: (answers) => {
      for (const result of answers) this.instruments.leaseRenewals.inc({ result });
    },
  };

  readonly calls: CallObserver = {
    refused: (reason) => this.instruments.callsRefused.inc({ reason }),
    started: (call) => {
      const labels = { ...call };
      const seconds = stopwatch();
      const { callsStarted, eventSubscribers } = this.instruments;
      callsStarted.inc(labels);
      const subscribed = call.grpc_method === 'WatchStudy';
      if (subscribed) eventSubscribers.inc({ kind: 'study' });
      return {
        received: () => this.instruments.messagesReceived.inc(labels),
        sent: () => this.instruments.messagesSent.inc(labels),
        handled: (code) => {
          if (subscribed) eventSubscribers.dec({ kind: 'study' });
          this.instruments.callsHandled.inc({ ...labels, grpc_code: code });
          this.instruments.callDuration.observe(labels, seconds());
        },
      };
    },
  };

  #changed({ study: { id, definition }, moves, attemptsEnded, lateResults }: StudyChange): void {
    const metrics = this.instruments;
    const study = definition.name;
    const expired = attemptsEnded.filter((reason) => reason === 'lost').length;
    if (expired > 0) metrics.leasesExpired.inc(expired);
    if (!this.see(id, study)) return;
    for (const { state, reason, seconds } of moves) {
      if (state === 'RUNNING' && seconds !== null) metrics.trialWaiting.observe(seconds);
      if (reason === null) continue;
      if (state === 'WAITING') metrics.trialsRequeued.inc({ study, reason });
      if (!isFinished(state)) continue;
      metrics.trialsFinished.inc({ study, state, reason });
      if (seconds !== null) metrics.trialDuration.observe({ study }, seconds);
    }
    for (const reason of attemptsEnded) metrics.attemptsEnded.inc({ study, reason });
    if (lateResults > 0) metrics.lateResults.inc({ study }, lateResults);
  }

  #holding(change: 1 | -1): void {
    this.#held += change;
    this.instruments.asksWaiting.set(this.#held);
  }
}

/** Labels of an exemplar hold 128 characters together. */
const exemplarLengthMax = 64;
