/**
 * Training of one fold (hermite-model.md §10): batches from the training rows, reshuffled each pass; now and then a look at
 * the early-stop rows (in the v6 profile: the validation rows, once per epoch), which decides about the weights to keep and
 * about stopping.
 */
import { assert } from '../../../shared/core/assert.js';
import { auc, type AucTies } from '../../../shared/core/metrics/auc.js';
import { brierScore } from '../../../shared/core/metrics/calibration-figures.js';
import { directionHits } from '../../../shared/core/metrics/direction.js';
import { mean } from '../../../shared/core/metrics/numbers.js';
import type { TrainingBudget } from '../../../shared/core/trainers/hermite-settings.js';
import { firstNonFinite, toForecasts } from '../../market/probability.js';
import { TrialFailed } from '../port.js';
import { at } from '../runtime/differentiable.js';
import type { CompiledStep } from '../runtime/runtime.js';
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
  batchTensors,
  gradientOf,
  predict,
  type Batch,
  type InputRows,
  type Network,
} from './network.js';
import {
  adamWRates,
  disposeState,
  initialState,
  type AdamWSettings,
  type OptimiserState,
} from './optimiser.js';
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
  readonly probSource: 'cdf' | 'logit';
  readonly aucTies: AucTies;
}

/** Rows of one purpose. */
export interface TrainingPart {
  /** What `InputRows.gather` takes. */
  readonly rows: Int32Array;
  /** One target per row, in the model's unit. */
  readonly y: Float32Array;
}

export interface FoldData {
  readonly inputs: InputRows;
  readonly train: TrainingPart;
  /** Rows that decide which weights are kept; never the test rows, except in the v6 profile. */
  readonly earlyStop: TrainingPart;
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

/** Endless batches: pass after pass over the training rows, each in a new order, the last one short. */
function* batches(part: TrainingPart, batchSize: number, random: Random): Generator<TrainingPart, never> {
  const order = part.rows.map((_, entry) => entry);
  for (;;) {
    shuffle(order, random);
    for (let start = 0; start < order.length; start += batchSize) {
      const chosen = order.subarray(start, start + batchSize);
      yield {
        rows: chosen.map((entry) => at(part.rows, entry)),
        y: Float32Array.from(chosen, (entry) => at(part.y, entry)),
      };
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

const batchOf = (run: FoldRun, { rows, y }: TrainingPart): Batch => ({
  input: batchInput(run.network, run.data.inputs, rows),
  y,
  masks: dropoutMasks(run, rows.length),
});

/** One optimiser step as a function of tensors: parameters, both moments, rates, and those of a batch. */
const compiledStep = ({ network, settings }: FoldRun): CompiledStep =>
  network.runtime.compile(([parameters, first, second, rates, ...batch]) => {
    assert(
      parameters !== undefined && first !== undefined && second !== undefined && rates !== undefined,
      'a step takes the state, its rates and a batch',
    );
    const { gradient, outputs } = gradientOf(network, settings.loss, parameters, batch);
    const next = network.runtime.adamW({ parameters, first, second }, gradient, rates);
    return [next.parameters, next.first, next.second, outputs];
  });

/** One optimiser step; frees the batch. The outputs [B,3] of its forward pass belong to the caller. */
function step(
  run: FoldRun,
  { schedule, compiled }: { readonly schedule: ScheduleSettings; readonly compiled: CompiledStep },
  state: OptimiserState,
  batch: Batch,
): { readonly state: OptimiserState; readonly outputs: Tensor } {
  const { network, settings } = run;
  const steps = state.steps + 1;
  const rates = network.runtime.tf.tensor1d(
    adamWRates(settings.adamW, oneCycle(schedule, state.steps), steps),
  );
  const tensors = batchTensors(network, batch);
  const results = compiled([state.parameters, state.first, state.second, rates, ...tensors]);
  rates.dispose();
  tensors.forEach((tensor) => tensor.dispose());
  const [parameters, first, second, outputs] = [0, 1, 2, 3].map((index) => at(results, index)) as [
    ...[Tensor, Tensor, Tensor, Tensor],
  ];
  return { state: { parameters, first, second, steps }, outputs };
}

const labelsOf = (y: Float32Array): Uint8Array => Uint8Array.from(y, (value) => (value > 0 ? 1 : 0));

/** Direction probabilities and what they are ranked by, in the model's unit. */
const forecastsOf = ({ probSource }: FoldSettings, outputs: Outputs) =>
  toForecasts(outputs, { probSource, targetScale: 1, precision: 'f64' });

function figuresOf(settings: FoldSettings, outputs: Outputs, y: Float32Array): PartFigures {
  const { probability } = forecastsOf(settings, outputs);
  return { ...lossTerms(settings.loss, outputs, y), brier: brierScore(probability, labelsOf(y)) };
}

/** Collects the outputs of the batches between two looks, and reads them back only there. */
interface Collected {
  readonly y: Float32Array;
  readonly outputs: Tensor;
}

async function trainFigures(run: FoldRun, collected: Collected[]): Promise<PartFigures> {
  const total = collected.reduce((count, batch) => count + batch.y.length, 0);
  const outputs = emptyOutputs(total);
  const y = new Float32Array(total);
  let offset = 0;
  for (const batch of collected.splice(0)) {
    readOutputs(await batch.outputs.data<'float32'>(), outputs, offset);
    batch.outputs.dispose();
    y.set(batch.y, offset);
    offset += batch.y.length;
  }
  return figuresOf(run.settings, outputs, y);
}

const allFinite = (outputs: Outputs): boolean => firstNonFinite(outputs) < 0;

const withinBounds = (loss: number): boolean => Number.isFinite(loss) && loss <= lossMax;

/** Higher is better. */
function stoppingMetric(settings: FoldSettings, outputs: Outputs, y: Float32Array, look: Look): number {
  switch (settings.earlyStopMetric) {
    case 'auc':
      return look.auc;
    case 'loss':
      return -look.earlyStop.total;
    case 'dir_acc':
      return mean(directionHits(forecastsOf(settings, outputs).probability, labelsOf(y)));
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
  const { rows, y } = data.earlyStop;
  const outputs = await predict(network, state.parameters, { inputs: data.inputs, rows }, pause);
  // Nothing is concluded from numbers of a device that has failed.
  await network.runtime.flushErrors();
  if (!allFinite(outputs)) return null;
  const { score, probability } = forecastsOf(settings, outputs);
  const ranked = settings.aucTies === 'mid-rank' ? score : probability;
  const look: Look = {
    step: state.steps,
    train: await trainFigures(run, collected),
    earlyStop: figuresOf(settings, outputs, y),
    auc: auc(ranked, labelsOf(y), settings.aucTies),
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
  const plan = planOf(settings, data.train.y.length);
  const schedule = { totalSteps: plan.totalSteps, warmup: settings.warmup, peak: settings.learningRate };
  const source = batches(data.train, settings.batchSize, run.random);
  const stopping = createEarlyStopping(settings.earlyStopping);
  const collected: Collected[] = [];
  const looks: Look[] = [];
  const compiled = compiledStep(run);
  let state = initialState(run.network.runtime, run.initial);
  let best: Tensor | null = null;
  let diverged = false;
  let finished = false;
  try {
    while (state.steps < plan.totalSteps && !diverged && !stopping.exhausted()) {
      await run.pause();
      const batch = batchOf(run, source.next().value);
      const done = step(run, { schedule, compiled }, state, batch);
      disposeState(state, state.parameters === best);
      state = done.state;
      collected.push({ y: batch.y, outputs: done.outputs });
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
    // A GPU would otherwise keep every buffer of every fold's step until the trial ends.
    compiled.release();
    collected.forEach(({ outputs }) => outputs.dispose());
    disposeState(state, state.parameters === best);
    if (!finished) best?.dispose();
  }
}
