import pg, { type ClientConfig } from 'pg';
import type { Log } from '../../../shared/platform/log.js';
import { StorageOpenError } from '../errors.js';
import { StorageUnavailable, type Storage } from '../port.js';
import { Database } from './database.js';
import { kindOf, toPortError } from './failure.js';
import { migrate } from './migrate.js';
import { prepareOptunaReader } from './optuna-reader.js';
import { describeServer } from './pools.js';
import { PostgresStorage } from './postgres-storage.js';
import { retrying } from './retry.js';

export interface PostgresOptions {
  /** As `pg` takes it: `{ connectionString }`, or host (a directory for a Unix socket), port, user, … */
  readonly connection: ClientConfig;
  readonly log: Log;
  /** Runs once, when the store has been closed. */
  readonly afterClose?: () => Promise<void>;
}

/** Oldest server that the schema and the statements are tested on. */
const oldestMajor = 15;

/**
 * Opens a store in a PostgreSQL database and brings its schema up to date.
 *
 * @throws StorageUnavailable when the server cannot be reached within some seconds
 * @throws StorageOpenError when it can, but will not do: wrong password, no such database, too old, foreign schema
 */
export async function openPostgres({ connection, log, afterClose }: PostgresOptions): Promise<Storage> {
  const server = describe(connection);
  try {
    await retrying(() => prepare(connection, log), isPassing);
  } catch (error) {
    throw explain(error, server);
  }
  return new PostgresStorage(new Database(connection, log), afterClose);
}

function describe(connection: ClientConfig): string {
  try {
    return describeServer(connection);
  } catch (error) {
    throw new StorageOpenError(
      'the storage URL cannot be read; it looks like postgres://USER:PASSWORD@HOST:5432/DATABASE',
      { cause: error },
    );
  }
}

const isPassing = (error: unknown): boolean => ['conflict', 'connection'].includes(kindOf(error));

async function prepare(connection: ClientConfig, log: Log): Promise<void> {
  const client = new pg.Client({ connectionTimeoutMillis: 5_000, keepAlive: true, ...connection });
  client.on('error', (error) => log.debug({ err: error }, 'database connection lost'));
  await client.connect();
  try {
    const { rows } = await client.query<{ version: string; major: number }>(
      `select current_setting('server_version') as version,
              current_setting('server_version_num')::integer / 10000 as major`,
    );
    const { version = 'unknown', major = 0 } = rows[0] ?? {};
    if (major < oldestMajor)
      throw new StorageOpenError(
        `the database runs PostgreSQL ${version}; parzen needs PostgreSQL ${oldestMajor} or newer`,
      );
    const applied = await migrate(client);
    if (applied > 0) log.info({ migrations: applied, version }, 'database schema brought up to date');
    await prepareOptunaReader(client, log);
  } finally {
    await client.end();
  }
}

/** Remedies for what commonly is wrong with a database that can be reached. */
const remedies: Readonly<Record<string, string>> = {
  '28P01': 'check user and password',
  '28000': "check user, password and the server's pg_hba.conf",
  '3D000': 'create the database first, or name another one',
  '42710':
    'its schema "optuna" holds something else, perhaps studies of Optuna itself: use another database, or rename that schema',
  '42501': 'the user needs the right to create a schema in this database: grant create on database … to …',
};

/** What Node.js calls a certificate that it does not believe. */
const distrust = /CERT|UNABLE_TO_VERIFY|SELF_SIGNED/;

function explain(error: unknown, server: string): unknown {
  if (error instanceof StorageOpenError) return error;
  if (error instanceof Error && 'code' in error && distrust.test(String(error.code)))
    return new StorageOpenError(
      `the database at ${server} does not prove who it is (${error.message}): name the authority of its certificate in ` +
        'NODE_EXTRA_CA_CERTS, and the host as the certificate does',
      { cause: error },
    );
  const code = error instanceof pg.DatabaseError ? (error.code ?? '') : '';
  const remedy = remedies[code];
  if (error instanceof pg.DatabaseError && remedy !== undefined)
    return new StorageOpenError(`the database at ${server} cannot be used (${error.message}): ${remedy}`, {
      cause: error,
    });
  if (kindOf(error) !== 'other') return toPortError(error, server);
  const message = error instanceof Error ? error.message : String(error);
  return new StorageUnavailable(`the database at ${server} cannot be opened: ${message}`, { cause: error });
}
