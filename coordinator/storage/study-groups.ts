/**
 * Group commit: calls on one study that come while a transaction on it is under way share the next one. Within it they
 * run one after the other, in the order in which they came, so they do what they would have done one by one; all
 * of them are answered when it is committed.
 *
 * One call cannot harm the others: where it rejects before it wrote anything, only it rejects. Where something was
 * written, or where the store refuses what the group wrote, nothing is committed and the calls run again, each in a
 * transaction of its own. Where the store is away, all who wait hear it at once.
 *
 * The next group is sent off before the last one's calls are answered, so that answers are put together while the store works.
 * A store may begin a group's transaction behind the commit of the one before: who forms it then says what it will look up.
 *
 * A group ends by size and by time, and lets other work of the process have its turn: suggestions take milliseconds each.
 */
import type { StudyId } from '../../shared/core/ids.js';
import { MemberTransaction } from './member-transaction.js';
import {
  CallEnded,
  StorageUnavailable,
  type CallOptions,
  type Lookups,
  type StudyTransaction,
} from './port.js';

export type Work<T> = (transaction: StudyTransaction) => Promise<T>;

/** What happens in a transaction. */
export interface GroupWork {
  /** Ends before the commit; may run again from the start. */
  readonly body: (transaction: StudyTransaction) => Promise<void>;
  /** What `body` will look up. */
  readonly lookups: readonly Lookups[];
  /**
   * May be called when the commit is on its way: what the next transaction on the study will look up, null where none is to
   * come. That one is run with these very lookups when this one is committed.
   */
  readonly next: () => readonly Lookups[] | null;
}

/**
 * Runs `body` in one transaction under the study's lock and commits it; rejects where nothing was committed, or where
 * that is not known. False when the study does not exist (then without `body`).
 */
export type RunTransaction = (study: StudyId, work: GroupWork) => Promise<boolean>;

/** Calls that share a transaction at most: bounds what is lost by one that fails. */
export const groupSizeMax = 128;

/** No further call joins a transaction that has run its calls for this long, ms: bounds how long the lock is held. */
export const groupMsMax = 50;

/** After this long, ms, other work of the process has its turn before the next call of a group. */
export const breatheMs = 10;

/**
 * Calls of a group that is committed are answered while the store works on the next one, which is sent off first: to put answers
 * together takes as long as all else. Where that one has to wait itself, for a lock, they are answered after this long, ms.
 */
export const answerMsMax = 5;

/** Calls that are answered at once; before the next ones other work has its turn, above all what the store says meanwhile. */
export const answersAtOnce = 8;

/** Time as groups measure it, and how they let other work have its turn. */
export interface GroupPace {
  /** Milliseconds since any moment; never goes back. */
  readonly nowMs: () => number;
  readonly breathe: () => Promise<void>;
  /** Resolves `answerMsMax` from now. */
  readonly answerTime: () => Promise<void>;
}

const realPace: GroupPace = {
  nowMs: () => performance.now(),
  breathe: () => new Promise((resolve) => setImmediate(resolve)),
  answerTime: () => new Promise((resolve) => setTimeout(resolve, answerMsMax)),
};

interface Member {
  readonly work: Work<unknown>;
  readonly options: CallOptions;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Calls that run in one transaction, and what they will look up. */
interface Group {
  readonly members: readonly Member[];
  readonly lookups: readonly Lookups[];
}

type Result =
  { readonly kind: 'done'; readonly value: unknown } | { readonly kind: 'rejected'; readonly error: unknown };

export class StudyGroups {
  readonly #runTransaction: RunTransaction;
  readonly #pace: GroupPace;
  /** Calls that wait, by study; there is an entry exactly while a transaction is under way. */
  readonly #waiting = new Map<StudyId, Member[]>();
  /** Answers the calls of a group that is committed. */
  readonly #settle = new Map<StudyId, () => void>();

  constructor(runTransaction: RunTransaction, pace: GroupPace = realPace) {
    this.#runTransaction = runTransaction;
    this.#pace = pace;
  }

  /** `Storage.inStudy`. */
  run<T>(study: StudyId, work: Work<T>, options: CallOptions = {}): Promise<T | null> {
    return new Promise<T | null>((resolve, reject) => {
      const member: Member = { work, options, resolve: (value) => resolve(value as T | null), reject };
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
    let group = takeGroup(waiting);
    while (group !== null) {
      try {
        group = await this.#runGroup(study, group, waiting);
      } catch (error) {
        // The store is away: who waits would learn it no sooner from a try of its own, and many give up meanwhile.
        for (const member of waiting.splice(0)) member.reject(error);
        group = null;
      }
      group ??= takeGroup(waiting);
    }
    this.#answer(study);
    this.#waiting.delete(study);
  }

  /** Answers the calls of the last group, if that has not been done yet. */
  #answer(study: StudyId): void {
    const settle = this.#settle.get(study);
    this.#settle.delete(study);
    settle?.();
  }

  /**
   * Answers these calls but those there was no time for: they come first in the next group, which it returns. Rejects when the
   * store is away.
   */
  async #runGroup(study: StudyId, { members, lookups }: Group, waiting: Member[]): Promise<Group | null> {
    let results: Result[] = [];
    const upcoming: { formed: Formed | null } = { formed: null };
    const body = async (transaction: StudyTransaction): Promise<void> => {
      [results, upcoming.formed] = [[], null];
      await this.#runMembers(members, transaction, results, () => this.#answer(study));
      // Not before this group's commit is on its way: answers are put together while the store works.
      if (this.#settle.has(study)) void this.#pace.breathe().then(() => this.#answer(study));
    };
    const next = (): readonly Lookups[] | null => {
      upcoming.formed = formGroup(members.slice(results.length), waiting);
      return upcoming.formed.group?.lookups ?? null;
    };
    try {
      const exists = await this.#runTransaction(study, { body, lookups, next });
      const answered = exists ? members.slice(0, results.length) : members;
      this.#answer(study);
      const answer = (): void =>
        void this.#settleAll(answered, (index) => (exists ? results[index] : undefined));
      this.#settle.set(study, answer);
      void this.#pace.answerTime().then(() => {
        if (this.#settle.get(study) === answer) this.#answer(study);
      });
      const { group, seen } =
        (exists ? upcoming.formed : null) ?? formGroup(members.slice(answered.length), waiting);
      waiting.splice(0, seen);
      return group;
    } catch (error) {
      const away = error instanceof StorageUnavailable;
      if (away || members.length === 1) for (const member of members) member.reject(error);
      if (away) throw error;
      this.#answer(study);
      if (members.length > 1) await this.#runEach(study, members);
      return null;
    }
  }

  async #settleAll(
    members: readonly Member[],
    resultOf: (index: number) => Result | undefined,
  ): Promise<void> {
    for (const [index, member] of members.entries()) {
      if (index > 0 && index % answersAtOnce === 0) await this.#pace.breathe();
      settle(member, resultOf(index));
    }
  }

  /** Each in a transaction of its own. Rejects when the store goes away meanwhile. */
  async #runEach(study: StudyId, members: readonly Member[]): Promise<void> {
    for (const [index, member] of members.entries())
      try {
        if (goesOn(member)) await this.#runGroup(study, groupOf([member]), []);
      } catch (error) {
        for (const later of members.slice(index + 1)) later.reject(error);
        throw error;
      }
  }

  /** Runs the first member, and the others while there is time. */
  async #runMembers(
    members: readonly Member[],
    transaction: StudyTransaction,
    ...[results, answer]: [Result[], () => void]
  ): Promise<void> {
    const { nowMs, breathe } = this.#pace;
    const startedMs = nowMs();
    let breathedMs = startedMs;
    for (const member of members) {
      results.push(await runMember(member, transaction));
      const endedMs = nowMs();
      if (endedMs - startedMs >= groupMsMax) return;
      if (endedMs - breathedMs < breatheMs) continue;
      answer();
      await breathe();
      breathedMs = nowMs();
    }
  }
}

/** A group of calls that wait, which does not take them off the queue. */
interface Formed {
  readonly group: Group | null;
  /** Calls at the head of the queue that are in the group, or have ended. */
  readonly seen: number;
}

/** The next group; calls that have ended meanwhile are answered so, and belong to none. Null: nobody is left. */
function formGroup(first: readonly Member[], waiting: readonly Member[]): Formed {
  const members = first.filter(goesOn);
  let seen = 0;
  for (const member of waiting) {
    if (members.length >= groupSizeMax) break;
    seen += 1;
    if (goesOn(member)) members.push(member);
  }
  return { group: members.length === 0 ? null : groupOf(members), seen };
}

/** False, and answered so, when the caller has gone. */
function goesOn({ options, reject }: Member): boolean {
  if (options.signal?.aborted !== true) return true;
  reject(new CallEnded());
  return false;
}

function takeGroup(waiting: Member[]): Group | null {
  const { group, seen } = formGroup([], waiting);
  waiting.splice(0, seen);
  return group;
}

const groupOf = (members: readonly Member[]): Group => ({
  members,
  lookups: members.map(({ options }) => options),
});

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
