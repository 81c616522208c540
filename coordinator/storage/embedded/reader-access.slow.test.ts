import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { silentLog } from '../../../shared/platform/log.js';
import { created, leased } from '../../../test/contract/storage-fixtures.js';
import { Workplace } from '../../../test/helpers/cli.js';
import { run } from '../../../test/helpers/postgres.js';
import { openStorage } from '../open-storage.js';
import type { Storage } from '../port.js';
import { startEmbedded } from './start-embedded.js';

let directory: string;
let open: Storage | null = null;
// One database for all tests, which takes the most time to make; each opens it anew.
beforeAll(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'parzen-reader-'));
});
afterEach(async () => {
  await open?.close();
  open = null;
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function listening(): Promise<[Server, number]> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return [server, (server.address() as AddressInfo).port];
}

async function freePort(): Promise<number> {
  const [server, port] = await listening();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function openOn(pgPort: number): Promise<URL> {
  open = await openStorage(directory, { log: silentLog, pgPort });
  const file = path.join(directory, 'optuna-url');
  expect(statSync(file).mode & 0o777).toBe(0o600);
  return new URL(readFileSync(file, 'utf8').trim());
}

/** Over TCP, as what the URL says, with changes. */
const ask = (url: URL, change: { readonly user?: string; readonly password?: string } = {}) =>
  run(
    {
      host: url.hostname,
      port: Number(url.port),
      database: url.pathname.slice(1),
      user: url.username,
      password: url.password,
      ...change,
    },
    'select study_name, current_user::text as role from optuna.studies',
  );

describe('an embedded store', () => {
  it('opened on a port admits the role for Optuna with its password, and nobody else', async () => {
    const url = await openOn(await freePort());
    expect(url.protocol).toBe('postgresql+psycopg2:');
    await leased(open!, (await created(open!)).id, 'a');
    expect(await ask(url)).toEqual([{ study_name: 'demo', role: 'optuna_reader' }]);
    await expect(ask(url, { password: 'wrong' })).rejects.toThrow(/password authentication failed/);
    await expect(ask(url, { password: '' })).rejects.toThrow(/password/);
    await expect(ask(url, { user: 'postgres' })).rejects.toThrow(/no pg_hba.conf entry/);
  });

  it('keeps the password from start to start, and makes a new one when the file is gone', async () => {
    const first = await openOn(await freePort());
    await open!.close();
    const second = await openOn(await freePort());
    expect(second.port).not.toBe(first.port);
    expect(second.password).toBe(first.password);
    await ask(second);
    await open!.close();
    writeFileSync(path.join(directory, 'optuna-url'), 'postgres://optuna_reader:short@host/');
    const third = await openOn(Number(second.port));
    expect(third.password).not.toBe(first.password);
    await ask(third);
    await expect(ask(third, { password: first.password })).rejects.toThrow(/authentication failed/);
  });

  it('listens nowhere unless asked to, whatever its files say', async () => {
    const url = await openOn(await freePort());
    await open!.close();
    open = null;
    writeFileSync(path.join(directory, 'pg18', 'postgresql.auto.conf'), "listen_addresses = '*'\n");
    writeFileSync(path.join(directory, 'pg18', 'pg_hba.conf'), 'host all all all trust\n');
    const server = await startEmbedded({ directory, log: silentLog });
    try {
      expect(await run(server.connection, 'show listen_addresses')).toEqual([{ listen_addresses: '' }]);
      expect(readFileSync(path.join(directory, 'pg18', 'pg_hba.conf'), 'utf8')).not.toContain('host all all');
      await expect(ask(url)).rejects.toThrow(/ECONNREFUSED/);
    } finally {
      await server.stop();
    }
  });

  it('names the port that is in use', async () => {
    const [busy, port] = await listening();
    await expect(openStorage(directory, { log: silentLog, pgPort: port })).rejects.toThrow(
      new RegExp(`port ${port} on 127.0.0.1 cannot be opened \\(it is in use\\).*--pg-port`),
    );
    await new Promise((resolve) => busy.close(resolve));
    await openOn(port);
  });
});

describe('coordinator start --pg-port', () => {
  it('is refused with a server, which is read at its own address', async () => {
    const place = new Workplace();
    const refused = await place.run('coordinator', [
      ...['start', '--pg-port', '5433', '--storage', 'postgres://nobody@127.0.0.1:1/none'],
    ]);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('optuna_reader') as unknown });
    await place.remove();
  });
});
