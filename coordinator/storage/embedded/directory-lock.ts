/**
 * One process owns a storage directory at a time: the lock is a file with its process id. Whether the owner of a lock
 * still lives is decided by process id and start time where both see the same processes; for another machine or
 * container by the file's time, which the owner keeps fresh. (PostgreSQL's own lock stands behind this one; it is
 * safe, but names no remedy and is fooled by process ids that were given again.)
 */
import {
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { StorageInUse } from '../errors.js';
import { readAnnouncement } from './announce.js';
import { processSpace, processStart } from './processes.js';

/** The owner touches its lock this often, … */
const touchMs = 2_000;
/** … and has been gone when it was not touched for this long. */
const staleMs = 10_000;

interface Owner {
  readonly pid: number;
  readonly started: string | null;
  readonly space: string;
}

export interface DirectoryLock {
  /** Gives the directory free. */
  release(): void;
}

/** @throws StorageInUse when another process owns the directory */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  const file = path.join(directory, 'lock');
  const own: Owner = { pid: process.pid, started: processStart(process.pid), space: processSpace() };
  const content = JSON.stringify(own);
  const candidate = `${file}.${own.pid}`;
  try {
    writeFileSync(candidate, content);
    while (!tryLink(candidate, file)) {
      const found = read(file);
      if (found === null) continue;
      if (await lives(file, found.owner)) throw inUse(directory, found.owner);
      removeStale(file, found.content, directory);
    }
  } finally {
    rmSync(candidate, { force: true });
  }
  return hold(file, content);
}

function hold(file: string, content: string): DirectoryLock {
  const touch = setInterval(() => {
    const now = new Date();
    // A directory that was removed meanwhile needs no lock.
    if (read(file)?.content === content) utimesSync(file, now, now);
  }, touchMs);
  touch.unref();
  return {
    release: () => {
      clearInterval(touch);
      if (read(file)?.content === content) unlinkSync(file);
    },
  };
}

/** Makes the lock in one step, with its content; false when there is one. */
function tryLink(candidate: string, file: string): boolean {
  try {
    linkSync(candidate, file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
}

function read(file: string): { readonly content: string; readonly owner: Owner } | null {
  let content: string;
  try {
    content = readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
  return { content, owner: parseOwner(content) };
}

/** A lock that cannot be read (a disk that was full) has no owner that lives. */
function parseOwner(content: string): Owner {
  const nobody: Owner = { pid: 0, started: null, space: '' };
  try {
    const value: unknown = JSON.parse(content);
    if (typeof value !== 'object' || value === null) return nobody;
    const { pid, started, space }: Partial<Record<keyof Owner, unknown>> = value;
    if (typeof pid !== 'number' || typeof space !== 'string') return nobody;
    return { pid, started: typeof started === 'string' ? started : null, space };
  } catch (error) {
    if (error instanceof SyntaxError) return nobody;
    throw error;
  }
}

async function lives(file: string, owner: Owner): Promise<boolean> {
  if (owner.space === processSpace()) {
    const started = processStart(owner.pid);
    return started !== null && started === owner.started;
  }
  const first = touchedAtMs(file);
  for (let waitedMs = 0; waitedMs < staleMs; waitedMs += touchMs / 4) {
    const last = touchedAtMs(file);
    if (last === null || Date.now() - last > staleMs) return false;
    if (last !== first) return true;
    await sleep(touchMs / 4);
  }
  return false;
}

function touchedAtMs(file: string): number | null {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? null;
}

/** Takes a dead owner's lock away. Where another process was quicker and holds it by now, gives it back. */
function removeStale(file: string, staleContent: string, directory: string): void {
  const aside = `${file}.stale.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return;
    throw error;
  }
  const taken = read(aside);
  if (taken === null || taken.content === staleContent) {
    rmSync(aside, { force: true });
    return;
  }
  tryLink(aside, file);
  rmSync(aside, { force: true });
  throw inUse(directory, taken.owner);
}

function inUse(directory: string, owner: Owner): StorageInUse {
  const announced = readAnnouncement(directory);
  const address = announced?.pid === owner.pid ? announced.address : null;
  const elsewhere =
    owner.space === processSpace() ? '' : ` on ${owner.space.split(' ')[0] ?? 'another machine'}`;
  const remedy =
    address === null
      ? 'stop that process, or choose another directory with --storage'
      : `it serves on ${address}: give commands --coordinator ${address}, or stop that process first`;
  return new StorageInUse(`${directory} is in use by process ${owner.pid}${elsewhere}: ${remedy}`, {
    directory,
    pid: owner.pid,
    address,
  });
}
