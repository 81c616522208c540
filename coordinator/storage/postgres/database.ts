import type { ClientConfig, Pool, PoolClient } from 'pg';
import type { Log } from '../../../shared/platform/log.js';
import type { StudyId } from '../../../shared/core/ids.js';
import { StorageUnavailable, type CallOptions, type ConnectionCounts } from '../port.js';
import { StudyGroups, type Work } from '../study-groups.js';
import { OutcomeUnknown, commit, isBroken } from './commit.js';
import { kindOf, toPortError } from './failure.js';
import { connectionCounts, createPools, describeServer, endPools, type Pools } from './pools.js';
import { retrying } from './retry.js';
import { StudyTransactions } from './study-transactions.js';

const passing = (error: unknown): boolean => ['conflict', 'connection'].includes(kindOf(error));

/** Connections and retries; knows nothing of what is stored. */
export class Database {
  /** Where the server is, for messages. */
  readonly server: string;
  readonly #pools: Pools;
  readonly #groups: StudyGroups;
  readonly #studies: StudyTransactions;
  #open = true;

  constructor(connection: ClientConfig, log: Log) {
    this.server = describeServer(connection);
    this.#pools = createPools(connection, log);
    this.#studies = new StudyTransactions(this.#pools.transactions, (error) =>
      toPortError(error, this.server),
    );
    this.#groups = new StudyGroups((...group) =>
      this.#guarded(() => retrying(() => this.#studies.run(...group), passing)),
    );
  }

  /**
   * Runs one statement (or several reads) that may safely run twice, again while the server is briefly away.
   */
  repeatable<T>(kind: 'leases' | 'statements', operation: (pool: Pool) => Promise<T>): Promise<T> {
    return this.#guarded(() => retrying(() => operation(this.#pools[kind]), passing));
  }

  /** Runs one statement that must not run twice: retried only until a connection was found. */
  once<T>(operation: (client: PoolClient) => Promise<T>): Promise<T> {
    return this.#guarded(async () => {
      const client = await retrying(() => this.#pools.statements.connect(), passing);
      return lend(client, () => operation(client));
    });
  }

  /** Runs `work` in a transaction, once; retried only until a connection was found. */
  transaction<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    return this.#guarded(async () => {
      const client = await retrying(() => this.#pools.transactions.connect(), passing);
      return inTransaction(client, async () => {
        await client.query('begin isolation level read committed');
        const result = await work(client);
        await commit(client, () => null);
        return result;
      });
    });
  }

  /** `Storage.inStudy`. */
  inStudy<T>(id: StudyId, work: Work<T>, options?: CallOptions): Promise<T | null> {
    return this.#guarded(() => this.#groups.run(id, work, options));
  }

  connections(): ConnectionCounts {
    return connectionCounts(this.#pools);
  }

  /** Waits for what is under way; later calls are refused. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#studies.close();
    await endPools(this.#pools);
  }

  async #guarded<T>(operation: () => Promise<T>): Promise<T> {
    if (!this.#open) throw new StorageUnavailable('the store is closed');
    try {
      return await operation();
    } catch (error) {
      if (error instanceof OutcomeUnknown)
        throw new StorageUnavailable(
          `the database at ${this.server} went away during a commit, which may or may not have happened: ` +
            'repeat the call with the same ids',
          { cause: error.cause },
        );
      throw toPortError(error, this.server);
    }
  }
}

/** Runs `use`, rolls back when it fails, and gives the connection back; ends it where it broke. */
async function inTransaction<T>(client: PoolClient, use: () => Promise<T>): Promise<T> {
  return lend(client, async () => {
    try {
      return await use();
    } catch (error) {
      // Where the roll-back fails too, that error counts: the connection is gone and nothing happened.
      if (!isBroken(error)) await client.query('rollback');
      throw error;
    }
  });
}

async function lend<T>(client: PoolClient, use: () => Promise<T>): Promise<T> {
  let broken = false;
  try {
    return await use();
  } catch (error) {
    broken = isBroken(error);
    throw error;
  } finally {
    client.release(broken);
  }
}
