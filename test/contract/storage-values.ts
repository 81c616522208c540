import { expect, it } from 'vitest';
import { leaseToken, trialNumber } from '../../shared/core/ids.js';
import type { Storage } from '../../coordinator/storage/port.js';
import { created, finish, leased, t0, type CurrentStorage } from './storage-fixtures.js';

export function describeValues(storage: CurrentStorage): void {
  it('keeps NaN, infinities and the smallest and largest numbers', async () => {
    const study = await created(storage());
    const metrics = {
      nan: NaN,
      up: Infinity,
      down: -Infinity,
      tiny: 5e-324,
      huge: Number.MAX_VALUE,
      third: 1 / 3,
      whole: 9_007_199_254_740_991,
    };
    const values = [NaN, Infinity, -Infinity, 5e-324, 0.1 + 0.2];
    await leased(storage(), study.id, 'a');
    await storage().report(leaseToken('a'), { step: 3, metrics }, t0);
    const finished = await finish(storage(), study.id, trialNumber(0), { metrics, values });
    expect(finished).toMatchObject({ metrics, values, lastReport: { step: 3, metrics } });
    expect(await storage().listTrials(study.id, { fromNumber: 0, limit: 1 })).toEqual([finished]);
    expect(await storage().listReports(study.id, trialNumber(0))).toEqual([{ step: 3, metrics }]);
  });

  it('answers a write with what a later read finds', async () => {
    const study = await created(storage());
    const trial = await leased(storage(), study.id, 'a', {
      given: { zz: 1, b: 'two', aa: null },
      params: { zz: 1, b: 'two', aa: null, größe: true, 10: 1, 9: -0 },
      watermark: { finishSequence: 7, running: [1, 5, 9] },
      createdAtMs: t0 + 0.4,
      values: [-0],
      offGrid: true,
      message: 'm',
      retries: { error: 1, timeout: 2, lost: 3 },
      memoryFloorBytes: 1.5e10,
      cancelRequested: true,
      lastReport: { step: 2, metrics: { loss: 1 } },
      reason: 'lost',
    });
    const [read] = await storage().listTrials(study.id, { fromNumber: 0, limit: 1 });
    expect(read).toEqual(trial);
    expect(JSON.stringify(read)).toBe(JSON.stringify(trial));
    expect(trial.watermark).toEqual({ finishSequence: 7, running: [1, 5, 9] });
    expect(trial.createdAtMs).toBe(t0);
    expect(trial.params).toEqual({ zz: 1, b: 'two', aa: null, größe: true, 10: 1, 9: 0 });
    expect(Object.keys(trial.params ?? {})).toEqual(['9', '10', 'b', 'aa', 'zz', 'größe']);
  });

  it('keeps awkward texts', async () => {
    const study = await created(storage(), `it's "quoted" \\ 100% 日本 😀 $1`);
    const message = `'; drop table trials; -- "\\"\n\t\r\u001f ${'x'.repeat(2_000_000)} 😀`;
    const key = `__proto__`;
    const given = Object.fromEntries([
      [key, 'pwned'],
      ['', ''],
      ['a"b\'c\\', "it's"],
    ]);
    const trial = await leased(storage(), study.id, `to'ken`, { message, given });
    const [read] = await storage().listTrials(study.id, { fromNumber: 0, limit: 1 });
    expect(read?.message).toBe(message);
    expect(Object.entries(read?.given ?? {})).toEqual(expect.arrayContaining(Object.entries(given)));
    expect(Object.keys(read?.given ?? {})).toContain(key);
    expect(read).toEqual(trial);
    expect(await storage().findStudy(`it's "quoted" \\ 100% 日本 😀 $1`)).toEqual({
      ...study,
      nextNumber: 1,
    });
    expect(await storage().findLease(leaseToken(`to'ken`))).toMatchObject({ number: 0 });
  });

  it('keeps empty texts, empty records and empty lists apart from none', async () => {
    const study = await created(storage());
    const trial = await leased(storage(), study.id, 'a', { given: {}, params: {}, message: '', values: [] });
    expect(trial).toMatchObject({ given: {}, params: {}, message: '', values: [], metrics: {} });
    expect(await storage().listTrials(study.id, { fromNumber: 0, limit: 1 })).toEqual([trial]);
  });

  it('replaces what no text in a database can hold (NUL, lone surrogates) by U+FFFD', async () => {
    const study = await created(storage());
    const trial = await leased(storage(), study.id, 'a\0b', {
      message: 'one\0two \ud800 three \udc00',
      params: { 'k\0': 'v\0\ud83d' },
    });
    expect(trial.message).toBe('one\ufffdtwo \ufffd three \ufffd');
    expect(trial.params).toEqual({ 'k\ufffd': 'v\ufffd\ufffd' });
    expect(await storage().listTrials(study.id, { fromNumber: 0, limit: 1 })).toEqual([trial]);
    expect(await storage().report(leaseToken('a\0b'), { step: 0, metrics: { 'm\0': 1 } }, t0)).toBe('ok');
    expect(await storage().findLease(leaseToken('a\0b'))).toMatchObject({ number: 0 });
    expect(await storage().findStudy('de\0mo')).toBeNull();
    expect(await storage().findDataset('no\0ne')).toBeNull();
  });
}

export function describePages(storage: CurrentStorage): void {
  it('lists trials in pages by number and state, and counts them', async () => {
    const study = await created(storage());
    for (const token of ['a', 'b', 'c', 'd', 'e', 'f']) await leased(storage(), study.id, token);
    await finish(storage(), study.id, trialNumber(4));
    await finish(storage(), study.id, trialNumber(1), { state: 'FAIL', reason: 'error' });
    await finish(storage(), study.id, trialNumber(2), { state: 'PRUNED', reason: 'pruner' });
    const numbers = async (page: Parameters<Storage['listTrials']>[1]) =>
      (await storage().listTrials(study.id, page)).map(({ number }) => number);
    expect(await numbers({ fromNumber: 0, limit: 4 })).toEqual([0, 1, 2, 3]);
    expect(await numbers({ fromNumber: 4, limit: 4 })).toEqual([4, 5]);
    expect(await numbers({ fromNumber: 6, limit: 4 })).toEqual([]);
    expect(await numbers({ fromNumber: 0, limit: 0 })).toEqual([]);
    expect(await numbers({ fromNumber: 1, limit: 2, states: ['COMPLETE', 'FAIL', 'PRUNED'] })).toEqual([
      1, 2,
    ]);
    expect(await numbers({ fromNumber: 0, limit: 9, states: [] })).toHaveLength(6);
    expect(await storage().countTrials(study.id)).toEqual({
      WAITING: 0,
      RUNNING: 3,
      COMPLETE: 1,
      PRUNED: 1,
      FAIL: 1,
      CANCELLED: 0,
    });
  });
}
