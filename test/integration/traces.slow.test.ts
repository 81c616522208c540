/** One attempt as one trace, sent by coordinator and worker to a collector that listens in this process. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { leaseToken } from '../../shared/core/ids.js';
import { spanIdsOf, startTracing, TracingError, type Tracing } from '../../shared/platform/tracing.js';
import { listTrials, viewStudy } from '../../coordinator/app/study-view.js';
import { Workplace, instantStudyFile, until } from '../helpers/cli.js';
import { runWorker, startCoordinator } from '../helpers/over-grpc.js';

/** What of OTLP/HTTP JSON is looked at. */
interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: Readonly<Record<string, unknown>> }[];
}
interface Export {
  readonly resourceSpans: readonly {
    readonly resource: Pick<Span, 'attributes'>;
    readonly scopeSpans: readonly { readonly spans: readonly Span[] }[];
  }[];
}
interface Received extends Span {
  readonly service: unknown;
}

let collector: Server;
let url: string;
const received: Received[] = [];
const tracings: Tracing[] = [];

beforeEach(async () => {
  received.length = 0;
  collector = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (piece: string) => (text += piece));
    request.on('end', () => {
      expect(request.url).toBe('/v1/traces');
      for (const { resource, scopeSpans } of (JSON.parse(text) as Export).resourceSpans)
        for (const span of scopeSpans.flatMap(({ spans }) => spans))
          received.push({ ...span, service: valueOf(resource, 'service.name') });
      response.setHeader('content-type', 'application/json').end('{}');
    });
  });
  await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`;
});
afterEach(async () => {
  for (const tracing of tracings.splice(0)) await tracing.stop();
  collector.closeAllConnections();
  collector.close();
});

const valueOf = ({ attributes }: Pick<Span, 'attributes'>, key: string): unknown =>
  Object.values(attributes.find((each) => each.key === key)?.value ?? {})[0];

const tracing = async (service: string): Promise<Tracing> => {
  const started = await startTracing(service, url, 'test');
  tracings.push(started);
  return started;
};

describe('traces', () => {
  it('hold an attempt from ask to tell, of both processes', async () => {
    const there = await tracing('parzen-coordinator');
    const here = await tracing('parzen-worker');
    const { server, create, context } = await startCoordinator({ tracer: there });
    const stop = new AbortController();
    try {
      await create('traced', 3);
      const working = runWorker(server.address, stop.signal, { tracer: here });
      await until(async () => (await viewStudy(context, 'traced')).state === 'FINISHED');
      stop.abort();
      await working;
    } finally {
      await server.stop();
    }
    await Promise.all(tracings.splice(0).map((each) => each.stop()));

    const { trials } = await listTrials(context, 'traced', { fromNumber: 0, limit: 9, states: [] });
    expect(new Set(received.map(({ traceId }) => traceId)).size).toBe(3);
    for (const { number, worker } of trials) {
      const spans = received.filter((span) => Number(valueOf(span, 'parzen.trial')) === number);
      const root = spans.find(({ name }) => name === 'attempt')!;
      expect(spans.map(({ name, service }) => `${String(service)} ${name}`).sort()).toEqual([
        'parzen-coordinator ask',
        'parzen-coordinator tell',
        'parzen-worker attempt',
        'parzen-worker run',
      ]);
      for (const span of spans) {
        expect(span.traceId).toBe(root.traceId);
        expect(span.parentSpanId ?? '').toBe(span === root ? '' : root.spanId);
        expect(BigInt(span.endTimeUnixNano) >= BigInt(span.startTimeUnixNano)).toBe(true);
        expect(valueOf(span, 'parzen.study')).toBe('traced');
        expect(Number(valueOf(span, 'parzen.attempt'))).toBe(1);
        expect(valueOf(span, 'parzen.worker')).toBe(worker);
      }
      expect(valueOf(root, 'parzen.reason')).toBe('done');
    }
  });

  it('are sent by the commands where --traces says, the local workers included', async () => {
    const place = new Workplace();
    try {
      const file = place.write('told.yaml', instantStudyFile('told', 3));
      const args = ['start', '--study', file, '--workers', '1', '--listen', '127.0.0.1:0', '--traces', url];
      expect(await place.run('coordinator', args)).toMatchObject({ code: 0 });
    } finally {
      await place.remove();
    }
    const names = received.map(({ service, name }) => `${String(service)} ${name}`);
    expect([...new Set(names)].sort()).toEqual([
      ...['parzen-coordinator ask', 'parzen-coordinator tell', 'parzen-worker attempt', 'parzen-worker run'],
    ]);
    expect(new Set(received.map(({ traceId }) => traceId)).size).toBe(3);
  });

  it('tell nobody the token that they are named after', async () => {
    const token = leaseToken('1.5f0c4f0e-secret');
    const tracer = await tracing('parzen-worker');
    tracer.record({ ...{ name: 'attempt', token, startMs: 1, endMs: 2 }, attributes: { reason: 'oom' } });
    await tracer.stop();
    expect(received).toMatchObject([{ ...{ name: 'attempt', spanId: spanIdsOf(token).rootId } }]);
    expect(JSON.stringify(received)).not.toContain('secret');
  });

  it('do not hold up whoever sends them to nobody', async () => {
    await expect(startTracing('x', 'collector', 'test')).rejects.toThrow(TracingError);
    collector.close();
    const tracer = await startTracing('x', url, 'test');
    tracer.record({ ...{ name: 'ask', token: 'a', startMs: 1, endMs: 2 }, attributes: {} });
    await tracer.stop();
  });
});
