/**
 * The database as coordinators see it: the store in memory behind a connection that takes time, loses answers, is cut
 * in the middle of a transaction, and is away for a while. The store itself commits whole transactions, one at a time
 * per study, as PostgreSQL does under the lock on the study's row. Each process groups its calls into transactions as the
 * PostgreSQL adapter does.
 */
import type { StudyId } from '../../shared/core/ids.js';
import {
  createMemoryDatabase,
  type SharedMemory,
} from '../../coordinator/storage/memory/create-memory-storage.js';
import {
  StorageUnavailable,
  type CallOptions,
  type Storage,
  type StudyTransaction,
} from '../../coordinator/storage/port.js';
import { StudyGroups, type GroupWork, type Work } from '../../coordinator/storage/study-groups.js';
import type { Draw } from './draw.js';
import type { Scheduler } from './scheduler.js';
import { epochMs, type SimProcess } from './sim-process.js';
import type { Trace } from './trace.js';
import type { Weather } from './weather.js';

/** As the PostgreSQL adapter sets them. */
const lockTimeoutMs = 10_000;
const idleInTransactionTimeoutMs = 60_000;
/** Times that a transaction in conflict runs at most. */
const runsMax = 6;

/** Statements that change something which the invariants are about. */
const writes: ReadonlySet<string> = new Set(['createStudy', 'deleteStudy', 'report', 'extendLeases']);

export interface SimDatabaseOptions {
  readonly scheduler: Scheduler;
  readonly draw: Draw;
  readonly trace: Trace;
  readonly weather: () => Weather;
  /** Called after every commit, before anyone is told of it. */
  readonly committed: () => void;
}

type Method = (...args: unknown[]) => Promise<unknown>;

type Outcome =
  | { readonly kind: 'committed'; readonly value: boolean }
  | { readonly kind: 'failed'; readonly error: unknown }
  | { readonly kind: 'conflict' };

/** Takes a transaction back that is to run again. */
const conflicted = new Error('serialization failure');

/** One open transaction. */
class Connection {
  broken = false;
  /** The commit is on its way. */
  sent = false;
  #fail: ((error: Error) => void) | null = null;

  /** Ends the transaction, wherever it is. */
  cut(): void {
    this.broken = true;
    this.#fail?.(this.error());
  }

  error(): Error {
    return new StorageUnavailable('the connection to the database was lost');
  }

  /** Settles as `promise` does, or rejects when the connection is cut. */
  unlessCut<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#fail = reject;
      promise.then(resolve, reject);
      if (this.broken) reject(this.error());
    });
  }
}

export class SimDatabase {
  readonly #options: SimDatabaseOptions;
  readonly #database: SharedMemory;
  readonly #store: Storage;
  readonly #connections = new Set<Connection>();
  #up = true;
  #slow = false;

  constructor(options: SimDatabaseOptions) {
    this.#options = options;
    // Its clock is the one that all agree on, and keeps true time.
    this.#database = createMemoryDatabase(() => epochMs + options.scheduler.nowMs);
    this.#store = this.#database.open();
  }

  /** What is committed, without delay or fault. */
  get committed(): Storage {
    return this.#store;
  }

  /** Goes away, with all open transactions, or comes back. */
  setUp(up: boolean): void {
    this.#up = up;
    if (!up) for (const connection of [...this.#connections]) connection.cut();
  }

  setSlow(slow: boolean): void {
    this.#slow = slow;
  }

  /** The store as one process sees it. */
  connect(process: SimProcess): Storage {
    const { scheduler } = this.#options;
    const groups = new StudyGroups((id, work) => this.#inStudy({ process, id, work }), {
      nowMs: () => scheduler.nowMs,
      breathe: () => Promise.resolve(),
      answerTime: () => Promise.resolve(),
    });
    return new Proxy(this.#store, {
      get: (store, key: keyof Storage) => {
        if (key === 'inStudy')
          return <T>(id: StudyId, work: Work<T>, options?: CallOptions) => groups.run(id, work, options);
        const method = Reflect.get(store, key) as Method;
        return (...args: unknown[]) =>
          this.#statement(process, async () => {
            const value = await method.apply(store, args);
            if (writes.has(key)) this.#options.committed();
            return value;
          });
      },
    });
  }

  #statement(process: SimProcess, execute: () => Promise<unknown>): Promise<unknown> {
    const { scheduler, draw, weather } = this.#options;
    return new Promise((resolve, reject) => {
      let answered = false;
      const answer = (settle: () => void): void => {
        if (answered) return;
        answered = true;
        cancelTimeout();
        this.#later(this.#latencyMs(), () => process.deliver(settle));
      };
      const unavailable = (why: string): void => answer(() => reject(new StorageUnavailable(why)));
      // Not only statements of this study's transaction wait for its lock: reports and heartbeats do as well.
      const cancelTimeout = scheduler.after(lockTimeoutMs, () => unavailable('lock timeout'));
      this.#later(this.#latencyMs(), () => {
        if (!this.#up) unavailable('the database is away');
        else if (draw.chance(weather().refused)) unavailable('the database refuses work');
        else
          execute().then(
            (value) => {
              if (!this.#up || draw.chance(weather().replyLost)) unavailable('the answer was lost');
              else answer(() => resolve(value));
            },
            (error: unknown) => answer(() => reject(asError(error))),
          );
      });
    });
  }

  async #inStudy(transaction: { process: SimProcess; id: StudyId; work: GroupWork }): Promise<boolean> {
    const { draw, weather, trace } = this.#options;
    const { process } = transaction;
    for (let run = 1; ; run += 1) {
      const conflict = run < runsMax && draw.chance(weather().conflict);
      const outcome = await this.#transaction(transaction, conflict);
      if (outcome.kind === 'failed') throw outcome.error;
      if (outcome.kind === 'committed') {
        if (!draw.chance(weather().replyLost)) return outcome.value;
        trace.add(process.name, 'commit done, its answer lost');
        throw new StorageUnavailable('the answer to a commit was lost');
      }
      await process.clock.sleep(draw.whole(20, 500));
    }
  }

  /** Resolves in the process: when it is there to hear of it. */
  #transaction(
    { process, id, work }: { process: SimProcess; id: StudyId; work: GroupWork },
    conflict: boolean,
  ): Promise<Outcome> {
    const { scheduler, draw, weather } = this.#options;
    const connection = new Connection();
    let settled: Promise<unknown> = Promise.resolve();
    const begin = async (): Promise<Outcome> => {
      if (!this.#up || draw.chance(weather().refused))
        return { kind: 'failed', error: new StorageUnavailable('the database is away') };
      this.#connections.add(connection);
      const forget = process.onCrash(() => {
        if (!connection.sent || draw.chance(0.5)) connection.cut();
      });
      let cancelTimeout = scheduler.after(lockTimeoutMs, () => connection.cut());
      try {
        const value = await this.#database.runTransaction(id, async (inner) => {
          cancelTimeout();
          if (connection.broken) throw connection.error();
          cancelTimeout = scheduler.after(idleInTransactionTimeoutMs, () => connection.cut());
          const done = new Promise<void>((resolve, reject) => {
            this.#later(this.#latencyMs(), () =>
              process.deliver(() => {
                if (connection.broken) reject(connection.error());
                else work.body(this.#transactionOf(process, connection, inner)).then(resolve, reject);
              }),
            );
          });
          settled = done.catch(() => undefined);
          await connection.unlessCut(done);
          if (conflict) throw conflicted;
          connection.sent = true;
          work.next();
          const commitMs = 1 + this.#latencyMs();
          await connection.unlessCut(new Promise<void>((resolve) => scheduler.after(commitMs, resolve)));
        });
        this.#options.committed();
        return { kind: 'committed', value };
      } catch (error) {
        return error === conflicted ? { kind: 'conflict' } : { kind: 'failed', error };
      } finally {
        cancelTimeout();
        forget();
        this.#connections.delete(connection);
      }
    };
    return new Promise((resolve) => {
      this.#later(this.#latencyMs(), () => {
        void begin().then(async (outcome) => {
          await settled;
          this.#later(this.#latencyMs(), () => process.deliver(() => resolve(outcome)));
        });
      });
    });
  }

  /** The transaction as the process sees it: each statement travels, and fails once the connection is gone. */
  #transactionOf(process: SimProcess, connection: Connection, inner: StudyTransaction): StudyTransaction {
    let study = inner.study();
    return new Proxy(inner, {
      get: (target, key: keyof StudyTransaction) => {
        if (key === 'commitment') return target.commitment;
        if (key === 'study') return () => (connection.broken ? study : (study = target.study()));
        const method = Reflect.get(target, key) as Method;
        return (...args: unknown[]) =>
          new Promise((resolve, reject) => {
            this.#later(this.#latencyMs(), () => {
              if (connection.broken) process.deliver(() => reject(connection.error()));
              else
                method.apply(target, args).then(
                  (value) => process.deliver(() => resolve(value)),
                  (error: unknown) => process.deliver(() => reject(asError(error))),
                );
            });
          });
      },
    });
  }

  #latencyMs(): number {
    const { draw } = this.#options;
    if (this.#slow) return draw.skewed(20, 4_000);
    return draw.chance(0.8) ? 0 : draw.whole(1, 10);
  }

  #later(ms: number, run: () => void): void {
    if (ms === 0) run();
    else this.#options.scheduler.after(ms, run);
  }
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));
