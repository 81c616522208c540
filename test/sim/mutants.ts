/**
 * Faults of our own making, each a promise broken on purpose by wrapping the store that coordinators get, or the calls
 * that workers make. The simulation must find every one: that is what shows that its invariants look at the right things.
 */
import type { LeaseToken, StudyId } from '../../shared/core/ids.js';
import type { AskResponse } from '../../shared/wire/gen/parzen/v1/trial.js';
import type { TrialCalls } from '../../worker/agent/trial-calls.js';
import type { AppContext } from '../../coordinator/app/context.js';
import type { StudyGate } from '../../coordinator/app/study-gate.js';
import {
  StorageUnavailable,
  type Storage,
  type StudyTransaction,
  type TrialRecord,
} from '../../coordinator/storage/port.js';
import { inTransactions, withStorage, withTransaction } from './replaced-store.js';
import { calm, type Weather } from './weather.js';

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
  'expiry-moves-back',
  'late-result-counts',
  'rollback-acknowledged',
  'ahead-not-given-back',
  'ahead-runs-twice',
  'held-never-woken',
  'turn-never-ended',
  'history-always-true',
  'own-clock',
  'file-of-any-lease',
] as const;
export type MutantName = (typeof mutantNames)[number];

export interface Mutant {
  /** Weather in which it shows soon; that of the seed unless given. */
  readonly weather?: Weather;
  /** The store as one coordinator process gets it. */
  readonly storage?: (storage: Storage) => Storage;
  /** Changes what one coordinator process works with. */
  readonly context?: (context: AppContext) => void;
  /** The calls of one worker process. */
  readonly calls?: (calls: TrialCalls) => TrialCalls;
}

const storageMutants = {
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
  // What comes under a lost lease is stored as soon as somebody else's is.
  'file-of-any-lease': (storage) => {
    const lost = new Map<string, Parameters<Storage['putArtifact']>[1]>();
    return withStorage(storage, {
      putArtifact: async (token, artifact) => {
        const place = await storage.findLease(token);
        const key = `${place?.study ?? ''} ${place?.number ?? ''}`;
        const answer = await storage.putArtifact(token, artifact);
        const earlier = lost.get(key);
        if (answer === 'lost') lost.set(key, artifact);
        else if (earlier !== undefined) await storage.putArtifact(token, earlier);
        return answer;
      },
    });
  },
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
  'expiry-moves-back': (storage) =>
    withStorage(storage, {
      extendLeases: async (tokens, leaseExpiresAtMs) => {
        const answers = await storage.extendLeases(tokens, leaseExpiresAtMs);
        for (const token of tokens) await setExpiry(storage, token, leaseExpiresAtMs);
        return answers;
      },
    }),
  // A call that shares a transaction with others is answered as if it had been committed, though all of it was rolled back.
  'rollback-acknowledged': (storage) =>
    withStorage(storage, {
      inStudy: async <T>(...[id, work, lookups]: Parameters<typeof storage.inStudy<T>>) => {
        let done: { readonly result: T } | null = null;
        try {
          return await storage.inStudy(
            id,
            async (transaction) => {
              const result = await work(transaction);
              done = { result };
              return result;
            },
            lookups,
          );
        } catch (error) {
          const member = done as { readonly result: T } | null;
          if (member === null || !(error instanceof StorageUnavailable)) throw error;
          return member.result;
        }
      },
    }),
  'late-result-counts': (storage) => inTransactions(storage, gladOfLateResults),
} satisfies Partial<Record<MutantName, (storage: Storage) => Storage>>;

const callMutants = {
  'ahead-not-given-back': (calls) => ({
    ...calls,
    release: (request, options) =>
      request.unstarted ? Promise.resolve({ released: true }) : calls.release(request, options),
  }),
  'ahead-runs-twice': (calls) => {
    // The slot takes the trial that it has asked for ahead for two.
    let last: AskResponse | null = null;
    return {
      ...calls,
      ask: async (request, options) => {
        if (!request.ahead && last !== null) {
          const again = last;
          last = null;
          return again;
        }
        const answer = await calls.ask(request, options);
        if (request.ahead && answer.outcome?.$case === 'assignment') last = answer;
        return answer;
      },
    };
  },
} satisfies Partial<Record<MutantName, (calls: TrialCalls) => TrialCalls>>;

const contextMutants = {
  // An ask that the gate gives the turn sleeps on.
  'held-never-woken': (context) =>
    changeGates(context, (gate) => {
      const join = gate.join.bind(gate);
      gate.join = ({ memoryBytes }) => join({ memoryBytes, wake: () => undefined });
    }),
  // The gate believes for ever that somebody looks.
  'turn-never-ended': (context) =>
    changeGates(context, (gate) => {
      const end = gate.end.bind(gate);
      gate.end = (how, look) => end(how, { ...look, turn: false });
    }),
  // What a transaction finished counts for later suggestions, though it was rolled back.
  'history-always-true': ({ histories }) => {
    const asItIs = histories.asItIs.bind(histories);
    histories.asItIs = (transaction) =>
      Object.assign(asItIs(transaction), { isTrue: () => true, isOf: () => Promise.resolve(true) });
  },
  // Leases go by the clock of the machine that a coordinator runs on.
  'own-clock': (context) => {
    Object.assign(context, { agreeOnTime: () => Promise.resolve() });
  },
} satisfies Partial<Record<MutantName, (context: AppContext) => void>>;

function changeGates({ caches: { asks } }: AppContext, change: (gate: StudyGate) => void): void {
  const changed = new WeakSet<StudyGate>();
  const gateOf = asks.gate.bind(asks);
  asks.gate = (study) => {
    const gate = gateOf(study);
    if (!changed.has(gate)) change(gate);
    changed.add(gate);
    return gate;
  };
}

const isStorageMutant = (name: MutantName): name is keyof typeof storageMutants => name in storageMutants;

const isContextMutant = (name: MutantName): name is keyof typeof contextMutants => name in contextMutants;

/** Weather for mutants that hardly ever show in that of a seed. */
const weathers: Partial<Record<MutantName, Weather>> = {
  // Transactions that run twice, and in which calls meet: a history leans on what was rolled back.
  'history-always-true': {
    ...{ ...calm, conflict: 0.5, happeningEveryMs: 2_000 },
    happening: { ...calm.happening, 'database-slow': 1 },
  },
  // A database that goes away in the middle of long transactions.
  'rollback-acknowledged': {
    ...{ ...calm, happeningEveryMs: 2_000 },
    happening: { ...calm.happening, 'database-slow': 1, 'database-down': 1 },
  },
};

/** Every mutant by name. */
export const mutantOf = (name: MutantName): Mutant => {
  const weather = weathers[name];
  return { ...changeOf(name), ...(weather === undefined ? {} : { weather }) };
};

const changeOf = (name: MutantName): Mutant =>
  isStorageMutant(name)
    ? { storage: storageMutants[name] }
    : isContextMutant(name)
      ? { context: contextMutants[name] }
      : { calls: callMutants[name] };

/** Sets the end of a lease, forwards or backwards. */
async function setExpiry(storage: Storage, token: LeaseToken, expiresAtMs: number): Promise<void> {
  const found = await storage.findLease(token);
  if (found === null) return;
  await storage.inStudy(found.study, async (transaction) => {
    const trial = await transaction.trial(found.number);
    if (trial?.lease?.token === token)
      await transaction.updateTrial({ ...trial, lease: { ...trial.lease, expiresAtMs } });
  });
}

/** A result is a result, even when the trial waits for another worker by now. */
const gladOfLateResults = (transaction: StudyTransaction): StudyTransaction =>
  withTransaction(transaction, {
    insertLateResult: async (late) => {
      await transaction.insertLateResult(late);
      const trial = await transaction.trial(late.number);
      if (trial?.state !== 'WAITING' || late.outcome !== 'finished') return;
      const finished = { state: 'COMPLETE', reason: 'finished', finishedAtMs: late.receivedAtMs } as const;
      await transaction.updateTrial({ ...trial, ...finished, metrics: late.metrics, values: [0.5] });
    },
  });

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
