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
  /** Calls that have not settled yet. */
  readonly #underWay = new Set<Promise<unknown>>();
  #open = true;

  constructor(connection: ClientConfig, log: Log) {
    this.server = describeServer(connection);
    this.#pools = createPools(connection, log);
    this.#studies = new StudyTransactions(this.#pools.transactions, (error) =>
      toPortError(error, this.server),
    );
    this.#groups = new StudyGroups((...group) =>
      this.#guarded(() => this.#retrying(() => this.#studies.run(...group))),
    );
  }

  /**
   * Runs one statement (or several reads) that may safely run twice, again while the server is briefly away.
   */
  repeatable<T>(kind: 'leases' | 'statements', operation: (pool: Pool) => Promise<T>): Promise<T> {
    return this.#guarded(() => this.#retrying(() => operation(this.#pools[kind])));
  }

  /** Runs one statement that must not run twice: retried only until a connection was found. */
  once<T>(operation: (client: PoolClient) => Promise<T>): Promise<T> {
    return this.#guarded(async () => {
      const client = await this.#retrying(() => this.#pools.statements.connect());
      return lend(client, () => operation(client));
    });
  }

  /** Runs `work` in a transaction, once; retried only until a connection was found. */
  transaction<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
    return this.#guarded(async () => {
      const client = await this.#retrying(() => this.#pools.transactions.connect());
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

  /** Waits for what is under way, which is not tried again; later calls are refused. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
    this.#studies.close();
    // A pool that ends serves nobody who still waits for a connection.
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay);
    await endPools(this.#pools);
  }

  async #guarded<T>(operation: () => Promise<T>): Promise<T> {
    if (!this.#open) throw new StorageUnavailable('the store is closed');
    const running = this.#translated(operation);
    this.#underWay.add(running);
    try {
      return await running;
    } finally {
      this.#underWay.delete(running);
    }
  }

  /** Runs `operation` again while it fails with what will pass, as long as the store is open. */
  #retrying<T>(operation: () => Promise<T>): Promise<T> {
    return retrying(operation, (error) => this.#open && passing(error));
  }

  async #translated<T>(operation: () => Promise<T>): Promise<T> {
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
