/**
 * All metrics of the coordinator. `docs/metrics.md` is made from this table, and every query of the dashboards and rules is held
 * against it by a test. Labels carry stored words as they are; never a trial's number, parameters, a worker's id or an error's
 * text: there would be a series for each.
 */
import { studyStates } from '../shared/core/study/study.js';
import { trialReasons, trialStates } from '../shared/core/study/trial.js';
import type { MetricTable } from '../shared/platform/metrics.js';

const process = { source: 'process' } as const;
const database = { source: 'database' } as const;
const call = ['grpc_type', 'grpc_service', 'grpc_method'] as const;

/** Seconds of a suggestion; the budgets of 1, 3 and 30 ms are bounds. */
const suggestionBuckets = [0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.03, 0.1, 0.3, 1];
const callBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25];

const studyMetrics = {
  studyInfo: {
    ...{ name: 'parzen_study_info', type: 'gauge', ...database, labels: ['study', 'state', 'sampler'] },
    help: `1 for every study shown; state is one of ${studyStates.join(', ')}`,
  },
  trials: {
    ...{ name: 'parzen_trials', type: 'gauge', ...database, labels: ['study', 'state'] },
    help: `Trials of a study by state: ${trialStates.join(', ')}`,
  },
  trialsTarget: {
    ...{ name: 'parzen_trials_target', type: 'gauge', ...database, labels: ['study'] },
    help: 'Budget of a study, trials',
  },
  trialsRemaining: {
    ...{ name: 'parzen_trials_remaining', type: 'gauge', ...database, labels: ['study'] },
    help: 'Trials that a study still owes: not handed out, waiting, or running; 0 when it is finished or stopped',
  },
  bestValue: {
    ...{ name: 'parzen_best_value', type: 'gauge', ...database, labels: ['study', 'objective'] },
    help: 'Best value of an objective so far; absent until there is one',
  },
  bestValueLuck: {
    ...{ name: 'parzen_best_value_luck', type: 'gauge', ...database, labels: ['study', 'objective'] },
    help: "Expected best of as many independent draws from a normal with the trials' mean and standard deviation: what luck alone would give; absent with fewer than two different values",
  },
  bestValueTimestamp: {
    ...{ name: 'parzen_best_value_timestamp_seconds', type: 'gauge', ...database },
    ...{ labels: ['study', 'objective'], help: 'When the best value was found' },
  },
  trialsFinished: {
    ...{ name: 'parzen_trials_finished_total', type: 'counter', ...process },
    ...{ labels: ['study', 'state', 'reason'], help: 'Trials that finished' },
  },
  attemptsEnded: {
    ...{
      name: 'parzen_trial_attempts_ended_total',
      type: 'counter',
      ...process,
      labels: ['study', 'reason'],
    },
    help: `Attempts that ended, those included whose trial is tried again, by reason: ${trialReasons.join(', ')}`,
  },
  trialsRequeued: {
    ...{ name: 'parzen_trials_requeued_total', type: 'counter', ...process, labels: ['study', 'reason'] },
    help: 'Trials that went back to WAITING',
  },
  trialReports: {
    ...{ name: 'parzen_trial_reports_total', type: 'counter', ...process, labels: ['study'] },
    help: 'Intermediate reports stored',
  },
  lateResults: {
    ...{ name: 'parzen_late_results_total', type: 'counter', ...process, labels: ['study'] },
    help: 'Results that came under a lost lease: kept as evidence, without effect',
  },
  assignmentsWithheld: {
    ...{ name: 'parzen_assignments_withheld_total', type: 'counter', ...process, labels: ['study'] },
    help: 'Looks for work that found only trials known not to fit the asking GPU',
  },
  trialDuration: {
    ...{ name: 'parzen_trial_duration_seconds', type: 'histogram', ...process, labels: ['study'] },
    help: 'Last lease of a trial until it finished',
    buckets: [1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 28800],
  },
} as const satisfies MetricTable;

const serviceMetrics = {
  buildInfo: {
    ...{ name: 'parzen_build_info', type: 'gauge', ...process },
    ...{ labels: ['version', 'revision', 'node_version', 'storage'], help: '1' },
  },
  leaseOverdue: {
    ...{ name: 'parzen_lease_overdue_seconds', type: 'gauge', ...database, labels: [] },
    help: 'Age of the oldest expired lease that has not been taken back; 0 when there is none',
  },
  workers: {
    ...{ name: 'parzen_workers', type: 'gauge', ...database, labels: ['state'] },
    help: 'Workers seen within ten minutes: idle, busy, draining (about to stop), or lost (silent for longer than a lease, without having said so before)',
  },
  lastRefresh: {
    ...{ name: 'parzen_metrics_last_refresh_timestamp_seconds', type: 'gauge', ...process, labels: [] },
    help: 'When the values that come from the database were last read',
  },
  studiesOmitted: {
    ...{ name: 'parzen_metrics_studies_omitted', type: 'gauge', ...process, labels: [] },
    help: 'Studies without series because there are too many',
  },
  tells: {
    ...{ name: 'parzen_tells_total', type: 'counter', ...process, labels: ['result'] },
    help: 'Results told: recorded, already_recorded, lease_lost',
  },
  leaseRenewals: {
    ...{ name: 'parzen_lease_renewals_total', type: 'counter', ...process, labels: ['result'] },
    help: 'Leases in heartbeats and reports: ok, lost, cancel',
  },
  leasesExpired: {
    ...{ name: 'parzen_leases_expired_total', type: 'counter', ...process, labels: [] },
    help: 'Leases taken back because their time was over or their worker was gone',
  },
  trialWaiting: {
    ...{ name: 'parzen_trial_waiting_seconds', type: 'histogram', ...process, labels: [] },
    help: 'WAITING until RUNNING, of trials that waited',
    buckets: [0.01, 0.1, 1, 5, 15, 60, 300, 900, 3600],
  },
  askDuration: {
    ...{ name: 'parzen_ask_duration_seconds', type: 'histogram', ...process, labels: ['result'] },
    help: 'One look for work (assigned, empty), without the time that an ask is held',
    buckets: [0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5],
  },
  asksWaiting: {
    ...{ name: 'parzen_asks_waiting', type: 'gauge', ...process, labels: [] },
    help: 'Asks held open right now',
  },
  suggestionDuration: {
    ...{ name: 'parzen_suggestion_duration_seconds', type: 'histogram', ...process, labels: ['sampler'] },
    ...{ help: 'Making one suggestion, the sampler only', buckets: suggestionBuckets, exemplars: true },
  },
  projectionRefresh: {
    ...{ name: 'parzen_projection_refresh_seconds', type: 'histogram', ...process, labels: ['kind'] },
    help: 'Reading what finished since the last suggestion (tail), or everything (full)',
    buckets: [...suggestionBuckets, 5],
  },
  dbQueryDuration: {
    ...{ name: 'parzen_db_query_duration_seconds', type: 'histogram', ...process, labels: ['operation'] },
    help: 'Operations of the store, waiting for a connection and retries included',
    buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30],
  },
  dbErrors: {
    ...{ name: 'parzen_db_errors_total', type: 'counter', ...process, labels: ['operation', 'class'] },
    help: 'Operations of the store that failed, by class of SQLSTATE; connection: the server could not be reached',
  },
  dbRetries: {
    ...{ name: 'parzen_db_transaction_retries_total', type: 'counter', ...process, labels: ['operation'] },
    help: 'Transactions run again after a conflict or a lost connection',
  },
  dbConnections: {
    ...{ name: 'parzen_db_pool_connections', type: 'gauge', ...process, labels: ['state'] },
    help: 'Connections to the database: idle, busy',
  },
  dbWaiting: {
    ...{ name: 'parzen_db_pool_waiting_requests', type: 'gauge', ...process, labels: [] },
    help: 'Operations that wait for a connection',
  },
  eventSubscribers: {
    ...{ name: 'parzen_event_subscribers', type: 'gauge', ...process, labels: ['kind'] },
    help: 'Open streams of news: study (WatchStudy)',
  },
  callsStarted: {
    ...{ name: 'grpc_server_started_total', type: 'counter', ...process, labels: [...call] },
    help: 'Calls that began',
  },
  callsHandled: {
    ...{ name: 'grpc_server_handled_total', type: 'counter', ...process, labels: [...call, 'grpc_code'] },
    help: 'Calls that ended, by status',
  },
  callsRefused: {
    ...{ name: 'parzen_calls_refused_total', type: 'counter', ...process, labels: ['reason'] },
    help: 'Calls that were not let in, counted as handled as well: credentials (no token that is known), role (a token of another role), banned (so many unknown tokens from the address that no more are looked up), rate (too many calls), slow (the request did not arrive), failure (on our side)',
  },
  messagesReceived: {
    ...{ name: 'grpc_server_msg_received_total', type: 'counter', ...process, labels: [...call] },
    help: 'Messages received',
  },
  messagesSent: {
    ...{ name: 'grpc_server_msg_sent_total', type: 'counter', ...process, labels: [...call] },
    help: 'Messages sent',
  },
  callDuration: {
    ...{ name: 'grpc_server_handling_seconds', type: 'histogram', ...process, labels: [...call] },
    ...{ help: 'Calls from begin to end; that of Ask includes the time it is held', buckets: callBuckets },
  },
} as const satisfies MetricTable;

export const coordinatorMetrics = { ...studyMetrics, ...serviceMetrics } as const satisfies MetricTable;

/** Those with a series per study. */
export const studyMetricKeys = Object.keys(studyMetrics) as readonly (keyof typeof studyMetrics)[];
