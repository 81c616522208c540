/** Stores that do some things otherwise: what mutants and scenarios are made of. */
import type { Storage, StudyTransaction } from '../../coordinator/storage/port.js';

/** The store with some methods replaced. */
export function withStorage(storage: Storage, replaced: Partial<Storage>): Storage {
  return new Proxy(storage, {
    get: (target, key: keyof Storage) => replaced[key] ?? target[key].bind(target),
  });
}

/** A transaction with some methods replaced. */
export function withTransaction(
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
export const inTransactions = (
  storage: Storage,
  mutate: (transaction: StudyTransaction) => StudyTransaction,
): Storage =>
  withStorage(storage, {
    inStudy: (id, work) => storage.inStudy(id, (transaction) => work(mutate(transaction))),
  });
