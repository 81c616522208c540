/**
 * Group commit: calls on one study that come while a transaction on it is under way share the next one. Within it they
 * run one after the other, in the order in which they came, so they do what they would have done one by one; all
 * of them are answered when it is committed.
 *
 * One call cannot harm the others: where it rejects before it wrote anything, only it rejects. Where something was
 * written, or where the store refuses what the group wrote, nothing is committed and the calls run again, each in a
 * transaction of its own.
 */
import type { StudyId } from '../../shared/core/ids.js';
import { MemberTransaction } from './member-transaction.js';
import { StorageUnavailable, type Lookups, type StudyTransaction } from './port.js';

export type Work<T> = (transaction: StudyTransaction) => Promise<T>;

/**
 * Runs `body` in one transaction under the study's lock and commits it; rejects where nothing was committed, or where
 * that is not known. May run `body` again from the start. False when the study does not exist (then without `body`).
 */
export type RunTransaction = (
  study: StudyId,
  body: (transaction: StudyTransaction) => Promise<void>,
  lookups: readonly Lookups[],
) => Promise<boolean>;

/** Calls that share a transaction at most: bounds what is lost by one that fails, and how long the lock is held. */
export const groupSizeMax = 128;

interface Member {
  readonly work: Work<unknown>;
  readonly lookups: Lookups;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

type Result =
  { readonly kind: 'done'; readonly value: unknown } | { readonly kind: 'rejected'; readonly error: unknown };

export class StudyGroups {
  readonly #runTransaction: RunTransaction;
  /** Calls that wait, by study; there is an entry exactly while a transaction is under way. */
  readonly #waiting = new Map<StudyId, Member[]>();

  constructor(runTransaction: RunTransaction) {
    this.#runTransaction = runTransaction;
  }

  /** `Storage.inStudy`. */
  run<T>(study: StudyId, work: Work<T>, lookups: Lookups = {}): Promise<T | null> {
    return new Promise<T | null>((resolve, reject) => {
      const member: Member = { work, lookups, resolve: (value) => resolve(value as T | null), reject };
      const waiting = this.#waiting.get(study);
      if (waiting !== undefined) {
        waiting.push(member);
        return;
      }
      this.#waiting.set(study, [member]);
      void this.#runAll(study);
    });
  }

  /** Runs group after group until nobody waits; never rejects. */
  async #runAll(study: StudyId): Promise<void> {
    // Calls that are made in the same turn belong together.
    await Promise.resolve();
    const waiting = this.#waiting.get(study) ?? [];
    while (waiting.length > 0) await this.#runGroup(study, waiting.splice(0, groupSizeMax));
    this.#waiting.delete(study);
  }

  async #runGroup(study: StudyId, members: readonly Member[]): Promise<void> {
    let results: Result[] = [];
    const body = async (transaction: StudyTransaction): Promise<void> => {
      results = [];
      for (const member of members) results.push(await runMember(member, transaction));
    };
    try {
      const exists = await this.#runTransaction(
        study,
        body,
        members.map(({ lookups }) => lookups),
      );
      members.forEach((member, index) => settle(member, exists ? results[index] : undefined));
    } catch (error) {
      if (members.length === 1 || error instanceof StorageUnavailable)
        for (const member of members) member.reject(error);
      else for (const member of members) await this.#runGroup(study, [member]);
    }
  }
}

function settle(member: Member, result: Result | undefined): void {
  if (result === undefined) member.resolve(null);
  else if (result.kind === 'done') member.resolve(result.value);
  else member.reject(result.error);
}

/** Rejects when the whole transaction has to be taken back. */
async function runMember(member: Member, transaction: StudyTransaction): Promise<Result> {
  const own = new MemberTransaction(transaction);
  try {
    const value = await member.work(own);
    if (own.failure !== null) throw own.failure.error;
    return { kind: 'done', value };
  } catch (error) {
    if (own.failure !== null) throw own.failure.error;
    if (own.wrote) throw error;
    return { kind: 'rejected', error };
  } finally {
    own.close();
  }
}
