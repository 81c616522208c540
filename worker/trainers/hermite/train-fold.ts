/**
 * Training of one fold (hermite-model.md §10): batches from the training rows, reshuffled each pass; now and then a look at
 * the early-stop rows (in the v6 profile: the validation rows, once per epoch), which decides about the weights to keep and
 * about stopping.
 */
import { auc, type AucTies } from '../../../shared/core/metrics/auc.js';
import { brierScore } from '../../../shared/core/metrics/calibration-figures.js';
import type { TrainingBudget } from '../../../shared/core/trainers/hermite-settings.js';
import { TrialFailed } from '../port.js';
import type { Tensor } from '../runtime/tensorflow.js';
import { createEarlyStopping, type EarlyStoppingRules } from './early-stopping.js';
import type { DropoutMasks } from './forward.js';
import {
  emptyOutputs,
  lossTerms,
  readOutputs,
  type LossSettings,
  type LossTerms,
  type Outputs,
} from './losses.js';
import {
  batchInput,
  disposeBatch,
  lossGradient,
  predict,
  targetsOf,
  type InputRows,
  type Network,
} from './network.js';
import {
  adamWStep,
  disposeState,
  initialState,
  type AdamWSettings,
  type OptimiserState,
} from './optimiser.js';
import { directionProbabilities, type ProbabilitySource } from './probability.js';
import { fillDropoutMask, shuffle, type Random } from './random.js';
import { oneCycle, type ScheduleSettings } from './schedule.js';

export interface FoldSettings {
  readonly loss: LossSettings;
  readonly adamW: AdamWSettings;
  readonly learningRate: number;
  readonly warmup: number;
  readonly batchSize: number;
  readonly dropout: number;
  readonly budget: TrainingBudget;
  readonly earlyStopping: EarlyStoppingRules;
  readonly earlyStopMetric: 'auc' | 'dir_acc' | 'loss';
  readonly probabilitySource: ProbabilitySource;
  readonly aucTies: AucTies;
}

export interface FoldData {
  readonly inputs: InputRows;
  /** Target of every row, in the model's unit. */
  readonly y: Float64Array;
  readonly trainRows: Int32Array;
  /** Rows that decide which weights are kept; never the test rows, except in the v6 profile. */
  readonly earlyStopRows: Int32Array;
}

/** Figures of one part of the rows at one look. */
export interface PartFigures extends LossTerms {
  readonly brier: number;
}

export interface Look {
  /** Optimiser steps done. */
  readonly step: number;
  /** Over the batches since the last look, dropout on. */
  readonly train: PartFigures;
  readonly earlyStop: PartFigures;
  /** AUC of the raw probability on the early-stop rows; NaN with one class. */
  readonly auc: number;
  /** Learning rate that the next step would have. */
  readonly learningRate: number;
}

export interface TrainedFold {
  /** The kept weights as one flat vector; the tensor belongs to the caller. */
  readonly parameters: Tensor;
  readonly looks: readonly Look[];
  readonly steps: number;
  /** Training ended because the loss left all bounds; the weights are the best ones before that. */
  readonly diverged: boolean;
}

export interface FoldRun {
  readonly network: Network;
  readonly settings: FoldSettings;
  readonly data: FoldData;
  readonly initial: Float32Array;
  readonly random: Random;
  /** Awaited before every step; lets the process breathe, and throws to end the trial. */
  readonly pause: () => Promise<void>;
}

/** A loss beyond this counts as diverged. */
const lossMax = 1e6;

interface Plan {
  readonly totalSteps: number;
  readonly stepsPerLook: number;
}

/** Steps of the whole training and between looks; an epoch's last batch may be short. */
function planOf(settings: FoldSettings, trainRows: number): Plan {
  if (settings.budget.kind === 'steps') {
    const { steps, evalEverySteps } = settings.budget;
    return { totalSteps: steps, stepsPerLook: Math.min(steps, evalEverySteps) };
  }
  const stepsPerEpoch = Math.ceil(trainRows / settings.batchSize);
  return { totalSteps: settings.budget.epochs * stepsPerEpoch, stepsPerLook: stepsPerEpoch };
}

/** Endless batches of row numbers: pass after pass over the training rows, each in a new order, the last one short. */
function* batches(rows: Int32Array, batchSize: number, random: Random): Generator<Int32Array, never> {
  const order = Int32Array.from(rows);
  for (;;) {
    shuffle(order, random);
    for (let start = 0; start < order.length; start += batchSize) {
      yield order.slice(start, start + batchSize);
    }
  }
}

function dropoutMasks(run: FoldRun, rows: number): DropoutMasks | null {
  const { network, settings, random } = run;
  if (settings.dropout === 0) return null;
  const { tf } = network.runtime;
  const mask = (width: number): Tensor => {
    const values = new Float32Array(rows * width);
    fillDropoutMask(values, settings.dropout, random);
    return tf.tensor2d(values, [rows, width]);
  };
  const { hidden } = network.layout.shape;
  return { shared: mask(hidden), heads: mask(3 * hidden) };
}

/** One optimiser step on the given rows. The outputs [B,3] of its forward pass belong to the caller. */
function step(
  run: FoldRun,
  schedule: ScheduleSettings,
  state: OptimiserState,
  rows: Int32Array,
): { readonly state: OptimiserState; readonly outputs: Tensor } {
  const { network, settings, data } = run;
  const batch = {
    input: batchInput(network, data.inputs, rows),
    y: targetsOf(data.y, rows),
    masks: dropoutMasks(run, rows.length),
  };
  const { gradient, outputs } = lossGradient(network, settings.loss, state.parameters, batch);
  const next = adamWStep(network.runtime, state, gradient, {
    settings: settings.adamW,
    rates: oneCycle(schedule, state.steps),
  });
  gradient.dispose();
  disposeBatch(batch);
  return { state: next, outputs };
}

const labelsOf = (y: Float64Array): Uint8Array => Uint8Array.from(y, (value) => (value > 0 ? 1 : 0));

function figuresOf(settings: FoldSettings, outputs: Outputs, y: Float64Array): PartFigures {
  const probabilities = directionProbabilities(outputs, settings.probabilitySource);
  return { ...lossTerms(settings.loss, outputs, y), brier: brierScore(probabilities, labelsOf(y)) };
}

/** Collects the outputs of the batches between two looks, and reads them back only there. */
interface Collected {
  readonly rows: Int32Array;
  readonly outputs: Tensor;
}

async function trainFigures(run: FoldRun, collected: Collected[]): Promise<PartFigures> {
  const total = collected.reduce((count, { rows }) => count + rows.length, 0);
  const outputs = emptyOutputs(total);
  const y = new Float64Array(total);
  let offset = 0;
  for (const { rows, outputs: tensor } of collected.splice(0)) {
    readOutputs(await tensor.data<'float32'>(), outputs, offset);
    tensor.dispose();
    y.set(targetsOf(run.data.y, rows), offset);
    offset += rows.length;
  }
  return figuresOf(run.settings, outputs, y);
}

const allFinite = (outputs: Outputs): boolean =>
  [outputs.mu, outputs.logvar, outputs.logit].every((column) => column.every(Number.isFinite));

const withinBounds = (loss: number): boolean => Number.isFinite(loss) && loss <= lossMax;

/** Higher is better. */
function stoppingMetric(settings: FoldSettings, outputs: Outputs, y: Float64Array, look: Look): number {
  switch (settings.earlyStopMetric) {
    case 'auc':
      return look.auc;
    case 'loss':
      return -look.earlyStop.total;
    case 'dir_acc': {
      const probabilities = directionProbabilities(outputs, settings.probabilitySource);
      const hits = probabilities.reduce(
        (count, p, row) => count + (p >= 0.5 === (y[row] ?? NaN) > 0 ? 1 : 0),
        0,
      );
      return hits / y.length;
    }
  }
}

interface LookOutcome {
  readonly look: Look;
  readonly metric: number;
}

/** Reads the early-stop rows; null when a forecast is not finite, before any figure is computed from it (§18.14). */
async function lookAt(
  run: FoldRun,
  state: OptimiserState,
  collected: Collected[],
  schedule: ScheduleSettings,
): Promise<LookOutcome | null> {
  const { network, settings, data, pause } = run;
  const source = { inputs: data.inputs, rows: data.earlyStopRows };
  const outputs = await predict(network, state.parameters, source, pause);
  if (!allFinite(outputs)) return null;
  const y = Float64Array.from(targetsOf(data.y, data.earlyStopRows));
  const probabilities = directionProbabilities(outputs, settings.probabilitySource);
  const look: Look = {
    step: state.steps,
    train: await trainFigures(run, collected),
    earlyStop: figuresOf(settings, outputs, y),
    auc: auc(probabilities, labelsOf(y), settings.aucTies),
    learningRate: oneCycle(schedule, state.steps).learningRate,
  };
  return { look, metric: stoppingMetric(settings, outputs, y, look) };
}

/**
 * Trains until the budget is used, the early-stop metric no longer improves, or the loss leaves all bounds, and returns the
 * weights of the best look. Throws `TrialFailed` (diverged) when the forecasts are not finite at the first look already;
 * whatever `pause` throws passes through. Frees every tensor but the returned one.
 */
export async function trainFold(run: FoldRun): Promise<TrainedFold> {
  const { settings, data } = run;
  const plan = planOf(settings, data.trainRows.length);
  const schedule = { totalSteps: plan.totalSteps, warmup: settings.warmup, peak: settings.learningRate };
  const source = batches(data.trainRows, settings.batchSize, run.random);
  const stopping = createEarlyStopping(settings.earlyStopping);
  const collected: Collected[] = [];
  const looks: Look[] = [];
  let state = initialState(run.network.runtime, run.initial);
  let best: Tensor | null = null;
  let diverged = false;
  let finished = false;
  try {
    while (state.steps < plan.totalSteps && !diverged && !stopping.exhausted()) {
      await run.pause();
      const rows = source.next().value;
      const done = step(run, schedule, state, rows);
      disposeState(state, state.parameters === best);
      state = done.state;
      collected.push({ rows, outputs: done.outputs });
      if (state.steps % plan.stepsPerLook !== 0 && state.steps < plan.totalSteps) continue;

      const outcome = await lookAt(run, state, collected, schedule);
      if (outcome !== null) {
        looks.push(outcome.look);
        if (stopping.improved(outcome.metric)) {
          best?.dispose();
          best = state.parameters;
        }
      }
      const { train, earlyStop } = outcome?.look ?? {};
      diverged = !withinBounds(train?.total ?? NaN) || !withinBounds(earlyStop?.total ?? NaN);
    }
    if (best === null) {
      throw new TrialFailed('diverged', `forecasts are not finite after ${state.steps} optimiser steps`);
    }
    finished = true;
    return { parameters: best, looks, steps: state.steps, diverged };
  } finally {
    collected.forEach(({ outputs }) => outputs.dispose());
    disposeState(state, state.parameters === best);
    if (!finished) best?.dispose();
  }
}
