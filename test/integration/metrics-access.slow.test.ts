/** Who may read metrics: real listeners with real certificates, and readers that lack something. */
import { readFileSync } from 'node:fs';
import { get } from 'node:https';
import { connect } from 'node:net';
import path from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, describe, expect, it } from 'vitest';
import type { Role } from '../../shared/core/access.js';
import { silentLog } from '../../shared/platform/log.js';
import { oneTokenGuard, type MetricsGuard } from '../../shared/platform/metrics-guard.js';
import { startWatchListener } from '../../shared/platform/metrics-listener.js';
import { readServerTls } from '../../shared/platform/tls.js';
import { TokenCheck, createToken, revokeToken } from '../../coordinator/app/tokens.js';
import { readTokenGuard } from '../../coordinator/cli/metrics-guard.js';
import { metricsSecurity } from '../../coordinator/cli/serve-metrics.js';
import { createMemoryStorage } from '../../coordinator/storage/memory/create-memory-storage.js';
import { StorageUnavailable } from '../../coordinator/storage/port.js';
import { MonitorRefused, startMonitor } from '../../worker/monitor/serve.js';
import { ManualClock, testApp } from '../helpers/app.js';

const fixture = (name: string): string => path.resolve(import.meta.dirname, '../fixtures/tls', name);
const tls = readServerTls({ cert: fixture('server.crt'), key: fixture('server.key') }, Date.now());

/** Nothing takes so long that a sleep would end. */
class PatientClock extends ManualClock {
  override sleep(_ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => signal?.addEventListener('abort', () => resolve(), { once: true }));
  }
}

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function listener(guard: MetricsGuard, requestTimeoutMs = 5_000): Promise<string> {
  const registry = new Registry();
  const options = { listen: '127.0.0.1:0', option: '--metrics', registry, ready: () => true };
  const started = await startWatchListener({ ...options, tls, guard, requestTimeoutMs });
  closing.push(() => started.close());
  return started.address;
}

interface Answer {
  readonly code: number | undefined;
  readonly text: string;
}

/** Fetches a page; rejects when the server's certificate is not trusted. */
const fetchPage = (
  address: string,
  page: string,
  { token, ca = 'ca.crt' }: { readonly token?: string; readonly ca?: string } = {},
): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const options = { ca: readFileSync(fixture(ca)), headers, agent: false };
    get(`https://${address}${page}`, options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => (text += piece));
      response.on('end', () => resolve({ code: response.statusCode, text }));
    }).on('error', reject);
  });

/** A coordinator's listener that asks for tokens of a store, which may be away. */
async function guarded() {
  const storage = createMemoryStorage();
  const clock = new PatientClock();
  const context = { ...testApp(storage).context, clock };
  let away = false;
  const lookup = {
    ...storage,
    findToken: (hash: string) =>
      away ? Promise.reject(new StorageUnavailable('away')) : storage.findToken(hash),
  };
  const check = new TokenCheck({ storage: lookup, clock });
  const address = await listener(readTokenGuard({ check, clock, log: silentLog }));
  return {
    clock,
    metrics: async (token?: string) =>
      (await fetchPage(address, '/metrics', token === undefined ? {} : { token })).code,
    page: (page: string, options?: { readonly ca: string }) => fetchPage(address, page, options),
    token: async (role: Role) => (await createToken(context, `a ${role}`, role)).secret,
    revoke: (role: Role) => revokeToken(context, `a ${role}`),
    setAway: (now: boolean) => (away = now),
  };
}

describe('metrics of a coordinator', () => {
  it('are for tokens that may read; probes need none', async () => {
    const { metrics, page, token } = await guarded();
    expect(await metrics()).toBe(401);
    expect(await metrics('parzen_read_guess')).toBe(401);
    expect(await metrics(await token('worker'))).toBe(403);
    expect(await metrics(await token('read'))).toBe(200);
    expect(await metrics(await token('admin'))).toBe(200);
    expect((await page('/livez')).code).toBe(200);
    expect((await page('/readyz')).code).toBe(200);
    expect((await page('/metrics')).text).toContain('a token of role read is needed');
  });

  it('are not shown to a revoked token', async () => {
    const { metrics, token, revoke, clock } = await guarded();
    const reader = await token('read');
    expect(await metrics(reader)).toBe(200);
    await revoke('read');
    clock.advance(5_000);
    expect(await metrics(reader)).toBe(401);
  });

  it('are shown to known readers while the store is away, and to nobody else', async () => {
    const { metrics, token, clock, setAway, revoke } = await guarded();
    const reader = await token('read');
    const admin = await token('admin');
    expect(await metrics(reader)).toBe(200);
    setAway(true);
    clock.advance(60_000);
    expect(await metrics(reader)).toBe(200);
    expect(await metrics(admin)).toBe(503);
    expect(await metrics('parzen_read_guess')).toBe(503);
    await revoke('read');
    setAway(false);
    expect(await metrics(reader)).toBe(401);
    setAway(true);
    clock.advance(60_000);
    expect(await metrics(reader)).toBe(503);
  });

  it('are not guessed at for ever', async () => {
    const { metrics, token } = await guarded();
    const known = await token('admin');
    expect(await metrics(known)).toBe(200);
    const codes: (number | undefined)[] = [];
    for (let i = 0; i < 101; i += 1) codes.push(await metrics('guess'));
    expect(codes.slice(99)).toEqual([401, 429]);
    expect(await metrics(await token('read'))).toBe(429);
    expect(await metrics(known)).toBe(200);
  });

  it('come from a server that can be told from others', async () => {
    const { page } = await guarded();
    await expect(page('/livez', { ca: 'other-ca.crt' })).rejects.toThrow(/certificate|signature/);
  });
});

describe('metrics of a worker', () => {
  it('are for the one token', async () => {
    const address = await listener(oneTokenGuard('sesame'));
    const codes = await Promise.all(
      [undefined, 'sesam', 'sesames', 'x'.repeat(300), 'sesame'].map(async (token) => {
        const answer = await fetchPage(address, '/metrics', token === undefined ? {} : { token });
        return answer.code;
      }),
    );
    expect(codes).toEqual([401, 401, 401, 401, 200]);
    expect((await fetchPage(address, '/livez')).code).toBe(200);
  });
});

describe('a slow reader', () => {
  const cut = async (address: string, said: string): Promise<void> => {
    const socket = connect(Number(address.split(':')[1]), '127.0.0.1').on('error', () => undefined);
    closing.push(() => socket.destroy());
    const ended = new Promise((resolve) => socket.once('close', resolve));
    socket.resume().write(said);
    await ended;
  };

  it('is cut off, before and after the handshake', async () => {
    await cut(await listener(oneTokenGuard('x'), 200), '\x16');
    const registry = new Registry();
    const options = { listen: '127.0.0.1:0', option: '--metrics', registry, ready: () => true };
    const plain = await startWatchListener({ ...options, requestTimeoutMs: 200 });
    closing.push(() => plain.close());
    await cut(plain.address, 'GET /metrics HTTP/1.1\r\nHost: x\r\nX-Slow: ');
  });
});

describe('metrics beyond loopback', () => {
  const files = { cert: 'cert', key: 'key' };
  const open = { metrics: '0.0.0.0:9464', insecureMetrics: false, version: '' };
  const plain = { tls: null, requireTokens: false };

  it('are refused unless somebody guards them, or says that others do', () => {
    expect(() => metricsSecurity(open, plain)).toThrow(/would be open to the network.*--metrics-tls-cert/);
    expect(metricsSecurity({ ...open, tls: files }, plain)).toEqual({ tls: files, tokens: true });
    expect(metricsSecurity(open, { ...plain, tls: files })).toEqual({ tls: files, tokens: true });
    const insecure = { ...open, insecureMetrics: true };
    expect(metricsSecurity(insecure, { ...plain, tls: files })).toEqual({ tls: null, tokens: false });
    const local = { ...open, metrics: '127.0.0.1:9464' };
    expect(metricsSecurity(local, plain)).toEqual({ tls: null, tokens: false });
    expect(metricsSecurity(local, { ...plain, requireTokens: true })).toEqual({ tls: null, tokens: true });
  });

  it('are refused by a worker, too', async () => {
    const monitor = (security: object) =>
      startMonitor({
        ...{ metrics: '0.0.0.0:0', health: null, version: '', runtime: '', slots: 1, gpu: null },
        ...{ clock: new PatientClock(), log: silentLog },
        security: { insecureMetrics: false, tls: null, tokenFile: null, ...security },
      });
    await expect(monitor({})).rejects.toThrow(MonitorRefused);
    await expect(monitor({ tls: files })).rejects.toThrow(/--metrics-token-file/);
    await expect(monitor({ tokenFile: 'token' })).rejects.toThrow(/--metrics-tls-cert/);
    const opened = await monitor({ insecureMetrics: true });
    await opened?.stop();
  });
});
