/**
 * The parameters of a trial with the Hermite trainer: searched and fixed ones of hermite-model.md §17.1 plus the training
 * settings of §16, with the original's defaults. Everything a study may set is here; anything else is an error.
 */
import type { EvaluationSettings } from './evaluation-settings.js';
import { honestEvaluation } from './evaluation-settings.js';
import type { SettingProblem, SettingRecord, ValuesOf } from './setting-schema.js';
import {
  boolSetting,
  checkSetting,
  choiceSetting,
  floatSetting,
  intSetting,
  optionalIntSetting,
  parseSettings,
} from './setting-schema.js';

const weight = { low: 0, high: 1000 };

const coreSpecs = {
  feature_window: intSetting(64, { low: 1, high: 100_000 }, 'W, candles in the sequence part'),

  hermite_version: choiceSetting(['probabilist', 'physicist'], 'polynomial family; §7.3'),
  hermite_degree: intSetting(5, { low: 0, high: 32 }, 'highest polynomial degree'),
  hermite_maps_a: intSetting(2, { low: 0, high: 64 }, 'maps added in the symmetric block'),
  hermite_maps_b: intSetting(2, { low: 0, high: 64 }, 'maps subtracted in the symmetric block'),
  hermite_hidden_dim: intSetting(64, { low: 1, high: 4096 }, 'K, rows of a map and width of the heads'),
  dropout: floatSetting(0.1, { low: 0, high: 0.95 }, 'dropout rate of shared layer and heads'),
  use_lstm: boolSetting(true, 'encode the window with an LSTM; off: use it flattened'),
  lstm_hidden: intSetting(64, { low: 1, high: 4096 }, 'H, LSTM state size'),
  prob_source: choiceSetting(
    ['cdf', 'logit'],
    'direction probability: Gaussian P(return > 0), or the logit head',
  ),

  learning_rate: floatSetting(
    1e-3,
    { low: 0, high: 10, lowExclusive: true },
    'peak of the one-cycle schedule',
  ),
  weight_decay: floatSetting(1e-5, { low: 0, high: 10 }, 'AdamW, on every tensor'),
  gradient_clip: floatSetting(1, { low: 0, high: 1e6, lowExclusive: true }, 'largest global gradient norm'),
  batch_size: intSetting(64, { low: 1, high: 65_536 }, 'rows per optimiser step'),
  scheduler_warmup_pct: floatSetting(0.1, { low: 0, high: 0.9 }, 'share of steps before the peak'),
  beta2: floatSetting(
    0.999,
    { low: 0, high: 0.999999 },
    'AdamW second-moment decay; beta1 cycles 0.95-0.85-0.95',
  ),
  epsilon: floatSetting(1e-8, { low: 0, high: 1, lowExclusive: true }, 'AdamW epsilon'),
  early_stop_metric: choiceSetting(['auc', 'dir_acc', 'loss'], 'what the best state is chosen by'),
  patience: intSetting(
    10,
    { low: 0, high: 1_000_000 },
    'looks without improvement before stopping; 0 = never',
  ),
  min_delta: floatSetting(1e-4, { low: 0, high: 1e6 }, 'least improvement that counts'),

  classification_loss: choiceSetting(['bce', 'focal'], 'loss of the direction head; §8'),
  focal_gamma: floatSetting(2, { low: 0, high: 20 }, 'exponent of the focal loss'),
  auto_pos_weight: boolSetting(true, 'bce: weight positives by negatives/positives of the training rows'),
  reg_weight: floatSetting(1, weight, 'weight of the Gaussian likelihood'),
  cls_weight: floatSetting(1, weight, 'weight of the direction loss'),
  unc_weight: floatSetting(0.5, weight, 'weight of the variance penalty'),
  sign_hinge_weight: floatSetting(0.03, weight, 'weight of the sign term'),

  confidence_margin: floatSetting(0.1, { low: 0, high: 0.5 }, 'trade when |p - 0.5| is at least this'),
  kelly_clip: floatSetting(0.5, { low: 0, high: 1, lowExclusive: true }, 'largest position, share of equity'),
} as const;

/** Parameters that reach the trainer in another form: as `TrainingBudget` and `thresholds`. */
const derivedSpecs = {
  steps: optionalIntSetting({ low: 1, high: 10_000_000 }, 'budget: optimiser steps per fold'),
  num_epochs: optionalIntSetting(
    { low: 1, high: 1_000_000 },
    'budget: passes over the training rows, instead of steps',
  ),
  eval_every_steps: optionalIntSetting(
    { low: 1, high: 1_000_000 },
    'with steps: optimiser steps between two looks at the early-stop rows',
  ),
  threshold: floatSetting(0.55, { low: 0, high: 1 }, 'trade when p >= threshold or p <= 1 - threshold'),
} as const;

/** Every parameter by its name in study files. */
export const hermiteSpecs = { ...coreSpecs, ...derivedSpecs } as const;

export type HermiteParameterName = keyof typeof hermiteSpecs;

/** How long a fold trains. An epoch is a pass over the training rows; `evalEverySteps` plays its part under a step budget. */
export type TrainingBudget =
  | { readonly kind: 'epochs'; readonly epochs: number }
  | { readonly kind: 'steps'; readonly steps: number; readonly evalEverySteps: number };

export type HermiteParams = ValuesOf<typeof coreSpecs> & {
  readonly budget: TrainingBudget;
  /** Candidates for the trading threshold, ascending; one unless `v6_ignored_keys` restores the original's pair. */
  readonly thresholds: readonly number[];
};

/** The original's 250 steps per trial, spread over five folds (hermite-model.md §18.5). */
const stepsPerFoldDefault = 50;
/** Ten steps between looks: five looks per fold, of which each costs about a step. */
const evalEveryStepsDefault = 10;
const epochsV6Default = 25;

function trainingBudget(
  values: ValuesOf<typeof hermiteSpecs>,
  evaluation: EvaluationSettings,
): TrainingBudget | SettingProblem {
  const { steps, numEpochs, evalEverySteps } = values;
  if (steps !== null && numEpochs !== null) {
    return { key: 'num_epochs', message: 'give steps or num_epochs, not both' };
  }
  const inEpochs = numEpochs !== null || (steps === null && evaluation.profile === 'v6');
  if (!inEpochs) {
    return {
      kind: 'steps',
      steps: steps ?? stepsPerFoldDefault,
      evalEverySteps: evalEverySteps ?? Math.min(evalEveryStepsDefault, steps ?? stepsPerFoldDefault),
    };
  }
  if (evalEverySteps !== null) {
    return {
      key: 'eval_every_steps',
      message: 'has no effect without steps; an epoch is looked at when it ends',
    };
  }
  return { kind: 'epochs', epochs: numEpochs ?? epochsV6Default };
}

/** Values that the original trained and traded with whatever the search asked for (hermite-model.md §18.2). */
const ignoredKeys = {
  classification_loss: 'bce',
  focal_gamma: 2,
  threshold: '0.55 or 0.60, by Sharpe on the test rows',
  confidence_margin: 0.1,
  kelly_clip: 0.5,
} as const;

const v6Thresholds: readonly number[] = [0.55, 0.6];

/** The old word of the original for the logit head; there is no "pdf" probability (hermite-model.md §7.6). */
function modernise(record: SettingRecord): { record: SettingRecord; notices: string[] } {
  if (record['prob_source'] !== 'pdf') return { record, notices: [] };
  return {
    record: { ...record, prob_source: 'logit' },
    notices: ['prob_source: the old word pdf means the logit head; read as logit'],
  };
}

export type ParsedHermiteParams =
  | { readonly ok: true; readonly params: HermiteParams; readonly notices: readonly string[] }
  | { readonly ok: false; readonly problems: readonly SettingProblem[] };

/**
 * Reads a trial's parameters (searched and fixed together); whatever is not given takes the original's default. Reports
 * every unknown key, wrong type and value out of range at once. `evaluation` decides what `v6_ignored_keys` overrides, the
 * default budget, and the largest window. What is read differently from how it was written is said in `notices`.
 */
export function parseHermiteParams(
  record: SettingRecord,
  evaluation: EvaluationSettings = honestEvaluation,
): ParsedHermiteParams {
  const modern = modernise(record);
  const notices = [...modern.notices];
  const { values, problems } = parseSettings(hermiteSpecs, modern.record);
  const all = [...problems];
  const budget = trainingBudget(values, evaluation);
  if (!('kind' in budget)) all.push(budget);
  if (values.hermiteMapsA + values.hermiteMapsB === 0) {
    all.push({ key: 'hermite_maps_a', message: 'hermite_maps_a and hermite_maps_b must not both be 0' });
  }
  if (evaluation.folds === 'fixed-times' && values.featureWindow > evaluation.windowMax) {
    all.push({
      key: 'feature_window',
      message: `is ${values.featureWindow}, above evaluation.window_max (${evaluation.windowMax}); raise window_max`,
    });
  }
  if (all.length > 0 || !('kind' in budget)) return { ok: false, problems: all };
  const params = effectiveParams(budget, values.threshold, { record: modern.record, evaluation, notices });
  return { ok: true, params, notices };
}

function effectiveParams(
  budget: TrainingBudget,
  threshold: number,
  context: { record: SettingRecord; evaluation: EvaluationSettings; notices: string[] },
): HermiteParams {
  const { record, evaluation, notices } = context;
  const coreRecord = Object.fromEntries(
    Object.entries(record).filter(([key]) => Object.hasOwn(coreSpecs, key)),
  );
  const core = parseSettings(coreSpecs, coreRecord).values;
  if (!evaluation.v6IgnoredKeys) return { ...core, budget, thresholds: [threshold] };
  for (const [key, used] of Object.entries(ignoredKeys)) {
    if (Object.hasOwn(record, key)) {
      notices.push(`${key}: ignored as in the original (v6_ignored_keys); used is ${used}`);
    }
  }
  return {
    ...core,
    budget,
    thresholds: v6Thresholds,
    classificationLoss: ignoredKeys.classification_loss,
    focalGamma: ignoredKeys.focal_gamma,
    confidenceMargin: ignoredKeys.confidence_margin,
    kellyClip: ignoredKeys.kelly_clip,
  };
}

/**
 * Checks one value of one parameter, as a study's space offers it (a choice, a low or high end). Null when legal, otherwise
 * what would be right.
 */
export function checkHermiteParameter(name: string, value: unknown): string | null {
  if (name === 'prob_source' && value === 'pdf') return null;
  return checkSetting(hermiteSpecs, name, value);
}
