/** How a fold is judged from the original's outputs, in doubles: calibration, intervals, strategy, every metric (§11–14). */
import { auc } from '../../../shared/core/metrics/auc.js';
import { calibrationFigures } from '../../../shared/core/metrics/calibration-figures.js';
import { applyCalibrator, calibratorNames, fitCalibrators } from '../../market/calibrators.js';
import { evaluateFoldV6, type FoldEvaluation, type FoldInput } from '../../market/evaluate-fold.js';
import { toForecasts, type RawOutputs } from '../../market/probability.js';
import type { Deviations } from './deviations.js';
import type { Figures } from './figures.js';
import type { GoldenFold } from './golden-fold.js';

const tolerances = { target: 1e-7, output: 1e-6, statistic: 1e-5, temperature: 1e-9, exact: 1e-10 } as const;

function metricTolerance(key: string): number {
  if (/^AUC/.test(key)) return tolerances.exact;
  return /_p$|_p_|^(DM|MZ)_|Sharpe/.test(key) ? tolerances.statistic : tolerances.output;
}

const outputsOf = (outputs: Figures): RawOutputs => ({
  mu: Float64Array.from(outputs.get('mu').numbers()),
  logvar: Float64Array.from(outputs.get('logvar').numbers()),
  logit: Float64Array.from(outputs.get('logit').numbers()),
});

function inputOf({ golden, parts, params, evaluation, data }: GoldenFold) {
  const outputs = golden.get('outputs_f64');
  return {
    calibration: { outputs: outputsOf(outputs.get('calibration')), data: parts.calibration },
    test: { outputs: outputsOf(outputs.get('validation')), data: parts.test },
    ...{ targetScale: 1, secondsPerStep: data.secondsPerStep, params, evaluation, precision: 'f64' },
  } as const satisfies FoldInput;
}

function checkEvaluation({ golden, name }: GoldenFold, result: FoldEvaluation, deviations: Deviations): void {
  const { predictions, metrics } = result;
  const near = (key: string, actual: number, tolerance: number): void => {
    deviations.near(`${name}: ${key}`, actual, golden.get(key).number(), tolerance);
  };
  const all = (key: string, actual: ArrayLike<number>, tolerance: number): void => {
    deviations.allNear(`${name}: ${key}`, actual, golden.get(key).numbers(), tolerance);
  };
  near('temperature', result.temperature, tolerances.temperature);
  deviations.same(`${name}: chosen`, result.calibrator, golden.get('chosen').text());
  deviations.same(
    `${name}: calibration_warning`,
    result.calibrationWarning,
    golden.get('calibration_warning').flag(),
  );
  deviations.same(
    `${name}: probability_collapse`,
    result.probabilityCollapse,
    golden.get('probability_collapse').flag(),
  );
  deviations.same(`${name}: coverage_flag`, result.coverageFlag, golden.get('coverage_flag').text());
  all('prob_calibrated', predictions.probability, tolerances.output);
  near('conformal_quantile', result.conformalQuantile, tolerances.output);
  all('conformal_p', predictions.conformalP, tolerances.statistic);
  all('pit_z', predictions.pitZ, tolerances.statistic);
  const record = golden.get('metrics');
  deviations.same(`${name}: names of metrics`, Object.keys(metrics).sort(), [...record.keys()].sort());
  // The original's AUC of tied probabilities hangs on its sort; the mid-rank one is compared with the candidates.
  const tied = (values: Float64Array): boolean => new Set(values).size < values.length;
  for (const key of record.keys()) {
    if (key === 'AUC' && tied(predictions.probability)) continue;
    if (key === 'AUC_raw' && tied(predictions.rawProbability)) continue;
    deviations.near(`${name}: metric ${key}`, metrics[key], record.get(key).number(), metricTolerance(key));
  }
}

function checkCandidates(
  { golden, name, params, parts, evaluation }: GoldenFold,
  input: FoldInput,
  deviations: Deviations,
): void {
  const options = { probSource: params.probSource, targetScale: 1, precision: 'f64' } as const;
  const calibration = toForecasts(input.calibration.outputs, options);
  const validation = toForecasts(input.test.outputs, options);
  const fitted = fitCalibrators(calibration, parts.calibration.up, 'f64');
  for (const [key, knots] of [
    ['isotonic', fitted.isotonic],
    ['temp_isotonic', fitted.tempIsotonic],
  ] as const) {
    const expected = golden.get('isotonic_knots').find(key);
    if (expected === null || knots === null) continue;
    deviations.allNear(`${name}: ${key} knots x`, knots.x, expected.get('x').numbers(), tolerances.output);
    deviations.allNear(`${name}: ${key} knots y`, knots.y, expected.get('y').numbers(), tolerances.output);
  }
  for (const calibrator of calibratorNames) {
    const expected = golden.get('candidates').find(calibrator);
    if (expected === null) continue;
    const probability = applyCalibrator(fitted, calibrator, validation);
    const figures = calibrationFigures(probability, parts.test.up, evaluation.nBins);
    const where = `${name}: ${calibrator}`;
    deviations.allNear(
      `${where} probability`,
      probability,
      expected.get('prob_val').numbers(),
      tolerances.output,
    );
    deviations.near(`${where} Brier`, figures.brier, expected.get('brier').number(), tolerances.output);
    deviations.near(`${where} ECE`, figures.ece, expected.get('ece').number(), tolerances.output);
    deviations.near(
      `${where} AUC`,
      auc(probability, parts.test.up),
      expected.get('auc_midrank').number(),
      tolerances.exact,
    );
  }
}

/** Compares targets, calibrators and the whole record of one fold. */
export function checkJudgement(fold: GoldenFold, deviations: Deviations): void {
  const { golden, name, parts } = fold;
  deviations.allNear(
    `${name}: y_validation`,
    parts.test.y,
    golden.get('y_validation').numbers(),
    tolerances.target,
  );
  deviations.allNear(
    `${name}: y_calibration`,
    parts.calibration.y,
    golden.get('y_calibration').numbers(),
    tolerances.target,
  );
  const input = inputOf(fold);
  const result = evaluateFoldV6(input);
  if (!deviations.same(`${name}: outcome`, result.kind, 'evaluated') || result.kind !== 'evaluated') return;
  checkEvaluation(fold, result, deviations);
  checkCandidates(fold, input, deviations);
}
