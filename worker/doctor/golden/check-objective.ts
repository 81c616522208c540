/** Golden figures of kind `objective`: scores of the original, and what it made of a suggestion (§17.4, 17.5, 18.2). */
import { v6Evaluation } from '../../../shared/core/trainers/evaluation-settings.js';
import { parseHermiteParams, type HermiteParams } from '../../../shared/core/trainers/hermite-settings.js';
import { camelKey, type SettingRecord } from '../../../shared/core/trainers/setting-schema.js';
import type { MetricRecord } from '../../market/forecast-record.js';
import {
  stage1Attributes,
  stage1ValueV6,
  stage2BriefingValue,
  stage2ScriptV6,
} from '../../market/v6-objective.js';
import type { Deviations } from './deviations.js';
import { GoldenFormatError, type Figures } from './figures.js';

const tolerance = 1e-10;

const recordOf = (fold: Figures): MetricRecord =>
  Object.fromEntries(fold.keys().map((key) => [key, fold.get(key).number()]));

/** Compares the attributes that are given under their golden names. */
function checkAttributes(
  golden: Figures,
  name: string,
  attributes: Readonly<Record<string, number>>,
  deviations: Deviations,
): void {
  for (const [key, actual] of Object.entries(attributes)) {
    const expected = golden.find(key);
    if (expected !== null) deviations.near(`${name} ${key}`, actual, expected.number(), tolerance);
  }
}

function checkStage1(
  golden: Figures,
  name: string,
  folds: readonly MetricRecord[] | null,
  deviations: Deviations,
): void {
  deviations.near(`${name} value`, stage1ValueV6(folds), golden.get('value').number(), tolerance);
  if (folds === null || folds.length === 0) return;
  const { auc, dirAcc, sharpe, validAuc, validDirAcc } = stage1Attributes(folds);
  const mine = { auc, dir_acc: dirAcc, sharpe, num_valid_auc: validAuc, num_valid_dir_acc: validDirAcc };
  checkAttributes(golden.get('attrs'), name, mine, deviations);
}

function checkStage2(
  golden: Figures,
  name: string,
  folds: readonly MetricRecord[] | null,
  deviations: Deviations,
): void {
  const result = stage2ScriptV6(folds);
  deviations.near(`${name} value`, result.value, golden.get('value').number(), tolerance);
  if (folds === null || folds.length === 0) return;
  const attributes = golden.get('attrs');
  checkAttributes(attributes, name, { num_nan_sharpe: result.droppedSharpe }, deviations);
  if (result.validSharpe === 0) return;
  checkAttributes(
    attributes,
    name,
    {
      ...{ sharpe_mean: result.sharpeMean, sharpe_std: result.sharpeDeviation },
      ...{ sharpe_min: result.sharpeMin, sharpe_max: result.sharpeMax, num_valid_sharpe: result.validSharpe },
      ...{ auc: result.auc, dir_acc: result.dirAcc },
    },
    deviations,
  );
  // A warning about a mean that is too high was printed by the original, not recorded.
  if (result.warning !== 'sharpe_too_high')
    deviations.same(`${name} warning`, result.warning, attributes.find('warning')?.text() ?? null);
}

function checkCase(golden: Figures, deviations: Deviations): void {
  const name = golden.find('name')?.text() ?? golden.path;
  const folds = golden.get('folds').value === null ? null : golden.get('folds').list().map(recordOf);
  const stage1 = golden.get('stage1');
  // A trial out of device memory has no score; the coordinator's policy decides about it.
  if (stage1.get('state').text() === 'complete') checkStage1(stage1, `${name}: stage 1`, folds, deviations);
  const stage2 = golden.get('stage2_script');
  if (stage2.get('state').text() === 'complete') checkStage2(stage2, `${name}: stage 2`, folds, deviations);
  const briefing = golden.find('stage2_briefing');
  if (briefing !== null && folds !== null && folds.length > 0)
    deviations.near(
      `${name}: stage 2 of the briefing`,
      stage2BriefingValue(folds),
      briefing.number(),
      tolerance,
    );
}

/** The original's shorter names for two parameters. */
const renamed: Readonly<Record<string, string>> = { lr: 'learning_rate', grad_clip: 'gradient_clip' };
/** What the original's script set beside the suggestion; the last two were ignored by it (§18.2). */
const fixed = { use_lstm: true, prob_source: 'pdf', batch_size: 512, threshold: 0.62, kelly_clip: 0.9 };

function settingsOf(section: Figures): SettingRecord {
  return Object.fromEntries(
    section.keys().map((key) => {
      const { value } = section.get(key);
      const known = typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
      if (!known) throw new GoldenFormatError(`${section.path}.${key} is not a single value`);
      return [renamed[key] ?? key, value];
    }),
  );
}

/** What a trial trains with, under the golden name of the setting. */
function effective(params: HermiteParams, key: string): unknown {
  if (key === 'num_epochs') return params.budget.kind === 'epochs' ? params.budget.epochs : null;
  return Object.entries(params).find(([name]) => name === camelKey(key))?.[1];
}

function checkEffective(golden: Figures, suggested: Figures, deviations: Deviations): void {
  const parsed = parseHermiteParams({ ...fixed, ...settingsOf(suggested) }, v6Evaluation);
  if (!parsed.ok)
    throw new GoldenFormatError(parsed.problems.map(({ key, message }) => `${key} ${message}`).join('; '));
  for (const section of ['model', 'training', 'data', 'strategy']) {
    const expected = golden.find(section);
    for (const key of expected?.keys() ?? []) {
      const { value } = expected?.get(key) ?? { value: null };
      // The old word for the logit head.
      const wanted = key === 'prob_source' && value === 'pdf' ? 'logit' : value;
      deviations.same(`stage 1 trains with ${section}.${key}`, effective(parsed.params, key), wanted);
    }
  }
}

/** Compares every score, and the configuration that a suggestion of stage 1 becomes. */
export function checkObjective(golden: Figures, deviations: Deviations): void {
  for (const fixedCase of golden.listAt('cases')) checkCase(fixedCase, deviations);
  const suggested = golden.find('stage1_suggested');
  const became = golden.find('stage1_effective');
  if (suggested !== null && became !== null) checkEffective(became, suggested, deviations);
}
