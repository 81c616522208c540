/** Golden figures of kind `metrics`: every evaluation helper on given arrays (hermite-model.md §11–14). */
import { auc } from '../../../shared/core/metrics/auc.js';
import { binomialTest } from '../../../shared/core/metrics/binomial-test.js';
import { calibrationFigures } from '../../../shared/core/metrics/calibration-figures.js';
import { maxDrawdown } from '../../../shared/core/metrics/drawdown.js';
import { mean } from '../../../shared/core/metrics/numbers.js';
import { pesaranTimmermann } from '../../../shared/core/metrics/pesaran-timmermann.js';
import { runsTest } from '../../../shared/core/metrics/runs-test.js';
import { periodsPerYear, sharpeRatio } from '../../../shared/core/metrics/sharpe.js';
import {
  conformalPValues,
  conformalQuantile,
  halfWidths,
  residuals,
  standardisedErrors,
} from '../../market/conformal.js';
import { fitIsotonic, predictIsotonic } from '../../market/isotonic.js';
import { sigmoid } from '../../market/probability.js';
import { secondsPerStep } from '../../market/samples.js';
import { alwaysLong, bestBySharpe, countReturns, decide } from '../../market/strategy.js';
import { fitTemperature } from '../../market/temperature.js';
import { checkDegenerateTests, checkForecastTests } from './check-forecast-tests.js';
import type { Deviations } from './deviations.js';
import type { Figures } from './figures.js';

/** Tolerance of most sections: they are computed in doubles. */
const exact = 1e-10;
/** Isotonic regression on single-precision inputs. */
const singleInputs = 1e-6;
const strategyTolerance = 1e-9;
const testTolerance = 1e-9;
const temperatureTolerance = 1e-9;

type Check = (golden: Figures, name: string, deviations: Deviations) => void;

const doubles = (golden: Figures): Float64Array => Float64Array.from(golden.numbers());
const ups = (y: Figures): number[] => y.numbers().map((value) => (value > 0 ? 1 : 0));

const checkAuc: Check = (golden, name, deviations) => {
  const scores = golden.get('prob').numbers();
  const labels = ups(golden.get('y'));
  deviations.absolute(`${name} mid-rank`, auc(scores, labels), golden.get('midrank').number(), exact);
  const ordered = golden.get('time_order_ranks').number();
  deviations.absolute(`${name} time order`, auc(scores, labels, 'time-order'), ordered, exact);
};

const checkCalibration: Check = (golden, name, deviations) => {
  const figures = calibrationFigures(
    golden.get('prob').numbers(),
    ups(golden.get('y')),
    golden.get('n_bins').number(),
  );
  for (const key of ['brier', 'ece', 'mce', 'uncertainty', 'resolution', 'reliability'] as const)
    deviations.near(`${name} ${key}`, figures[key], golden.get(key).number(), exact);
  const ranked = golden.find('auc');
  const scores = golden.get('prob').numbers();
  // The original's AUC of tied probabilities hangs on its sort.
  if (ranked !== null && new Set(scores).size === scores.length)
    deviations.near(`${name} auc`, auc(scores, ups(golden.get('y'))), ranked.number(), exact);
  deviations.same(`${name} bin counts`, [...figures.binCounts], golden.get('bin_counts').numbers());
  deviations.allNear(
    `${name} bin confidence`,
    figures.binConfidence,
    golden.get('bin_confidence').numbers(),
    exact,
  );
  deviations.allNear(
    `${name} bin accuracy`,
    figures.binAccuracy,
    golden.get('bin_accuracy').numbers(),
    exact,
  );
};

const checkIsotonic: Check = (golden, name, deviations) => {
  const precision =
    golden.get('input_precision').choice(['float32', 'float64']) === 'float32' ? 'f32' : 'f64';
  const tolerance = precision === 'f32' ? singleInputs : exact;
  const knots = fitIsotonic(golden.get('prob').numbers(), golden.get('label').numbers(), precision);
  const predicted = golden
    .get('query')
    .numbers()
    .map((query) => predictIsotonic(knots, query));
  deviations.allNear(`${name} knots x`, knots.x, golden.get('knots_x').numbers(), tolerance);
  deviations.allNear(`${name} knots y`, knots.y, golden.get('knots_y').numbers(), tolerance);
  deviations.allNear(`${name} predicted`, predicted, golden.get('predicted').numbers(), tolerance);
};

const checkTemperature: Check = (golden, name, deviations) => {
  const logits = golden.get('logit').numbers();
  const temperature = fitTemperature(logits, golden.get('label').numbers());
  deviations.near(
    `${name} temperature`,
    temperature,
    golden.get('temperature').number(),
    temperatureTolerance,
  );
  const expected = golden.get('scaled_prob_first5').numbers();
  const scaled = logits.slice(0, expected.length).map((logit) => sigmoid(logit / temperature));
  deviations.allNear(`${name} scaled`, scaled, expected, temperatureTolerance);
};

const checkConformal: Check = (golden, name, deviations) => {
  const y = golden.get('y').numbers();
  const mu = doubles(golden.get('mu'));
  const sigma = doubles(golden.get('sigma'));
  const errors = golden.get('cal_error').numbers();
  const zero = new Float64Array(errors.length);
  for (const kind of ['abs', 'std_gauss'] as const) {
    const expected = golden.get(kind);
    const where = `${name} ${kind}`;
    const calibration = residuals(errors, zero, doubles(golden.get('cal_sigma')), kind);
    const quantile = conformalQuantile(calibration, golden.get('alpha').number());
    const half = halfWidths(quantile, sigma, kind);
    const lower = mu.map((value, i) => value - (half[i] ?? NaN));
    const upper = mu.map((value, i) => value + (half[i] ?? NaN));
    const pValues = conformalPValues(calibration, residuals(y, mu, sigma, kind));
    deviations.near(`${where} quantile`, quantile, expected.get('quantile').number(), exact);
    deviations.allNear(`${where} lower`, lower, expected.get('lower').numbers(), exact);
    deviations.allNear(`${where} upper`, upper, expected.get('upper').numbers(), exact);
    deviations.allNear(`${where} p-value`, pValues, expected.get('p_value').numbers(), exact);
    const inside = y.map((value, i) => Number(value >= (lower[i] ?? NaN) && value <= (upper[i] ?? NaN)));
    deviations.near(`${where} coverage`, mean(inside), expected.get('coverage').number(), exact);
    deviations.near(
      `${where} mean width`,
      mean(half.map((width) => 2 * width)),
      expected.get('mean_width').number(),
      exact,
    );
  }
};

const checkConformalTies: Check = (golden, name, deviations) => {
  const calibration = doubles(golden.get('calibration'));
  const pValues = conformalPValues(calibration, doubles(golden.get('realised')));
  deviations.allNear(`${name} p-value`, pValues, golden.get('p_value').numbers(), exact);
  for (const { alpha, quantile } of golden.listAt('quantiles').map((entry) => ({
    alpha: entry.get('alpha').number(),
    quantile: entry.get('quantile').number(),
  })))
    deviations.near(`${name} quantile at ${alpha}`, conformalQuantile(calibration, alpha), quantile, exact);
};

const checkStandardised: Check = (golden, name, deviations) => {
  const z = standardisedErrors(
    golden.get('y').numbers(),
    doubles(golden.get('mu')),
    doubles(golden.get('sigma')),
  );
  deviations.allNear(name, z, golden.get('z').numbers(), exact);
};

const checkStrategy: Check = (golden, name, deviations) => {
  const params = golden.get('params');
  const number = (key: string): number => params.get(key).number();
  const gated = params.get('use_conformal_gate').flag() && params.get('conformal_p').value !== null;
  const gate = gated
    ? params
        .get('conformal_p')
        .numbers()
        .map((p) => p >= number('conformal_p_min'))
    : null;
  const frequency = params.get('freq_per_year');
  const periods = frequency.value === null ? periodsPerYear(number('seconds_per_step')) : frequency.number();
  const thresholds = [...params.get('thresholds').numbers()].sort((a, b) => a - b);
  const probability = doubles(golden.get('prob'));
  const y = golden.get('y').numbers();
  const figures = thresholds.map((threshold) => {
    const rules = {
      threshold,
      confidenceMargin: number('confidence_margin'),
      kellyClip: number('kelly_clip'),
    };
    const cost = number('cost_bps') + number('slippage_bps');
    return countReturns(decide(probability, gate, rules), y, { form: 'v6', periodsPerYear: periods }, cost);
  });
  deviations.same(
    `${name} best threshold`,
    thresholds[bestBySharpe(figures)],
    golden.get('best_threshold').number(),
  );
  for (const run of golden.get('runs').list()) {
    const threshold = run.get('threshold').number();
    const mine = figures[thresholds.indexOf(threshold)];
    const where = `${name} at ${threshold}`;
    const near = (key: string, actual: number | undefined): void =>
      deviations.near(`${where} ${key}`, actual, run.get(key).number(), strategyTolerance);
    near('sharpe', mine?.sharpe);
    near('max_drawdown', mine?.maxDrawdown);
    near('hit_rate', mine?.hitRate);
    near('turnover', mine?.turnover);
    near('active_fraction', mine?.activeFraction);
    near('avg_position', mine?.averagePosition);
    deviations.allNear(
      `${where} net returns`,
      mine?.net ?? [],
      run.get('net_returns').numbers(),
      strategyTolerance,
    );
  }
};

const checkBaseline: Check = (golden, name, deviations) => {
  const number = (key: string): number => golden.get(key).number();
  const cost = number('cost_bps') + number('slippage_bps');
  const accounting = { form: 'v6', periodsPerYear: number('freq_per_year') } as const;
  const figures = alwaysLong(golden.get('y').numbers(), accounting, cost);
  const expected = golden.get('always_long');
  const near = (key: string, actual: number): void =>
    deviations.near(`${name} always long ${key}`, actual, expected.get(key).number(), exact);
  near('sharpe', figures.sharpe);
  near('max_drawdown', figures.maxDrawdown);
  near('hit_rate', figures.hitRate);
  near('turnover', figures.turnover);
};

const checkDrawdown: Check = (golden, name, deviations) => {
  const drawdown = maxDrawdown(golden.get('returns').numbers(), 'v6');
  deviations.near(name, drawdown, golden.get('max_drawdown').number(), exact);
};

const checkSharpe: Check = (golden, name, deviations) => {
  const frequency = golden.get('freq_per_year');
  const periods =
    frequency.value === null ? periodsPerYear(golden.get('seconds_per_step').number()) : frequency.number();
  const sharpe = sharpeRatio(golden.get('returns').numbers(), periods);
  deviations.near(name, sharpe, golden.get('sharpe').number(), exact);
};

const checkDirections: Check = (golden, name, deviations) => {
  const actual = golden.get('actual').numbers();
  const predicted = golden.get('predicted').numbers();
  const near = (key: string, figure: number): void =>
    deviations.near(`${name} ${key}`, figure, golden.get(key).number(), testTolerance);
  near('pt_p', pesaranTimmermann(actual, predicted, 'v6').pValue);
  const textbook = pesaranTimmermann(actual, predicted);
  near('pt_textbook_z', textbook.statistic);
  near('pt_textbook_p', textbook.pValue);
  const hits = actual.filter((direction, i) => direction === predicted[i]).length;
  deviations.same(`${name} hits`, hits, golden.get('hits').number());
  near('binomial_p', binomialTest(hits, actual.length));
};

const checkRuns: Check = (golden, name, deviations) => {
  deviations.near(
    name,
    runsTest(golden.get('residuals').numbers()),
    golden.get('p_value').number(),
    testTolerance,
  );
};

const checkSecondsPerStep: Check = (golden, name, deviations) => {
  const times = doubles(golden.get('anchor_times_ms'));
  deviations.same(name, secondsPerStep(times), golden.get('seconds').number());
};

/** What compares each section; a section is a list of cases, or one case. */
const checks: Readonly<Record<string, Check>> = {
  auc: checkAuc,
  calibration_metrics: checkCalibration,
  isotonic: checkIsotonic,
  temperature: checkTemperature,
  conformal: checkConformal,
  conformal_p_exact_ties: checkConformalTies,
  pit_z: checkStandardised,
  strategy: checkStrategy,
  baselines: checkBaseline,
  max_drawdown: checkDrawdown,
  sharpe: checkSharpe,
  forecast_tests: checkForecastTests,
  forecast_tests_degenerate: checkDegenerateTests,
  direction_tests: checkDirections,
  runs: checkRuns,
  seconds_per_step: checkSecondsPerStep,
};

export const metricSections: readonly string[] = Object.keys(checks);

/** Compares every case of every section. */
export function checkMetrics(golden: Figures, deviations: Deviations): void {
  for (const [section, check] of Object.entries(checks)) {
    const figures = golden.find(section);
    if (figures === null) continue;
    const cases = Array.isArray(figures.value) ? figures.list() : [figures];
    for (const fixed of cases) {
      const title = fixed.find('name') ?? fixed.find('case');
      check(fixed, title === null ? fixed.path : `${section} (${title.text()})`, deviations);
    }
  }
}
