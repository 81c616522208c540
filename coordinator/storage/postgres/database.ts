import type { ClientConfig, Pool, PoolClient } from 'pg';
import type { Log } from '../../../shared/platform/log.js';
import type { StudyId } from '../../../shared/core/ids.js';
import { assert } from '../../../shared/core/assert.js';
import {
  StorageUnavailable,
  type CallOptions,
  type ConnectionCounts,
  type Lookups,
  type StudyRecord,
  type StudyTransaction,
} from '../port.js';
import { RecentMap } from '../recent-map.js';
import { StudyGroups, type RunTransaction, type Work } from '../study-groups.js';
import { kindOf, toPortError, wasNeverSent } from './failure.js';
import { connectionCounts, createPools, describeServer, endPools, type Pools } from './pools.js';
import { query } from './query.js';
import { isUnread, readAhead, together } from './read-ahead.js';
import { retrying } from './retry.js';
import { decodeStudy, type StudyLockRow, type StudyRow } from './rows.js';
import { lockStudy, studyById } from './statements/studies.js';
import { StudyPicture } from './study-picture.js';
import { PostgresTransaction } from './study-transaction.js';

/** A commit was sent and no answer came: it may have happened. Never run again; the caller looks by its ids. */
class OutcomeUnknown extends Error {
  override readonly name = 'OutcomeUnknown';
}

const passing = (error: unknown): boolean => ['conflict', 'connection'].includes(kindOf(error));

/** Studies that are remembered, those that were worked on last. */
const picturesMax = 100;

/** Connections, transactions and retries; knows nothing of what is stored. */
export class Database {
  /** Where the server is, for messages. */
  readonly server: string;
  readonly #pools: Pools;
  readonly #groups: StudyGroups;
  readonly #pictures = new RecentMap<StudyId, StudyPicture>(picturesMax);
  #open = true;

  constructor(connection: ClientConfig, log: Log) {
    this.server = describeServer(connection);
    this.#pools = createPools(connection, log);
    this.#groups = new StudyGroups((...transaction) =>
      this.#guarded(() => this.#runTransaction(...transaction)),
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

  #runTransaction(...[id, body, lookups]: Parameters<RunTransaction>): Promise<boolean> {
    return retrying(async () => {
      const client = await this.#pools.transactions.connect();
      return inTransaction(client, async () => {
        const transaction = await this.#begin(client, id, lookups);
        if (transaction === null) await commit(client, () => null);
        else
          await runAndCommit(client, transaction, body).catch((error: unknown) => {
            // Maybe because the picture is wrong: the next transaction draws it anew.
            this.#pictures.take(id);
            throw error;
          });
        return transaction !== null;
      });
    }, passing);
  }

  /** Takes the lock on the study. Null when there is no such study. */
  async #begin(
    client: PoolClient,
    id: StudyId,
    lookups: readonly Lookups[],
  ): Promise<PostgresTransaction | null> {
    const known = this.#pictures.get(id);
    // Sent together; what comes after the lock waits with it.
    const [, [lock], ahead, [read]] = await Promise.all([
      client.query('begin isolation level read committed'),
      query<StudyLockRow>(client, lockStudy, [id]),
      readAhead(client, id, { lookups, isKnown: (token) => known?.leased(token) != null }),
      known === undefined ? query<StudyRow>(client, studyById, [id]) : [],
    ]);
    const picture = known ?? (read === undefined ? undefined : new StudyPicture(decodeStudy(read)));
    if (lock === undefined || picture === undefined) {
      this.#pictures.take(id);
      return null;
    }
    this.#pictures.set(id, picture);
    const version = { changes: lock.changes, tag: lock.change_tag };
    // Where another process has changed the study, what was thought to be known is read after all.
    const unread = picture.check(version) ? [] : lookups.filter((each) => isUnread(ahead, each));
    const more =
      unread.length === 0 ? null : await readAhead(client, id, { lookups: unread, isKnown: () => false });
    return new PostgresTransaction({
      ...{
        client,
        picture,
        version,
        ahead: more === null ? ahead : together(ahead, more),
        study: studyUnder(picture.study, lock),
      },
      translate: (error) => toPortError(error, this.server),
    });
  }

  connections(): ConnectionCounts {
    return connectionCounts(this.#pools);
  }

  /** Waits for what is under way; later calls are refused. */
  async close(): Promise<void> {
    if (!this.#open) return;
    this.#open = false;
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

/** What of a study never changes, with what does. */
const studyUnder = (study: StudyRecord, lock: StudyLockRow): StudyRecord => ({
  ...study,
  state: lock.state,
  trialsMax: lock.trials_max,
  nextNumber: lock.next_number,
  finishSequence: lock.finish_sequence,
});

async function runAndCommit(
  client: PoolClient,
  transaction: PostgresTransaction,
  body: (transaction: StudyTransaction) => Promise<void>,
): Promise<void> {
  try {
    await body(transaction);
    if (transaction.failure === null) {
      transaction.flush();
      await commit(client, () => transaction.failure);
    }
    if (transaction.failure === null) {
      transaction.committed();
      return;
    }
  } catch (error) {
    if (transaction.failure === null || error instanceof OutcomeUnknown) throw error;
  }
  // The first failure is the cause of all others, whatever the caller made of it.
  throw transaction.failure.error;
}

/**
 * Commits. `failure` tells whether a statement sent before has failed: then the server rolls back, and answers the
 * commit with the tag ROLLBACK instead of an error.
 */
async function commit(client: PoolClient, failure: () => { readonly error: unknown } | null): Promise<void> {
  const committing = client.query('commit');
  try {
    const { command } = await committing;
    if (command === 'COMMIT') return;
  } catch (error) {
    if (kindOf(error) === 'connection' && !wasNeverSent(error))
      throw new OutcomeUnknown('no answer to commit', { cause: error });
    throw error;
  }
  const failed = failure();
  assert(failed !== null, 'a transaction rolled back without an error');
  throw failed.error;
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

const isBroken = (error: unknown): boolean =>
  error instanceof OutcomeUnknown || kindOf(error) === 'connection';

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
