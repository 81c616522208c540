/**
 * A store whose calls, failures and committed changes are told to an observer. What is counted from here was committed by
 * this process, and is counted once: a transaction that is run again, rolled back, or whose outcome is unknown tells nothing.
 */
import type { LeaseToken, StudyId } from '../../shared/core/ids.js';
import type { StoreObserver } from '../app/observer.js';
import { ChangeRecorder, type Times } from './change-recorder.js';
import { RecentMap } from './recent-map.js';
import type { Storage, StudyRecord, StudyTransaction } from './port.js';

type Work = (transaction: StudyTransaction) => Promise<unknown>;
type Method = (...args: unknown[]) => Promise<unknown>;

/** Attempts and waits whose beginning this process remembers; beyond, their duration is not told. */
const remembered = 10_000;

/** Names of a store's operations, as `StoreObserver.calling` gets them. What is rare and alike shares one name, so that there are few. */
export const storeOperations = [
  ...[
    'create_study',
    'find_study',
    'list_studies',
    'delete_study',
    'transaction',
    'list_trials',
    'count_trials',
  ],
  ...['count_attempts', 'history', 'report', 'extend_leases', 'find_lease', 'expired_leases', 'put_worker'],
  ...['touch_worker', 'list_workers', 'datasets', 'overview', 'other'],
] as const;
type StoreOperation = (typeof storeOperations)[number];

const groups: Readonly<Record<string, StoreOperation>> = {
  inStudy: 'transaction',
  listAttempts: 'history',
  listLateResults: 'history',
  listReports: 'history',
  putDataset: 'datasets',
  findDataset: 'datasets',
  listDatasets: 'datasets',
};

function operationOf(method: string): StoreOperation {
  const words = method.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return groups[method] ?? storeOperations.find((operation) => operation === words) ?? 'other';
}

/** A stream of pieces ends long after its call; closing, and figures of connections, are no work of the database. */
const unobserved: ReadonlySet<keyof Storage> = new Set(['readDataset', 'close', 'connections']);

export function observedStorage(storage: Storage, observer: StoreObserver): Storage {
  const times: Times = { attempts: new RecentMap(remembered), waits: new RecentMap(remembered) };
  const own = observedMethods(storage, observer, times);
  return new Proxy(storage, {
    get: (target, key: keyof Storage) => {
      const method = own[key] ?? (Reflect.get(target, key) as Method).bind(target);
      if (unobserved.has(key)) return method;
      return async (...args: unknown[]) => {
        const end = observer.calling(operationOf(key));
        try {
          const value = await method(...args);
          end();
          return value;
        } catch (error) {
          end(error);
          throw error;
        }
      };
    },
  });
}

function observedMethods(
  storage: Storage,
  observer: StoreObserver,
  times: Times,
): Partial<Record<keyof Storage, Method>> {
  const foundStudies = new RecentMap<LeaseToken, StudyId | null>(remembered);
  const studyOf = async (token: LeaseToken): Promise<StudyId | null> => {
    const known = times.attempts.get(token)?.study ?? foundStudies.get(token);
    if (known !== undefined) return known;
    const study = (await storage.findLease(token))?.study ?? null;
    foundStudies.set(token, study);
    return study;
  };
  return {
    inStudy: (...args) => {
      const [id, work, ...rest] = args as [StudyId, Work, ...unknown[]];
      const inStudy = storage.inStudy.bind(storage) as unknown as Method;
      return observedTransaction(observer, times, work, (observed) => inStudy(id, observed, ...rest));
    },
    createStudy: async (...args) => {
      const created = await storage.createStudy(...(args as Parameters<Storage['createStudy']>));
      if (created !== null) observer.studyCreated(created);
      return created;
    },
    report: async (...args) => {
      const [token, ...rest] = args as Parameters<Storage['report']>;
      const answer = await storage.report(token, ...rest);
      observer.leasesAnswered([answer]);
      if (answer !== 'lost')
        // Not waited for: a lease that another replica has given out costs one look, once.
        studyOf(token).then(
          (study) => study !== null && observer.reported(study),
          () => undefined,
        );
      return answer;
    },
    extendLeases: async (...args) => {
      const answers = await storage.extendLeases(...(args as Parameters<Storage['extendLeases']>));
      observer.leasesAnswered(answers);
      return answers;
    },
  };
}

async function observedTransaction(
  observer: StoreObserver,
  times: Times,
  work: Work,
  inStudy: (work: Work) => Promise<unknown>,
): Promise<unknown> {
  const runs: { recorder: ChangeRecorder; study: StudyRecord }[] = [];
  const value = await inStudy(async (transaction) => {
    if (runs.length > 0) observer.retried('transaction');
    const run = { recorder: new ChangeRecorder(transaction, times), study: transaction.study() };
    runs.push(run);
    const result = await work(run.recorder.transaction);
    run.study = transaction.study();
    return result;
  });
  const last = runs.at(-1);
  const change = last === undefined ? null : last.recorder.committed(last.study);
  if (change !== null) observer.changed(change);
  return value;
}
