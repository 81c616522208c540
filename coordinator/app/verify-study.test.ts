import { describe, expect, it } from 'vitest';
import { requestId } from '../../shared/core/ids.js';
import type { Params } from '../../shared/core/space/parameter.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import type { Storage, TrialRecord } from '../storage/port.js';
import { smallStudy, testApp, type TestApp } from '../../test/helpers/app.js';
import { enqueueTrial } from './enqueue-trial.js';
import { reclaim, release } from './release.js';
import { report } from './report.js';
import { stopStudy } from './steer-study.js';
import { listTrials, requireStudy } from './study-view.js';
import { tell } from './tell.js';
import { verifyStudy } from './verify-study.js';

/** Four workers at once, failures, losses, and enqueued trials: two of the study file, one of a request. */
async function runStudy(app: TestApp): Promise<void> {
  await app.register('w1');
  await app.create(smallStudy({ trials: 30, enqueue: [{ x: 2, c: 'b' }, { x: 0.1 }] }));
  await enqueueTrial(app.context, 'small', { requestId: requestId('by-hand'), params: { c: 'a' } });
  for (let round = 0; ; round += 1) {
    const outcomes = [await app.ask(), await app.ask(), await app.ask(), await app.ask()];
    const leased = outcomes.flatMap((outcome) => (outcome.kind === 'assigned' ? [outcome.assignment] : []));
    if (leased.length === 0) return;
    // The later ones finish first; every third round one is lost.
    for (const { token, params, number } of leased.reverse().slice(round % 3 === 0 ? 1 : 0)) {
      const x = Number(params['x']);
      await tell(app.context, {
        token,
        outcome:
          number % 7 === 3
            ? { kind: 'failed', reason: number % 2 === 0 ? 'infeasible' : 'diverged', message: '' }
            : { kind: 'completed', metrics: { auc: 1 - x * x, dir_acc: 0.5 } },
        peakMemoryBytes: null,
      });
    }
    app.clock.advance(60_000);
    await reclaim(app.context);
  }
}

/** The same store with trials' rows changed, or left out, on reading. */
function tampered(storage: Storage, change: (trial: TrialRecord) => TrialRecord | null): Storage {
  return new Proxy(storage, {
    get: (target, key: keyof Storage) =>
      key === 'listTrials'
        ? async (...args: Parameters<Storage['listTrials']>) =>
            (await target.listTrials(...args)).map(change).filter((trial) => trial !== null)
        : target[key].bind(target),
  });
}

describe('verifyStudy', () => {
  it('recomputes every suggestion of a study with parallel, failed, lost and enqueued trials', async () => {
    const app = testApp(createMemoryStorage());
    await runStudy(app);
    expect(await verifyStudy(app.context, 'small')).toEqual({ suggestions: 30, difference: null });
  });

  it('names the first trial that does not fit', async () => {
    const app = testApp(createMemoryStorage());
    await runStudy(app);
    const verifyWith = (change: (trial: TrialRecord) => TrialRecord) =>
      verifyStudy({ ...app.context, storage: tampered(app.context.storage, change) }, 'small');
    const nudged = await verifyWith((trial) =>
      trial.number === 12
        ? { ...trial, params: { ...trial.params, x: Number(trial.params?.['x']) + 1e-12 } }
        : trial,
    );
    expect(nudged.difference).toMatchObject({ number: 12, field: 'x' });
    const scored = await verifyWith((trial) => (trial.number === 8 ? { ...trial, values: [0.99] } : trial));
    expect(scored.difference).toMatchObject({ number: 8, field: 'values', stored: '[0.99]' });
    for (const watermark of [null, { finishSequence: 5_000, running: [] }])
      expect(
        (await verifyWith((trial) => (trial.number === 9 ? { ...trial, watermark } : trial))).difference,
      ).toMatchObject({ number: 9, field: 'watermark' });
    // Metrics and value changed together: the trial itself fits, a suggestion that came after it does not.
    const forged = await verifyWith((trial) =>
      trial.number === 6 ? { ...trial, metrics: { auc: 9, dir_acc: 0 }, values: [0.7 * 9] } : trial,
    );
    expect(forged.difference?.number).toBeGreaterThan(6);
  });

  describe('names a row that cannot be as it is', async () => {
    const app = testApp(createMemoryStorage());
    await runStudy(app);
    const { id } = await requireStudy(app.context, 'small');
    const trials = await app.context.storage.listTrials(id, { fromNumber: 0, limit: 100 });
    const complete = trials.find(({ number, reason }) => number > 5 && reason === 'finished')?.number ?? -1;
    const diverged = trials.find(({ reason }) => reason === 'diverged')?.number ?? -1;
    const infeasible = trials.find(({ reason }) => reason === 'infeasible')?.number ?? -1;
    const place = trials[1]?.finishSequence ?? null;
    const report = { step: 3, metrics: { auc: 0.5, dir_acc: 0.5 } };
    // Values said to have been given: the suggestion would follow them.
    const follows = (given: Params) => (trial: TrialRecord) => ({
      given,
      params: { ...trial.params, ...given },
    });
    const cases: [string, number, (trial: TrialRecord) => Partial<TrialRecord> | null, string][] = [
      ['no finish sequence', complete, () => ({ finishSequence: null }), 'finishSequence'],
      ['a finish sequence twice', complete, () => ({ finishSequence: place }), 'finishSequence'],
      ['a finish sequence beyond', complete, () => ({ finishSequence: 9_999 }), 'finishSequence'],
      ['a finish sequence of NaN', complete, () => ({ finishSequence: NaN }), 'finishSequence'],
      ['a trial that is missing', complete, () => null, 'number'],
      ['the last trial missing', trials.length - 1, () => null, 'number'],
      ['another state', complete, () => ({ state: 'PRUNED' }), 'reason'],
      ['another state and reason', complete, () => ({ state: 'PRUNED', reason: 'pruner' }), 'values'],
      ['… without values', complete, () => ({ state: 'PRUNED', reason: 'pruner', values: [] }), 'lastReport'],
      ['another reason', complete, () => ({ reason: 'oom' }), 'reason'],
      ['no reason', complete, () => ({ reason: null }), 'reason'],
      ['a diverged one that finished', diverged, () => ({ reason: 'finished' }), 'values'],
      ['a finished one that diverged', complete, () => ({ reason: 'diverged', values: [0] }), 'metrics'],
      ['running again', complete, () => ({ state: 'RUNNING', reason: null }), 'finishSequence'],
      ['a state out of a policy that is not set', infeasible, () => ({ reason: 'oom' }), 'reason'],
      ['values of a failed one', infeasible, () => ({ values: [0.5] }), 'values'],
      ['no parameters', complete, () => ({ params: null, watermark: null }), 'params'],
      ['given values that nobody gave', complete, follows({ x: 0.5 }), 'given'],
      ['a value given that the file does not give', 1, follows({ x: 0.2 }), 'given'],
      ['nothing given where the file gives', 0, () => ({ given: null }), 'given'],
      ['nothing given where a request gave', 2, () => ({ given: null }), 'given'],
      ['an impossible value given', 2, () => ({ given: { c: 'none' } }), 'given'],
      ['an unknown parameter given', 2, () => ({ given: { none: 1 } }), 'given'],
      ['an impossible step', complete, () => ({ lastReport: { ...report, step: -1 } }), 'lastReport'],
      ['an impossible choice', complete, ({ params }) => ({ params: { ...params, c: 'none' } }), 'c'],
      ...[[complete], [4_711], [-1], [0.5], [2, 1]].map((running): (typeof cases)[number] => [
        `watermark with ${String(running)} running`,
        complete,
        ({ watermark }) => ({
          watermark: { finishSequence: watermark?.finishSequence ?? 0, running },
        }),
        'watermark',
      ]),
    ];

    it.each(cases)('%s', async (_, number, change, field) => {
      const storage = tampered(app.context.storage, (trial) => {
        const changed = trial.number === number ? change(trial) : {};
        return changed === null ? null : { ...trial, ...changed };
      });
      const { difference } = await verifyStudy({ ...app.context, storage }, 'small');
      expect(difference).toMatchObject({ number, field });
    });

    it('the first of several in number order, whatever they are', async () => {
      const storage = tampered(app.context.storage, (trial) =>
        trial.number === 7
          ? { ...trial, params: { ...trial.params, x: 0.123 } }
          : trial.number === 9
            ? { ...trial, watermark: null }
            : trial,
      );
      const { difference } = await verifyStudy({ ...app.context, storage }, 'small');
      expect(difference).toMatchObject({ number: 7, field: 'x' });
    });
  });

  it('takes trials for sound that were given back, stopped before they ran, pruned or off their range', async () => {
    const app = testApp(createMemoryStorage());
    await app.register('w1');
    await app.create(smallStudy({ trials: 12, enqueue: [{ x: 3, c: 'b' }, { x: 0.1 }] }));
    const verified = async () => verifyStudy(app.context, 'small');
    const asked = async () => {
      const outcome = await app.ask();
      if (outcome.kind !== 'assigned') throw new Error('nothing to do');
      return outcome.assignment.token;
    };
    const ways = ['returned', 'unfit', 'preempted'] as const;
    for (const how of ways) await release(app.context, await asked(), how);
    expect(await verified()).toEqual({ suggestions: 1, difference: null });
    const tokens = await Promise.all([asked(), asked(), asked(), asked(), asked()]);
    const [outOfMemory, withoutObjective, ...prunable] = tokens;
    for (const [step, token] of prunable.slice(1).entries()) {
      await report(app.context, token, { step, metrics: { auc: 0.5, dir_acc: NaN } });
      await tell(app.context, { token, outcome: { kind: 'pruned' }, peakMemoryBytes: null });
    }
    const failed = { kind: 'failed', reason: 'oom', message: '' } as const;
    await tell(app.context, { token: outOfMemory, outcome: failed, peakMemoryBytes: null });
    const unusable = { kind: 'completed', metrics: { auc: 1 } } as const;
    await tell(app.context, { token: withoutObjective, outcome: unusable, peakMemoryBytes: null });
    await enqueueTrial(app.context, 'small', { params: { x: -7 }, requestId: requestId('mine') });
    expect(await verified()).toMatchObject({ difference: null });
    await stopStudy(app.context, 'small');
    const { trials } = await listTrials(app.context, 'small', { fromNumber: 0, limit: 100, states: [] });
    expect(new Set(trials.map(({ state }) => state))).toEqual(new Set(['PRUNED', 'CANCELLED']));
    expect(trials.at(-1)).toMatchObject({ state: 'CANCELLED', attempt: 0 });
    expect(await verified()).toEqual({ suggestions: trials.length - 1, difference: null });
  });
});
