import pg, { type ClientBase, type ClientConfig, type Pool, type PoolConfig } from 'pg';
import type { Log } from '../../../shared/platform/log.js';
import type { ConnectionCounts } from '../port.js';

/**
 * Connections by kind of work, so that no kind can wait for connections that another kind holds: a transaction that
 * reads the list of workers must not wait for heartbeats that wait for the transaction's row locks.
 */
export interface Pools {
  readonly transactions: Pool;
  readonly leases: Pool;
  readonly statements: Pool;
}

const poolSizes = { transactions: 8, leases: 4, statements: 8 } as const;

/** Longest wait for a connection, new or free. */
const connectTimeoutMs = 5_000;
/** Longest run of one statement; the server ends it. */
const statementTimeoutMs = 30_000;
/** Longest wait for an answer; above the server's own limit, so it means a frozen server or network. */
const queryTimeoutMs = statementTimeoutMs + 5_000;

/**
 * Set on every new connection by a statement and not as start-up parameters, which pgbouncer refuses. Durability is
 * not left to the server's configuration: nothing is acknowledged that is not on disk.
 */
const settings = {
  synchronous_commit: 'on',
  statement_timeout: String(statementTimeoutMs),
  lock_timeout: '10000',
  // A process that stands still may hold the lock on a study; others wait for it.
  idle_in_transaction_session_timeout: '15000',
  jit: 'off',
};

/**
 * Transactions on a study, and leases, run a handful of statements that find rows by index, always in the same way. Each is
 * planned once, maybe while its table is empty, and kept from plans over all rows; the statements themselves leave no wrong
 * index to choose. Rows that are given are joined by hash: a nested loop looks at each pair of them.
 */
export const indexPlans = {
  plan_cache_mode: 'force_generic_plan',
  enable_seqscan: 'off',
  enable_nestloop: 'off',
  enable_mergejoin: 'off',
};

/** bigint as number: times, sizes and ids stay below 2^53. */
const bigintOid = 20;
/** integer[], of one dimension and without nulls: which trials ran when another was suggested. Hundreds of them, for which the driver's parser is slow. */
const integersOid = 1007;
const types = new pg.TypeOverrides();
types.setTypeParser(bigintOid, Number);
types.setTypeParser(integersOid, (text) => JSON.parse(`[${text.slice(1, -1)}]`) as number[]);

const applySettings = (client: ClientBase, wanted: Readonly<Record<string, string>>): Promise<unknown> =>
  client.query(
    `select ${Object.keys(wanted)
      .map((name, index) => `set_config('${name}', $${index + 1}, false)`)
      .join(', ')}`,
    Object.values(wanted),
  );

/** Pools that connect when first used. */
export function createPools(connection: ClientConfig, log: Log): Pools {
  const create = (config: PoolConfig, plans: Readonly<Record<string, string>> = {}): Pool =>
    createPool({ ...connection, ...config }, { ...settings, ...plans }, log);
  return {
    // Statements of a transaction are sent without waiting for the answers to the ones before.
    transactions: create({ max: poolSizes.transactions, pipeline: true }, indexPlans),
    leases: create({ max: poolSizes.leases }, indexPlans),
    statements: create({ max: poolSizes.statements }),
  };
}

function createPool(config: PoolConfig, wanted: Readonly<Record<string, string>>, log: Log): Pool {
  // Answers a promise, which the pool awaits although its type says nothing of it.
  const onConnect = (client: ClientBase): unknown => {
    // A connection that dies while it is lent out reports to the client alone; without a listener that ends the process.
    client.on('error', (error) => log.debug({ err: error }, 'database connection lost'));
    return applySettings(client, wanted);
  };
  const pool = new pg.Pool({
    application_name: 'parzen',
    connectionTimeoutMillis: connectTimeoutMs,
    query_timeout: queryTimeoutMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    idleTimeoutMillis: 60_000,
    types,
    ...config,
    onConnect,
  });
  pool.on('error', (error) => log.debug({ err: error }, 'idle database connection lost'));
  return pool;
}

/** Over all pools. */
export function connectionCounts(pools: Pools): ConnectionCounts {
  const all = [pools.transactions, pools.leases, pools.statements];
  const sum = (figure: (pool: Pool) => number): number =>
    all.reduce((total, pool) => total + figure(pool), 0);
  return {
    idle: sum(({ idleCount }) => idleCount),
    busy: sum(({ totalCount, idleCount }) => totalCount - idleCount),
    waiting: sum(({ waitingCount }) => waitingCount),
  };
}

export async function endPools(pools: Pools): Promise<void> {
  await Promise.all([pools.transactions.end(), pools.leases.end(), pools.statements.end()]);
}

/** `postgres@db.example:5432/parzen`, for messages; never the password. */
export function describeServer(connection: ClientConfig): string {
  const { host, port, database } = new pg.Client(connection);
  const name = database ?? '';
  return host.startsWith('/') ? `${host} (${name})` : `${host}:${port}/${name}`;
}
