/** When transactions on a study are sent, on a pool that records what it is sent and answers when it is told to. */
import type { Pool, PoolClient } from 'pg';
import { beforeEach, describe, expect, it } from 'vitest';
import { studyId } from '../../../shared/core/ids.js';
import { smallStudy } from '../../../test/helpers/app.js';
import type { GroupWork } from '../study-groups.js';
import { OutcomeUnknown } from './commit.js';
import { StudyTransactions, chainMsMax } from './study-transactions.js';

const id = studyId(7);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Sent {
  readonly text: string;
  readonly answer: (result: object) => void;
  readonly fail: (error: Error) => void;
}

const studyRow = {
  ...{ id: 7, definition: smallStudy(), definition_text: '', definition_hash: '', dataset: null },
  ...{ state: 'RUNNING', trials_max: 5, next_number: 0, finish_sequence: 0, created_at_ms: 0 },
};
const lockRow = { ...studyRow, changes: 0, change_tag: 0 };

/** One connection, of a pool that has no other. */
class Recorder {
  readonly sent: Sent[] = [];
  readonly released: (boolean | undefined)[] = [];
  connects = 0;
  waitingCount = 0;
  #answered = 0;

  readonly client = {
    query: (query: string | { readonly name: string }) =>
      new Promise((answer, fail) => {
        this.sent.push({ text: typeof query === 'string' ? query.split(' ')[0]! : query.name, answer, fail });
      }),
    release: (broken?: boolean) => this.released.push(broken),
  } as unknown as PoolClient;

  readonly connect = ((): Promise<PoolClient> => {
    this.connects += 1;
    return Promise.resolve(this.client);
  }) as Pool['connect'];

  get texts(): readonly string[] {
    return this.sent.map(({ text }) => text);
  }

  /** Answers, in order, everything up to and with this statement; the last one with a failure, if one is given. */
  async answerTo(text: string, failure?: Error): Promise<void> {
    await turn();
    for (;;) {
      const next = this.sent[this.#answered];
      if (next === undefined) throw new Error(`'${text}' was not sent: ${this.texts.join(', ')}`);
      this.#answered += 1;
      const last = next.text === text;
      if (last && failure !== undefined) next.fail(failure);
      else next.answer(answers[next.text] ?? { rows: [], rowCount: 0, command: next.text.toUpperCase() });
      if (last) break;
    }
    await turn();
  }
}

const answers: Readonly<Record<string, object>> = {
  lock_study: { rows: [lockRow] },
  study_by_id: { rows: [studyRow] },
};

let pool: Recorder;
let nowMs: number;
let studies: StudyTransactions;
beforeEach(() => {
  pool = new Recorder();
  nowMs = 0;
  studies = new StudyTransactions(
    pool,
    (error) => error,
    () => nowMs,
  );
});

const nothing = (): Promise<void> => Promise.resolve();
const work = (change: Partial<GroupWork> = {}): GroupWork => ({
  ...{ body: nothing, lookups: [], next: () => null },
  ...change,
});
const settled = (run: Promise<unknown>): Promise<unknown> => run.catch((error: unknown) => error);

const begin = ['begin', 'lock_study'];
const first = [...begin, 'study_by_id', 'commit'];

describe('the transaction that comes next', () => {
  it('is sent behind the commit, before that is answered, and runs on its connection', async () => {
    const lookups = [{}];
    const one = studies.run(id, work({ next: () => lookups }));
    await pool.answerTo('study_by_id');
    expect(pool.texts).toEqual([...first, ...begin]);
    await pool.answerTo('commit');
    expect(await one).toBe(true);
    expect(pool.released).toEqual([]);
    let ran = false;
    const two = studies.run(id, work({ lookups, body: () => Promise.resolve(void (ran = true)) }));
    await turn();
    expect(ran).toBe(false);
    await pool.answerTo('lock_study');
    expect(ran).toBe(true);
    await pool.answerTo('commit');
    expect(await two).toBe(true);
    expect({ connects: pool.connects, released: pool.released }).toEqual({ connects: 1, released: [false] });
    expect(pool.texts).toEqual([...first, ...begin, 'commit']);
  });

  it('is begun anew when nothing is announced', async () => {
    const one = studies.run(id, work());
    await pool.answerTo('study_by_id');
    await pool.answerTo('commit');
    await one;
    expect(pool.released).toEqual([false]);
    void studies.run(id, work());
    await turn();
    expect({ connects: pool.connects, texts: pool.texts }).toEqual({
      connects: 2,
      texts: [...first, ...begin],
    });
  });

  it.each([
    ['after a while, for those elsewhere who wait for the lock', () => (nowMs = chainMsMax)],
    ['at once where somebody waits for a connection', () => (pool.waitingCount = 1)],
  ])('is not sent so for ever: %s', async (_, change) => {
    const lookups = [{}];
    let asked = 0;
    const next = (): readonly object[] => [lookups[asked++]!];
    const one = studies.run(id, work({ next: () => (next(), lookups) }));
    await pool.answerTo('study_by_id');
    await pool.answerTo('commit');
    await one;
    change();
    const two = studies.run(id, work({ lookups, next: () => (next(), lookups) }));
    await pool.answerTo('lock_study');
    await pool.answerTo('commit');
    await two;
    expect({ asked, released: pool.released }).toEqual({ asked: 1, released: [false] });
  });

  it('is rolled back with one whose commit fails: nothing of it is left on the connection', async () => {
    const refused = new Error('refused');
    const one = settled(studies.run(id, work({ next: () => [{}] })));
    await pool.answerTo('study_by_id');
    await pool.answerTo('commit', refused);
    expect(pool.texts).toEqual([...first, ...begin, 'rollback']);
    expect(pool.released).toEqual([]);
    await pool.answerTo('rollback');
    expect(await one).toBe(refused);
    expect(pool.released).toEqual([false]);
  });

  it('goes with a connection that is lost during the commit', async () => {
    const one = settled(studies.run(id, work({ next: () => [{}] })));
    await pool.answerTo('study_by_id');
    const lost = new Error('Connection terminated unexpectedly');
    await pool.answerTo('commit', lost);
    // Nobody waits for what was sent behind it; that it fails must not end the process.
    for (const { fail } of pool.sent) fail(lost);
    expect(await one).toBeInstanceOf(OutcomeUnknown);
    expect({ texts: pool.texts, released: pool.released }).toEqual({
      texts: [...first, ...begin],
      released: [true],
    });
  });
});

describe('a connection', () => {
  it('is not given back for others when its roll-back fails', async () => {
    const gone = new Error('Query read timeout');
    const body = (): Promise<void> => Promise.reject(new Error('what a call did wrong'));
    const one = settled(studies.run(id, work({ body })));
    await pool.answerTo('study_by_id');
    await pool.answerTo('rollback', gone);
    expect(await one).toBe(gone);
    expect(pool.released).toEqual([true]);
  });

  it.each([
    ['before its commit was answered', false],
    ['after that', true],
  ])('is given back when the store is closed with a transaction sent ahead, %s', async (_, after) => {
    const one = studies.run(id, work({ next: () => [{}] }));
    await pool.answerTo('study_by_id');
    if (!after) studies.close();
    await pool.answerTo('commit');
    await one;
    if (after) studies.close();
    await pool.answerTo('rollback');
    expect(pool.released).toEqual([undefined]);
  });
});
