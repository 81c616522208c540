import { describe, expect, it } from 'vitest';
import { goldenTitle, haveGolden, near, readGolden } from '../../../worker/market/golden.test-helper.js';
import { auc } from './auc.js';
import { binomialTest } from './binomial-test.js';
import { calibrationFigures } from './calibration-figures.js';
import { dieboldMariano } from './diebold-mariano.js';
import { maxDrawdown } from './drawdown.js';
import { ljungBox } from './ljung-box.js';
import { mincerZarnowitz } from './mincer-zarnowitz.js';
import { pesaranTimmermann } from './pesaran-timmermann.js';
import { runsTest } from './runs-test.js';
import { periodsPerYear, sharpeRatio } from './sharpe.js';

type N = number | null;
interface Golden {
  auc: { name: string; prob: number[]; y: number[]; time_order_ranks: N; midrank: N }[];
  calibration_metrics: Record<'brier' | 'ece' | 'mce' | 'uncertainty' | 'resolution' | 'reliability', N>[] &
    {
      name: string;
      prob: number[];
      y: number[];
      n_bins: number;
      bin_counts: number[];
      bin_confidence: number[];
      bin_accuracy: number[];
    }[];
  max_drawdown: { returns: number[]; max_drawdown: N }[];
  sharpe: { returns: number[]; freq_per_year: N; seconds_per_step: number; sharpe: N }[];
  forecast_tests: {
    name: string;
    y: number[];
    forecast: number[];
    horizon: number;
    mse: { p_value: N; mean_loss_diff: N };
    mae: { p_value: N; mean_loss_diff: N };
    mincer_zarnowitz: { intercept: N; slope: N; f_stat: N; p_value: N };
    runs_p: N;
    ljung_box: { q: N; p_value: N; textbook_q?: N; textbook_p?: N };
  }[];
  forecast_tests_degenerate: { case: string; y?: number[]; forecast?: number[]; mz?: N[] }[];
  direction_tests: {
    actual: number[];
    predicted: number[];
    pt_p: N;
    pt_textbook_z: N;
    pt_textbook_p: N;
    hits: number;
    binomial_p: N;
  }[];
  runs: { name: string; residuals: number[]; p_value: N }[];
}

const expectNear = (actual: number, expected: N | undefined, tolerance: number) => {
  expect(near(actual, expected ?? null, tolerance), `${actual} ≈ ${String(expected)}`).toBe(true);
};
const ups = (y: number[]) => y.map((value) => (value > 0 ? 1 : 0));

describe.skipIf(!haveGolden)(goldenTitle('metrics against the golden figures'), () => {
  const golden = haveGolden ? (readGolden('metrics.json') as Golden) : undefined;

  it('AUC with both treatments of ties', () => {
    for (const { prob, y, midrank, time_order_ranks } of golden!.auc) {
      expectNear(auc(prob, ups(y)), midrank, 1e-11);
      expectNear(auc(prob, ups(y), 'time-order'), time_order_ranks, 1e-11);
    }
    expect(golden!.auc).toHaveLength(8);
  });

  it('calibration figures and their bins', () => {
    for (const c of golden!.calibration_metrics) {
      const figures = calibrationFigures(c.prob, ups(c.y), c.n_bins);
      for (const key of ['brier', 'ece', 'mce', 'uncertainty', 'resolution', 'reliability'] as const) {
        expectNear(figures[key], c[key], 1e-10);
      }
      expect([...figures.binCounts]).toEqual(c.bin_counts);
      c.bin_confidence.forEach((value, bin) => expectNear(figures.binConfidence[bin] ?? NaN, value, 1e-10));
      c.bin_accuracy.forEach((value, bin) => expectNear(figures.binAccuracy[bin] ?? NaN, value, 1e-10));
    }
  });

  it('drawdown and Sharpe of the original', () => {
    for (const { returns, max_drawdown } of golden!.max_drawdown) {
      expectNear(maxDrawdown(returns, 'v6'), max_drawdown, 1e-10);
    }
    for (const { returns, freq_per_year, seconds_per_step, sharpe } of golden!.sharpe) {
      expectNear(sharpeRatio(returns, freq_per_year ?? periodsPerYear(seconds_per_step)), sharpe, 1e-10);
    }
  });

  it('forecast tests', () => {
    for (const c of golden!.forecast_tests) {
      const error = c.y.map((value, i) => value - (c.forecast[i] ?? NaN));
      const squared = c.y.map((value, i) => (error[i] ?? NaN) ** 2 - value ** 2);
      const absolute = c.y.map((value, i) => Math.abs(error[i] ?? NaN) - Math.abs(value));
      for (const [differences, expected] of [
        [squared, c.mse],
        [absolute, c.mae],
      ] as const) {
        const result = dieboldMariano(differences, c.horizon, 'v6');
        expectNear(result.pValue, expected.p_value, 1e-8);
        expectNear(result.meanDifference, expected.mean_loss_diff, 1e-8);
      }
      const fit = mincerZarnowitz(c.y, c.forecast);
      expectNear(fit.intercept, c.mincer_zarnowitz.intercept, 1e-8);
      expectNear(fit.slope, c.mincer_zarnowitz.slope, 1e-8);
      expectNear(fit.fStatistic, c.mincer_zarnowitz.f_stat, 1e-8);
      expectNear(fit.pValue, c.mincer_zarnowitz.p_value, 1e-8);
      expectNear(runsTest(error), c.runs_p, 1e-8);
      const v6 = ljungBox(error, 'v6');
      expectNear(v6.statistic, c.ljung_box.q, 1e-8);
      expectNear(v6.pValue, c.ljung_box.p_value, 1e-8);
      expectNear(ljungBox(error).statistic, c.ljung_box.textbook_q, 1e-8);
      expectNear(ljungBox(error).pValue, c.ljung_box.textbook_p, 1e-8);
    }
  });

  it('forecast tests where they degenerate', () => {
    const [same, single, constant] = golden!.forecast_tests_degenerate;
    expect(
      dieboldMariano(
        same!.y!.map(() => 0),
        1,
        'v6',
      ).pValue,
    ).toBeNaN();
    expect(dieboldMariano(single!.y!, 1, 'v6').pValue).toBeNaN();
    const fit = mincerZarnowitz(constant!.y!, constant!.forecast!);
    expectNear(fit.intercept, constant!.mz![0], 1e-8);
    expectNear(fit.slope, constant!.mz![1], 1e-8);
    expectNear(fit.fStatistic, constant!.mz![2], 1e-8);
    expectNear(fit.pValue, constant!.mz![3], 1e-8);
    expect(mincerZarnowitz([1, 2], [1, 2])).toEqual({
      intercept: NaN,
      slope: NaN,
      fStatistic: NaN,
      pValue: NaN,
    });
  });

  it('direction tests', () => {
    for (const c of golden!.direction_tests) {
      expectNear(pesaranTimmermann(c.actual, c.predicted, 'v6').pValue, c.pt_p, 1e-9);
      const textbook = pesaranTimmermann(c.actual, c.predicted);
      expectNear(textbook.statistic, c.pt_textbook_z, 1e-9);
      expectNear(textbook.pValue, c.pt_textbook_p, 1e-9);
      expectNear(binomialTest(c.hits, c.actual.length), c.binomial_p, 1e-9);
    }
    for (const { residuals, p_value } of golden!.runs) expectNear(runsTest(residuals), p_value, 1e-9);
  });
});
