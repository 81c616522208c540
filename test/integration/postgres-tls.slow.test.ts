/** A real PostgreSQL that speaks TLS, with certificates that prove who it is, and others that do not. */
import { chmodSync, chownSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { serverUser } from '../../coordinator/storage/embedded/server-user.js';
import { Workplace, instantStudyFile } from '../helpers/cli.js';
import { PostgresServer } from '../helpers/postgres-server.js';
import { freePorts } from '../helpers/tcp-proxy.js';

const fixture = (name: string): string => path.resolve(import.meta.dirname, '../fixtures/tls', name);

describe('PostgreSQL over TLS', () => {
  let place: Workplace;
  let directory: string;
  let server: PostgresServer | null = null;
  beforeEach(() => {
    place = new Workplace();
    directory = mkdtempSync(path.join(tmpdir(), 'parzen-pg-tls-'));
  });
  afterEach(async () => {
    await server?.remove();
    server = null;
    await place.remove();
    rmSync(directory, { recursive: true });
  });

  /** The server with this certificate; keys are its user's alone, or it refuses them. */
  async function started(pair: string): Promise<string> {
    const [port = 0] = await freePorts(1);
    const user = serverUser();
    const files = ['crt', 'key'].map((kind) => {
      const file = path.join(directory, `server.${kind}`);
      copyFileSync(fixture(`${pair}.${kind}`), file);
      chmodSync(file, 0o600);
      if (user !== null) chownSync(file, user.uid, user.gid);
      return file;
    });
    const [certificate = '', key = ''] = files;
    const settings = { ssl: 'on', ssl_cert_file: certificate, ssl_key_file: key };
    server = await PostgresServer.create({ directory, port, settings });
    return `postgres://postgres@localhost:${port}/postgres`;
  }

  const run = (url: string, environment: Readonly<Record<string, string>>) => {
    const args = ['start', '--study', place.write('tls.yaml', instantStudyFile('tls', 5)), '--workers', '1'];
    return place.start('coordinator', [...args, '--listen', '127.0.0.1:0', '--storage', url], '', environment)
      .done;
  };
  const verifying = (authority: string) => ({
    ...{ PGSSLMODE: 'verify-full', NODE_EXTRA_CA_CERTS: fixture(authority) },
  });

  it('runs a study on a server that proves who it is, and over TLS', async () => {
    const url = await started('server');
    const { code, stderr } = await run(url, verifying('ca.crt'));
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stderr).toContain('5/5 done');
    // Another authority vouches for nobody here; nothing is sent in plain instead.
    const refused = await run(url, verifying('other-ca.crt'));
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/certificate/);
    expect(refused.stderr).not.toMatch(/\n\s+at /);
    // The name that was asked for has to be the certificate's.
    const elsewhere = await run(url.replace('localhost', '[::ffff:127.0.0.1]'), verifying('ca.crt'));
    expect(elsewhere.code).toBe(1);
    expect(elsewhere.stderr).toMatch(/certificate|altnames/i);
  });

  it('refuses one whose certificate has expired', async () => {
    const { code, stderr } = await run(await started('expired'), verifying('ca.crt'));
    expect(code).toBe(1);
    expect(stderr).toMatch(/certificate has expired/);
  });
});
