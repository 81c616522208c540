/** One fold of a trial: train on its rows, forecast the others, judge. */
import { evaluateFold, type FoldEvaluation } from '../../market/evaluate-fold.js';
import { foldSeed } from '../../market/fold-seed.js';
import {
  prepareFold,
  type PartData,
  type PreparedFold,
  type TrialData,
} from '../../market/prepare-trial-data.js';
import type { FoldPlan } from '../../market/fold-plan.js';
import type { HermiteParams } from '../../../shared/core/trainers/hermite-settings.js';
import { TrialFailed, type TrialPhase } from '../port.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Tensor } from '../runtime/tensorflow.js';
import { at } from '../runtime/differentiable.js';
import { classBalance, positiveWeight } from './class-balance.js';
import { initialParameters } from './initialise.js';
import { parameterLayout } from './layout.js';
import { rawSignScale, standardisedSignScale, type LossSettings, type Outputs } from './losses.js';
import type { ModelShape } from './model-shape.js';
import { predict, type Network } from './network.js';
import { createRandom } from './random.js';
import { trainFold, type FoldSettings, type TrainedFold, type TrainingPart } from './train-fold.js';

export interface FoldJob {
  readonly runtime: Runtime;
  readonly params: HermiteParams;
  readonly data: TrialData;
  /** Seed of the trial. */
  readonly seed: number;
  /** Awaited before every step; throws to end the trial. */
  readonly pause: () => Promise<void>;
  /** Told what the fold does from now on. */
  readonly enter: (phase: TrialPhase) => void;
}

export interface JudgedFold {
  readonly evaluation: FoldEvaluation;
  readonly steps: number;
  readonly diverged: boolean;
}

/** The model that a trial's parameters describe. */
export const modelShape = (params: HermiteParams, contextWidth: number): ModelShape => ({
  window: params.featureWindow,
  context: contextWidth,
  lstmHidden: params.useLstm ? params.lstmHidden : null,
  hidden: params.hermiteHiddenDim,
  degree: params.hermiteDegree,
  version: params.hermiteVersion,
  mapsA: params.hermiteMapsA,
  mapsB: params.hermiteMapsB,
});

function lossSettings({ params, data }: Pick<FoldJob, 'params' | 'data'>, fold: PreparedFold): LossSettings {
  const { classificationLoss: classification, autoPosWeight } = params;
  return {
    regWeight: params.regWeight,
    clsWeight: params.clsWeight,
    uncWeight: params.uncWeight,
    signWeight: params.signHingeWeight,
    classification,
    focalGamma: params.focalGamma,
    posWeight: positiveWeight(classBalance(fold.train.up), { classification, autoPosWeight }),
    signScale: data.evaluation.targetScale === 'raw' ? rawSignScale : standardisedSignScale,
  };
}

/** What a trial's parameters say about training, with the weight of the rarer class from the fold's training rows. */
export function foldSettings(job: Pick<FoldJob, 'params' | 'data'>, fold: PreparedFold): FoldSettings {
  const { params } = job;
  return {
    loss: lossSettings(job, fold),
    adamW: {
      weightDecay: params.weightDecay,
      gradientClip: params.gradientClip,
      beta2: params.beta2,
      epsilon: params.epsilon,
    },
    learningRate: params.learningRate,
    warmup: params.schedulerWarmupPct,
    batchSize: params.batchSize,
    dropout: params.dropout,
    budget: params.budget,
    earlyStopping: { patience: params.patience, minDelta: params.minDelta },
    earlyStopMetric: params.earlyStopMetric,
    probSource: params.probSource,
    aucTies: job.data.evaluation.auc,
  };
}

/** Purposes of the random streams of one fold. */
const streams = { weights: 1, batches: 2 } as const;

function train(job: FoldJob, network: Network, fold: PreparedFold): Promise<TrainedFold> {
  const { data, seed, pause, enter } = job;
  enter('fit');
  const streamSeed = foldSeed(data.evaluation.seedPolicy, seed, fold.id);
  const part = ({ rows }: PartData): TrainingPart => ({
    rows,
    y: Float32Array.from(rows, (row) => at(fold.targets, row)),
  });
  // Standardised targets have variance 1, so a log variance of 0 is where the likelihood starts right (§18.9).
  const bias = data.evaluation.targetScale === 'raw' ? {} : { logvarBias: 0 };
  return trainFold({
    network,
    settings: foldSettings(job, fold),
    data: { inputs: fold.input, train: part(fold.train), earlyStop: part(fold.earlyStop) },
    initial: initialParameters(network.layout, createRandom(streamSeed, streams.weights), bias),
    random: createRandom(streamSeed, streams.batches),
    pause,
  });
}

async function judge(
  job: FoldJob,
  network: Network,
  fold: PreparedFold,
  parameters: Tensor,
): Promise<FoldEvaluation> {
  const { params, data, pause, enter } = job;
  enter('predict');
  const forecasts = (part: PartData): Promise<Outputs> =>
    predict(network, parameters, { inputs: fold.input, rows: part.rows }, pause);
  const outcome = evaluateFold({
    calibration: { outputs: await forecasts(fold.calibration), data: fold.calibration },
    test: { outputs: await forecasts(fold.test), data: fold.test },
    targetScale: fold.targetScale,
    secondsPerStep: data.secondsPerStep,
    params,
    evaluation: data.evaluation,
  });
  if (outcome.kind === 'diverged') throw new TrialFailed('diverged', `fold ${fold.id}: ${outcome.message}`);
  return outcome;
}

/**
 * Trains and judges one fold. Throws `TrialFailed`: `infeasible` when its training rows cannot be learned from, `diverged`
 * when no finite forecast was ever reached.
 */
export async function runFold(job: FoldJob, plan: FoldPlan): Promise<JudgedFold> {
  const { runtime, params, data } = job;
  const fold = prepareFold(data, plan);
  const layout = parameterLayout(modelShape(params, data.contextWidth));
  const network = { runtime, layout };
  const { parameters, steps, diverged } = await train(job, network, fold);
  try {
    return { evaluation: await judge(job, network, fold, parameters), steps, diverged };
  } finally {
    parameters.dispose();
  }
}
