/** The honest path as a whole, on small made-up markets. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Candles } from '../../shared/core/market/candles.js';
import { Mt19937 } from '../../shared/core/sampler/mt19937.js';
import type { SettingRecord } from '../../shared/core/trainers/setting-schema.js';
import type { EvaluationSettings } from '../../shared/core/trainers/evaluation-settings.js';
import { honestEvaluation, parseEvaluation } from '../../shared/core/trainers/evaluation-settings.js';
import { aggregateTrial, failureMetrics, foldSummary } from './aggregate-trial.js';
import type { FoldEvaluation, FoldInput } from './evaluate-fold.js';
import { evaluateFold, evaluateFoldHonest, evaluateFoldV6 } from './evaluate-fold.js';
import { relativeLogVolume, stationaryFeatures, weekday, defaultWindows } from './features.js';
import { fixedRowsNeeded } from './fold-plan.js';
import { foldSeed } from './fold-seed.js';
import { forwardLabels } from './labels.js';
import type { TrialData } from './prepare-trial-data.js';
import { prepareFold, prepareTrialData } from './prepare-trial-data.js';
import { buildSamples } from './samples.js';
import { fittedRowsHash } from './scaler.js';
import { countReturns, decide } from './strategy.js';

const hourMs = 3_600_000;

/** A random walk of hourly candles from a Friday; `missing` lists bars that are left out. */
function market(bars: number, missing: readonly number[] = [], seed = 1): Candles {
  const random = new Mt19937(seed);
  const kept = Array.from({ length: bars }, (_, i) => i).filter((i) => !missing.includes(i));
  let price = 100;
  const close = Float64Array.from(kept, () => (price *= Math.exp((random.nextDouble() - 0.5) * 0.02)));
  const open = close.map((_, t) => close[t - 1] ?? 100);
  const openTimeMs = Float64Array.from(kept, (i) => 1_707_436_800_000 + i * hourMs);
  return {
    openTimeMs,
    closeTimeMs: openTimeMs.map((time) => time + hourMs - 1),
    open,
    close,
    high: close.map((c, t) => Math.max(c, open[t] ?? 0) * 1.001),
    low: close.map((c, t) => Math.min(c, open[t] ?? 0) * 0.999),
    volume: close.map(() => 50 + 100 * random.nextDouble()),
    quoteVolume: close,
    tradeCount: close,
    takerBuyBase: close,
    takerBuyQuote: close,
  };
}

const small: SettingRecord = {
  fold_count: 3,
  test_rows: 60,
  calibration_rows: 300,
  early_stop_rows: 50,
  train_rows_min: 100,
  train_rows_max: 400,
  holdout_rows: 40,
  window_max: 32,
};
function settings(extra: SettingRecord = {}): EvaluationSettings {
  const parsed = parseEvaluation({ ...small, ...extra });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.evaluation;
}
function ready(candles: Candles, window: number, evaluation: EvaluationSettings): TrialData {
  const prepared = prepareTrialData(candles, window, evaluation);
  if (prepared.kind === 'refused') throw new Error(prepared.message);
  return prepared.data;
}

/** Outputs of a network that knows a little: its logit leans towards the truth. */
function outputs(y: Float64Array, seed: number, skill: number) {
  const random = new Mt19937(seed);
  const logit = y.map((value) => skill * Math.sign(value) + 2 * (random.nextDouble() - 0.5));
  return { mu: logit.map((z) => z * 0.3), logvar: logit.map(() => -0.1), logit };
}
function foldInput(data: TrialData, id: number, extra: Partial<FoldInput> = {}, skill = 0.5): FoldInput {
  const fold = prepareFold(data, data.folds[id]!);
  return {
    calibration: { outputs: outputs(fold.calibration.y, 2 * id, skill), data: fold.calibration },
    test: { outputs: outputs(fold.test.y, 2 * id + 1, skill), data: fold.test },
    targetScale: fold.targetScale,
    secondsPerStep: data.secondsPerStep,
    params: { probSource: 'logit', thresholds: [0.55], confidenceMargin: 0.02, kellyClip: 0.5 },
    evaluation: data.evaluation,
    ...extra,
  };
}
function evaluated(input: FoldInput): FoldEvaluation {
  const outcome = evaluateFold(input);
  if (outcome.kind === 'diverged') throw new Error(outcome.message);
  return outcome;
}

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
      const parts = [fold.train, fold.earlyStop, fold.calibration, fold.test];
      for (const [i, part] of parts.entries()) {
        const before = parts[i - 1];
        // No label of the earlier part ends at or after the first anchor of the later one.
        if (before) expect(before.targetTimeMs.at(-1)).toBeLessThan(part.anchorTimeMs[0]!);
      }
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
    for (const { earlyStop, calibration, test } of rolling.folds) {
      expect(earlyStop.to).toBe(calibration.from);
      expect(calibration.to).toBe(test.from);
    }
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

describe('strategy', () => {
  const chain = (length: number) => Uint32Array.from({ length }, (_, i) => i);
  const long = (length: number) => ({
    positions: new Float64Array(length).fill(1),
    active: Array<boolean>(length).fill(true),
  });

  it('pays for closing, also where the candles do not follow on', () => {
    const y = new Float64Array(4);
    const accounting = (anchors: Uint32Array) =>
      ({ form: 'bar-aware', anchors, horizon: 1, secondsPerStep: 3600 }) as const;
    const whole = countReturns(long(4), y, accounting(chain(4)), 10);
    expect([...whole.net]).toEqual([-0.001, 0, 0, -0.001].map((cost) => expect.closeTo(cost, 12)));
    expect(whole).toMatchObject({ turnover: 2, trades: 1, activeFraction: 1 });
    const broken = countReturns(long(4), y, accounting(Uint32Array.of(0, 1, 9, 10)), 10);
    expect(broken).toMatchObject({ turnover: 4, trades: 2 });
    expect(broken.maxDrawdown).toBeCloseTo(0.999 ** 4 - 1, 6);
    expect(countReturns(long(4), y, { form: 'v6', periodsPerYear: 1 }, 10).turnover).toBe(1);
  });

  it('holds non-overlapping periods for a horizon above 1', () => {
    const accounting = { form: 'bar-aware', anchors: chain(7), horizon: 3, secondsPerStep: 3600 } as const;
    const figures = countReturns(long(7), new Float64Array(7).fill(0.01), accounting, 0);
    expect(figures.net).toHaveLength(3);
    expect(figures.periodsPerYear).toBeCloseTo(8760 / 3, 9);
  });

  it('counts hits over steps with a position, turning around as a trade', () => {
    const decisions = decide(new Float64Array([0.7, 0.5, 0.3, 0.7]), null, {
      threshold: 0.55,
      confidenceMargin: 0,
      kellyClip: 1,
    });
    const accounting = { form: 'bar-aware', anchors: chain(4), horizon: 1, secondsPerStep: 60 } as const;
    const figures = countReturns(decisions, new Float64Array([0.1, 0.1, -0.1, -0.1]), accounting, 0);
    expect(figures.hitRate).toBeCloseTo(2 / 3, 12);
    expect(figures.trades).toBe(3);
  });
});

describe('judging a fold', () => {
  const candles = market(1200);

  it.each([
    ['none', {}],
    ['ex-ante', { gate: 'ex-ante', gate_width_ratio: 3 }],
  ] as const)('no position depends on later data: gate %s', (_, extra) => {
    const data = ready(candles, 8, settings(extra));
    const input = foldInput(data, 1);
    const { predictions } = evaluated(input);
    const rows = predictions.y.length;
    expect(predictions.position.some((position) => position !== 0)).toBe(true);
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: rows - 1 }),
        fc.array(fc.double({ min: -0.2, max: 0.2, noNaN: true }), { minLength: rows, maxLength: rows }),
        (from, future) => {
          const y = input.test.data.y.map((value, t) => (t < from ? value : future[t]!));
          const up = Uint8Array.from(y, (value) => Number(value > 0));
          const changed = evaluateFoldHonest({
            ...input,
            test: { ...input.test, data: { ...input.test.data, y, up } },
          });
          expect(changed.kind === 'evaluated' && changed.predictions.position).toEqual(predictions.position);
          expect(changed.kind === 'evaluated' && changed.predictions.probability).toEqual(
            predictions.probability,
          );
        },
      ),
      { numRuns: 30 },
    );
  });

  it("the original's gate does look ahead: the same replacement moves its positions", () => {
    const data = ready(candles, 8, settings({ gate: 'v6-realised' }));
    const input = foldInput(data, 1);
    const wild = input.test.data.y.map(() => 0.5);
    const data2 = { ...input.test.data, y: wild };
    expect(evaluated({ ...input, test: { ...input.test, data: data2 } }).predictions.position).not.toEqual(
      evaluated(input).predictions.position,
    );
  });

  it('converts standardised outputs back to log returns', () => {
    const data = ready(candles, 8, settings());
    const input = foldInput(data, 0);
    const { predictions } = evaluated(input);
    expect(predictions.mu[0]).toBeCloseTo(Number(input.test.outputs.mu[0]) * input.targetScale, 14);
    expect(predictions.sigma[0]).toBeCloseTo(Math.exp(-0.05) * input.targetScale, 14);
    expect(predictions.lower[0]).toBeLessThan(predictions.mu[0]!);
  });

  it('reports divergence instead of figures', () => {
    const input = foldInput(ready(candles, 8, settings()), 0);
    const mu = input.test.outputs.mu as Float64Array;
    mu[3] = NaN;
    expect(evaluateFoldHonest(input)).toEqual({
      kind: 'diverged',
      message: 'forecast 3 of the test part is not finite',
    });
    expect(evaluateFoldV6(input).kind).toBe('diverged');
  });

  it('takes several thresholds by the calibration rows, a fixed calibrator as told', () => {
    const data = ready(candles, 8, settings({ calibrator: 'raw' }));
    const params = {
      probSource: 'logit',
      thresholds: [0.9, 0.55],
      confidenceMargin: 0,
      kellyClip: 1,
    } as const;
    const result = evaluated(foldInput(data, 0, { params }));
    expect(result.calibrator).toBe('raw');
    expect([0.55, 0.9]).toContain(result.threshold);
    expect(result.predictions.probability).toEqual(result.predictions.rawProbability);
  });

  it('finds an over-confident logit and cools it down by cross-validation', () => {
    const data = ready(market(2000), 8, settings({ calibration_rows: 900 }));
    const input = foldInput(data, 1);
    const heat = (part: FoldInput['test']) => ({
      ...part,
      outputs: { ...part.outputs, logit: Float64Array.from(part.outputs.logit, (z) => 8 * z) },
    });
    const result = evaluated({ ...input, calibration: heat(input.calibration), test: heat(input.test) });
    expect(result.calibrator).not.toBe('raw');
    expect(result.metrics['Brier']).toBeLessThan(result.metrics['Brier_raw']!);
    // A monotone calibrator cannot move the headline.
    expect(result.scoreAuc).toBeCloseTo(evaluated(input).scoreAuc, 12);
  });
});

describe('aggregating a trial', () => {
  const data = ready(market(1200), 8, settings());
  const folds = [0, 1, 2].map((id) => evaluated(foldInput(data, id)));
  const complete = (list: readonly FoldEvaluation[], evaluation = data.evaluation) => {
    const outcome = aggregateTrial(list, evaluation, 7);
    if (outcome.kind === 'infeasible') throw new Error(outcome.message);
    return outcome.metrics;
  };

  it('pools test rows and gives every headline its error', () => {
    const metrics = complete(folds);
    expect(metrics['test_rows']).toBe(180);
    expect(metrics['auc']).toBeCloseTo(
      folds.reduce((sum, { scoreAuc }) => sum + scoreAuc / 3, 0),
      12,
    );
    expect(metrics['dir_acc']).toBeCloseTo(
      folds.reduce((sum, { metrics: m }) => sum + m['DirAcc']! / 3, 0),
      12,
    );
    for (const key of ['auc_se', 'dir_acc_se', 'sharpe_se', 'sharpe_low', 'sharpe_high']) {
      expect(metrics[key], key).not.toBeNaN();
    }
    expect(metrics['auc_se']).toBeGreaterThan(0.02);
    expect(metrics['auc_se']).toBeLessThan(0.08);
    expect(metrics['dir_acc_excess']).toBeCloseTo(metrics['dir_acc']! - metrics['majority_share']!, 12);
    expect(complete(folds)).toEqual(metrics);
  });

  it('says so when nothing was traded, as Sharpe 0 or as infeasible', () => {
    const params = { probSource: 'logit', thresholds: [1], confidenceMargin: 0.5, kellyClip: 1 } as const;
    const idle = [0, 1, 2].map((id) => evaluated(foldInput(data, id, { params })));
    expect(complete(idle)).toMatchObject({
      sharpe: 0,
      no_trades: 1,
      trades: 0,
      traded_folds: 0,
      max_drawdown: 0,
    });
    const strict = settings({ min_trades: 1 });
    expect(aggregateTrial(idle, strict, 7)).toEqual({
      kind: 'infeasible',
      message: '0 trades, fewer than evaluation.min_trades (1)',
    });
    expect(complete(idle, settings({ sharpe_aggregation: 'v6-drop-nan' }))['sharpe']).toBeNaN();
    expect(complete(idle, settings({ sharpe_aggregation: 'briefing-minus-10' }))['sharpe']).toBe(-10);
  });

  it('an undefined AUC is infeasible, and vanishes only under v6', () => {
    const broken = [
      ...folds.slice(0, 2),
      { ...folds[2]!, scoreAuc: NaN, metrics: { ...folds[2]!.metrics, AUC: NaN } },
    ];
    expect(aggregateTrial(broken, data.evaluation, 7)).toMatchObject({ kind: 'infeasible' });
    expect(complete(broken, settings({ sharpe_aggregation: 'v6-drop-nan' }))).toMatchObject({
      valid_auc_folds: 2,
    });
  });

  it('summarises folds and scores failures as told', () => {
    expect(foldSummary(folds)['DirAcc']?.mean).toBeCloseTo(complete(folds)['dir_acc']!, 12);
    expect(failureMetrics(data.evaluation)).toBeNull();
    expect(failureMetrics(settings({ failure_value: 'zero' }))).toMatchObject({ auc: 0, dir_acc: 0 });
  });
});
