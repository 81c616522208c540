import type { Pool, PoolClient } from 'pg';
import { assert } from '../../../shared/core/assert.js';
import type { StudyId } from '../../../shared/core/ids.js';
import type { Lookups, StudyRecord } from '../port.js';
import { RecentMap } from '../recent-map.js';
import type { GroupWork } from '../study-groups.js';
import { OutcomeUnknown, commit, isBroken } from './commit.js';
import { query } from './query.js';
import { isUnread, readAhead, together, type ReadAhead } from './read-ahead.js';
import { decodeStudy, type StudyLockRow, type StudyRow } from './rows.js';
import { lockStudy, studyById } from './statements/studies.js';
import { StudyPicture } from './study-picture.js';
import { PostgresTransaction } from './study-transaction.js';

/** Studies that are remembered, those that were worked on last. */
const picturesMax = 100;

/**
 * Transactions are sent behind one another for this long at most, ms. The server gives the lock of one to the next before another
 * coordinator that waits for it has woken up: that one has its turn when the chain ends.
 */
export const chainMsMax = 100;

/** A transaction that was sent off, with the lock on the study and what is to be read under it. */
interface Begun {
  readonly client: PoolClient;
  readonly lookups: readonly Lookups[];
  /** What was known of the study when it was sent. */
  readonly known: StudyPicture | undefined;
  /** When the first of those that were sent behind one another was sent. */
  readonly chainSinceMs: number;
  readonly answers: Promise<{
    /** Undefined: there is no such study. */
    readonly lock: StudyLockRow | undefined;
    readonly ahead: ReadAhead;
    /** Read where the study was not known. */
    readonly study: StudyRow | undefined;
  }>;
}

/**
 * Transactions under the locks of studies, one at a time for each study. Where more is to come, the next one is sent off right
 * behind the commit of the one before, on its connection: the server has the lock and what is to be read when it has committed,
 * without hearing from here in between.
 */
export class StudyTransactions {
  readonly #pool: Pick<Pool, 'connect' | 'waitingCount'>;
  readonly #translate: (error: unknown) => unknown;
  readonly #nowMs: () => number;
  readonly #pictures = new RecentMap<StudyId, StudyPicture>(picturesMax);
  /** Sent off behind a transaction that is committed; their connections are lent to them. */
  readonly #begun = new Map<StudyId, Begun>();
  #open = true;

  /** `translate` makes the errors that leave the store; `nowMs` is time that never goes back. */
  constructor(
    pool: Pick<Pool, 'connect' | 'waitingCount'>,
    translate: (error: unknown) => unknown,
    nowMs = (): number => performance.now(),
  ) {
    this.#pool = pool;
    this.#translate = translate;
    this.#nowMs = nowMs;
  }

  /** A `RunTransaction` that tries once: rejects with what `pg` said. */
  async run(id: StudyId, work: GroupWork): Promise<boolean> {
    const { lookups } = work;
    const begun = this.#takeBegun(id, lookups) ?? this.#begin(await this.#pool.connect(), id, { lookups });
    const { client } = begun;
    let behind: Begun | null = null;
    let broken = false;
    try {
      const transaction = await this.#opened(id, begun);
      if (transaction === null) await commit(client, () => null);
      else behind = await this.#runAndCommit(transaction, work, { id, begun });
      return transaction !== null;
    } catch (error) {
      // Maybe because the picture is wrong: the next transaction draws it anew.
      this.#pictures.take(id);
      broken = true;
      if (isBroken(error)) throw error;
      // Where the roll-back fails too, that error counts: the connection is gone and nothing happened.
      await client.query('rollback');
      broken = false;
      throw error;
    } finally {
      if (behind === null) client.release(broken);
      else if (this.#open) this.#begun.set(id, behind);
      else abandon(behind);
    }
  }

  /** Gives back the connections of transactions that nobody will run. */
  close(): void {
    this.#open = false;
    for (const begun of this.#begun.values()) abandon(begun);
    this.#begun.clear();
  }

  #takeBegun(id: StudyId, lookups: readonly Lookups[]): Begun | null {
    const begun = this.#begun.get(id);
    if (begun === undefined) return null;
    this.#begun.delete(id);
    assert(begun.lookups === lookups, 'what was announced comes next');
    return begun;
  }

  /** Sent together; what comes after the lock waits with it. */
  #begin(
    client: PoolClient,
    id: StudyId,
    { lookups, chainSinceMs = this.#nowMs() }: { lookups: readonly Lookups[]; chainSinceMs?: number },
  ): Begun {
    const known = this.#pictures.get(id);
    const answers = Promise.all([
      client.query('begin isolation level read committed'),
      query<StudyLockRow>(client, lockStudy, [id]),
      readAhead(client, id, { lookups, isKnown: (token) => known?.leased(token) != null }),
      known === undefined ? query<StudyRow>(client, studyById, [id]) : [],
    ]).then(([, [lock], ahead, [study]]) => ({ lock, ahead, study }));
    // Where the transaction before it fails, nobody waits for it.
    answers.catch(() => undefined);
    return { client, lookups, known, chainSinceMs, answers };
  }

  /** Waits for the lock on the study. Null when there is no such study. */
  async #opened(
    id: StudyId,
    { client, lookups, known, answers }: Begun,
  ): Promise<PostgresTransaction | null> {
    const { lock, ahead, study: read } = await answers;
    const picture = known ?? (read === undefined ? undefined : new StudyPicture(decodeStudy(read)));
    if (lock === undefined || picture === undefined) {
      this.#pictures.take(id);
      return null;
    }
    this.#pictures.set(id, picture);
    const version = { changes: lock.changes, tag: lock.change_tag };
    // Where another process has changed the study, what was thought to be known is read after all.
    const continues = picture.check(version);
    const unread = continues ? [] : lookups.filter((each) => isUnread(ahead, each));
    const more =
      unread.length === 0 ? null : await readAhead(client, id, { lookups: unread, isKnown: () => false });
    return new PostgresTransaction({
      client,
      picture,
      continues,
      version,
      ahead: more === null ? ahead : together(ahead, more),
      study: studyUnder(picture.study, lock),
      translate: this.#translate,
    });
  }

  /** Others wait for the lock, here and elsewhere, or for a connection: a chain keeps both. */
  #mayGoOn(chainSinceMs: number): boolean {
    return this.#pool.waitingCount === 0 && this.#nowMs() - chainSinceMs < chainMsMax;
  }

  /** Answers what was sent behind the commit. Where this rejects, that is to be rolled back. */
  async #runAndCommit(
    transaction: PostgresTransaction,
    { body, next }: GroupWork,
    { id, begun: { client, chainSinceMs } }: { readonly id: StudyId; readonly begun: Begun },
  ): Promise<Begun | null> {
    let behind: Begun | null = null;
    try {
      await body(transaction);
      if (transaction.failure === null) {
        transaction.flush();
        const committed = commit(client, () => transaction.failure);
        const lookups = this.#mayGoOn(chainSinceMs) ? next() : null;
        if (lookups !== null) behind = this.#begin(client, id, { lookups, chainSinceMs });
        await committed;
        transaction.committed();
        return behind;
      }
    } catch (error) {
      if (transaction.failure === null || error instanceof OutcomeUnknown) throw error;
    }
    // The first failure is the cause of all others, whatever the caller made of it.
    throw transaction.failure.error;
  }
}

/** Ends a transaction that nobody will run; never rejects. */
function abandon({ client }: Begun): void {
  client.query('rollback').then(
    () => client.release(),
    () => client.release(true),
  );
}

/** What of a study never changes, with what does. */
const studyUnder = (study: StudyRecord, lock: StudyLockRow): StudyRecord => ({
  ...study,
  state: lock.state,
  trialsMax: lock.trials_max,
  nextNumber: lock.next_number,
  finishSequence: lock.finish_sequence,
});
