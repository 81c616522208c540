/** A fold of the golden figures as the project understands it: settings, parameters, rows. */
import {
  evaluationSpecs,
  parseEvaluation,
  type EvaluationSettings,
} from '../../../shared/core/trainers/evaluation-settings.js';
import {
  hermiteSpecs,
  parseHermiteParams,
  type HermiteParams,
} from '../../../shared/core/trainers/hermite-settings.js';
import type { SettingProblem, SettingValue } from '../../../shared/core/trainers/setting-schema.js';
import type { FoldPlan } from '../../market/fold-plan.js';
import {
  prepareFold,
  prepareTrialData,
  type PreparedFold,
  type TrialData,
} from '../../market/prepare-trial-data.js';
import { candlesOf } from './check-features.js';
import { GoldenFormatError, type Figures } from './figures.js';

export interface GoldenFold {
  readonly golden: Figures;
  readonly name: string;
  readonly data: TrialData;
  readonly parts: PreparedFold;
  readonly params: HermiteParams;
  readonly evaluation: EvaluationSettings;
}

type Settings = Record<string, SettingValue>;

/**
 * The single values of a section that are settings of the project, but for some keys. Its lists are none, and neither is what the
 * original has beside them (hermite-model.md §16): what matters nevertheless shows in the figures.
 */
function settingsIn(section: Figures, known: object, but: readonly string[] = []): Settings {
  const settings: Settings = {};
  for (const key of section.keys().filter((name) => Object.hasOwn(known, name) && !but.includes(name))) {
    const { value } = section.get(key);
    if (
      value === null ||
      typeof value === 'string' ||
      typeof value === 'boolean' ||
      typeof value === 'number'
    )
      settings[key] = value;
  }
  return settings;
}

function refused({ path }: Figures, problems: readonly SettingProblem[]): GoldenFormatError {
  return new GoldenFormatError(
    `${path}: ${problems.map(({ key, message }) => `${key} ${message}`).join('; ')}`,
  );
}

function evaluationOf(golden: Figures): EvaluationSettings {
  // The strategy's own parameters belong to the trial, its accounting to the evaluation.
  const strategy = golden.get('strategy');
  const accounting = settingsIn(strategy, evaluationSpecs, ['conformal_p_min']);
  const gate: Settings = strategy.get('use_conformal_gate').flag()
    ? { gate: 'v6-realised', conformal_p_min: strategy.get('conformal_p_min').number() }
    : { gate: 'none' };
  const parsed = parseEvaluation({
    ...{ profile: 'v6', v6_ignored_keys: false, horizon: golden.get('horizon').number() },
    ...settingsIn(golden.get('evaluation'), evaluationSpecs),
    ...accounting,
    ...gate,
  });
  if (parsed.ok) return parsed.evaluation;
  throw refused(golden, parsed.problems);
}

/** The golden word for the metric that stops training, as a parameter. */
const stopMetrics: Readonly<Record<string, string>> = { AUC: 'auc', DirAcc: 'dir_acc' };

function paramsOf(golden: Figures, evaluation: EvaluationSettings): HermiteParams {
  const training = golden.get('training');
  const metric = training.find('early_stop_metric')?.text() ?? null;
  const strategy = golden.get('strategy');
  const parsed = parseHermiteParams(
    {
      ...settingsIn(golden.get('model'), hermiteSpecs),
      ...settingsIn(training, hermiteSpecs, ['early_stop_metric']),
      ...(metric === null ? {} : { early_stop_metric: stopMetrics[metric] ?? 'loss' }),
      ...{ dropout: 0, feature_window: golden.get('window').number() },
      confidence_margin: strategy.get('confidence_margin').number(),
      kelly_clip: strategy.get('kelly_clip').number(),
    },
    evaluation,
  );
  if (!parsed.ok) throw refused(golden, parsed.problems);
  return { ...parsed.params, thresholds: strategy.get('thresholds').numbers() };
}

/** Reads a case; throws `GoldenFormatError` when it holds what the project would refuse. */
export function prepareGoldenFold(golden: Figures, candles: Figures): GoldenFold {
  const evaluation = evaluationOf(golden);
  const params = paramsOf(golden, evaluation);
  const ranges = golden.get('fold');
  const validation = ranges.get('validation').range();
  const plan: FoldPlan = {
    ...{ id: 0, train: ranges.get('train').range(), earlyStop: validation },
    ...{ calibration: ranges.get('calibration').range(), test: validation },
  };
  const prepared = prepareTrialData(candlesOf(candles), params.featureWindow, evaluation, (rows) => {
    const outside = [plan.train, plan.calibration, plan.test].some(({ from, to }) => from < 0 || to > rows);
    return outside
      ? { kind: 'refused', message: `fold reaches beyond the ${rows} samples` }
      : { kind: 'folds', folds: [plan], holdout: { from: rows, to: rows } };
  });
  if (prepared.kind === 'refused') throw new GoldenFormatError(`${golden.path}: ${prepared.message}`);
  const { data } = prepared;
  const name = golden.find('name')?.text() ?? golden.path;
  return { golden, name, data, params, evaluation, parts: prepareFold(data, plan) };
}
