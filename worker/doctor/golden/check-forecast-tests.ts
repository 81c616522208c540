/** The statistical tests of forecasts in the golden figures (hermite-model.md §14). */
import { dieboldMariano } from '../../../shared/core/metrics/diebold-mariano.js';
import { ljungBox } from '../../../shared/core/metrics/ljung-box.js';
import { mincerZarnowitz, type MincerZarnowitz } from '../../../shared/core/metrics/mincer-zarnowitz.js';
import { runsTest } from '../../../shared/core/metrics/runs-test.js';
import type { Deviations } from './deviations.js';
import type { Figures } from './figures.js';

const tolerance = 1e-8;

const fitValues = ({ intercept, slope, fStatistic, pValue }: MincerZarnowitz): number[] => [
  intercept,
  slope,
  fStatistic,
  pValue,
];

/** Losses of the forecast less those of the benchmark, which forecasts 0. */
const lossDifferences = (
  y: readonly number[],
  forecast: readonly number[],
  loss: (error: number) => number,
): number[] => y.map((value, i) => loss(value - (forecast[i] ?? NaN)) - loss(value));

/** All tests of one pair of series. */
export function checkForecastTests(golden: Figures, name: string, deviations: Deviations): void {
  const y = golden.get('y').numbers();
  const forecast = golden.get('forecast').numbers();
  const near = (where: string, actual: number, expected: Figures): void =>
    deviations.near(`${name} ${where}`, actual, expected.number(), tolerance);
  for (const [key, loss] of [
    ['mse', (error: number) => error ** 2],
    ['mae', Math.abs],
  ] as const) {
    const result = dieboldMariano(lossDifferences(y, forecast, loss), golden.get('horizon').number(), 'v6');
    near(`Diebold–Mariano ${key} p`, result.pValue, golden.get(key).get('p_value'));
    near(`Diebold–Mariano ${key} difference`, result.meanDifference, golden.get(key).get('mean_loss_diff'));
  }
  const fit = golden.get('mincer_zarnowitz');
  const expected = ['intercept', 'slope', 'f_stat', 'p_value'].map((key) => fit.get(key).number());
  deviations.allNear(
    `${name} Mincer–Zarnowitz`,
    fitValues(mincerZarnowitz(y, forecast)),
    expected,
    tolerance,
  );
  const errors = y.map((value, i) => value - (forecast[i] ?? NaN));
  near('runs', runsTest(errors), golden.get('runs_p'));
  const box = golden.get('ljung_box');
  const original = ljungBox(errors, 'v6');
  near('Ljung–Box q', original.statistic, box.get('q'));
  near('Ljung–Box p', original.pValue, box.get('p_value'));
  if (!box.has('textbook_q')) return;
  const textbook = ljungBox(errors);
  near('textbook Ljung–Box q', textbook.statistic, box.get('textbook_q'));
  near('textbook Ljung–Box p', textbook.pValue, box.get('textbook_p'));
}

/** Series on which the tests have no answer. A case without series stands for any two observations. */
export function checkDegenerateTests(golden: Figures, name: string, deviations: Deviations): void {
  const y = golden.find('y')?.numbers() ?? [0.01, -0.02];
  const forecast = golden.find('forecast')?.numbers();
  const pValue = golden.find('dm_p');
  if (pValue !== null) {
    const differences = lossDifferences(y, forecast ?? y.map(() => 0), (error) => error ** 2);
    deviations.near(
      `${name} Diebold–Mariano`,
      dieboldMariano(differences, 1, 'v6').pValue,
      pValue.number(),
      tolerance,
    );
  }
  const fit = golden.find('mz');
  if (fit === null) return;
  const mine = fitValues(mincerZarnowitz(y, forecast ?? y.map((value) => value / 2)));
  deviations.allNear(`${name} Mincer–Zarnowitz`, mine, fit.numbers(), tolerance);
}
