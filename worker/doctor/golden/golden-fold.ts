/** A fold of the golden figures as the project understands it: settings, parameters, rows. */
import {
  parseEvaluation,
  type EvaluationSettings,
} from '../../../shared/core/trainers/evaluation-settings.js';
import { parseHermiteParams, type HermiteParams } from '../../../shared/core/trainers/hermite-settings.js';
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

/** The single values of a section but for some keys; its lists are not settings. */
function settingsIn(section: Figures, but: readonly string[] = []): Settings {
  const settings: Settings = {};
  for (const key of section.keys().filter((name) => !but.includes(name))) {
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
  const accounting = settingsIn(strategy, [
    'use_conformal_gate',
    'conformal_p_min',
    'confidence_margin',
    'kelly_clip',
  ]);
  const gate: Settings = strategy.get('use_conformal_gate').flag()
    ? { gate: 'v6-realised', conformal_p_min: strategy.get('conformal_p_min').number() }
    : { gate: 'none' };
  const parsed = parseEvaluation({
    ...{ profile: 'v6', v6_ignored_keys: false, horizon: golden.get('horizon').number() },
    // The plan is replaced by the golden ranges; only its own refusal has to be kept away.
    min_calib_size: 0,
    ...settingsIn(golden.get('evaluation')),
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
      ...settingsIn(golden.get('model')),
      ...settingsIn(training, ['seed', 'early_stop_metric']),
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
  const prepared = prepareTrialData(candlesOf(candles), params.featureWindow, evaluation);
  if (prepared.kind === 'refused') throw new GoldenFormatError(`${golden.path}: ${prepared.message}`);
  const ranges = golden.get('fold');
  const validation = ranges.get('validation').range();
  const plan: FoldPlan = {
    ...{ id: 0, train: ranges.get('train').range(), earlyStop: validation },
    ...{ calibration: ranges.get('calibration').range(), test: validation },
  };
  const { data } = prepared;
  const name = golden.find('name')?.text() ?? golden.path;
  return { golden, name, data, params, evaluation, parts: prepareFold(data, plan) };
}
