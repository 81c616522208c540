/**
 * The role under which Optuna's tools read the views of schema `optuna`. Roles belong to the whole server and need a right
 * that the coordinator may lack on a managed one, so this is no migration: it is looked at every time the store is
 * opened, and a store without the role works all the same.
 */
import pg, { type ClientBase } from 'pg';
import type { Log } from '../../../shared/platform/log.js';
import { kindOf } from './failure.js';

export const optunaReader = 'optuna_reader';

/**
 * The limits keep a forgotten notebook from holding the coordinator up: it needs some twenty connections of its own, and
 * a transaction left open keeps the server from clearing away old versions of rows.
 */
export const createOptunaReader = [
  `create role ${optunaReader} login connection limit 30`,
  `alter role ${optunaReader} set search_path = optuna`,
  `alter role ${optunaReader} set statement_timeout = '5min'`,
  `alter role ${optunaReader} set idle_in_transaction_session_timeout = '5min'`,
] as const;

const grants = [
  `grant usage on schema optuna to ${optunaReader}`,
  `grant select on all tables in schema optuna to ${optunaReader}`,
  `grant insert, update on optuna.study_system_attributes to ${optunaReader}`,
];

interface ReaderState {
  readonly exists: boolean;
  /** Has the settings that only an administrator of the role can give. */
  readonly set: boolean;
  readonly granted: boolean;
}

/** Makes the role ready where it is not. Where that is not allowed, says what an administrator has to run, and goes on. */
export async function prepareOptunaReader(client: ClientBase, log: Log): Promise<void> {
  const state = await readState(client);
  if (isReady(state)) return;
  const failure = await tryAll(client, [...missingStatements(state), ...grants]);
  const now = await readState(client);
  if (!isReady(now)) {
    const statements = now.set ? grants : missingStatements(now);
    log.info(
      { reason: failure?.message },
      `Optuna's tools cannot read this database yet: let an administrator run "${statements.join('; ')}" and start again`,
    );
  } else if (!state.exists) log.info({ role: optunaReader }, "made the role for Optuna's tools");
}

/** What only an administrator of roles may do. */
function missingStatements({ exists, set }: ReaderState): readonly string[] {
  if (set) return [];
  return exists ? createOptunaReader.slice(1) : createOptunaReader;
}

const isReady = ({ exists, set, granted }: ReaderState): boolean => exists && set && granted;

/** Relations go by oid: to look one up by name the coordinator would need a right on the schema that it may lack. */
async function readState(client: ClientBase): Promise<ReaderState> {
  const { rows } = await client.query<ReaderState>(
    `select count(role.oid) > 0 as exists,
            coalesce(bool_or('search_path=optuna' = any (role.rolconfig)), false) as set,
            coalesce(bool_and(has_schema_privilege(role.oid, 'optuna', 'usage')
              and not exists (select from pg_class relation where relation.relnamespace = 'optuna'::regnamespace
                and relation.relkind = 'v' and not (has_table_privilege(role.oid, relation.oid, 'select')
                  and (relation.relname <> 'study_system_attributes'
                    or has_table_privilege(role.oid, relation.oid, 'update'))))), false) as granted
     from pg_roles role where role.rolname = $1`,
    [optunaReader],
  );
  return rows[0] ?? { exists: false, set: false, granted: false };
}

/** Each by itself. The first failure is answered and not thrown: another coordinator may be doing the same this moment. */
async function tryAll(client: ClientBase, statements: readonly string[]): Promise<Error | null> {
  let first: Error | null = null;
  for (const statement of statements) {
    try {
      await client.query(statement);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError) || kindOf(error) === 'connection') throw error;
      first ??= error;
    }
  }
  return first;
}
