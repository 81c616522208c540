/** Who gets in: real servers with real certificates, and callers that lack something. */
import { Client, credentials, Server, ServerCredentials, status, type ServiceError } from '@grpc/grpc-js';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Role } from '../../shared/core/access.js';
import { silentLog } from '../../shared/platform/log.js';
import { startWatchListener } from '../../shared/platform/metrics-listener.js';
import { tlsCheckIntervalMs, watchServerTls } from '../../shared/platform/renewed-tls.js';
import { readServerTls, type ClientTls } from '../../shared/platform/tls.js';
import { plainChannel } from '../../shared/wire/channel.js';
import { StudyServiceService } from '../../shared/wire/gen/parzen/v1/study.js';
import { roleNeeded } from '../../coordinator/grpc/guard.js';
import { remoteGateway } from '../../coordinator/grpc/remote-gateway.js';
import {
  fixture,
  nowMs,
  trusting,
  HeldClock,
  closing,
  closeAll,
  guarded,
  clients,
} from '../helpers/guarded.js';

afterEach(closeAll);

describe('the port of loopback for own workers, beside TLS', () => {
  it('lets nobody in but them, where certificates alone admit others', async () => {
    const { server, local } = await guarded({ clientCa: true, tokens: false, ownWorkers: true });
    expect(server.localAddress).not.toBe(server.address);
    const stranger = clients(server.localAddress, plainChannel);
    expect([await stranger.list(), await stranger.beat()]).toEqual(Array(2).fill(status.UNAUTHENTICATED));
    const own = clients(server.localAddress, { tls: null, token: 'of-this-process' });
    expect(await own.beat()).toBe(status.UNAUTHENTICATED);
    local.admit('of-this-process', 'local workers', 'worker');
    expect([await own.beat(), await own.list()]).toEqual([status.OK, status.PERMISSION_DENIED]);
    const member = clients(server.address, { tls: trusting('ca.crt', 'client'), token: null });
    expect(await member.list()).toBe(status.OK);
  });

  it('is not there when there are none', async () => {
    const { server } = await guarded({ clientCa: true, tokens: false });
    expect(server.localAddress).toBe(server.address);
  });
});

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

  it('count a refused call as handled, whatever it asks for: the alert on errors takes one from the other', async () => {
    const { server, refusals, handled } = await guarded({ tls: false });
    const client = new Client(server.address, credentials.createInsecure());
    closing.push(() => client.close());
    const same = (bytes: Buffer): Buffer => bytes;
    for (const version of ['v1', 'v1alpha']) {
      const method = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
      const call = client.makeBidiStreamRequest(method, same, same);
      const code = await new Promise((resolve) => {
        call.on('error', (error: Partial<ServiceError>) => resolve(error.code));
      });
      expect(code).toBe(status.UNAUTHENTICATED);
    }
    expect(refusals).toEqual(['credentials', 'credentials']);
    expect(handled).toEqual(['Unauthenticated', 'Unauthenticated']);
  });

  it('of another role are refused as often as they come, and keep nobody else out', async () => {
    const { server, token, refusals } = await guarded({ tls: false });
    const { list } = clients(server.address, { tls: null, token: await token('worker') });
    for (let i = 0; i < 110; i += 1) expect(await list()).toBe(status.PERMISSION_DENIED);
    expect(refusals).toEqual(Array(110).fill('role'));
    const guess = clients(server.address, { tls: null, token: 'guess' });
    expect(await guess.list()).toBe(status.UNAUTHENTICATED);
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
