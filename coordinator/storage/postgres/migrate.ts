import type { ClientBase } from 'pg';
import { StorageOpenError } from '../errors.js';
import { migrations as known, type Migration } from './migrations/migrations.js';

/** Any number, the same in every version: the key of the advisory lock that migrating processes queue for. */
const migrationLock = 7_261_002_174_311;

interface AppliedMigration {
  readonly id: number;
  readonly name: string;
  readonly sha256: string;
}

/**
 * Brings the schema up to date, in one transaction under an advisory lock: of several processes that start together
 * one migrates and the others find it done. Answers how many migrations it applied.
 *
 * @throws StorageOpenError when the schema is newer than this program, or is not the one that this program made
 */
export async function migrate(client: ClientBase, migrations: readonly Migration[] = known): Promise<number> {
  await client.query('begin');
  try {
    await client.query('set local lock_timeout = 0; set local statement_timeout = 0');
    await client.query('select pg_advisory_xact_lock($1)', [migrationLock]);
    await createMigrationTable(client);
    const applied = await client.query<AppliedMigration>(
      'select id, name, sha256 from parzen.migrations order by id',
    );
    checkHistory(applied.rows, migrations);
    const missing = migrations.slice(applied.rows.length);
    for (const migration of missing) await apply(client, migration);
    await client.query('commit');
    return missing.length;
  } catch (error) {
    // A lost connection cannot roll back; the server does so by itself.
    await client.query('rollback').catch(() => undefined);
    throw error;
  }
}

async function createMigrationTable(client: ClientBase): Promise<void> {
  // `create … if not exists` asks for the right to create even when there is nothing to create.
  const found = await client.query<{ schema: boolean; migrations: boolean }>(
    `select to_regnamespace('parzen') is not null as schema, to_regclass('parzen.migrations') is not null as migrations`,
  );
  const [row] = found.rows;
  if (row?.schema !== true) await client.query('create schema parzen');
  if (row?.migrations !== true)
    await client.query(
      `create table parzen.migrations (
         id integer primary key, name text not null, sha256 text not null,
         applied_at timestamptz not null default now())`,
    );
}

function checkHistory(applied: readonly AppliedMigration[], migrations: readonly Migration[]): void {
  applied.forEach(({ id, name, sha256 }, index) => {
    const expected = migrations[index];
    if (expected === undefined)
      throw new StorageOpenError(
        `the database's schema is newer than this program (it has migration ${id} "${name}", this program knows ` +
          `${migrations.length}): use the newer version of parzen, or another database`,
      );
    if (expected.id !== id || expected.sha256 !== sha256)
      throw new StorageOpenError(
        `the database's schema was made by a different parzen (migration ${id} "${name}" is not this program's ` +
          `"${expected.name}"): use the version that made it, or another database`,
      );
  });
}

async function apply(client: ClientBase, { id, name, sql, sha256 }: Migration): Promise<void> {
  await client.query(sql);
  await client.query('insert into parzen.migrations (id, name, sha256) values ($1, $2, $3)', [
    id,
    name,
    sha256,
  ]);
}
