/**
 * Traces, for those who ask for them: one trace per attempt at a trial, from ask to tell. Its ids come from the lease's token, which both
 * processes have, so coordinators and worker write into one trace although nothing travels with the calls, across retries and
 * replicas. Spans are made when what they tell of is over; the libraries are loaded only then when `--traces` was given.
 */
import { createHash } from 'node:crypto';
import type { Attributes, Context } from '@opentelemetry/api';

/** Something that was done under a lease. Times in UTC milliseconds. */
export interface LeaseSpan {
  /** `attempt` is the whole, told by its worker; every other name is a part of it. */
  readonly name: 'attempt' | 'ask' | 'run' | 'tell' | 'release';
  /** The lease's token; only its hash leaves this process. */
  readonly token: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  /** It did not go well. */
  readonly failed?: boolean;
}

export interface Tracer {
  /** Never throws, never waits. */
  record(span: LeaseSpan): void;
}

export interface Tracing extends Tracer {
  /** Sends what is left, for a few seconds at most. Never rejects. */
  stop(): Promise<void>;
}

/** Traces cannot be sent; the message says what to do. */
export class TracingError extends Error {
  override readonly name = 'TracingError';
}

/** A collector that does not answer must not hold up the end of a process, ms. */
const lastExportMs = 1_000;

interface SpanIds {
  readonly traceId: string;
  /** Of the span `attempt`. */
  readonly rootId: string;
}

/** 16 and 8 bytes in hexadecimal digits, as OpenTelemetry wants them. */
export function spanIdsOf(token: string): SpanIds {
  const digest = createHash('sha256').update(`trace ${token}`).digest('hex');
  return { traceId: digest.slice(0, 32), rootId: digest.slice(32, 48) };
}

/** Sends spans of `service` to an OTLP/HTTP collector, `http://HOST:4318`. Throws `TracingError`. */
export async function startTracing(service: string, collector: string, version: string): Promise<Tracing> {
  const { api, sdk, exporter, resources } = await loadLibraries();
  if (!URL.canParse(collector) || !/^https?:/.test(collector))
    throw new TracingError(`--traces ${collector} is no address; give http://HOST:4318`);
  const url = `${collector.replace(/\/+$/, '')}/v1/traces`;
  let next: SpanIds | null = null;
  const random = new sdk.RandomIdGenerator();
  const provider = new sdk.BasicTracerProvider({
    resource: resources.resourceFromAttributes({ 'service.name': service, 'service.version': version }),
    // The root of a trace is the one span whose ids are given.
    idGenerator: {
      generateTraceId: () => next?.traceId ?? random.generateTraceId(),
      generateSpanId: () => next?.rootId ?? random.generateSpanId(),
    },
    spanProcessors: [new sdk.BatchSpanProcessor(new exporter.OTLPTraceExporter({ url }))],
  });
  const tracer = provider.getTracer('parzen', version);
  const below = ({ traceId, rootId }: SpanIds): Context =>
    api.trace.setSpanContext(api.ROOT_CONTEXT, {
      ...{ traceId, spanId: rootId, isRemote: true },
      traceFlags: api.TraceFlags.SAMPLED,
    });
  return {
    record: ({ name, token, startMs, endMs, attributes, failed = false }) => {
      const ids = spanIdsOf(token);
      next = name === 'attempt' ? ids : null;
      const context = next === null ? below(ids) : api.ROOT_CONTEXT;
      const span = tracer.startSpan(name, { startTime: startMs, attributes: named(attributes) }, context);
      next = null;
      if (failed) span.setStatus({ code: api.SpanStatusCode.ERROR });
      span.end(endMs);
    },
    stop: () =>
      Promise.race([
        provider.shutdown().catch(() => undefined),
        new Promise<void>((resolve) => setTimeout(resolve, lastExportMs).unref()),
      ]),
  };
}

/** Numbers, texts and flags, under names of our own. */
const named = (attributes: Readonly<Record<string, unknown>>): Attributes =>
  Object.fromEntries(
    Object.entries(attributes).flatMap(([key, value]) =>
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? [[`parzen.${key}`, value]]
        : [],
    ),
  );

async function loadLibraries() {
  try {
    const [api, sdk, exporter, resources] = await Promise.all([
      import('@opentelemetry/api'),
      import('@opentelemetry/sdk-trace-base'),
      import('@opentelemetry/exporter-trace-otlp-http'),
      import('@opentelemetry/resources'),
    ]);
    return { api, sdk, exporter, resources };
  } catch (error) {
    throw new TracingError(
      '--traces needs the optional packages @opentelemetry/sdk-trace-base and @opentelemetry/exporter-trace-otlp-http: npm ci',
      { cause: error },
    );
  }
}
