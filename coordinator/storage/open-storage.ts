import { readdirSync } from 'node:fs';
import type { Log } from '../../shared/platform/log.js';
import { admitReader } from './embedded/reader-access.js';
import { startEmbedded } from './embedded/start-embedded.js';
import { StorageOpenError } from './errors.js';
import type { Storage } from './port.js';
import { openPostgres } from './postgres/open-postgres.js';

export interface OpenStorageOptions {
  readonly log: Log;
  /** Whether a directory that holds no store gets one (default); otherwise that is an error. */
  readonly create?: boolean;
  /** Opens an embedded store to Optuna's tools on this port of loopback; null, the default: not at all. */
  readonly pgPort?: number | null;
}

/**
 * Opens the store: `postgres://…` is a server; anything else is a directory with an embedded database, which ends with
 * `close()`.
 *
 * @throws StorageInUse when another process owns the directory
 * @throws StorageOpenError when the store cannot be used or is not there, with what to do
 * @throws StorageUnavailable when the server cannot be reached
 */
export async function openStorage(
  urlOrDirectory: string,
  { log, create = true, pgPort = null }: OpenStorageOptions,
): Promise<Storage> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\//i.exec(urlOrDirectory)?.[1]?.toLowerCase();
  if (scheme === 'postgres' || scheme === 'postgresql')
    return openPostgres({ connection: { connectionString: urlOrDirectory }, log });
  if (scheme !== undefined)
    // The rest of the URL may hold a password.
    throw new StorageOpenError(
      `there is no storage of kind ${scheme}://; give postgres://USER@HOST/DATABASE or a folder`,
    );
  if (!create && !holdsStore(urlOrDirectory))
    throw new StorageOpenError(
      `there is no store in ${urlOrDirectory}; name the folder that the study was started with, or start one there: ` +
        `coordinator start --storage ${urlOrDirectory}`,
    );
  const server = await startEmbedded({ directory: urlOrDirectory, log, port: pgPort });
  const { connection } = server;
  try {
    const storage = await openPostgres({ connection, log, afterClose: () => server.stop() });
    if (pgPort === null) return storage;
    const file = await admitReader({ directory: urlOrDirectory, port: pgPort, connection });
    log.info({ port: pgPort }, `Optuna's tools can read this store; the URL with its password is in ${file}`);
    return storage;
  } catch (error) {
    // The store has no connections before its first use.
    await server.stop();
    throw error;
  }
}

/**
 * Does a directory hold an embedded store, of this version or another? Its database directory, `pg18`, gets that name
 * when it is complete. A directory that cannot be listed may hold one: opening it says what is wrong.
 */
export function holdsStore(directory: string): boolean {
  try {
    return readdirSync(directory).some((name) => /^pg\d+$/.test(name));
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code !== 'ENOENT';
  }
}
