import { readFileSync } from 'node:fs';
import net, { type AddressInfo } from 'node:net';
import path from 'node:path';
import { TLSSocket } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { silentLog } from '../../../shared/platform/log.js';
import { StorageOpenError } from '../errors.js';
import { openPostgres } from './open-postgres.js';

const fixture = (name: string): Buffer =>
  readFileSync(path.resolve(import.meta.dirname, '../../../test/fixtures/tls', name));

let server: net.Server;
afterEach(() => new Promise((resolve) => server.close(resolve)));

/** Speaks as much of PostgreSQL as comes before the password: it agrees to TLS, with the certificate of the fixtures. */
function listen(): Promise<number> {
  server = net.createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('data', () => {
      socket.write('S');
      const secure = new TLSSocket(socket, {
        isServer: true,
        cert: fixture('server.crt'),
        key: fixture('server.key'),
      });
      secure.on('error', () => undefined);
    });
  });
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

describe('a server that does not prove who it is', () => {
  it.each([
    ['by an authority that is not known', {}, /verify|self.signed/i],
    ['by another name', { ca: fixture('ca.crt'), servername: 'db.example' }, /does not match/],
  ])('is not used: %s', async (_, trusted, why) => {
    const connection = {
      host: '127.0.0.1',
      port: await listen(),
      user: 'x',
      database: 'y',
      ssl: { ...trusted },
    };
    const opened = openPostgres({ connection, log: silentLog });
    await expect(opened).rejects.toThrow(StorageOpenError);
    await expect(opened).rejects.toThrow(why);
    await expect(opened).rejects.toThrow(/does not prove who it is.*NODE_EXTRA_CA_CERTS/);
  });
});
