/**
 * Two processes on one store, each with what it remembers of it: whatever they do in turn, they find what one process alone would
 * have found that did all of it. The order is drawn from a seed, which is printed with a failure.
 */
import { describe, expect, it } from 'vitest';
import { leaseToken, type StudyId } from '../../shared/core/ids.js';
import { createMemoryStorage } from '../../coordinator/storage/memory/create-memory-storage.js';
import type { Storage, StudyTransaction, TrialRecord } from '../../coordinator/storage/port.js';
import { Draw } from '../sim/draw.js';
import { attemptOf, completed, created, lease, running, t0, waiting } from './storage-fixtures.js';

/** Opens two handles of one empty store, as two processes would. The suite closes them. */
export type OpenTwo = () => Promise<readonly [Storage, Storage]>;

/** What one call does, drawn before it is known who makes it. */
interface Step {
  readonly what: 'ask' | 'finish' | 'requeue' | 'enqueue' | 'report' | 'pause';
  readonly which: number;
  readonly token: string;
}

const stepsPerRun = 80;
const everyTrial = { fromNumber: 0, limit: 1_000 } as const;

const drawSteps = (draw: Draw): readonly Step[] =>
  Array.from({ length: stepsPerRun }, (_, index) => ({
    what: draw.pick(['ask', 'ask', 'ask', 'finish', 'finish', 'requeue', 'enqueue', 'report', 'pause']),
    which: draw.whole(0, 1_000),
    token: `t${index}`,
  }));

async function endOne(
  transaction: StudyTransaction,
  trial: TrialRecord,
  change: Partial<TrialRecord>,
): Promise<TrialRecord> {
  if (trial.lease === null) throw new Error('it does not run');
  const outcome = change.state === 'WAITING' ? 'lost' : 'finished';
  const end = { endedAtMs: t0 + 2, outcome, message: '', peakMemoryBytes: null } as const;
  await transaction.endAttempt(trial.lease.token, end);
  return transaction.updateTrial({ ...trial, ...change });
}

async function askOne(transaction: StudyTransaction, token: string): Promise<TrialRecord> {
  const next = await transaction.nextWaiting(null);
  const trial =
    next === null
      ? await transaction.insertTrial(running(token))
      : await transaction.updateTrial({
          ...next,
          ...{ state: 'RUNNING', attempt: next.attempt + 1, lease: lease(token), lastReport: null },
        });
  await transaction.insertAttempt(attemptOf(trial));
  return trial;
}

/** Does a step, and answers all that the one who did it can see of the study then. */
async function take(storage: Storage, study: StudyId, { what, which, token }: Step): Promise<unknown> {
  return storage.inStudy(study, async (transaction) => {
    const before = await transaction.running();
    const one = before[which % Math.max(1, before.length)];
    let did: unknown = null;
    if (what === 'ask') did = await askOne(transaction, token);
    else if (what === 'enqueue') did = await transaction.insertTrial(waiting({ message: token }));
    else if (what === 'pause') await transaction.setStudy({ state: which % 2 === 0 ? 'PAUSED' : 'RUNNING' });
    else if (one?.lease != null && what === 'finish')
      did = await endOne(transaction, one, completed([which]));
    else if (one?.lease != null && what === 'requeue')
      did = await endOne(transaction, one, { state: 'WAITING', lease: null, message: token });
    const { nextNumber, finishSequence, state } = transaction.study();
    return {
      ...{ did, nextNumber, finishSequence, state },
      waiting: await transaction.waiting(),
      running: await transaction.running(),
      params: await transaction.runningParams(),
      finished: await transaction.finishedAfter(Math.max(0, finishSequence - (which % 30)), 100),
    };
  });
}

/** Beside any transaction: a report on a running trial, whoever looks at it next. */
async function report(storage: Storage, study: StudyId, { which, token }: Step): Promise<unknown> {
  const trials = await storage.listTrials(study, { ...everyTrial, states: ['RUNNING'] });
  const trial = trials[which % Math.max(1, trials.length)];
  const known = trial?.lease?.token ?? leaseToken(token);
  return storage.report(known, { step: which, metrics: { auc: which } }, t0 + 50_000 + which);
}

const step = (storage: Storage, study: StudyId, each: Step): Promise<unknown> =>
  each.what === 'report' ? report(storage, study, each) : take(storage, study, each);

export function describeReplicaContract(name: string, openTwo: OpenTwo): void {
  describe(`two processes on one store: ${name}`, () => {
    it('find in any order what one would have found', async () => {
      const seed = Math.floor(Math.random() * 2 ** 31);
      const draw = new Draw(seed);
      const steps = drawSteps(draw);
      const two = await openTwo();
      const one = createMemoryStorage();
      try {
        const [study, alone] = [await created(two[0]), await created(one)];
        for (const [index, each] of steps.entries()) {
          const who = draw.pick([0, 1] as const);
          const found = await step(two[who], study.id, each);
          expect({ seed, index, found }).toEqual({ seed, index, found: await step(one, alone.id, each) });
        }
        for (const storage of two)
          expect(await storage.listTrials(study.id, everyTrial)).toEqual(
            await one.listTrials(alone.id, everyTrial),
          );
      } finally {
        await Promise.all([...two, one].map((storage) => storage.close()));
      }
    });

    it('know a lease no longer that the other one took back, nor go on from where they left the study', async () => {
      const [one, other] = await openTwo();
      try {
        const { id } = await created(one);
        const token = leaseToken('a');
        const trial = await one.inStudy(id, (transaction) => askOne(transaction, token));
        if (trial === null) throw new Error('no study');
        await other.inStudy(id, (transaction) =>
          endOne(transaction, trial, { state: 'WAITING', lease: null }),
        );
        const found = await one.inStudy(id, async (transaction) => ({
          continues: transaction.commitment.continues,
          leased: await transaction.leased(token),
          outcome: (await transaction.attemptByToken(token))?.outcome,
        }));
        expect(found).toEqual({ continues: false, leased: null, outcome: 'lost' });
      } finally {
        await Promise.all([one.close(), other.close()]);
      }
    });

    it('give out each number once, and finish in one order, when they work at the same time', async () => {
      const two = await openTwo();
      try {
        const { id } = await created(two[0]);
        const work = async (storage: Storage, who: string): Promise<void> => {
          for (let each = 0; each < 25; each += 1) {
            const token = `${who}-${each}`;
            const trial = await storage.inStudy(id, (transaction) => askOne(transaction, token));
            await storage.inStudy(id, async (transaction) => {
              const mine = trial === null ? null : await transaction.trial(trial.number);
              if (mine?.lease?.token !== token) throw new Error(`the lease of ${token} is another's`);
              await endOne(
                transaction,
                mine,
                each % 5 === 4 ? { state: 'WAITING', lease: null } : completed([each]),
              );
            });
          }
        };
        await Promise.all(
          two.flatMap((storage, index) => ['a', 'b'].map((who) => work(storage, `${who}${index}`))),
        );
        const trials = await two[0].listTrials(id, everyTrial);
        expect(await two[1].listTrials(id, everyTrial)).toEqual(trials);
        expect(trials.map(({ number }) => number)).toEqual(trials.map((_, index) => index));
        expect(trials.filter(({ state }) => state === 'COMPLETE')).toHaveLength(80);
        const finished = trials.flatMap(({ finishSequence }) => finishSequence ?? []).sort((a, b) => a - b);
        expect(finished).toEqual(Array.from({ length: 80 }, (_, index) => index + 1));
        expect(await two[1].findStudy('demo')).toMatchObject({
          nextNumber: trials.length,
          finishSequence: 80,
        });
      } finally {
        await Promise.all(two.map((storage) => storage.close()));
      }
    });
  });
}
