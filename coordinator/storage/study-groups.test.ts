import { describe, expect, it } from 'vitest';
import { requestId, studyId } from '../../shared/core/ids.js';
import { CallEnded, StorageUnavailable, type StudyTransaction } from './port.js';
import {
  StudyGroups,
  answersAtOnce,
  breatheMs,
  groupMsMax,
  groupSizeMax,
  type GroupPace,
  type RunTransaction,
} from './study-groups.js';

const study = studyId(1);
const away = new StorageUnavailable('away');
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
/** No call of these tests looks at its transaction. */
const transaction = {} as StudyTransaction;

/** A store that ends each transaction when it is told to. */
class Store {
  readonly #ends: ((error?: Error) => void)[] = [];
  transactions = 0;

  readonly run: RunTransaction = async (_, { body }) => {
    this.transactions += 1;
    await body(transaction);
    await new Promise<void>((resolve, reject) => {
      this.#ends.push((error) => {
        if (error === undefined) resolve();
        else reject(error);
      });
    });
    return true;
  };

  /** Waits until a transaction is to be committed. */
  async committing(): Promise<void> {
    while (this.#ends.length === 0) await settle();
  }

  /** Commits the transaction that is under way, or fails it. */
  async end(error?: Error): Promise<void> {
    await this.committing();
    this.#ends.shift()?.(error);
    await settle();
  }
}

const outcomes = (calls: readonly Promise<unknown>[]): Promise<readonly unknown[]> =>
  Promise.all(calls.map((call) => call.catch((error: unknown) => error)));

describe('calls that wait while the store goes away', () => {
  it('hear of it at once, all of them, after one try', async () => {
    const store = new Store();
    const groups = new StudyGroups(store.run);
    let runs = 0;
    const call = (): Promise<number | null> => groups.run(study, () => Promise.resolve((runs += 1)));
    const first = call();
    await settle();
    const later = Array.from({ length: 3 * groupSizeMax }, call);
    const heard = outcomes([first, ...later]);
    await store.end(away);
    expect(new Set(await heard)).toEqual(new Set([away]));
    expect({ transactions: store.transactions, runs }).toEqual({ transactions: 1, runs: 1 });
    // The next call is served as if nothing had been.
    const next = call();
    await store.end();
    expect(await next).toBe(2);
  });

  it('hear of it when it goes away while a group that failed runs one by one', async () => {
    const store = new Store();
    const groups = new StudyGroups(store.run);
    const call = (value: number): Promise<number | null> => groups.run(study, () => Promise.resolve(value));
    const group = [call(0), call(1), call(2)];
    await settle();
    const later = [call(3), call(4)];
    const heard = outcomes([...group, ...later]);
    await store.end(new Error('what one of them wrote is refused'));
    await store.end();
    await store.end(away);
    expect(await heard).toEqual([0, away, away, away, away]);
    expect(store.transactions).toBe(3);
  });

  it('are not run when they have ended meanwhile', async () => {
    const store = new Store();
    const groups = new StudyGroups(store.run);
    const ended = new AbortController();
    const ran: number[] = [];
    const call = (value: number, signal?: AbortSignal): Promise<number | null> =>
      groups.run(
        study,
        () => {
          ran.push(value);
          return Promise.resolve(value);
        },
        signal === undefined ? {} : { signal },
      );
    const first = call(0);
    await settle();
    const dead = Array.from({ length: groupSizeMax }, (_, index) => call(1 + index, ended.signal));
    const last = call(-1);
    const heard = outcomes(dead);
    ended.abort();
    await store.end();
    // Those that ended take no place in the group.
    await store.end();
    expect(await outcomes([first, last])).toEqual([0, -1]);
    expect((await heard).every((error) => error instanceof CallEnded)).toBe(true);
    expect(ran).toEqual([0, -1]);
  });
});

describe('the answers of a group that is committed', () => {
  const never = new Promise<void>(() => undefined);
  const pace = { nowMs: () => 0, breathe: settle };

  it('wait until the next group is on its way', async () => {
    const store = new Store();
    const heard: string[] = [];
    const groups = new StudyGroups(store.run, { ...pace, answerTime: () => never });
    const call = (name: string) =>
      groups.run(study, () => Promise.resolve(heard.push(`runs ${name}`))).then(() => heard.push(name));
    const first = call('a');
    await settle();
    const second = call('b');
    await store.end();
    await first;
    expect(heard).toEqual(['runs a', 'runs b', 'a']);
    await store.end();
    await second;
    // Nobody comes after the last one.
    expect(heard).toEqual(['runs a', 'runs b', 'a', 'b']);
  });

  it('are given a few at a time: what the store says meanwhile is heard first', async () => {
    let turn: () => void = () => undefined;
    const breathe = (): Promise<void> => new Promise((resolve) => (turn = resolve));
    const groups = new StudyGroups(
      async (_, { body }) => {
        await body(transaction);
        return true;
      },
      { ...pace, breathe, answerTime: () => never },
    );
    const heard: number[] = [];
    const calls = Array.from({ length: answersAtOnce + 2 }, async (_, index) => {
      await groups.run(study, () => Promise.resolve());
      heard.push(index);
    });
    await settle();
    expect(heard).toEqual(Array.from({ length: answersAtOnce }, (_, index) => index));
    turn();
    await Promise.all(calls);
    expect(heard).toEqual(calls.map((_, index) => index));
  });

  it('wait no longer than a moment where the next group has to wait itself', async () => {
    let transactions = 0;
    let moment: () => void = () => undefined;
    const groups = new StudyGroups(
      async (_, { body }) => {
        transactions += 1;
        if (transactions > 1) await never;
        await settle();
        await body(transaction);
        return true;
      },
      { ...pace, answerTime: () => new Promise((resolve) => (moment = resolve)) },
    );
    let answered = false;
    const first = groups.run(study, () => Promise.resolve('first')).then(() => (answered = true));
    await Promise.resolve();
    void groups.run(study, () => Promise.resolve('second'));
    while (transactions < 2) await settle();
    await settle();
    expect(answered).toBe(false);
    moment();
    await first;
    expect(answered).toBe(true);
  });
});

describe('a group that is formed when the commit before it is on its way', () => {
  const pace = { nowMs: () => 0, breathe: settle, answerTime: () => Promise.resolve() };

  /** Calls of which each transaction runs two; every commit is asked for what comes next, and fails where `fails` says so. */
  function setUp(
    fails: (transactions: number) => Error | null,
    runs: (name: string) => unknown = () => null,
  ) {
    const seen: { readonly lookups: readonly unknown[]; readonly announced: readonly unknown[] | null }[] =
      [];
    let announced: readonly unknown[] | null = null;
    let nowMs = 0;
    const store = new Store();
    const run: RunTransaction = async (id, work) => {
      seen.push({ lookups: work.lookups, announced });
      announced = null;
      const number = seen.length;
      await store.run(id, {
        ...work,
        body: async (inner) => {
          await work.body(inner);
          announced = work.next();
        },
      });
      const error = fails(number);
      if (error === null) return true;
      announced = null;
      throw error;
    };
    const groups = new StudyGroups(run, { ...pace, nowMs: () => nowMs });
    const ran: string[] = [];
    const call = (name: string, signal?: AbortSignal): Promise<string | null> =>
      groups.run(
        study,
        () => {
          nowMs += groupMsMax / 2;
          ran.push(name);
          runs(name);
          return Promise.resolve(name);
        },
        { request: requestId(name), ...(signal === undefined ? {} : { signal }) },
      );
    return { store, call, seen, ran };
  }

  const names = (lookups: readonly unknown[]): readonly string[] =>
    (lookups as readonly { readonly request: string }[]).map(({ request }) => request);

  it('comes next, as it was announced: who was left first, and nobody who came later', async () => {
    const { store, call, seen, ran } = setUp(() => null);
    const calls = [call('a'), call('b'), call('c')];
    await store.committing();
    const later = call('d');
    for (let transactions = 0; transactions < 3; transactions += 1) await store.end();
    expect(await Promise.all([...calls, later])).toEqual(['a', 'b', 'c', 'd']);
    expect(ran).toEqual(['a', 'b', 'c', 'd']);
    expect(seen.map(({ lookups }) => names(lookups))).toEqual([['a', 'b', 'c'], ['c'], ['d']]);
    // The very object: by it the store knows that this is what it was told of.
    expect(seen[1]?.lookups).toBe(seen[1]?.announced);
    expect(seen[2]?.lookups).toBe(seen[2]?.announced);
  });

  it('is formed anew where that commit fails: each call runs in a transaction that commits, once', async () => {
    const { store, call, seen, ran } = setUp((number) => (number === 1 ? new Error('refused') : null));
    const calls = [call('a'), call('b'), call('c')];
    await store.committing();
    const later = call('d');
    for (let transactions = 0; transactions < 5; transactions += 1) await store.end();
    expect(await Promise.all([...calls, later])).toEqual(['a', 'b', 'c', 'd']);
    expect(ran).toEqual(['a', 'b', 'a', 'b', 'c', 'd']);
    expect(seen.map(({ lookups }) => names(lookups))).toEqual([['a', 'b', 'c'], ['a'], ['b'], ['c'], ['d']]);
  });

  it('is formed anew where the transaction before it runs again', async () => {
    let nowMs = 0;
    const groups = new StudyGroups(
      async (_, { body, next }) => {
        if (nowMs === 0) {
          // The first try runs one of the two in its time, is asked what comes next, and meets a conflict.
          await body(transaction);
          expect(next()).toHaveLength(1);
          nowMs = -Infinity;
        }
        await body(transaction);
        return true;
      },
      { ...pace, nowMs: () => nowMs },
    );
    const ran: string[] = [];
    const call = (name: string): Promise<string | null> =>
      groups.run(study, () => {
        nowMs += groupMsMax;
        ran.push(name);
        return Promise.resolve(name);
      });
    expect(await Promise.all(['a', 'b'].map(call))).toEqual(['a', 'b']);
    expect(ran).toEqual(['a', 'a', 'b']);
  });

  it('is without calls that ended meanwhile, those that were left among them', async () => {
    const ended = new AbortController();
    const { store, call, ran } = setUp(
      () => null,
      (name) => name === 'b' && ended.abort(),
    );
    const calls = [call('a'), call('b'), call('c', ended.signal), call('d')];
    const heard = outcomes(calls);
    await store.end();
    await store.end();
    expect(await heard).toEqual(['a', 'b', expect.any(CallEnded), 'd']);
    expect(ran).toEqual(['a', 'b', 'd']);
  });

  it('hears with all others that the store is away', async () => {
    const { store, call } = setUp(() => away);
    const calls = [call('a'), call('b'), call('c')];
    await settle();
    const heard = outcomes([...calls, call('d')]);
    await store.end();
    expect(new Set(await heard)).toEqual(new Set([away]));
  });
});

describe('a group', () => {
  const stepMs = 4;
  /** Calls of 4 ms each, all made at once: the calls per transaction, and after which calls others had their turn. */
  async function groupsOf(calls: number, run?: RunTransaction) {
    let nowMs = 0;
    const breaths: number[] = [];
    const order: number[] = [];
    const pace: GroupPace = {
      nowMs: () => nowMs,
      breathe: () => {
        breaths.push(order.length);
        return Promise.resolve();
      },
      answerTime: () => Promise.resolve(),
    };
    const sizes: number[] = [];
    const plain: RunTransaction = async (_, { body }) => {
      const before = order.length;
      await body(transaction);
      sizes.push(order.length - before);
      return true;
    };
    const groups = new StudyGroups(run ?? plain, pace);
    const answers = await Promise.all(
      Array.from({ length: calls }, (_, index) =>
        groups.run(study, () => {
          nowMs += stepMs;
          order.push(index);
          return Promise.resolve(index);
        }),
      ),
    );
    return { sizes, breaths, order, answers };
  }

  it('ends when its time is over; who is left comes next, in order', async () => {
    const { sizes, order, answers } = await groupsOf(40);
    const size = Math.ceil(groupMsMax / stepMs);
    expect(sizes).toEqual([size, size, size, 40 - 3 * size]);
    expect(order).toEqual(Array.from({ length: 40 }, (_, index) => index));
    expect(answers).toEqual(order);
  });

  it('lets other work have its turn every few milliseconds', async () => {
    const { breaths } = await groupsOf(10);
    const every = Math.ceil(breatheMs / stepMs);
    // The last one is between answers.
    expect(breaths).toEqual([every, 2 * every, 3 * every, 10]);
  });

  it('is as large as its last run, where the store runs it more than once', async () => {
    const twice: RunTransaction = async (_, { body }) => {
      await body(transaction);
      await body(transaction);
      return true;
    };
    const { order, answers } = await groupsOf(20, twice);
    expect(answers).toEqual(Array.from({ length: 20 }, (_, index) => index));
    expect(order.length).toBe(40);
  });

  it('answers all of its calls when the study does not exist', async () => {
    const { answers } = await groupsOf(40, () => Promise.resolve(false));
    expect(new Set(answers)).toEqual(new Set([null]));
  });
});
