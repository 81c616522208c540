import { appendFileSync, closeSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { saysDiskFull, ServerLog } from './server-log.js';
import { serverUser } from './server-user.js';

let directory: string;
let log: ServerLog;
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'parzen-log-'));
  log = new ServerLog(directory);
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('ServerLog', () => {
  it('tells the last serious line since a moment', () => {
    expect(log.complaint(0)).toBe('');
    closeSync(log.open());
    appendFileSync(log.file, '2026-01-01 00:00:00.000 UTC [1] FATAL:  old\n');
    const before = log.size();
    expect(log.complaint(before)).toBe('');
    appendFileSync(
      log.file,
      '2026-01-01 00:00:00.000 UTC [2] FATAL:  could not open x\n2026 UTC [2] LOG:  bye\n',
    );
    expect(log.complaint(before)).toBe('FATAL:  could not open x');
    expect(log.tail(before)).not.toContain('old');
  });

  it('stays within its bound while a server appends, and keeps the log before', () => {
    const descriptor = log.open();
    writeFileSync(descriptor, 'x'.repeat(5 * 1024 * 1024));
    log.trim();
    expect(log.size()).toBe(0);
    writeFileSync(descriptor, 'after');
    expect(log.size()).toBe(5);
    log.trim();
    expect(log.size()).toBe(5);
    expect(statSync(`${log.file}.1`).size).toBe(5 * 1024 * 1024);
    closeSync(descriptor);
  });

  it('starts anew when it was long at the start', () => {
    writeFileSync(log.file, 'x'.repeat(5 * 1024 * 1024));
    closeSync(log.open());
    expect(log.size()).toBe(0);
    expect(log.tail(10)).toBe('');
  });

  it('knows a full disk', () => {
    expect(saysDiskFull('PANIC:  could not write to file "x": No space left on device')).toBe(true);
    expect(
      saysDiskFull('could not extend file "base/1/2691": wrote only 4096 of 8192 bytes at block 10'),
    ).toBe(true);
    expect(saysDiskFull('FATAL:  could not open file "x": Permission denied')).toBe(false);
  });
});

describe.skipIf(process.getuid?.() !== 0)('serverUser, started by root', () => {
  const users = (...lines: string[]): string => {
    const file = path.join(directory, 'passwd');
    writeFileSync(file, `${lines.join('\n')}\n`);
    return file;
  };

  it('prefers postgres over nobody, and takes neither with the rights of root', () => {
    const nobody = 'nobody:x:65534:65533:n:/:/bin/false';
    expect(serverUser(users('root:x:0:0::/:', nobody))).toEqual({ uid: 65534, gid: 65533, name: 'nobody' });
    expect(serverUser(users(nobody, 'postgres:x:5:6:::'))).toMatchObject({ uid: 5, gid: 6 });
    expect(serverUser(users('postgres:x:0:0:::', nobody))).toMatchObject({ name: 'nobody' });
    expect(() => serverUser(users('root:x:0:0::/:'))).toThrow(/ordinary user.*--storage postgres/);
  });
});
