import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { readChannel } from './channel-files.js';
import { readClientTls, readServerTls, readToken } from './tls.js';

const fixture = (name: string): string => path.resolve(import.meta.dirname, '../../test/fixtures/tls', name);
const folder = mkdtempSync(path.join(tmpdir(), 'parzen-tls-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string): string => {
  writeFileSync(path.join(folder, name), text);
  return path.join(folder, name);
};
const nowMs = Date.now();
const century = 100 * 365.25 * 86_400_000;

describe('TLS files', () => {
  const server = { cert: fixture('server.crt'), key: fixture('server.key') };

  it('are read when they belong together and are valid', () => {
    expect(readServerTls(server, nowMs).clientCa).toBeNull();
    expect(readServerTls({ ...server, clientCa: fixture('ca.crt') }, nowMs).clientCa?.length).toBeGreaterThan(
      99,
    );
    expect(readClientTls({ ca: fixture('ca.crt') }, nowMs)).toMatchObject({ pair: null, serverName: null });
  });

  it('are refused with the file and the remedy', () => {
    const refused = (files: Partial<typeof server>, ms = nowMs) =>
      expect(() => readServerTls({ ...server, ...files }, ms));
    refused({ key: fixture('client.key') }).toThrow(/client\.key is not the private key of .*server\.crt/);
    refused({ cert: file('empty.crt', '') }).toThrow('empty.crt is not a certificate in PEM');
    refused({ cert: fixture('nowhere.crt') }).toThrow(/nowhere\.crt cannot be read .*ENOENT/);
    refused({ cert: fixture('expired.crt'), key: fixture('expired.key') }).toThrow(
      /expired\.crt expired on .*renew/,
    );
    refused({}, nowMs + century).toThrow('expired on');
    refused({}, nowMs - century).toThrow(/is not valid before .* clock/);
    expect(() => readClientTls({ cert: fixture('client.crt') }, nowMs)).toThrow('give both');
  });
});

describe('tokens', () => {
  it('are one line of a file, and do not travel in the clear', () => {
    const token = file('token', 'parzen_read_abc\n');
    expect(readToken(token)).toBe('parzen_read_abc');
    for (const text of ['', ' \n', 'two words', 'a\nb', 'x'.repeat(257), '\u0000'])
      expect(() => readToken(file('bad', text))).toThrow('bad does not hold a token');
    expect(readChannel({ tokenFile: token }, '127.0.0.1:1', nowMs).token).toBe('parzen_read_abc');
    const ca = fixture('ca.crt');
    expect(readChannel({ tokenFile: token, tlsCa: ca }, 'far.example:1', nowMs).tls).not.toBeNull();
    expect(() => readChannel({ tokenFile: token }, 'far.example:1', nowMs)).toThrow('--tls-ca FILE');
    expect(readChannel({}, 'far.example:1', nowMs)).toEqual({ tls: null, token: null });
  });
});
