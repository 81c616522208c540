import { describe, expect, it } from 'vitest';
import { honestEvaluation, parseEvaluation } from '../../shared/core/trainers/evaluation-settings.js';
import type { SettingRecord } from '../../shared/core/trainers/setting-schema.js';
import { defaultWindows, relativeLogVolume, stationaryFeatures, weekday } from './features.js';
import { fixedRowsNeeded } from './fold-plan.js';
import { foldSeed } from './fold-seed.js';
import { forwardLabels } from './labels.js';
import { market, ready, settings } from './market.test-helper.js';
import { prepareFold, prepareTrialData, type PartData, type PreparedFold } from './prepare-trial-data.js';
import { buildSamples } from './samples.js';
import { fittedRowsHash } from './scaler.js';

describe('features and labels', () => {
  it('knows weekdays, also before 1970', () => {
    for (const text of ['2024-02-09', '2019-01-01', '2000-02-29']) {
      expect(weekday(Date.parse(text))).toBe((new Date(text).getUTCDay() + 6) % 7);
    }
  });

  it('relative log volume is free of scale, 0 on flat volume, finite without trades', () => {
    const volume = market(200).volume;
    const doubled = relativeLogVolume(
      volume.map((v) => 2 * v),
      24,
    );
    relativeLogVolume(volume, 24).forEach((value, t) => expect(doubled[t]).toBeCloseTo(value, 12));
    expect([...relativeLogVolume(new Float64Array(5).fill(7), 3)]).toEqual([0, 0, 0, 0, 0]);
    expect([...relativeLogVolume(new Float64Array(3), 3)]).toEqual([0, 0, 0]);
    expect(relativeLogVolume(new Float64Array([1, 0]), 2)[1]).toBeCloseTo(Math.log(0.01 / 1.01), 12);
  });

  it('are exactly 0 where nothing moves, and never undefined', () => {
    const candles = market(120);
    const flat = { ...candles };
    for (const name of ['open', 'high', 'low', 'close'] as const) {
      flat[name] = candles[name].map((value, t) => (t < 20 ? value : 99.37));
    }
    const table = stationaryFeatures(flat, { ...defaultWindows, volume: 'relative-log', volumeWindow: 24 });
    for (const name of ['log_ret_mean_8', 'log_ret_std_24', 'log_ret_autocorr_1', 'hl_range', 'oc_gap']) {
      expect(table.columns[table.names.indexOf(name)]?.at(-1), name).toBe(0);
    }
    expect(table.columns.every((column) => column.every(Number.isFinite))).toBe(true);
    expect(table.names).toHaveLength(22);
  });

  it('labels: an unchanged price is down, wrong input is refused', () => {
    expect([...forwardLabels(new Float64Array([1, 1, 2]), 1, 'f64').up]).toEqual([0, 1]);
    expect(forwardLabels(new Float64Array([1, Math.E]), 1, 'f64').y[0]).toBe(1);
    expect(() => forwardLabels(new Float64Array([1, 2]), 0, 'f64')).toThrow(/horizon/);
    expect(() => forwardLabels(new Float64Array([1, 2]), 2, 'f64')).toThrow(/2 candles/);
    expect(() => forwardLabels(new Float64Array([1, NaN]), 1, 'f64')).toThrow(/candle 0 or 1/);
  });
});

describe('samples', () => {
  const options = { window: 4, horizon: 2, gaps: 'exclude', labelPrecision: 'f64' } as const;

  it('leave out what spans missing bars, and only that', () => {
    const { anchors } = buildSamples(market(40, [20, 21]), options);
    // Candles 19 and 20 are two hours too far apart: windows (with the close before) and targets must not cross.
    expect([...anchors]).toEqual(
      Array.from({ length: 38 }, (_, t) => t).filter((t) => (t >= 3 && t <= 17) || (t >= 24 && t <= 35)),
    );
    expect(buildSamples(market(40, [20, 21]), { ...options, gaps: 'ignore' }).anchors).toHaveLength(33);
  });

  it('refuse unsorted candles and too few', () => {
    const candles = market(40);
    const swapped = candles.closeTimeMs.slice().reverse();
    expect(() => buildSamples({ ...candles, closeTimeMs: swapped }, options)).toThrow(/sort the candles/);
    expect(() => buildSamples(market(5), options)).toThrow(/no sample with a window of 4/);
  });
});

/** No label of a part ends at or after the first anchor of the next one. Answers the parts. */
function expectPurged({ train, earlyStop, calibration, test }: PreparedFold): readonly PartData[] {
  const parts = [train, earlyStop, calibration, test];
  for (const [i, part] of parts.entries()) {
    const before = parts[i - 1];
    if (before) expect(before.targetTimeMs.at(-1)).toBeLessThan(part.anchorTimeMs[0]!);
  }
  return parts;
}

describe('folds', () => {
  const candles = market(1200, [300, 301, 700]);
  const evaluation = settings({ horizon: 3 });

  it('are the same candles for every window', () => {
    const times = (window: number) => {
      const data = ready(candles, window, evaluation);
      return data.folds.map((plan) => {
        const fold = prepareFold(data, plan);
        return (['train', 'earlyStop', 'calibration', 'test'] as const).map((part) => [
          ...fold[part].anchorTimeMs,
        ]);
      });
    };
    expect(times(8)).toEqual(times(32));
    expect(prepareTrialData(candles, 33, evaluation)).toMatchObject({ kind: 'refused' });
  });

  it('are disjoint, in order, purged, and stay out of the hold-out', () => {
    const data = ready(candles, 16, evaluation);
    let testEnd = -1;
    for (const plan of data.folds) {
      const fold = prepareFold(data, plan);
      const parts = expectPurged(fold);
      expect(parts.map(({ rows }) => rows.length)).toEqual([fold.train.rows.length, 50, 300, 60]);
      expect(fold.train.rows.length).toBeGreaterThanOrEqual(100);
      expect(fold.train.rows.length).toBeLessThanOrEqual(400);
      expect(fold.test.rows[0]).toBeGreaterThan(testEnd);
      testEnd = fold.test.rows.at(-1)!;
    }
    const all = buildSamples(candles, { window: 32, horizon: 3, gaps: 'exclude', labelPrecision: 'f64' });
    const firstHeldOut = all.anchorTimeMs[all.anchors.length - 40]!;
    expect(data.samples.anchors).toHaveLength(all.anchors.length - 40);
    expect(data.samples.targetTimeMs[testEnd]).toBeLessThan(firstHeldOut);
    expect(data.holdoutRows).toBe(40);
  });

  it('are refused when the data do not suffice, saying what is needed', () => {
    const outcome = prepareTrialData(market(500), 16, evaluation);
    expect(outcome.kind === 'refused' && outcome.message).toContain(`need ${fixedRowsNeeded(evaluation)}`);
    expect(fixedRowsNeeded(evaluation)).toBe(100 + 50 + 300 + 180 + 40 + 12);
    // Exactly enough rows are enough.
    const rows = fixedRowsNeeded(evaluation) + 31 + 3;
    expect(prepareTrialData(market(rows), 16, evaluation).kind).toBe('ready');
    expect(prepareTrialData(market(rows - 1), 16, evaluation).kind).toBe('refused');
  });

  it('the default sizes need 18,500 bars', () => {
    expect(fixedRowsNeeded(honestEvaluation) + 256).toBe(18_260);
  });

  it('v6 selection judges on the rows that stop training; nested on v6 folds does not', () => {
    const v6 = ready(candles, 16, settings({ selection: 'v6-validation' }));
    expect(v6.folds.map(({ earlyStop }) => earlyStop)).toEqual(v6.folds.map(({ test }) => test));
    const record: SettingRecord = { folds: 'v6-rolling', fold_count: 2 };
    const parsed = parseEvaluation(record);
    const rolling = ready(candles, 16, parsed.ok ? parsed.evaluation : honestEvaluation);
    for (const { train, earlyStop, calibration, test } of rolling.folds) {
      expect(earlyStop.from - train.to).toBe(1);
      expect(calibration.from - earlyStop.to).toBe(1);
      expect(test.from - calibration.to).toBe(1);
    }
  });

  it('nested on v6 folds are purged, and refused where that leaves nothing; by the original’s selection they are its own', () => {
    const rolling = (extra: SettingRecord) => {
      const parsed = parseEvaluation({ folds: 'v6-rolling', fold_count: 2, horizon: 5, ...extra });
      if (!parsed.ok) throw new Error('wrong settings');
      return prepareTrialData(candles, 16, parsed.evaluation);
    };
    const nested = rolling({});
    if (nested.kind === 'refused') throw new Error(nested.message);
    const { data } = nested;
    for (const plan of data.folds) expectPurged(prepareFold(data, plan));
    const original = rolling({ selection: 'v6-validation' });
    expect(original.kind === 'ready' && original.data.folds[0]).toMatchObject({
      train: { to: data.folds[0]!.train.to + 5 },
      calibration: { from: data.folds[0]!.train.to + 5, to: data.folds[0]!.test.from },
    });
    expect(rolling({ min_calib_size: 20, calibration_fraction: 0.1, horizon: 60 })).toMatchObject({
      ...{ kind: 'refused', message: expect.stringContaining('60 rows apart') as string },
    });
  });
});

describe('model input', () => {
  const data = ready(market(1200), 8, settings());

  it('is standardised over the training rows and shares figures between lags', () => {
    const fold = prepareFold(data, data.folds[2]!);
    const { context } = fold.input.gather(fold.train.rows);
    const width = fold.input.contextWidth;
    for (let j = 0; j < width; j++) {
      const column = Float64Array.from(fold.train.rows, (_, i) => context[i * width + j]!);
      const center = column.reduce((sum, x) => sum + x, 0) / column.length;
      const spread = Math.sqrt(column.reduce((sum, x) => sum + (x - center) ** 2, 0) / column.length);
      expect(Math.abs(center)).toBeLessThan(1e-5);
      expect(spread).toBeCloseTo(1, 4);
    }
    // The newest candle of one row is the second newest of the next.
    const { window } = fold.input.gather([10, 11]);
    expect([...window.subarray(4, 32)]).toEqual([...window.subarray(32, 60)]);
    expect(fold.scaler.windowMean).toHaveLength(4);
    expect(() => fold.input.gather([data.samples.anchors.length])).toThrow(/not one of/);
  });

  it('does not depend on rows after the training part', () => {
    const plan = data.folds[0]!;
    const fold = prepareFold(data, plan);
    const last = fold.train.anchors.at(-1)!;
    const changed = market(1200);
    for (const name of ['open', 'high', 'low', 'close', 'volume'] as const) {
      for (let t = last + data.evaluation.horizon + 1; t < 1200; t++) changed[name][t]! *= 3;
    }
    const other = prepareFold(ready(changed, 8, settings()), plan);
    expect(other.scaler).toEqual(fold.scaler);
    expect(other.targetScale).toBe(fold.targetScale);
    expect(other.input.gather(fold.train.rows)).toEqual(fold.input.gather(fold.train.rows));
    expect(other.train.y).toEqual(fold.train.y);
  });

  it('targets have unit spread over the training rows', () => {
    const { targets, train } = prepareFold(data, data.folds[1]!);
    const mine = train.rows.reduce((sum, row) => sum + targets[row]! ** 2, 0) / train.rows.length;
    expect(mine).toBeCloseTo(1, 1);
    expect(
      prepareFold(ready(market(1200), 8, settings({ target_scale: 'raw' })), data.folds[1]!).targetScale,
    ).toBe(1);
  });

  it('identifies the rows of a scaler and the seed of a fold', () => {
    // SHA-256 of the 16 bytes 00…00 01 00…00.
    expect(fittedRowsHash([1, 0])).toBe(fittedRowsHash([0, 1]));
    expect(fittedRowsHash([])).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(foldSeed('v6', 99, 3)).toBe(45);
    expect(foldSeed('derived', 99, 3)).not.toBe(foldSeed('derived', 98, 3));
    expect(foldSeed('derived', 99, 3)).not.toBe(foldSeed('derived', 99, 2));
  });
});
