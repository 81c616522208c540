import { heatmap, query, stat, table, timeseries, type DashboardSpec, type Query } from './model.js';

const ns = 'namespace=~"$namespace"';
const own = `{${ns}, job=~"$job", instance=~"$instance"}`;
const with_ = (more: string): string => `{${ns}, job=~"$job", instance=~"$instance", ${more}}`;
const rate = '[$__rate_interval]';
const quantiles = (metric: string, by: string, matchers = own): readonly Query[] =>
  [0.5, 0.99].map((q) =>
    query(
      `histogram_quantile(${q}, sum by (le, ${by}) (rate(${metric}_bucket${matchers}${rate})))`,
      `p${q * 100} {{${by}}}`,
    ),
  );

export const coordinatorDashboard: DashboardSpec = {
  uid: 'parzen-coordinator',
  title: 'Parzen: coordinator',
  description: 'The service itself: calls, suggestions, leases, the database, and whether replicas agree.',
  variables: [
    { name: 'namespace', label: 'Namespace', query: 'label_values(parzen_build_info, namespace)' },
    { name: 'job', label: 'Job', query: 'label_values(parzen_build_info{namespace=~"$namespace"}, job)' },
    {
      name: 'instance',
      label: 'Replica',
      query: 'label_values(parzen_build_info{namespace=~"$namespace", job=~"$job"}, instance)',
    },
  ],
  rows: [
    {
      title: 'Replicas',
      panels: [
        stat({
          ...{ title: 'Replicas up', unit: 'short', width: 4, decimals: 0 },
          description: 'Coordinators that Prometheus reaches. See the runbook of ParzenCoordinatorDown.',
          queries: [
            query(`sum by (namespace) (up{${ns}, job=~"$job", instance=~"$instance"})`, '{{namespace}}'),
          ],
        }),
        table({
          ...{ title: 'Versions', unit: 'none', width: 8 },
          description: 'After a rollout every replica has the same version.',
          queries: [query(`parzen_build_info${own}`, '')],
        }),
        timeseries({
          ...{
            title: 'Replicas agree: spread of database values',
            unit: 'short',
            width: 6,
            min: 0,
            decimals: 0,
          },
          description:
            'Largest difference between replicas; returns to 0 with the next look at the database. If it does not, one replica reads another database.',
          queries: [
            query(
              `max by (study, state) (parzen_trials{${ns}}) - min by (study, state) (parzen_trials{${ns}})`,
              '{{study}} {{state}}',
            ),
          ],
        }),
        timeseries({
          ...{ title: 'Age of the database values', unit: 's', width: 6, min: 0 },
          thresholds: [
            { value: 60, color: 'yellow' },
            { value: 120, color: 'red' },
          ],
          description:
            'Per replica; below 20 s. From 60 s on the values are taken away. See the runbook of ParzenMetricsStale.',
          queries: [query(`time() - parzen_metrics_last_refresh_timestamp_seconds${own}`, '{{instance}}')],
        }),
      ],
    },
    {
      title: 'Calls',
      panels: [
        timeseries({
          ...{ title: 'Calls by method', unit: 'reqps', width: 8, min: 0 },
          description:
            'Two calls per trial (Ask, Tell), plus reports and heartbeats. Many Asks without Tells: workers find nothing to do.',
          queries: [
            query(`sum by (grpc_method) (rate(grpc_server_handled_total${own}${rate}))`, '{{grpc_method}}'),
          ],
        }),
        timeseries({
          ...{ title: 'Errors by status', unit: 'reqps', width: 8, min: 0 },
          description:
            'Unavailable: the database is away. Unknown: a bug; the log has it. See the runbook of ParzenGrpcErrorBudgetBurn.',
          queries: [
            query(
              `sum by (grpc_code) (rate(grpc_server_handled_total${with_('grpc_code!="OK"')}${rate}))`,
              '{{grpc_code}}',
            ),
          ],
        }),
        timeseries({
          ...{ title: 'Calls refused', unit: 'reqps', width: 8, min: 0 },
          description:
            'credentials, role: wrong tokens. banned: many of these from one address. rate: too many calls from one. slow: requests that never arrived.',
          queries: [query(`sum by (reason) (rate(parzen_calls_refused_total${own}${rate}))`, '{{reason}}')],
        }),
        timeseries({
          ...{ title: 'Call latency without Ask, p50 and p99', unit: 's', width: 8, min: 0 },
          description:
            'All methods slow: event loop or database, below. Ask is left out because it is held open on purpose.',
          queries: quantiles('grpc_server_handling_seconds', 'grpc_method', with_('grpc_method!="Ask"')),
        }),
        timeseries({
          ...{ title: 'Ask: look for work, p50 and p99', unit: 's', width: 8, min: 0 },
          description: 'The transaction only, without the time that an ask is held.',
          queries: quantiles('parzen_ask_duration_seconds', 'result'),
        }),
        timeseries({
          ...{ title: 'Asks held', unit: 'short', width: 8, min: 0, decimals: 0 },
          description: 'Idle slots that wait for work.',
          queries: [query(`sum(parzen_asks_waiting${own})`, 'held')],
        }),
        timeseries({
          ...{ title: 'Results told', unit: 'ops', width: 8, min: 0 },
          description:
            'already_recorded: answers that did not arrive and were asked for again. lease_lost: late results.',
          queries: [query(`sum by (result) (rate(parzen_tells_total${own}${rate}))`, '{{result}}')],
        }),
      ],
    },
    {
      title: 'Suggestions',
      panels: [
        timeseries({
          ...{ title: 'Suggestion, p50 and p99', unit: 's', width: 8, min: 0 },
          thresholds: [
            { value: 0.001, color: 'green' },
            { value: 0.003, color: 'yellow' },
            { value: 0.03, color: 'red' },
          ],
          description:
            'The sampler only; lines at 1, 3 and 30 ms. See the runbook of ParzenSuggestionLatencySlo.',
          queries: quantiles('parzen_suggestion_duration_seconds', 'sampler'),
        }),
        heatmap({
          ...{ title: 'Suggestion, distribution', unit: 's', width: 8 },
          description: 'Each bucket keeps an example: study and trial.',
          queries: [
            query(`sum by (le) (increase(parzen_suggestion_duration_seconds_bucket${own}${rate}))`, '{{le}}'),
          ],
        }),
        timeseries({
          ...{ title: 'Projection refresh, p99', unit: 's', width: 8, min: 0 },
          description: 'Reading what finished since the last suggestion; full: everything, after a start.',
          queries: [
            query(
              `histogram_quantile(0.99, sum by (le, kind) (rate(parzen_projection_refresh_seconds_bucket${own}${rate})))`,
              '{{kind}}',
            ),
          ],
        }),
      ],
    },
    {
      title: 'Leases',
      panels: [
        timeseries({
          ...{ title: 'Renewals by result', unit: 'ops', width: 8, min: 0 },
          description: 'lost: the worker came too late; cancel: the study stopped the trial.',
          queries: [query(`sum by (result) (rate(parzen_lease_renewals_total${own}${rate}))`, '{{result}}')],
        }),
        timeseries({
          ...{ title: 'Expired leases', unit: 'short', width: 8, min: 0, decimals: 0 },
          description:
            'Trials taken back from workers that went silent. See the runbook of ParzenLeaseExpiryHigh.',
          queries: [query(`sum(increase(parzen_leases_expired_total${own}${rate}))`, 'expired')],
        }),
        timeseries({
          ...{ title: 'Oldest expired lease not taken back', unit: 's', width: 8, min: 0 },
          thresholds: [{ value: 60, color: 'red' }],
          description: 'Near 0 at all times. See the runbook of ParzenReclaimLate.',
          queries: [
            query(`max by (namespace) (parzen_lease_overdue_seconds{${ns}})`, 'overdue {{namespace}}'),
          ],
        }),
      ],
    },
    {
      title: 'Database',
      panels: [
        timeseries({
          ...{ title: 'Operations, p99', unit: 's', width: 8, min: 0 },
          description:
            'Waiting for a connection and retries included. All slow: disk or network of the database.',
          queries: [
            query(
              `histogram_quantile(0.99, sum by (le, operation) (rate(parzen_db_query_duration_seconds_bucket${own}${rate})))`,
              '{{operation}}',
            ),
          ],
        }),
        timeseries({
          ...{ title: 'Errors by class', unit: 'ops', width: 8, min: 0 },
          description:
            'connection: not reached; 40: conflicts; 53: out of disk, memory or connections; 57: ended by the server; 23: a bug.',
          queries: [query(`sum by (class) (rate(parzen_db_errors_total${own}${rate}))`, '{{class}}')],
        }),
        timeseries({
          ...{ title: 'Retries of transactions', unit: 'ops', width: 8, min: 0 },
          description:
            'After conflicts and lost connections. Steady: something else writes to the same studies.',
          queries: [
            query(
              `sum by (operation) (rate(parzen_db_transaction_retries_total${own}${rate}))`,
              '{{operation}}',
            ),
          ],
        }),
        timeseries({
          ...{ title: 'Connections', unit: 'short', width: 12, min: 0, decimals: 0, stacked: true },
          description: 'Per replica; at most 20.',
          queries: [
            query(`max by (instance, state) (parzen_db_pool_connections${own})`, '{{instance}} {{state}}'),
          ],
        }),
        timeseries({
          ...{
            title: 'Operations that wait for a connection',
            unit: 'short',
            width: 12,
            min: 0,
            decimals: 0,
          },
          thresholds: [{ value: 1, color: 'red' }],
          description: '0 at most times. See the runbook of ParzenDbPoolExhausted.',
          queries: [query(`max by (instance) (parzen_db_pool_waiting_requests${own})`, '{{instance}}')],
        }),
      ],
    },
    {
      title: 'Process',
      panels: [
        timeseries({
          ...{ title: 'Event-loop lag, p99', unit: 's', width: 8, min: 0 },
          thresholds: [{ value: 0.25, color: 'red' }],
          description: 'How late every call is at least. See the runbook of ParzenEventLoopLag.',
          queries: [query(`max by (instance) (nodejs_eventloop_lag_p99_seconds${own})`, '{{instance}}')],
        }),
        timeseries({
          ...{ title: 'Memory', unit: 'bytes', width: 8, min: 0 },
          thresholds: [{ value: 300e6, color: 'orange' }],
          description:
            'Resident memory; the line is the budget of 300 MB for a study of 100,000 trials. Growing without end is a leak.',
          queries: [query(`max by (instance) (process_resident_memory_bytes${own})`, '{{instance}}')],
        }),
        timeseries({
          ...{ title: 'CPU', unit: 'short', width: 8, min: 0 },
          description: 'Cores in use. One replica computes on one core; near 1 it is the bottleneck.',
          queries: [
            query(`sum by (instance) (rate(process_cpu_seconds_total${own}${rate}))`, '{{instance}}'),
          ],
        }),
      ],
    },
  ],
};
