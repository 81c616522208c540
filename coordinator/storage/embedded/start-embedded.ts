/**
 * The database that comes with the program: PostgreSQL from an npm package, run as a child on a directory, reachable
 * through a Unix socket in that directory only, unless a port is asked for. Same engine, same SQL and same failures as
 * with a server.
 *
 * In the directory: `pg18/` the data, `postgres.log`, `lock` (who owns it), `coordinator.json` (where the owner serves),
 * perhaps `postgres-VERSION/` (a copy of the programs) and `optuna-url` (for readers).
 */
import { spawnSync } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { ClientConfig } from 'pg';
import type { Log } from '../../../shared/platform/log.js';
import { StorageOpenError } from '../errors.js';
import { removeAnnouncement } from './announce.js';
import { preparePrograms } from './binaries.js';
import { createCluster, postgresMajor, type Cluster } from './cluster.js';
import { lockDirectory } from './directory-lock.js';
import { endOldServer } from './old-server.js';
import { ServerLog } from './server-log.js';
import { refuseBusyPort, writeAccessRules } from './reader-access.js';
import { defaultPort, Server } from './server.js';
import { asUser, serverUser, type ServerUser } from './server-user.js';

export interface EmbeddedOptions {
  /** Made when it does not exist. */
  readonly directory: string;
  readonly log: Log;
  /** Where to listen on loopback as well, for readers with a password (`reader-access.ts`); null, the default: nowhere. */
  readonly port?: number | null;
}

export interface EmbeddedServer {
  /** For `pg`. */
  readonly connection: ClientConfig;
  /** Shuts the server down cleanly and gives the directory free. */
  stop(): Promise<void>;
}

/** Longest path of a Unix socket, bytes (107 on Linux, 103 on macOS). */
const socketPathMaxBytes = 103;
const trimEveryMs = 60_000;

/**
 * Starts the server on a directory, creating its database when there is none. The server never outlives this process.
 *
 * @throws StorageInUse when another process owns the directory
 * @throws StorageOpenError when it cannot run here, with what to do
 */
export async function startEmbedded({
  directory,
  log,
  port = null,
}: EmbeddedOptions): Promise<EmbeddedServer> {
  const home = makeDirectory(directory);
  try {
    const lock = await lockDirectory(home);
    try {
      return await startLocked(home, { log, port, release: () => lock.release() });
    } catch (error) {
      lock.release();
      throw error;
    }
  } catch (error) {
    throw explain(error, home);
  }
}

interface Start {
  readonly log: Log;
  readonly port: number | null;
  readonly release: () => void;
}

async function startLocked(home: string, { log, port, release }: Start): Promise<EmbeddedServer> {
  const cluster = prepareCluster(home);
  const isNew = !existsSync(cluster.data);
  await endOldServer(cluster.data, log);
  await createCluster(cluster);
  if (isNew) log.info({ directory: home }, 'database created');
  writeAccessRules(cluster);
  if (port !== null) await refuseBusyPort(port);
  const serverLog = new ServerLog(home);
  const server = new Server(cluster, { serverLog, log, port });
  await server.start();
  server.keepRunning();
  const socket = reachSocket(cluster.data, port ?? defaultPort);
  const upkeep = setInterval(() => {
    serverLog.trim();
    socket.refresh();
  }, trimEveryMs);
  upkeep.unref();
  return {
    connection: { host: socket.directory, port: port ?? defaultPort, user: 'postgres', database: 'postgres' },
    stop: async () => {
      clearInterval(upkeep);
      await server.stop();
      socket.remove();
      removeAnnouncement(home);
      release();
    },
  };
}

function makeDirectory(directory: string): string {
  try {
    mkdirSync(directory, { recursive: true });
    return realpathSync(directory);
  } catch (error) {
    throw explain(error, path.resolve(directory));
  }
}

function prepareCluster(home: string): Cluster {
  const user = serverUser();
  const data = path.join(home, `pg${postgresMajor}`);
  const reachable = canReach(home, user);
  if (!reachable && process.platform !== 'linux')
    throw new StorageOpenError(
      `the database server runs as ${user?.name ?? 'another user'}, who cannot reach ${home}: choose a directory that ` +
        'everyone may pass through with --storage, or start parzen as an ordinary user',
    );
  const native = preparePrograms(reachable ? home : null, user);
  return { data, native, user, dataArgument: reachable ? data : '/proc/self/cwd' };
}

/** Can the server's user get into this directory? */
function canReach(directory: string, user: ServerUser | null): boolean {
  if (user === null) return true;
  return spawnSync('/bin/sh', ['-c', 'cd "$0"', directory], { ...asUser(user), cwd: '/' }).status === 0;
}

interface Socket {
  /** Directory of the socket, with a path short enough to connect to. */
  readonly directory: string;
  /** Makes the short path again where a cleaner of temporary files removed it. */
  refresh(): void;
  remove(): void;
}

/** The server's socket lies in its data directory; a path too long to connect to gets a short link. */
function reachSocket(data: string, port: number): Socket {
  if (Buffer.byteLength(path.join(data, `.s.PGSQL.${port}`)) <= socketPathMaxBytes)
    return { directory: data, refresh: () => undefined, remove: () => undefined };
  const short = mkdtempSync(path.join(os.tmpdir(), 'parzen-'));
  const link = path.join(short, 'db');
  const refresh = (): void => {
    mkdirSync(short, { recursive: true, mode: 0o700 });
    if (lstatSync(link, { throwIfNoEntry: false }) === undefined) symlinkSync(data, link);
  };
  refresh();
  return { directory: link, refresh, remove: () => rmSync(short, { recursive: true, force: true }) };
}

/** What commonly is wrong with a directory, and what helps. */
const remedies: Readonly<Record<string, string>> = {
  EACCES: 'it cannot be written: choose another directory with --storage, or correct its owner',
  EPERM: 'it cannot be written: choose another directory with --storage, or correct its owner',
  EROFS: 'it lies on a read-only disk: choose another directory with --storage',
  ENOSPC: 'the disk is full: free some space, or choose another directory with --storage',
  EDQUOT: 'the disk quota is used up: free some space, or choose another directory with --storage',
  ENOTDIR: 'it is not a directory: choose another one with --storage',
  EEXIST: 'it is not a directory: choose another one with --storage',
};

function explain(error: unknown, directory: string): unknown {
  if (!(error instanceof Error) || error instanceof StorageOpenError) return error;
  const remedy = 'code' in error && typeof error.code === 'string' ? remedies[error.code] : undefined;
  if (remedy === undefined) return error;
  return new StorageOpenError(`${directory} cannot hold the database: ${remedy}`, { cause: error });
}
