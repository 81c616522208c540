/** The metric record of a fold under the original's names (hermite-model.md §13, 15). */
import type { AucTies } from '../../shared/core/metrics/auc.js';
import { auc } from '../../shared/core/metrics/auc.js';
import { binomialTest } from '../../shared/core/metrics/binomial-test.js';
import { calibrationFigures } from '../../shared/core/metrics/calibration-figures.js';
import { dieboldMariano } from '../../shared/core/metrics/diebold-mariano.js';
import { directionHits } from '../../shared/core/metrics/direction.js';
import { ljungBox } from '../../shared/core/metrics/ljung-box.js';
import { mincerZarnowitz } from '../../shared/core/metrics/mincer-zarnowitz.js';
import type { Numbers } from '../../shared/core/metrics/numbers.js';
import { mean } from '../../shared/core/metrics/numbers.js';
import { pesaranTimmermann } from '../../shared/core/metrics/pesaran-timmermann.js';
import { runsTest } from '../../shared/core/metrics/runs-test.js';
import type { TestForm } from '../../shared/core/metrics/test-form.js';

/** Numbers by the original's names; NaN is "undefined". */
export type MetricRecord = Readonly<Record<string, number>>;

/** Forecasts of the test rows beside what happened. */
export interface JudgedRows {
  readonly y: Float64Array;
  readonly up: Uint8Array;
  readonly anchorPrice: Float64Array;
  readonly mu: Float64Array;
  /** Calibrated P(up). */
  readonly calibrated: Float64Array;
  /** P(up) before calibration. */
  readonly raw: Float64Array;
  /** Interval bounds as log returns; NaN without an interval. */
  readonly lower: Float64Array;
  readonly upper: Float64Array;
}

export interface RecordOptions {
  readonly horizon: number;
  readonly alpha: number;
  readonly bins: number;
  readonly aucTies: AucTies;
  readonly tests: TestForm;
}

function errorFigures({ y, mu, anchorPrice }: JudgedRows): MetricRecord {
  const price = (r: Float64Array): Float64Array =>
    r.map((value, i) => (anchorPrice[i] ?? NaN) * Math.exp(value));
  const actual = price(y);
  const predicted = price(mu);
  const error = y.map((value, i) => value - (mu[i] ?? NaN));
  const priceError = predicted.map((value, i) => Math.abs(value - (actual[i] ?? NaN)));
  const size = predicted.map((value, i) => Math.abs(value) + Math.abs(actual[i] ?? NaN) + 1e-9);
  return {
    MAE_return: mean(error.map(Math.abs)),
    RMSE_return: Math.sqrt(mean(error.map((e) => e * e))),
    MAE_price: mean(priceError),
    sMAPE_price: 200 * mean(priceError.map((e, i) => e / (size[i] ?? NaN))),
  };
}

function directionFigures({ up, calibrated }: JudgedRows, tests: TestForm): MetricRecord {
  const hits = directionHits(calibrated, up);
  const predicted = Uint8Array.from(calibrated, (p) => (p >= 0.5 ? 1 : 0));
  return {
    DirAcc: mean(hits),
    Binom_p: binomialTest(
      hits.reduce((sum, hit) => sum + hit, 0),
      hits.length,
    ),
    PT_p: pesaranTimmermann(up, predicted, tests).pValue,
  };
}

/** Tests of the return forecast: against zero, for bias, and of what its errors still contain. */
function forecastTests({ y, mu }: JudgedRows, horizon: number, tests: TestForm): MetricRecord {
  const error = y.map((value, i) => value - (mu[i] ?? NaN));
  const squared = dieboldMariano(
    error.map((e, i) => e * e - (y[i] ?? NaN) ** 2),
    horizon,
    tests,
  );
  const absolute = dieboldMariano(
    error.map((e, i) => Math.abs(e) - Math.abs(y[i] ?? NaN)),
    horizon,
    tests,
  );
  const fit = mincerZarnowitz(y, mu);
  return {
    DM_p_SE: squared.pValue,
    DM_d_SE: squared.meanDifference,
    DM_p_AE: absolute.pValue,
    DM_d_AE: absolute.meanDifference,
    MZ_intercept: fit.intercept,
    MZ_slope: fit.slope,
    MZ_F_p: fit.pValue,
    Runs_p: runsTest(error),
    LjungBox_p: ljungBox(error, tests).pValue,
  };
}

function probabilityFigures(
  p: Float64Array,
  up: Uint8Array,
  suffix: string,
  options: RecordOptions,
): MetricRecord {
  const figures = calibrationFigures(p, up, options.bins);
  return {
    [`Brier${suffix}`]: figures.brier,
    [`Brier_uncertainty${suffix}`]: figures.uncertainty,
    [`Brier_resolution${suffix}`]: figures.resolution,
    [`Brier_reliability${suffix}`]: figures.reliability,
    [`MCE${suffix}`]: figures.mce,
    [`AUC${suffix}`]: auc(p, up, options.aucTies),
    [`ECE${suffix}`]: figures.ece,
  };
}

/** Share of outcomes within the closed interval; NaN without one. */
function coverage(y: Numbers, lower: Float64Array, upper: Float64Array): number {
  return mean(
    lower.map((low, i) => {
      const high = upper[i] ?? NaN;
      if (Number.isNaN(low) || Number.isNaN(high)) return NaN;
      return (y[i] ?? NaN) >= low && (y[i] ?? NaN) <= high ? 1 : 0;
    }),
  );
}

/** Keys of interval figures, e.g. `Conf_Coverage@90%`. */
export const intervalKey = (figure: 'Coverage' | 'Width', alpha: number): string =>
  `Conf_${figure}@${Math.round(100 * (1 - alpha))}%`;

/** Errors, direction, tests, probabilities and interval of the judged rows; the strategy's figures are added elsewhere. */
export function forecastRecord(rows: JudgedRows, options: RecordOptions): MetricRecord {
  const { horizon, alpha, tests } = options;
  const { lower, upper } = rows;
  return {
    horizon,
    ...errorFigures(rows),
    ...directionFigures(rows, tests),
    ...forecastTests(rows, horizon, tests),
    ...probabilityFigures(rows.calibrated, rows.up, '', options),
    ...probabilityFigures(rows.raw, rows.up, '_raw', options),
    [intervalKey('Coverage', alpha)]: coverage(rows.y, lower, upper),
    [intervalKey('Width', alpha)]: mean(upper.map((high, i) => high - (lower[i] ?? NaN))),
  };
}
