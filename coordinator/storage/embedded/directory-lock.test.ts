import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { StorageInUse } from '../errors.js';
import { announceCoordinator } from './announce.js';
import { lockDirectory } from './directory-lock.js';
import { processSpace, processStart } from './processes.js';

let directory: string;
let file: string;
beforeEach(() => {
  directory = mkdtempSync(path.join(os.tmpdir(), 'parzen-lock-'));
  file = path.join(directory, 'lock');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const owned = (owner: object): void => writeFileSync(file, JSON.stringify(owner));

async function takesOver(): Promise<void> {
  const lock = await lockDirectory(directory);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ pid: process.pid });
  lock.release();
  expect(readdirSync(directory)).toEqual([]);
}

describe('lockDirectory', () => {
  it('gives the directory to one owner at a time', async () => {
    const lock = await lockDirectory(directory);
    const refused = lockDirectory(directory);
    await expect(refused).rejects.toBeInstanceOf(StorageInUse);
    await expect(refused).rejects.toMatchObject({ pid: process.pid, directory, address: null });
    announceCoordinator(directory, 'host:1');
    await expect(lockDirectory(directory)).rejects.toMatchObject({ address: 'host:1' });
    rmSync(path.join(directory, 'coordinator.json'));
    lock.release();
    lock.release();
    await takesOver();
  });

  it('lets exactly one of many win, also over a dead lock', async () => {
    owned({ pid: 999_999_999, started: '1', space: processSpace() });
    const outcomes = await Promise.allSettled(Array.from({ length: 10 }, () => lockDirectory(directory)));
    const won = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
    expect(won).toHaveLength(1);
    won[0]?.release();
    expect(readdirSync(directory)).toEqual([]);
  });

  it('takes over from a process that has ended', async () => {
    owned({ pid: 999_999_999, started: '1', space: processSpace() });
    await takesOver();
  });

  it('takes over from a process whose id another one has by now', async () => {
    owned({ pid: process.ppid, started: 'before', space: processSpace() });
    await takesOver();
  });

  it('respects a living process', async () => {
    owned({ pid: process.ppid, started: processStart(process.ppid), space: processSpace() });
    await expect(lockDirectory(directory)).rejects.toMatchObject({ pid: process.ppid });
    expect(readdirSync(directory)).toEqual(['lock']);
  });

  it('takes over from another machine that has not been heard of for a while', async () => {
    owned({ pid: 1, started: '1', space: 'elsewhere 1 2' });
    const past = new Date(Date.now() - 11_000);
    utimesSync(file, past, past);
    await takesOver();
  });

  it('respects another machine that keeps its lock fresh, and names it', async () => {
    owned({ pid: 7, started: '1', space: 'elsewhere 1 2' });
    const alive = setInterval(() => utimesSync(file, new Date(), new Date()), 100);
    try {
      await expect(lockDirectory(directory)).rejects.toThrow(/in use by process 7 on elsewhere/);
    } finally {
      clearInterval(alive);
    }
  });

  it('takes over an unreadable lock', async () => {
    for (const content of ['', '{', '[]', '{"pid":"x"}']) {
      writeFileSync(file, content);
      const past = new Date(Date.now() - 11_000);
      utimesSync(file, past, past);
      await takesOver();
    }
  });

  it('does not release what somebody else owns by now', async () => {
    const lock = await lockDirectory(directory);
    owned({ pid: 7, started: '1', space: 'elsewhere' });
    lock.release();
    expect(existsSync(file)).toBe(true);
  });
});
