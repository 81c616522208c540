/**
 * One PostgreSQL server for a test file, and a fresh database for each test: a copy of a template that was migrated
 * once. The server is the embedded one, so nothing has to be installed.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pg, { type ClientConfig } from 'pg';
import { postgresMajor } from '../../coordinator/storage/embedded/cluster.js';
import { postmasterPid } from '../../coordinator/storage/embedded/processes.js';
import { startEmbedded } from '../../coordinator/storage/embedded/start-embedded.js';
import { openPostgres } from '../../coordinator/storage/postgres/open-postgres.js';
import { silentLog } from '../../shared/platform/log.js';

export interface TestPostgres {
  /** The server's own database. */
  readonly connection: ClientConfig;
  /** A new database with parzen's schema in it, and nothing else. */
  freshDatabase(): Promise<ClientConfig>;
  /** A new database without anything in it. */
  emptyDatabase(): Promise<ClientConfig>;
  stop(): Promise<void>;
}

/** Starts a server of its own in a temporary directory; `stop` removes it. */
export async function startTestPostgres(): Promise<TestPostgres> {
  const directory = await mkdtemp(path.join(os.tmpdir(), 'parzen-test-'));
  const server = await startEmbedded({ directory, log: silentLog });
  const { connection } = server;
  const create = async (name: string, template: string): Promise<ClientConfig> => {
    await run(connection, `create database ${name} template ${template}`);
    return { ...connection, database: name };
  };
  const migrated = await create('parzen_template', 'template0');
  await (await openPostgres({ connection: migrated, log: silentLog })).close();
  let databases = 0;
  const next = (template: string): Promise<ClientConfig> => {
    databases += 1;
    return create(`test_${databases}`, template);
  };
  return {
    connection,
    freshDatabase: () => next('parzen_template'),
    emptyDatabase: () => next('template0'),
    stop: async () => {
      const stopped = server.stop();
      // Its data are thrown away: no need to flush them first, which takes seconds.
      const postmaster = postmasterPid(path.join(directory, `pg${postgresMajor}`));
      if (postmaster !== null) process.kill(postmaster, 'SIGQUIT');
      await stopped;
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** A connection as `--storage` takes it. */
export function storageUrl({ host, port, user, password, database }: ClientConfig): string {
  const login = `${user ?? ''}:${encodeURIComponent(typeof password === 'string' ? password : '')}`;
  // A folder of sockets cannot stand where a host stands.
  return host!.startsWith('/')
    ? `postgres://${login}@/${database!}?host=${encodeURIComponent(host!)}&port=${String(port)}`
    : `postgres://${login}@${host!}:${String(port)}/${database!}`;
}

/** Runs one statement on a connection of its own; answers the rows. */
export async function run(
  connection: ClientConfig,
  sql: string,
  values: readonly unknown[] = [],
): Promise<readonly Record<string, unknown>[]> {
  const client = new pg.Client(connection);
  // A server that ends meanwhile also rejects what is under way; without a listener that would end the process.
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql, [...values])).rows;
  } finally {
    await client.end();
  }
}
