import { existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../../shared/platform/log.js';
import { StorageOpenError } from '../errors.js';
import { isAlive, postmasterPid, serversIn } from './processes.js';

const lookEveryMs = 50;
/** A server whose owner died shuts down by itself, in under a second; after this long it is told to. */
const patienceMs = 3_000;
const waitMaxMs = 60_000;

/**
 * Waits for a server that a dead owner left behind, and tells it to shut down when it does not. Only processes that
 * work in this very directory are ever signalled. Call with the directory locked.
 */
export async function endOldServer(data: string, log: Log): Promise<void> {
  let told = false;
  for (let waitedMs = 0; ; waitedMs += lookEveryMs) {
    const servers = serversIn(data);
    if (servers.length === 0) break;
    if (waitedMs >= waitMaxMs)
      throw new StorageOpenError(
        `a database server (process ${servers.join(', ')}) still works in ${data} and does not end: end it first`,
      );
    const postmaster = postmasterPid(data);
    if (waitedMs >= patienceMs && !told && postmaster !== null && servers.includes(postmaster)) {
      told = true;
      log.warn(
        { pid: postmaster, directory: data },
        'ending the database server that a dead process left behind',
      );
      // Fast shutdown. The process may have ended by itself this moment.
      if (isAlive(postmaster)) process.kill(postmaster, 'SIGINT');
    }
    await sleep(lookEveryMs);
  }
  removeSockets(data);
  removeMisleadingLocks(data, log);
}

/** Sockets of servers that are gone, and their locks, which hold the same process id; named after the port of the time. */
function removeSockets(data: string): void {
  if (!existsSync(data)) return;
  for (const file of readdirSync(data))
    if (file.startsWith('.s.PGSQL.')) rmSync(path.join(data, file), { force: true });
}

/**
 * PostgreSQL refuses to start when the process id in its lock file is alive, whoever has that id by now. No server works
 * here and this directory is ours, so such a file is left over.
 */
function removeMisleadingLocks(data: string, log: Log): void {
  const pid = postmasterPid(data);
  if (pid === null || !isAlive(pid)) return;
  log.info(
    { pid, directory: data },
    "removing a dead database server's lock; its process id was given again",
  );
  rmSync(path.join(data, 'postmaster.pid'), { force: true });
}
