/** The HTTP listener of a process for those who watch it: Prometheus and probes. Plain text, GET only, nothing to configure. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Server as TlsServer, createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Registry, type RegistryContentType } from 'prom-client';
import { bearerToken, type MetricsGuard } from './metrics-guard.js';
import type { ServerTls } from './tls.js';

/** Connections at once: a few Prometheus replicas, probes, a person. */
const connectionsMax = 64;
/** Time for a request to arrive whole, ms: a client that sends a byte now and then holds no connection for long. */
const requestTimeoutDefaultMs = 5_000;
/** How often late requests are looked for, ms. */
const lateCheckMs = 1_000;
const headerBytesMax = 8 * 1024;

export interface WatchListenerOptions {
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string;
  /** The option that named the address, for messages. */
  readonly option: string;
  /** What `/metrics` shows; without it there is no such page. */
  readonly registry?: Registry<RegistryContentType>;
  /** Called before `/metrics` is made, for values that are looked up in memory. */
  readonly collect?: () => void;
  /** TLS; plain HTTP without. */
  readonly tls?: ServerTls | null;
  /** Who may read `/metrics`; everyone without. The other pages are open: probes cannot prove themselves. */
  readonly guard?: MetricsGuard | null;
  readonly requestTimeoutMs?: number;
  /** Whether work can be taken, for `/readyz`. `/livez` says only that the process answers. */
  readonly ready: () => boolean;
}

export interface WatchListener {
  /** `host:port` with the real port. */
  readonly address: string;
  /** Another certificate from now on; nothing where TLS is not spoken. */
  readonly renew: (tls: ServerTls) => void;
  /** Cuts what is open. */
  close(): Promise<void>;
}

/** The address cannot be had; the message names it and the remedy. */
export class WatchListenError extends Error {
  override readonly name = 'WatchListenError';
}

/** Serves `/livez`, `/readyz`, and with a registry `/metrics`. Throws `WatchListenError`. */
export async function startWatchListener(options: WatchListenerOptions): Promise<WatchListener> {
  const render = options.registry === undefined ? null : renderer(options.registry, options.collect);
  const server = serverFor(options, (request, response) => void answer(request, response, render, options));
  server.maxConnections = connectionsMax;
  const { host, port } = split(options.listen);
  await listenOn(server, { host, port }, options);
  const actual = (server.address() as AddressInfo).port;
  return {
    address: `${options.listen.slice(0, options.listen.lastIndexOf(':'))}:${actual}`,
    renew: (tls) => {
      if (server instanceof TlsServer) server.setSecureContext(secureContextOf(tls));
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function serverFor(
  { tls = null, requestTimeoutMs = requestTimeoutDefaultMs }: WatchListenerOptions,
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Server {
  const limits = {
    ...{ requestTimeout: requestTimeoutMs, headersTimeout: requestTimeoutMs, maxHeaderSize: headerBytesMax },
    connectionsCheckingInterval: Math.min(lateCheckMs, requestTimeoutMs),
  };
  if (tls === null) return createServer(limits, handle);
  const asked = tls.clientCa === null ? {} : { requestCert: true, rejectUnauthorized: true };
  const secured = { ...secureContextOf(tls), ...asked, handshakeTimeout: requestTimeoutMs };
  return createTlsServer({ ...limits, ...secured }, handle);
}

const secureContextOf = ({ cert, key, clientCa }: ServerTls) =>
  ({ cert, key, ...(clientCa === null ? {} : { ca: clientCa }), minVersion: 'TLSv1.2' }) as const;

function split(listen: string): { host: string; port: number } {
  const colon = listen.lastIndexOf(':');
  return { host: listen.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(listen.slice(colon + 1)) };
}

function listenOn(
  server: Server,
  address: { readonly host: string; readonly port: number },
  { listen, option }: WatchListenerOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const why = error.code === 'EADDRINUSE' ? 'it is in use' : error.message;
      const remedy = `choose another address: ${option} 127.0.0.1:PORT (port 0 takes a free one)`;
      reject(new WatchListenError(`cannot listen on ${listen}: ${why}; ${remedy}`, { cause: error }));
    });
    server.listen({ ...address, exclusive: true }, () => {
      server.removeAllListeners('error').on('error', () => undefined);
      resolve();
    });
  });
}

interface Page {
  readonly contentType: string;
  readonly text: string;
}
type Render = (openMetrics: boolean) => Promise<Page>;

/** Renders one page at a time; whoever asks while one of its kind is made gets that one. */
function renderer(registry: Registry<RegistryContentType>, collect: () => void = () => undefined): Render {
  const underWay = new Map<boolean, Promise<Page>>();
  let last: Promise<unknown> = Promise.resolve();
  const render = async (openMetrics: boolean): Promise<Page> => {
    collect();
    // The format is a state of the registry, so two formats are never made at the same time.
    const switchable: Registry<RegistryContentType> = registry;
    switchable.setContentType(
      openMetrics ? Registry.OPENMETRICS_CONTENT_TYPE : Registry.PROMETHEUS_CONTENT_TYPE,
    );
    // For OpenMetrics prom-client takes `_total` off the names of counters, and never puts it back: whoever reads the plain format
    // afterwards would find other names.
    const names = registry.getMetricsAsArray().map((metric) => [metric, metric.name] as const);
    try {
      return { contentType: switchable.contentType, text: await registry.metrics() };
    } finally {
      for (const [metric, name] of names) metric.name = name;
    }
  };
  return (openMetrics) => {
    const made = underWay.get(openMetrics);
    if (made !== undefined) return made;
    const page = last.then(() => render(openMetrics));
    const done = page.catch(() => undefined).then(() => underWay.delete(openMetrics));
    last = done;
    underWay.set(openMetrics, page);
    return page;
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  render: Render | null,
  { ready, guard = null }: WatchListenerOptions,
): Promise<void> {
  const path = (request.url ?? '').split('?', 1)[0];
  const say = (code: number, text: string, contentType = 'text/plain; charset=utf-8'): void => {
    const challenge = code === 401 ? { 'www-authenticate': 'Bearer' } : {};
    response.writeHead(code, { 'content-type': contentType, 'cache-control': 'no-store', ...challenge });
    response.end(request.method === 'HEAD' ? undefined : text);
  };
  if (request.method !== 'GET' && request.method !== 'HEAD') say(405, 'only GET\n');
  else if (path === '/livez') say(200, 'ok\n');
  else if (path === '/readyz') say(ready() ? 200 : 503, ready() ? 'ok\n' : 'not ready\n');
  else if (path === '/metrics' && render !== null) {
    const openMetrics = (request.headers.accept ?? '').includes('application/openmetrics-text');
    try {
      const token = bearerToken(request.headers.authorization);
      const refusal = (await guard?.(token, request.socket.remoteAddress ?? 'unknown')) ?? null;
      if (refusal !== null) {
        say(refusal.status, `${refusal.message}\n`);
        return;
      }
      const { contentType, text } = await render(openMetrics);
      say(200, text, contentType);
    } catch (error) {
      say(500, `${error instanceof Error ? error.message : String(error)}\n`);
    }
  } else say(404, `there is ${render === null ? '' : '/metrics, '}/livez and /readyz\n`);
}
