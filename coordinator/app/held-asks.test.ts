/** Asks that are held, on a virtual clock; two handles on one store stand for two coordinators. */
import { describe, expect, it } from 'vitest';
import { requestId, workerId, type LeaseToken } from '../../shared/core/ids.js';
import { smallStudy, testApp, type TestApp } from '../../test/helpers/app.js';
import { Scheduler } from '../../test/sim/scheduler.js';
import { SimProcess, epochMs } from '../../test/sim/sim-process.js';
import { createMemoryDatabase } from '../storage/memory/create-memory-storage.js';
import type { Storage } from '../storage/port.js';
import { ask, type AskOutcome } from './ask.js';
import { createContext, type AppContext } from './context.js';
import { createStudy } from './create-study.js';
import { Histories } from './history.js';
import { deleteStudy, pauseStudy, resumeStudy } from './steer-study.js';
import { tell } from './tell.js';
import { WorkSignal } from './work-signal.js';

const waitMs = 20_000;
const pollIntervalMs = 1_000;
/** A poll may just have been made when the change came. */
const noticedMs = 2 * pollIntervalMs;

interface Held {
  readonly outcome: Promise<AskOutcome>;
  answer: AskOutcome | null;
  /** Virtual time of the answer, ms. */
  atMs: number;
}

class Stage {
  readonly scheduler = new Scheduler();
  readonly #database = createMemoryDatabase();
  /** Another coordinator on the same store, whose changes the first one hears nothing of. */
  readonly elsewhere: TestApp = testApp(this.#database.open());
  readonly here: AppContext;
  /** Transactions of the first coordinator. */
  looks = 0;
  #asked = 0;

  constructor(change: (storage: Storage) => Partial<Storage> = () => ({})) {
    const { scheduler } = this;
    // Real time plays no part: a slow machine must not end a group or let others have their turn.
    const storage = this.#database.open({
      nowMs: () => scheduler.nowMs,
      breathe: () => Promise.resolve(),
      answerTime: () => Promise.resolve(),
    });
    this.elsewhere.clock.advance(epochMs - this.elsewhere.clock.nowMs());
    const changed = change(storage);
    const counted: Partial<Storage> = {
      ...changed,
      inStudy: (...args) => {
        this.looks += 1;
        return (changed.inStudy ?? storage.inStudy.bind(storage))(...args);
      },
    };
    this.here = createContext({
      ...this.elsewhere.context,
      storage: new Proxy(storage, {
        get: (target, key: keyof Storage) => counted[key] ?? target[key].bind(target),
      }),
      clock: new SimProcess(this.scheduler, 'here').clock,
      signal: new WorkSignal(),
      histories: new Histories(),
      settings: { ...this.elsewhere.context.settings, pollIntervalMs },
    });
  }

  /** An ask that has looked, and is held unless it found work. */
  async hold(
    worker = 'w1',
    signal: AbortSignal = new AbortController().signal,
    study: string | null = null,
  ): Promise<Held> {
    const request = { requestId: requestId(`held ${(this.#asked += 1)}`), workerId: workerId(worker) };
    const outcome = ask(this.here, { ...request, study, waitMs, trainers: [] }, signal);
    const held: Held = { outcome, answer: null, atMs: NaN };
    outcome.then(
      (answer) => {
        held.answer = answer;
        held.atMs = this.scheduler.nowMs;
      },
      () => undefined,
    );
    await this.pass(0);
    return held;
  }

  /** Lets this much virtual time pass; everything settles that can. */
  async pass(ms: number): Promise<void> {
    let over = false;
    this.scheduler.after(ms, () => (over = true));
    while (!over) await this.scheduler.step();
  }

  async end(asked: Held): Promise<AskOutcome> {
    while (asked.answer === null && (await this.scheduler.step()));
    return asked.outcome;
  }
}

async function stage(change?: (storage: Storage) => Partial<Storage>): Promise<Stage> {
  const made = new Stage(change);
  await made.elsewhere.register('w1', 8e9);
  await made.elsewhere.register('w2', 24e9);
  return made;
}

/** A study without work: its only trial runs. */
async function busyStudy({ elsewhere }: Stage, name = 'old'): Promise<LeaseToken> {
  await elsewhere.create(smallStudy({ name, trials: 1 }));
  const outcome = await elsewhere.ask({ study: name });
  if (outcome.kind !== 'assigned') throw new Error('there is work');
  return outcome.assignment.token;
}

const failed = { kind: 'failed', reason: 'error', message: 'error' } as const;

describe('a held ask', () => {
  it.each([0, 1])('finds a study that another coordinator makes, beside %i without work', async (others) => {
    const made = await stage();
    if (others > 0) await busyStudy(made);
    // Whenever it comes between two polls, and however long they have been going on.
    for (const [index, pauseMs] of [10, 350, 999, 1_700, 5_300].entries()) {
      const held = await made.hold();
      await made.pass(pauseMs);
      const createdMs = made.scheduler.nowMs;
      await made.elsewhere.create(smallStudy({ name: `new ${index}`, trials: 1 }));
      expect(await made.end(held)).toMatchObject({ kind: 'assigned', assignment: { study: `new ${index}` } });
      expect(held.atMs - createdMs).toBeLessThanOrEqual(noticedMs);
    }
  });

  it('finds it though looks at another study take longer than a poll interval', async () => {
    const made: Stage = await stage((storage) => ({
      // A look takes longer than a poll interval.
      inStudy: async (...args) => {
        await new Promise<void>((resolve) => {
          made.scheduler.after(1.5 * pollIntervalMs, resolve);
        });
        return storage.inStudy(...args);
      },
    }));
    await busyStudy(made);
    const held = await made.hold();
    await made.pass(100);
    await made.elsewhere.create(smallStudy({ name: 'new' }));
    expect(await made.end(held)).toMatchObject({ kind: 'assigned', assignment: { study: 'new' } });
    expect(held.atMs).toBeLessThan(waitMs / 2);
  });

  it('finds a study that this coordinator makes during a look at another, without waiting for a poll', async () => {
    const lookMs = 0.3 * pollIntervalMs;
    const made: Stage = await stage((storage) => ({
      inStudy: async (...args) => {
        await new Promise<void>((resolve) => void made.scheduler.after(lookMs, resolve));
        return storage.inStudy(...args);
      },
    }));
    await busyStudy(made);
    const held = await made.hold();
    const before = made.looks;
    while (made.looks === before) await made.scheduler.step();
    await made.pass(lookMs / 2);
    const definition = smallStudy({ name: 'new' });
    await createStudy(made.here, { definition, definitionText: '{}', trials: null, dataset: null });
    await made.pass(2 * lookMs);
    expect(held.answer).toMatchObject({ kind: 'assigned', assignment: { study: 'new' } });
  });

  it('finds the study it named when that is made elsewhere', async () => {
    const made = await stage();
    const held = await made.hold('w1', new AbortController().signal, 'wanted');
    await made.pass(2_500);
    await made.elsewhere.create(smallStudy({ name: 'unwanted' }));
    await made.pass(2_500);
    expect(held.answer).toBeNull();
    await made.elsewhere.create(smallStudy({ name: 'wanted' }));
    await made.pass(noticedMs);
    expect(held.answer).toMatchObject({ kind: 'assigned', assignment: { study: 'wanted' } });
  });

  it('finds work that another coordinator brings, within a poll interval', async () => {
    const made = await stage();
    const token = await busyStudy(made);
    const held = await made.hold();
    await made.pass(3_300);
    await tell(made.elsewhere.context, { token, outcome: failed, peakMemoryBytes: null });
    await made.pass(noticedMs);
    expect(held.answer).toMatchObject({ kind: 'assigned', assignment: { number: 0, attempt: 2 } });
  });

  it('finds work that this coordinator brings, at once, in whichever study it is', async () => {
    const made = await stage();
    await busyStudy(made, 'one');
    const token = await busyStudy(made, 'two');
    const held = await made.hold();
    await made.pass(300);
    await tell(made.here, { token, outcome: failed, peakMemoryBytes: null });
    await made.pass(1);
    expect(held.answer).toMatchObject({ kind: 'assigned', assignment: { study: 'two', attempt: 2 } });
  });

  it('finds a study that is resumed, here at once and elsewhere within a poll interval', async () => {
    for (const where of ['here', 'elsewhere'] as const) {
      const made = await stage();
      await made.elsewhere.create(smallStudy());
      await pauseStudy(made.elsewhere.context, 'small');
      const held = await made.hold();
      await made.pass(5_500);
      expect(held.answer).toBeNull();
      await resumeStudy(where === 'here' ? made.here : made.elsewhere.context, 'small');
      await made.pass(where === 'here' ? 1 : noticedMs);
      expect(held.answer).toMatchObject({ kind: 'assigned' });
    }
  });

  it('is for whoever has the memory: a trial that came back from a small GPU goes to the bigger one', async () => {
    const made = await stage();
    const token = await busyStudy(made);
    const [small, big] = [await made.hold('w1'), await made.hold('w2')];
    await made.pass(100);
    const outcome = { kind: 'failed', reason: 'oom', message: 'oom' } as const;
    await tell(made.here, { token, outcome, peakMemoryBytes: null });
    await made.pass(1);
    expect(big.answer).toMatchObject({ kind: 'assigned', assignment: { attempt: 2 } });
    expect(await made.end(small)).toEqual({ kind: 'nothing', reason: 'all-running' });
  });

  it('says that there is no study when its study is deleted, and ends in time', async () => {
    const made = await stage();
    await made.elsewhere.create(smallStudy());
    await pauseStudy(made.elsewhere.context, 'small');
    const held = await made.hold();
    await made.pass(100);
    await deleteStudy(made.elsewhere.context, 'small');
    expect(await made.end(held)).toEqual({ kind: 'nothing', reason: 'no-study' });
    expect(held.atMs).toBe(waitMs);
  });

  it('does not keep a turn that it cannot use: the next one looks when the first has gone', async () => {
    const made = await stage();
    const token = await busyStudy(made);
    const gone = new AbortController();
    const [first, second] = [await made.hold('w1', gone.signal), await made.hold('w2')];
    await made.pass(100);
    gone.abort();
    await tell(made.here, { token, outcome: failed, peakMemoryBytes: null });
    await made.pass(1);
    expect(first.answer).toMatchObject({ kind: 'nothing' });
    expect(second.answer).toMatchObject({ kind: 'assigned' });
  });

  it('costs the store one look per study and poll interval, however many are held', async () => {
    const made = await stage();
    await busyStudy(made);
    const held = await Promise.all(Array.from({ length: 50 }, () => made.hold()));
    await made.pass(500);
    const before = made.looks;
    await made.pass(10 * pollIntervalMs);
    expect(made.looks - before).toBe(10);
    await Promise.all(held.map((each) => made.end(each)));
    // Nobody waits: the store is left alone.
    await made.pass(noticedMs);
    const after = made.looks;
    expect(await made.scheduler.step()).toBe(false);
    expect(made.looks).toBe(after);
  });
});
