import type { ClientBase, Pool } from 'pg';
import type { Statement } from './statements/statement.js';

/**
 * Runs a prepared statement. `Row` is what its columns are as `pg` gives them: the one place where the type of a row
 * is believed.
 */
export async function query<Row extends object>(
  connection: ClientBase | Pool,
  statement: Statement,
  values: readonly unknown[] = [],
): Promise<readonly Row[]> {
  const result = await connection.query<Row>({ ...statement, values: [...values] });
  return result.rows;
}

/** Rows that a statement changed. */
export async function execute(
  connection: ClientBase | Pool,
  statement: Statement,
  values: readonly unknown[] = [],
): Promise<number> {
  const result = await connection.query({ ...statement, values: [...values] });
  return result.rowCount ?? 0;
}
