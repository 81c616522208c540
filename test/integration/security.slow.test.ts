/** Who gets in: real servers with real certificates, and callers that lack something. */
import { Metadata, Server, ServerCredentials, credentials, status } from '@grpc/grpc-js';
import { connect, constants } from 'node:http2';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Role } from '../../shared/core/access.js';
import { silentLog } from '../../shared/platform/log.js';
import { startWatchListener } from '../../shared/platform/metrics-listener.js';
import { tlsCheckIntervalMs, watchServerTls } from '../../shared/platform/renewed-tls.js';
import { readClientTls, readServerTls, type ClientTls } from '../../shared/platform/tls.js';
import { unary, type RpcError } from '../../shared/wire/call.js';
import { channelParts, plainChannel, type ChannelSecurity } from '../../shared/wire/channel.js';
import { AccessServiceClient } from '../../shared/wire/gen/parzen/v1/access.js';
import { StudyServiceClient, StudyServiceService } from '../../shared/wire/gen/parzen/v1/study.js';
import { TrialServiceClient } from '../../shared/wire/gen/parzen/v1/trial.js';
import { localGateway } from '../../coordinator/app/study-gateway.js';
import { TokenCheck } from '../../coordinator/app/tokens.js';
import { parseStudy } from '../../coordinator/cli/parse-study.js';
import { connectionLimits } from '../../coordinator/grpc/connection-limits.js';
import { roleNeeded } from '../../coordinator/grpc/guard.js';
import { requestArrivalMs } from '../../coordinator/grpc/limits.js';
import { remoteGateway } from '../../coordinator/grpc/remote-gateway.js';
import type { CallObserver, RefusalReason } from '../../coordinator/app/observer.js';
import { startGrpcServer, type RunningServer } from '../../coordinator/grpc/server.js';
import { createMemoryStorage } from '../../coordinator/storage/memory/create-memory-storage.js';
import { ManualClock, testApp } from '../helpers/app.js';

const fixture = (name: string): string => path.resolve(import.meta.dirname, '../fixtures/tls', name);
const nowMs = Date.now();
const trusting = (ca: string, pair?: string): ClientTls =>
  readClientTls(
    {
      ca: fixture(ca),
      ...(pair === undefined ? {} : { cert: fixture(`${pair}.crt`), key: fixture(`${pair}.key`) }),
    },
    nowMs,
  );

/** Sleeps are ended by the test, not by time. */
class HeldClock extends ManualClock {
  readonly #sleepers: { readonly ms: number; readonly wake: () => void }[] = [];

  override sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#sleepers.push({ ms, wake: resolve });
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  waiting(ms: number): number {
    return this.#sleepers.filter((sleeper) => sleeper.ms === ms).length;
  }

  wake(ms: number): void {
    const due = this.#sleepers.filter((sleeper) => sleeper.ms === ms);
    for (const each of due) {
      this.#sleepers.splice(this.#sleepers.indexOf(each), 1);
      each.wake();
    }
  }
}

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

interface Guarded {
  readonly server: RunningServer;
  readonly clock: HeldClock;
  readonly logged: string[];
  /** Why calls were not let in. */
  readonly refusals: RefusalReason[];
  readonly token: (role: Role) => Promise<string>;
  readonly revoke: (name: string) => Promise<void>;
}

/** What a coordinator serves, with a clock that stands still, and what it logs. */
function served() {
  const clock = new HeldClock();
  const logged: string[] = [];
  const record = (fields: object, message: string): void => {
    logged.push(`${message} ${JSON.stringify(fields)}`);
  };
  const log = { debug: record, info: record, warn: record, error: record };
  const context = { ...testApp(createMemoryStorage()).context, clock, log };
  return { context, clock, logged, gateway: localGateway(context, parseStudy) };
}

/** A coordinator that asks for tokens, unless it shall not; with `clientCa` for certificates, too. */
async function guarded({
  tls = true,
  clientCa = false,
  tokens = true,
  connections = connectionLimits,
} = {}): Promise<Guarded> {
  const { context, gateway, clock, logged } = served();
  const refusals: RefusalReason[] = [];
  const ignore = (): void => undefined;
  const calls: CallObserver = {
    started: () => ({ received: ignore, sent: ignore, handled: ignore }),
    refused: (reason) => refusals.push(reason),
  };
  const files = { cert: fixture('server.crt'), key: fixture('server.key') };
  const server = await startGrpcServer({
    ...{ context, gateway, listen: '127.0.0.1:0', limited: true, calls, connections },
    ...(tokens ? { check: new TokenCheck(context) } : {}),
    protoDirectory: path.resolve(import.meta.dirname, '../../proto'),
    ...(tls
      ? { tls: readServerTls({ ...files, ...(clientCa ? { clientCa: fixture('ca.crt') } : {}) }, nowMs) }
      : {}),
  });
  closing.push(() => server.stop());
  let made = 0;
  return {
    ...{ server, clock, logged, refusals },
    token: async (role) => (await gateway.createToken(`${role} ${(made += 1)}`, role)).secret,
    revoke: (name) => gateway.revokeToken(name),
  };
}

/** The code with which a call ends; OK when it succeeds. */
const codeOf = (call: Promise<unknown>): Promise<status> =>
  call.then(
    () => status.OK,
    (error: unknown) => (error as RpcError).code,
  );

function clients(address: string, security: ChannelSecurity) {
  const [channelCredentials, options] = channelParts(security);
  const target = address.replace('127.0.0.1', 'localhost');
  const study = new StudyServiceClient(target, channelCredentials, options);
  const trial = new TrialServiceClient(target, channelCredentials, options);
  const access = new AccessServiceClient(target, channelCredentials, options);
  closing.push(() => [study, trial, access].forEach((client) => client.close()));
  const soon = { deadlineMs: 10_000 };
  return {
    list: () => codeOf(unary(study.listStudies.bind(study), {}, soon)),
    delete: () => codeOf(unary(study.deleteStudy.bind(study), { name: 'none' }, soon)),
    beat: () => codeOf(unary(trial.heartbeat.bind(trial), { workerId: 'w', leaseTokens: [] }, soon)),
    tokens: () => codeOf(unary(access.listTokens.bind(access), {}, soon)),
  };
}

describe('tokens', () => {
  it('open what their role is for, and nothing else', async () => {
    const { server, token, refusals } = await guarded();
    const codes = async (role: Role): Promise<status[]> => {
      const {
        list,
        delete: remove,
        beat,
        tokens,
      } = clients(server.address, {
        tls: trusting('ca.crt'),
        token: await token(role),
      });
      return [await beat(), await list(), await remove(), await tokens()];
    };
    const { OK, PERMISSION_DENIED: denied, NOT_FOUND: reached } = status;
    expect(await codes('worker')).toEqual([OK, denied, denied, denied]);
    expect(await codes('read')).toEqual([denied, OK, denied, denied]);
    expect(await codes('admin')).toEqual([denied, OK, reached, OK]);
    expect(refusals).toEqual(Array(7).fill('role'));
  });

  it('are needed for every method but health checks', async () => {
    const { server } = await guarded({ tls: false });
    const { list, beat, delete: remove } = clients(server.address, plainChannel);
    expect([await list(), await beat(), await remove()]).toEqual(Array(3).fill(status.UNAUTHENTICATED));
    expect(roleNeeded('/grpc.health.v1.Health/Check')).toBeNull();
    expect(roleNeeded('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo')).toBe('admin');
    for (const { path: method } of Object.values(StudyServiceService))
      expect(roleNeeded(method)).not.toBe('worker');
    expect(roleNeeded(StudyServiceService.getArtifact.path)).toBe('read');
  });

  it('are refused when they are wrong, revoked, or not of the kind that headers carry', async () => {
    const { server, token, clock } = await guarded({ tls: false });
    const admin = await token('admin');
    const gateway = remoteGateway(server.address, { tls: null, token: admin });
    closing.push(() => gateway.close());
    const { secret } = await gateway.createToken("x'; drop table tokens;--", 'read');
    const reader = clients(server.address, { tls: null, token: secret });
    expect(await reader.list()).toBe(status.OK);
    await gateway.revokeToken("x'; drop table tokens;--");
    clock.advance(5_000);
    expect(await reader.list()).toBe(status.UNAUTHENTICATED);
    for (const wrong of [`${admin}x`, admin.slice(0, -1), 'Bearer', 'x'.repeat(300)])
      expect(await clients(server.address, { tls: null, token: wrong }).list()).toBe(status.UNAUTHENTICATED);
    await expect(gateway.revokeToken('nobody')).rejects.toThrow("there is no token 'nobody'");
    await expect(gateway.createToken("x'; drop table tokens;--", 'read')).rejects.toThrow(
      'there is, or was, a token',
    );
  });

  it('never reach the log, nor do wrong ones', async () => {
    const { server, token, logged } = await guarded({ tls: false });
    const secrets = [await token('admin'), await token('worker'), 'parzen_admin_guess'];
    for (const secret of secrets) {
      const { list, beat } = clients(server.address, { tls: null, token: secret });
      await list();
      await beat();
    }
    expect(logged.length).toBeGreaterThan(2);
    for (const secret of secrets) expect(logged.join('\n')).not.toContain(secret);
  });

  it('are not tried for ever', async () => {
    const { server, token, revoke, clock, refusals } = await guarded({ tls: false });
    const secret = await token('worker');
    const { beat } = clients(server.address, { tls: null, token: secret });
    expect(await beat()).toBe(status.OK);
    const { list } = clients(server.address, { tls: null, token: 'guess' });
    const codes: status[] = [];
    for (let i = 0; i < 110; i += 1) codes.push(await list());
    expect(new Set(codes.slice(0, 100))).toEqual(new Set([status.UNAUTHENTICATED]));
    expect(new Set(codes.slice(100))).toEqual(new Set([status.RESOURCE_EXHAUSTED]));
    expect(refusals).toEqual([
      ...Array<string>(100).fill('credentials'),
      ...Array<string>(10).fill('banned'),
    ]);
    // A valid token behind the same address goes on, however long ago it was looked up, until it is revoked.
    expect(await beat()).toBe(status.OK);
    clock.advance(30_000);
    expect(await list()).toBe(status.RESOURCE_EXHAUSTED);
    expect(await beat()).toBe(status.OK);
    await revoke('worker 1');
    clock.advance(5_000);
    expect(await beat()).toBe(status.UNAUTHENTICATED);
    expect(await beat()).toBe(status.RESOURCE_EXHAUSTED);
  });
});

describe('TLS', () => {
  it('is checked by the client: authority, and name', async () => {
    const { server, token } = await guarded();
    const secret = await token('read');
    const list = (tls: ClientTls | null) => clients(server.address, { tls, token: secret }).list();
    expect(await list(trusting('ca.crt'))).toBe(status.OK);
    expect(await list(trusting('other-ca.crt'))).toBe(status.UNAVAILABLE);
    expect(await list({ ...trusting('ca.crt'), serverName: 'elsewhere' })).toBe(status.UNAVAILABLE);
    expect(await list(null)).toBe(status.UNAVAILABLE);
  });

  it('is checked by the server where it asks for certificates', async () => {
    const { server, token } = await guarded({ clientCa: true });
    const secret = await token('read');
    const list = (tls: ClientTls) => clients(server.address, { tls, token: secret }).list();
    expect(await list(trusting('ca.crt', 'client'))).toBe(status.OK);
    expect(await list(trusting('ca.crt'))).toBe(status.UNAVAILABLE);
    expect(await list(trusting('ca.crt', 'stranger'))).toBe(status.UNAVAILABLE);
    const pair = { cert: readFileSync(fixture('expired.crt')), key: readFileSync(fixture('expired.key')) };
    expect(await list({ ...trusting('ca.crt'), pair })).toBe(status.UNAVAILABLE);
  });

  it('refuses a server whose certificate has expired', async () => {
    const server = new Server();
    const pair = {
      cert_chain: readFileSync(fixture('expired.crt')),
      private_key: readFileSync(fixture('expired.key')),
    };
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(null, [pair]), (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      ),
    );
    closing.push(() => server.forceShutdown());
    const { list } = clients(`127.0.0.1:${port}`, { tls: trusting('ca.crt'), token: null });
    expect(await list()).toBe(status.UNAVAILABLE);
  });
});

describe('a certificate that is renewed while the coordinator runs', () => {
  it('is shown to new connections; files that cannot be used change nothing', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'parzen-tls-'));
    closing.push(() => rmSync(folder, { recursive: true }));
    const write = (name: string, key = name): void => {
      writeFileSync(files.cert, readFileSync(fixture(`${name}.crt`)));
      writeFileSync(files.key, readFileSync(fixture(`${key}.key`)));
    };
    const files = { cert: path.join(folder, 'tls.crt'), key: path.join(folder, 'tls.key') };
    write('server');
    const { server, token, logged } = await guarded();
    const metrics = await startWatchListener({
      ...{ listen: '127.0.0.1:0', option: '--metrics', ready: () => true, tls: readServerTls(files, nowMs) },
    });
    closing.push(() => metrics.close());
    const over = new AbortController();
    closing.push(() => over.abort());
    const log = { ...silentLog, warn: (_: object, message: string) => logged.push(message) };
    const clock = Object.assign(new HeldClock(), { nowMs: () => nowMs });
    for (const { renew } of [server, metrics])
      void watchServerTls({ files, clock, log, renew, over: over.signal });
    /** The files are looked at once more. */
    const look = async (): Promise<void> => {
      await expect.poll(() => clock.waiting(tlsCheckIntervalMs)).toBe(2);
      clock.wake(tlsCheckIntervalMs);
      await expect.poll(() => clock.waiting(tlsCheckIntervalMs)).toBe(2);
    };
    const secret = await token('read');
    const grpc = (tls: ClientTls) => clients(server.address, { tls, token: secret }).list();
    const https = (ca: string, servername: string): Promise<boolean> =>
      new Promise((resolve) => {
        const options = { ca: readFileSync(fixture(ca)), servername, agent: false };
        const request = get(`https://${metrics.address}/livez`, options, (response) => {
          response.resume().on('end', () => resolve(true));
        });
        request.on('error', () => resolve(false));
      });
    const before = trusting('ca.crt');
    const after = { ...trusting('other-ca.crt'), serverName: 'worker' };
    const seen = async () => [
      (await grpc(before)) === status.OK,
      await https('ca.crt', 'localhost'),
      (await grpc(after)) === status.OK,
      await https('other-ca.crt', 'worker'),
    ];
    expect(await seen()).toEqual([true, true, false, false]);
    for (const [name, key] of [
      ['stranger', 'server'],
      ['expired', 'expired'],
    ] as const) {
      write(name, key);
      await look();
    }
    expect(await seen()).toEqual([true, true, false, false]);
    expect(logged.filter((line) => line.includes('cannot be used'))).toHaveLength(4);
    write('stranger');
    await look();
    expect(await seen()).toEqual([false, false, true, true]);
  });
});

describe('callers that mean harm', () => {
  it('cannot send more than a message may have', async () => {
    const { server, token } = await guarded({ tls: false });
    const secret = await token('admin');
    const study = new StudyServiceClient(server.address, credentials.createInsecure());
    closing.push(() => study.close());
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${secret}`);
    const request = { definitionText: 'x'.repeat(5 * 1024 * 1024), trials: 0, dataset: '' };
    const code = await new Promise((resolve) =>
      study.createStudy(request, metadata, (error) => resolve(error?.code)),
    );
    expect(code).toBe(status.RESOURCE_EXHAUSTED);
    expect(await clients(server.address, { tls: null, token: secret }).list()).toBe(status.OK);
  });

  /** A connection that says nothing, and whether it is still there. */
  const silent = async (address: string): Promise<{ gone: () => boolean; end: () => void }> => {
    const [host = '', port = ''] = address.split(':');
    const socket = createConnection({ host, port: Number(port) });
    closing.push(() => socket.destroy());
    let gone = false;
    // Without reading it would not see the end.
    socket
      .resume()
      .on('close', () => (gone = true))
      .on('error', () => undefined);
    await new Promise((resolve) => socket.once('connect', resolve));
    return { gone: () => gone, end: () => socket.destroy() };
  };

  it.each([
    ['over TLS', true],
    ['in plain', false],
  ])('cannot hold more connections than one address may, %s', async (_, tls) => {
    const connections = { connectionsMax: 3, handshakeMs: 60_000 };
    const { server, token, logged } = await guarded({ tls, connections });
    const held = [await silent(server.address), await silent(server.address), await silent(server.address)];
    const further = [await silent(server.address), await silent(server.address)];
    await expect.poll(() => further.map(({ gone }) => gone())).toEqual([true, true]);
    expect(held.map(({ gone }) => gone())).toEqual([false, false, false]);
    const refusals = logged.filter((line) => line.startsWith('connections refused'));
    expect(refusals).toHaveLength(1);
    expect(refusals[0]).toContain('more than 3 connections from one address');
    // Whoever goes makes room.
    held[0]?.end();
    const security = { tls: tls ? trusting('ca.crt') : null, token: await token('read') };
    await expect.poll(() => clients(server.address, security).list()).toBe(status.OK);
  });

  it('cannot hold a connection without getting through its handshake', async () => {
    const connections = { connectionsMax: 100, handshakeMs: 300 };
    const { server, token } = await guarded({ connections });
    const { list } = clients(server.address, { tls: trusting('ca.crt'), token: await token('read') });
    expect(await list()).toBe(status.OK);
    const idle = await silent(server.address);
    await expect.poll(idle.gone, { timeout: 5_000 }).toBe(true);
    // A connection that did is not ended by the clock of its handshake.
    const session = connect(`https://localhost:${server.address.split(':')[1] ?? ''}`, {
      ca: readFileSync(fixture('ca.crt')),
    });
    closing.push(() => session.destroy());
    await new Promise((resolve) => session.once('connect', resolve));
    await new Promise((resolve) => setTimeout(resolve, 800));
    expect(session.destroyed).toBe(false);
  });

  it.each([
    ['with a token', true],
    ['nor where nobody is asked for one', false],
  ])('cannot hold a call open by sending a request slowly, %s', async (_, tokens) => {
    const { server, token, clock, refusals } = await guarded({ tls: false, tokens });
    const secret = await token('admin');
    const session = connect(`http://${server.address}`);
    closing.push(() => session.destroy());
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: '/parzen.v1.StudyService/ListStudies',
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${secret}`,
    });
    // The first byte of a message's five-byte head, and then nothing.
    stream.write(Buffer.from([0]));
    const answered = new Promise((resolve) => {
      stream.on('response', (headers) => resolve(headers['grpc-status']));
      stream.on('trailers', (headers) => resolve(headers['grpc-status']));
    });
    await expect.poll(() => clock.waiting(requestArrivalMs)).toBe(1);
    clock.wake(requestArrivalMs);
    expect(Number(await answered)).toBe(status.DEADLINE_EXCEEDED);
    expect(refusals).toEqual(['slow']);
  });
});
