/**
 * Metrics of a process: a table of definitions in, instruments of prom-client out. A process keeps its table in its
 * `metrics.ts`; the table is the specification, the documentation is made from it, and tests hold queries against it.
 */
import {
  Counter,
  Gauge,
  Histogram,
  Registry,
  collectDefaultMetrics,
  type RegistryContentType,
} from 'prom-client';

export interface MetricDefinition {
  readonly name: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  /**
   * `process`: this process's own events and health; summed over processes. `database`: read from the store, the same at every
   * replica; never summed over them.
   */
  readonly source: 'process' | 'database';
  readonly labels: readonly string[];
  /** For people; also says what a value means. */
  readonly help: string;
  /** Upper bounds of a histogram's buckets. */
  readonly buckets?: readonly number[];
  /** A histogram that keeps an example per bucket; it is observed with `{ labels, value, exemplarLabels }`. */
  readonly exemplars?: true;
}

export type MetricTable = Readonly<Record<string, MetricDefinition>>;

interface Kinds {
  readonly counter: Counter;
  readonly gauge: Gauge;
  readonly histogram: Histogram;
}

/** One instrument per definition, under the same key. */
export type Instruments<T extends MetricTable> = { readonly [K in keyof T]: Kinds[T[K]['type']] };

export type Labels = Readonly<Record<string, string>>;

function instrument(
  definition: MetricDefinition,
  registry: Registry<RegistryContentType>,
): Counter | Gauge | Histogram {
  const { name, type, help, labels, buckets, exemplars = false } = definition;
  const common = { name, help, labelNames: [...labels], registers: [registry] };
  if (type === 'histogram')
    return new Histogram({
      ...common,
      enableExemplars: exemplars,
      ...(buckets === undefined ? {} : { buckets: [...buckets] }),
    });
  if (type === 'counter') return new Counter(common);
  const gauge = new Gauge(common);
  // prom-client starts a gauge without labels at 0, which reads as a healthy value before there is any.
  if (labels.length === 0) gauge.remove();
  return gauge;
}

/** Instruments for a table, on a registry of their own; with `defaults` also Node's and the process's usual metrics. */
export function createInstruments<T extends MetricTable>(
  table: T,
  { defaults = true }: { readonly defaults?: boolean } = {},
): { readonly registry: Registry<RegistryContentType>; readonly instruments: Instruments<T> } {
  // Examples can be kept only on a registry of this kind; in which format it is shown is decided by who asks.
  const registry: Registry<RegistryContentType> = new Registry();
  registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  const entries = Object.entries(table).map(([key, definition]) => [key, instrument(definition, registry)]);
  if (defaults) collectDefaultMetrics({ register: registry });
  return { registry, instruments: Object.fromEntries(entries) as Instruments<T> };
}

/** Every combination of these labels' values. */
export function combinations(values: Readonly<Record<string, readonly string[]>>): readonly Labels[] {
  return Object.entries(values).reduce<readonly Labels[]>(
    (sets, [label, options]) => sets.flatMap((set) => options.map((value) => ({ ...set, [label]: value }))),
    [{}],
  );
}

/** Makes label sets exist at 0: without that `increase()` misses the first event of each. */
export function startAtZero(metric: Counter | Histogram, sets: readonly Labels[]): void {
  for (const labels of sets)
    if (metric instanceof Counter) metric.inc(labels, 0);
    else metric.zero(labels);
}

/** Takes away every series whose `label` has this value. */
export async function removeSeries(
  metrics: readonly (Counter | Gauge | Histogram)[],
  label: string,
  value: string,
): Promise<void> {
  for (const metric of metrics) {
    const { values } = await metric.get();
    const sets = new Map<string, Labels>();
    for (const { labels } of values) {
      // Buckets of a histogram differ in `le` only, which is not a label of the metric.
      const own = Object.fromEntries(
        Object.entries(labels as Readonly<Record<string, string | number>>)
          .filter(([name]) => name !== 'le')
          .map(([name, each]) => [name, String(each)]),
      );
      if (own[label] === value) sets.set(JSON.stringify(own), own);
    }
    for (const own of sets.values()) metric.remove(own);
  }
}

/** Measures from now on; the function answers the seconds since. */
export function stopwatch(): () => number {
  const startMs = performance.now();
  return () => (performance.now() - startMs) / 1_000;
}
