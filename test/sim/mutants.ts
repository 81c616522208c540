/**
 * Faults of our own making, each a promise broken on purpose by wrapping the store that coordinators get. The
 * simulation must find every one: that is what shows that its invariants look at the right things.
 */
import type { LeaseToken, StudyId } from '../../shared/core/ids.js';
import type { Storage, StudyTransaction, TrialRecord } from '../../coordinator/storage/port.js';

export const mutantNames = [
  'no-token-check',
  'answer-before-commit',
  'no-budget-check',
  'stale-budget',
  'ask-not-idempotent',
  'enqueue-not-idempotent',
  'no-reclaim',
  'late-results-dropped',
  'forgets-what-it-saw',
  'no-lock',
  'attempt-left-open',
] as const;
export type MutantName = (typeof mutantNames)[number];

/** The store with some methods replaced. */
export function withStorage(storage: Storage, replaced: Partial<Storage>): Storage {
  return new Proxy(storage, {
    get: (target, key: keyof Storage) => replaced[key] ?? target[key].bind(target),
  });
}

function withTransaction(
  transaction: StudyTransaction,
  replaced: Partial<StudyTransaction>,
): StudyTransaction {
  return new Proxy(transaction, {
    get: (target, key: keyof StudyTransaction) => {
      if (key === 'commitment') return target.commitment;
      return replaced[key] ?? target[key].bind(target);
    },
  });
}

/** The store whose transactions are replaced. */
const inTransactions = (
  storage: Storage,
  mutate: (transaction: StudyTransaction) => StudyTransaction,
): Storage =>
  withStorage(storage, {
    inStudy: (id, work) => storage.inStudy(id, (transaction) => work(mutate(transaction))),
  });

/** Makes the mutant for one coordinator process. */
export const mutants: Readonly<Record<MutantName, (storage: Storage) => Storage>> = {
  'no-token-check': (storage) => inTransactions(storage, blindToTokens),
  'answer-before-commit': (storage) =>
    withStorage(storage, {
      inStudy: (id, work) =>
        new Promise((resolve, reject) => {
          const answered = storage.inStudy(id, async (transaction) => {
            const result = await work(transaction);
            resolve(result);
            return result;
          });
          answered.then(resolve, reject);
        }),
    }),
  'no-budget-check': (storage) =>
    inTransactions(storage, (transaction) =>
      withTransaction(transaction, {
        study: () => ({ ...transaction.study(), trialsMax: transaction.study().trialsMax + 1 }),
      }),
    ),
  'stale-budget': (storage) => {
    // The budget is compared with the next number as this process last left it.
    const remembered = new Map<StudyId, number>();
    return withStorage(storage, {
      inStudy: async (id, work) => {
        const left: number[] = [];
        const result = await storage.inStudy(id, (transaction) =>
          work(
            withTransaction(transaction, {
              study: () => {
                const study = transaction.study();
                const stale = remembered.get(id) ?? study.nextNumber;
                return { ...study, trialsMax: study.trialsMax + study.nextNumber - stale };
              },
              insertTrial: async (trial) => {
                const inserted = await transaction.insertTrial(trial);
                left.push(transaction.study().nextNumber);
                return inserted;
              },
            }),
          ),
        );
        const last = left.at(-1);
        if (last !== undefined) remembered.set(id, last);
        return result;
      },
    });
  },
  'ask-not-idempotent': (storage) => {
    let asks = 0;
    return inTransactions(storage, (transaction) =>
      withTransaction(transaction, {
        attemptByRequest: () => Promise.resolve(null),
        insertAttempt: async (attempt) => {
          const taken = await transaction.attemptByRequest(attempt.requestId);
          if (taken === null) return transaction.insertAttempt(attempt);
          asks += 1;
          const requestId = `${attempt.requestId} again ${asks} ${attempt.token}` as typeof attempt.requestId;
          return transaction.insertAttempt({ ...attempt, requestId });
        },
      }),
    );
  },
  'enqueue-not-idempotent': (storage) =>
    inTransactions(storage, (transaction) =>
      withTransaction(transaction, {
        trialByEnqueueRequest: () => Promise.resolve(null),
        insertTrial: async (trial) => {
          const { enqueueRequestId: id } = trial;
          const taken = id === null ? null : await transaction.trialByEnqueueRequest(id);
          return transaction.insertTrial(taken === null ? trial : { ...trial, enqueueRequestId: null });
        },
      }),
    ),
  'no-reclaim': (storage) => withStorage(storage, { expiredLeases: () => Promise.resolve([]) }),
  'late-results-dropped': (storage) =>
    inTransactions(storage, (transaction) =>
      withTransaction(transaction, { insertLateResult: () => Promise.resolve() }),
    ),
  'forgets-what-it-saw': (storage) =>
    inTransactions(storage, (transaction) =>
      withTransaction(transaction, {
        insertTrial: (trial) =>
          transaction.insertTrial(
            trial.watermark === null ? trial : { ...trial, watermark: { ...trial.watermark, running: [] } },
          ),
      }),
    ),
  'no-lock': (storage) =>
    withStorage(storage, {
      inStudy: async (id, work) => {
        const { result, writes } = await readOnly(storage, id, work);
        if (writes.length > 0)
          await storage.inStudy(id, async (transaction) => {
            for (const write of writes) await write(transaction);
          });
        return result;
      },
    }),
  'attempt-left-open': (storage) => inTransactions(storage, forgetfulOfAttempts),
};

/** Every token fits: a result is taken for the trial, whoever holds its lease by now. */
function blindToTokens(transaction: StudyTransaction): StudyTransaction {
  let told: LeaseToken | null = null;
  let held: LeaseToken | null = null;
  return withTransaction(transaction, {
    attemptByToken: (token) => {
      told = token;
      return transaction.attemptByToken(token);
    },
    trial: async (number) => {
      const trial: TrialRecord | null = await transaction.trial(number);
      if (trial?.lease == null || told === null) return trial;
      held = trial.lease.token;
      return { ...trial, lease: { ...trial.lease, token: told } };
    },
    endAttempt: (token, end) => transaction.endAttempt(held ?? token, end),
  });
}

type Write = (transaction: StudyTransaction) => Promise<unknown>;

/** Runs `work` on what is stored now and rolls it back: its result, and what it would have written. */
async function readOnly<T>(
  storage: Storage,
  id: StudyId,
  work: (transaction: StudyTransaction) => Promise<T>,
): Promise<{ result: T | null; writes: readonly Write[] }> {
  const writes: Write[] = [];
  const rollback = new Error('rolled back');
  let result: T | null = null;
  const noted = (transaction: StudyTransaction, write: Write): Promise<never> => {
    writes.push(write);
    return write(transaction) as Promise<never>;
  };
  try {
    await storage.inStudy(id, async (transaction) => {
      writes.length = 0;
      result = await work(
        withTransaction(transaction, {
          setStudy: (change) => noted(transaction, (each) => each.setStudy(change)),
          insertTrial: (trial) => noted(transaction, (each) => each.insertTrial(trial)),
          updateTrial: (trial) => noted(transaction, (each) => each.updateTrial(trial)),
          insertAttempt: (attempt) => noted(transaction, (each) => each.insertAttempt(attempt)),
          endAttempt: (token, end) => noted(transaction, (each) => each.endAttempt(token, end)),
          insertLateResult: (late) => noted(transaction, (each) => each.insertLateResult(late)),
        }),
      );
      throw rollback;
    });
  } catch (error) {
    if (error !== rollback) throw error;
  }
  return { result, writes };
}

/** The trial is finished, its attempt's row is not. */
const forgetfulOfAttempts = (transaction: StudyTransaction): StudyTransaction =>
  withTransaction(transaction, {
    endAttempt: (token, end) =>
      end.outcome === 'lost' ? Promise.resolve() : transaction.endAttempt(token, end),
  });
