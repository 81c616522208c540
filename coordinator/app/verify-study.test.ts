import { describe, expect, it } from 'vitest';
import { requestId } from '../../shared/core/ids.js';
import type { Params } from '../../shared/core/space/parameter.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import type { Storage, TrialRecord } from '../storage/port.js';
import { smallStudy, testApp, type TestApp } from '../../test/helpers/app.js';
import { enqueueTrial } from './enqueue-trial.js';
import { reclaim } from './release.js';
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

/** The same store with one trial's row changed on reading. */
function tampered(storage: Storage, change: (trial: TrialRecord) => TrialRecord): Storage {
  return new Proxy(storage, {
    get: (target, key: keyof Storage) =>
      key === 'listTrials'
        ? async (...args: Parameters<Storage['listTrials']>) => (await target.listTrials(...args)).map(change)
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
    // Values said to have been given: the suggestion would follow them.
    const follows = (given: Params | null) => (trial: TrialRecord) =>
      trial.number === 9 ? { ...trial, given, params: { ...trial.params, ...given } } : trial;
    expect((await verifyWith(follows({ x: 0.5 }))).difference).toEqual({
      ...{ number: 9, field: 'given', stored: '{"x":0.5}', recomputed: 'nothing, as it was not enqueued' },
    });
    for (const [number, given] of [
      [0, null],
      [1, { x: 0.2 }],
      [2, null],
    ] as const)
      expect(
        (await verifyWith((trial) => (trial.number === number ? { ...trial, given } : trial))).difference,
      ).toMatchObject({ number, field: 'given' });
    // Metrics and value changed together: the trial itself fits, a suggestion that came after it does not.
    const forged = await verifyWith((trial) =>
      trial.number === 6 ? { ...trial, metrics: { auc: 9, dir_acc: 0 }, values: [0.7 * 9] } : trial,
    );
    expect(forged.difference?.number).toBeGreaterThan(6);
    const impossible = verifyWith((trial) =>
      trial.number === 5 ? { ...trial, params: { ...trial.params, c: 'no such choice' } } : trial,
    );
    await expect(impossible).rejects.toThrow(/cannot be recomputed: trial 5: .*no such choice/);
  });
});
