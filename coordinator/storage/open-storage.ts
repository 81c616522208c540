import type { Log } from '../../shared/platform/log.js';
import { startEmbedded } from './embedded/start-embedded.js';
import type { Storage } from './port.js';
import { openPostgres } from './postgres/open-postgres.js';

export interface OpenStorageOptions {
  readonly log: Log;
}

const isUrl = (location: string): boolean => /^postgres(ql)?:\/\//i.test(location);

/**
 * Opens the store: `postgres://…` is a server; anything else is a directory with an embedded database, which is
 * created where there is none and ends with `close()`.
 *
 * @throws StorageInUse when another process owns the directory
 * @throws StorageOpenError when the store cannot be used, with what to do
 * @throws StorageUnavailable when the server cannot be reached
 */
export async function openStorage(urlOrDirectory: string, { log }: OpenStorageOptions): Promise<Storage> {
  if (isUrl(urlOrDirectory)) return openPostgres({ connection: { connectionString: urlOrDirectory }, log });
  const server = await startEmbedded({ directory: urlOrDirectory, log });
  try {
    return await openPostgres({ connection: server.connection, log, afterClose: () => server.stop() });
  } catch (error) {
    await server.stop();
    throw error;
  }
}
