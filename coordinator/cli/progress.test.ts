import { describe, expect, it } from 'vitest';
import type { StudyView } from '../../shared/core/study/study.js';
import { trialNumber } from '../../shared/core/ids.js';
import { smallStudy } from '../../test/helpers/app.js';
import type { TrialRecord } from '../storage/port.js';
import { barLine, duration, trialLine, type ProgressState } from './progress.js';

const trial = (change: Partial<TrialRecord>): TrialRecord => ({
  ...{
    number: trialNumber(3),
    state: 'COMPLETE',
    reason: 'finished',
    given: null,
    params: {},
    offGrid: false,
  },
  ...{ values: [0.61234], metrics: { auc: 0.6, dir_acc: 0.55, sharpe: NaN }, attempt: 1, message: '' },
  ...{
    retries: { error: 0, timeout: 0, lost: 0 },
    lease: null,
    memoryFloorBytes: null,
    watermark: null,
    worker: null,
  },
  ...{ cancelRequested: false, lastReport: null, enqueueRequestId: null, createdAtMs: 0 },
  ...{ startedAtMs: 0, finishedAtMs: 1, finishSequence: 1 },
  ...change,
});

function state(done: number, change: Partial<ProgressState> = {}): ProgressState {
  const definition = smallStudy();
  const study: StudyView = {
    ...{
      name: 'small',
      state: 'RUNNING',
      trialsMax: 20,
      reasons: {},
      oomAttempts: 1,
      attempts: { oom: 1 },
      definition,
      definitionText: '',
    },
    counts: { WAITING: 0, RUNNING: 2, COMPLETE: done, PRUNED: 0, FAIL: 0, CANCELLED: 0 },
    ...{ definitionHash: '', dataset: null, createdAtMs: 0, best: [3], workersAlive: 2 },
  };
  return { study, best: trial({}), finishedHere: done, elapsedMs: 60_000, ...change };
}

describe('progress', () => {
  it('shows bar, counts, best figures and ETA, within the terminal', () => {
    const line = barLine(state(5), 200);
    expect(line).toContain('█████░░░░░░░░░░░░░░░ 5/20 · running 2 · OOM 1');
    expect(line).toContain('best #3: Score 0.6123 AUC 0.6000 DirAcc 0.5500 Sharpe NaN');
    // Fifteen left at five a minute.
    expect(line).toContain('ETA 3m 00s');
    expect(barLine(state(0, { best: null }), 200)).toContain('ETA –');
    expect(barLine(state(20), 200)).toContain('ETA 0s');
  });

  /** Thousands of trials for hours, with figures of the usual size. */
  const large = (done: number, sharpe: number): ProgressState => {
    const small = state(done);
    const counts = { ...small.study.counts, RUNNING: 16 };
    return {
      ...{ finishedHere: done, elapsedMs: 8 * 3_600_000 },
      study: { ...small.study, trialsMax: 2500, oomAttempts: 12, counts },
      best: trial({ number: trialNumber(987), metrics: { auc: 0.6, dir_acc: 0.55, sharpe, mcc: 1 } }),
    };
  };

  it('shows every field on a terminal of 80 columns', () => {
    const line = barLine(large(1000, -1.234), 80);
    expect(line).toBe('1000/2500 run 16 OOM 12 ETA 12h Score 0.612 AUC 0.600 DirAcc 0.550 Sharpe -1.23');
    expect(line).toHaveLength(79);
    // Small studies keep a bar.
    expect(barLine(state(5), 80)).toBe(
      '██░░░░ 5/20 run 2 OOM 1 ETA 3m00s Score 0.612 AUC 0.600 DirAcc 0.550 Sharpe NaN',
    );
    expect(barLine(large(1000, -12_345), 80)).toMatch(/ Sharpe -1e\+4$/);
  });

  it('leaves out whole fields where even that is too narrow', () => {
    expect(barLine(large(1000, -1.234), 60)).toBe('1000/2500 run 16 OOM 12 ETA 12h Score 0.61 AUC 0.60');
    expect(barLine(state(5), 60)).toBe('5/20 run 2 OOM 1 ETA 3m Score 0.61 AUC 0.60 DirAcc 0.55');
    for (let width = 1; width <= 160; width += 1) {
      const line = barLine(large(1000, -1.234), width);
      expect(line.length).toBeLessThan(width);
      expect(line).toMatch(/^$|[\dhms]$/);
    }
  });

  it('measures the pace since this process began, not since the study began', () => {
    expect(barLine(state(15, { finishedHere: 1 }), 200)).toContain('ETA 5m 00s');
  });

  it('says why a trial brought no result', () => {
    const failed = trial({
      state: 'FAIL',
      reason: 'error',
      values: [],
      metrics: {},
      message: 'no such column\nat x',
    });
    expect(trialLine(failed, state(5))).toMatch(
      /^trial 3 FAIL error \(no such column\) \| best 0.6123 \(#3\) \| 5\/20 done/,
    );
    const diverged = trial({ reason: 'diverged', values: [0], metrics: {} });
    expect(trialLine(diverged, state(5))).toContain('COMPLETE diverged Score 0.0000');
  });

  it('writes durations for people', () => {
    expect([12_300, 59_600, 190_000, 7_500_000, null].map(duration)).toEqual([
      '12s',
      '1m 00s',
      '3m 10s',
      '2h 05m',
      '–',
    ]);
  });
});
