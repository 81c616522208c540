/**
 * Golden figures of kind `fold_train`: complete folds, from candles to Sharpe (hermite-model.md §4–14, profile v6). Each is
 * checked twice: trained on the runtime in single precision, and judged in doubles from the outputs that the original had.
 */
import { auc } from '../../../shared/core/metrics/auc.js';
import type { PartData } from '../../market/prepare-trial-data.js';
import { evaluateFold } from '../../market/evaluate-fold.js';
import { parameterLayout } from '../../trainers/hermite/layout.js';
import type { Outputs } from '../../trainers/hermite/losses.js';
import { predict, type Network } from '../../trainers/hermite/network.js';
import { createRandom } from '../../trainers/hermite/random.js';
import { foldSettings, modelShape } from '../../trainers/hermite/run-fold.js';
import { trainFold, type Look, type TrainingPart } from '../../trainers/hermite/train-fold.js';
import type { Runtime } from '../../trainers/runtime/runtime.js';
import type { Tensor } from '../../trainers/runtime/tensorflow.js';
import { checkJudgement } from './check-judgement.js';
import type { Deviations } from './deviations.js';
import type { Figures } from './figures.js';
import { prepareGoldenFold, type GoldenFold } from './golden-fold.js';
import { flatWeights, noPause } from './golden-model.js';

/** Single precision. */
const lossTolerance = 1e-4;
const outputTolerance = 1e-4;
/** Two pairs of rows, or a few among many, may swap their ranks in single precision. */
const aucToleranceMin = 2e-3;
function aucTolerance({ parts }: GoldenFold): number {
  const positive = parts.test.up.reduce((count, up) => count + up, 0);
  return Math.max(aucToleranceMin, 2.01 / Math.max(1, positive * (parts.test.up.length - positive)));
}
const rateTolerance = 1e-5;
const posWeightTolerance = 1e-7;

const lookFigures: readonly (readonly [string, (look: Look) => number])[] = [
  ['train_loss', ({ train }) => train.total],
  ['train_nll', ({ train }) => train.nll],
  ['train_cls', ({ train }) => train.cls],
  ['train_brier', ({ train }) => train.brier],
  ['val_loss', ({ earlyStop }) => earlyStop.total],
  ['val_nll', ({ earlyStop }) => earlyStop.nll],
  ['val_cls', ({ earlyStop }) => earlyStop.cls],
  ['val_brier', ({ earlyStop }) => earlyStop.brier],
];

/** A count or a choice of the original, which may differ between its two precisions; ours is single. */
function checkEither(
  where: string,
  actual: number | string,
  [double, single]: readonly [Figures, Figures | null],
  deviations: Deviations,
): void {
  const expected = single !== null && single.value === actual ? single : double;
  deviations.same(where, actual, expected.value);
}

function checkTrace(fold: GoldenFold, looks: readonly Look[], deviations: Deviations): void {
  const { golden, name } = fold;
  checkEither(
    `${name}: epochs`,
    looks.length,
    [golden.get('epochs_run'), golden.find('epochs_run_f32')],
    deviations,
  );
  const trace = golden.get('trace_f64');
  const compare = (key: string, check: (look: Look, expected: number, where: string) => void): void => {
    trace
      .find(key)
      ?.numbers()
      .forEach((expected, epoch) => {
        const look = looks[epoch];
        if (look !== undefined) check(look, expected, `${name}: ${key} of epoch ${epoch}`);
      });
  };
  for (const [key, figure] of lookFigures)
    compare(key, (look, expected, where) => deviations.near(where, figure(look), expected, lossTolerance));
  const swaps = aucTolerance(fold);
  compare('val_auc', (look, expected, where) => deviations.absolute(where, look.auc, expected, swaps));
  compare('lr_after_epoch', (look, expected, where) =>
    deviations.absolute(where, look.learningRate, expected, rateTolerance * expected),
  );
}

function train({ golden, data, parts, params }: GoldenFold, network: Network) {
  const part = ({ rows }: PartData): TrainingPart => ({
    rows,
    y: Float32Array.from(rows, (row) => parts.targets[row] ?? NaN),
  });
  return trainFold({
    network,
    settings: foldSettings({ params, data }, parts),
    data: { inputs: parts.input, train: part(parts.train), earlyStop: part(parts.earlyStop) },
    initial: flatWeights(network.layout, golden.get('initial_weights')),
    // One batch per epoch without dropout: nothing is drawn that matters.
    random: createRandom(1),
    pause: noPause,
  });
}

async function checkForecasts(
  fold: GoldenFold,
  network: Network,
  parameters: Tensor,
  deviations: Deviations,
): Promise<void> {
  const { golden, name, parts, params, evaluation, data } = fold;
  const forecasts = ({ rows }: PartData): Promise<Outputs> =>
    predict(network, parameters, { inputs: parts.input, rows }, noPause);
  const outputs = {
    validation: await forecasts(parts.test),
    calibration: await forecasts(parts.calibration),
  };
  for (const part of ['validation', 'calibration'] as const)
    for (const head of ['mu', 'logvar', 'logit'] as const) {
      const expected = golden.get('outputs_f64').get(part).get(head).numbers();
      deviations.allOfLargest(
        `${name}: ${head} on ${part} rows`,
        outputs[part][head],
        expected,
        outputTolerance,
      );
    }
  const outcome = evaluateFold({
    calibration: { outputs: outputs.calibration, data: parts.calibration },
    test: { outputs: outputs.validation, data: parts.test },
    ...{ targetScale: parts.targetScale, secondsPerStep: data.secondsPerStep, params, evaluation },
  });
  const calibrator = outcome.kind === 'evaluated' ? outcome.calibrator : outcome.message;
  const chosen = golden.get('chosen').text();
  const choices = [golden.get('chosen'), golden.find('chosen_f32')] as const;
  checkEither(`${name}: calibrator after training`, calibrator, choices, deviations);
  if (calibrator !== chosen) return;
  if (outcome.kind !== 'evaluated') return;
  const ranked = auc(outcome.predictions.probability, outcome.predictions.up);
  const expected = golden.get('candidates').get(chosen).get('auc_midrank').number();
  deviations.absolute(`${name}: AUC after training`, ranked, expected, aucTolerance(fold));
}

async function checkFold(fold: GoldenFold, deviations: Deviations, runtime: Runtime): Promise<void> {
  const { golden, name, data, parts, params } = fold;
  checkJudgement(fold, deviations);
  const scaler = golden.get('fold').find('fit_scaler_on')?.range();
  const fitted = [parts.train, parts.calibration].flatMap(({ rows }) => [...rows]);
  if (scaler !== undefined)
    deviations.same(
      `${name}: rows of the scaler`,
      [fitted[0], fitted.length],
      [scaler.from, scaler.to - scaler.from],
    );
  const posWeight = golden.get('pos_weight').value === null ? 1 : golden.get('pos_weight').number();
  const { loss } = foldSettings({ params, data }, parts);
  deviations.near(`${name}: weight of the rarer class`, loss.posWeight, posWeight, posWeightTolerance);
  const network = { runtime, layout: parameterLayout(modelShape(params, data.contextWidth)) };
  const { parameters, looks, diverged } = await train(fold, network);
  try {
    deviations.same(`${name}: diverged`, diverged, false);
    checkTrace(fold, looks, deviations);
    await checkForecasts(fold, network, parameters, deviations);
  } finally {
    parameters.dispose();
  }
}

/** Trains and judges every fold of the file. */
export async function checkFolds(golden: Figures, deviations: Deviations, runtime: Runtime): Promise<void> {
  const candles = golden.get('candles');
  for (const fixed of golden.get('cases').list())
    await checkFold(prepareGoldenFold(fixed, candles), deviations, runtime);
}
