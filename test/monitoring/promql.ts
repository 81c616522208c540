/** What can be wrong with a PromQL query without running it, by its syntax tree and our tables of metrics. */
import { parser } from '@prometheus-io/lezer-promql';
import { coordinatorMetrics } from '../../coordinator/metrics.js';
import type { MetricDefinition } from '../../shared/platform/metrics.js';
import { workerMetrics } from '../../worker/metrics.js';

type Node = ReturnType<ReturnType<typeof parser.parse>['cursor']>['node'];

interface KnownMetric {
  readonly type: MetricDefinition['type'] | 'recorded' | 'foreign';
  readonly source: MetricDefinition['source'];
  /** Null: any. */
  readonly labels: readonly string[] | null;
}

/** Labels that Prometheus and its service discovery add. */
const targetLabels = ['namespace', 'job', 'instance', 'pod'];

const own = (definition: MetricDefinition): readonly (readonly [string, KnownMetric])[] => {
  const { name, type, source, labels } = definition;
  if (type !== 'histogram') return [[name, { type, source, labels }]];
  return ['_bucket', '_sum', '_count'].map((part) => [
    `${name}${part}`,
    { type: 'counter', source, labels: part === '_bucket' ? [...labels, 'le'] : labels },
  ]);
};

/** Metrics of others, and what we know of them. */
const foreign: Readonly<Record<string, 'counter' | 'gauge'>> = {
  up: 'gauge',
  nodejs_eventloop_lag_p99_seconds: 'gauge',
  process_start_time_seconds: 'gauge',
  process_resident_memory_bytes: 'gauge',
  process_cpu_seconds_total: 'counter',
  DCGM_FI_DEV_GPU_UTIL: 'gauge',
  DCGM_FI_DEV_XID_ERRORS: 'gauge',
  DCGM_FI_DEV_ROW_REMAP_FAILURE: 'gauge',
  DCGM_FI_PROF_PIPE_TENSOR_ACTIVE: 'gauge',
  DCGM_FI_PROF_DRAM_ACTIVE: 'gauge',
  kube_pod_container_status_last_terminated_reason: 'gauge',
  kube_pod_container_status_restarts_total: 'counter',
  kube_pod_status_unschedulable: 'gauge',
  kube_pod_status_disruption_reason: 'gauge',
};

export function knownMetrics(recorded: readonly string[]): ReadonlyMap<string, KnownMetric> {
  return new Map([
    ...[...Object.values(coordinatorMetrics), ...Object.values(workerMetrics)].flatMap(own),
    ...Object.entries(foreign).map(
      ([name, type]) => [name, { type, source: 'process', labels: null } as const] as const,
    ),
    ...recorded.map(
      (name) => [name, { type: 'recorded', source: 'process', labels: null } as const] as const,
    ),
  ]);
}

const rates = new Set(['rate', 'irate', 'increase', 'resets']);

/** Everything wrong with a query, for people; empty when it is right. */
export function problemsOf(query: string, known: ReadonlyMap<string, KnownMetric>): readonly string[] {
  const text = query.replaceAll('$__rate_interval', '5m').replaceAll(/\$\w+/g, '.*');
  const slice = ({ from, to }: { from: number; to: number }): string => text.slice(from, to);
  const problems: string[] = [];
  parser
    .parse(text)
    .cursor()
    .iterate((cursor) => {
      if (cursor.type.isError)
        problems.push(`does not parse at '${text.slice(cursor.from, cursor.from + 30)}'`);
      if (cursor.name !== 'VectorSelector') return;
      const { node } = cursor;
      const name = slice(node.getChild('Identifier') ?? { from: 0, to: 0 });
      const metric = known.get(name);
      if (metric === undefined) problems.push(`there is no metric ${name}`);
      else problems.push(...problemsOfSelector({ name, metric, node, slice }));
    });
  return problems;
}

interface Selector {
  readonly name: string;
  readonly metric: KnownMetric;
  readonly node: Node;
  readonly slice: (range: { from: number; to: number }) => string;
}

function* problemsOfSelector({ name, metric, node, slice }: Selector): Generator<string> {
  for (const matcher of node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? []) {
    const label = slice(matcher.getChild('LabelName') ?? matcher);
    if (metric.labels !== null && ![...metric.labels, ...targetLabels].includes(label))
      yield `${name} has no label ${label}`;
  }
  const around = ancestors(node);
  const functions = around.filter((each) => each.name === 'FunctionCall');
  const inRate = functions.some((each) => rates.has(slice(each.getChild('FunctionIdentifier') ?? each)));
  if (metric.type === 'counter' && !inRate)
    yield `${name} is a counter: its value says nothing without rate or increase`;
  if (metric.type === 'gauge' && inRate) yield `${name} is a gauge: it has no rate`;
  const groups = around.filter((each) => each.name === 'AggregateExpr');
  if (
    metric.source === 'database' &&
    !onlyFilters(node) &&
    !groups.some((each) => isOneOfReplicas(each, slice))
  )
    yield `${name} is the same at every replica: take max by or min by, without instance`;
  const nearest = groups[0];
  // What a sum or maximum is by must be there to be grouped by; joins may have added labels before.
  if (
    nearest !== undefined &&
    metric.labels !== null &&
    !around.slice(0, around.indexOf(nearest)).some(isBinary)
  )
    for (const label of groupingLabels(nearest, slice))
      if (![...metric.labels, ...targetLabels].includes(label))
        yield `${name} has no label ${label} to group by`;
}

const isBinary = ({ name }: Node): boolean => name === 'BinaryExpr';

function ancestors(node: Node): readonly Node[] {
  const found: Node[] = [];
  for (let each = node.parent; each !== null; each = each.parent) found.push(each);
  return found;
}

const groupingLabels = (aggregate: Node, slice: Selector['slice']): readonly string[] =>
  (aggregate.getChild('AggregateModifier')?.getChild('GroupingLabels')?.getChildren('LabelName') ?? []).map(
    slice,
  );

const isOneOfReplicas = (aggregate: Node, slice: Selector['slice']): boolean =>
  ['max', 'min'].includes(slice(aggregate.getChild('AggregateOp') ?? aggregate)) &&
  !groupingLabels(aggregate, slice).includes('instance');

/** On the right of `and` or `unless` a series only lets others through. */
function onlyFilters(node: Node): boolean {
  return ancestors(node).some((each) => {
    const right = each.lastChild;
    const filters = each.getChild('And') ?? each.getChild('Unless');
    return (
      isBinary(each) && filters !== null && right !== null && right.from <= node.from && node.to <= right.to
    );
  });
}
