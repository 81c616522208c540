/** Our side of the trainer's bench: optimiser steps, folds and memory, through the functions that trials run. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { encodeCandles } from '../../shared/core/market/candle-codec.js';
import { makeSyntheticCandles } from '../../shared/core/market/synthetic-market.js';
import { initialParameters } from '../../worker/trainers/hermite/initialise.js';
import { parameterLayout } from '../../worker/trainers/hermite/layout.js';
import { standardisedSignScale } from '../../worker/trainers/hermite/losses.js';
import { candleFeatures, type ModelShape } from '../../worker/trainers/hermite/model-shape.js';
import type { InputRows } from '../../worker/trainers/hermite/network.js';
import { createRandom } from '../../worker/trainers/hermite/random.js';
import { createHermiteTrainer } from '../../worker/trainers/hermite/run-trial.js';
import { trainFold, type FoldSettings } from '../../worker/trainers/hermite/train-fold.js';
import { TrialStopped } from '../../worker/trainers/port.js';
import type { Runtime } from '../../worker/trainers/runtime/runtime.js';
import { batchRows, paramsOf, shapeOf, type ConfigurationName } from './configurations.js';

/** More than any measurement takes. */
const stepsMax = 1_000_000;

const settings: FoldSettings = {
  loss: {
    ...{ regWeight: 1, clsWeight: 1, uncWeight: 0.1, signWeight: 0.1 },
    ...{ classification: 'focal', focalGamma: 2, posWeight: 1, signScale: standardisedSignScale },
  },
  adamW: { weightDecay: 1e-4, gradientClip: 0.5, beta2: 0.999, epsilon: 1e-8 },
  learningRate: 1e-3,
  warmup: 0.1,
  batchSize: batchRows,
  dropout: 0.1,
  budget: { kind: 'steps', steps: stepsMax, evalEverySteps: stepsMax },
  earlyStopping: { patience: 0, minDelta: 0 },
  earlyStopMetric: 'loss',
  probSource: 'logit',
  aucTies: 'mid-rank',
};

/** Four batches of noise. */
function noise({ window, context }: ModelShape): { inputs: InputRows; y: Float32Array } {
  const random = createRandom(5);
  const draw = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());
  const windows = draw(4 * batchRows * window * candleFeatures);
  const contexts = draw(4 * batchRows * context);
  const gather = (source: Float32Array, width: number, rows: ArrayLike<number>): Float32Array => {
    const out = new Float32Array(rows.length * width);
    for (let i = 0; i < rows.length; i++) {
      const from = (rows[i] ?? 0) * width;
      out.set(source.subarray(from, from + width), i * width);
    }
    return out;
  };
  const inputs: InputRows = {
    gather: (rows) => ({
      window: gather(windows, window * candleFeatures, rows),
      context: gather(contexts, context, rows),
    }),
  };
  return { inputs, y: draw(4 * batchRows) };
}

const cpuSeconds = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
};

/**
 * Trains on noise; `beforeStep` is called before each step with how many were done, and ends the training by returning true. With
 * looks every so many steps it is called once more before each of them.
 */
async function train(
  runtime: Runtime,
  shape: ModelShape,
  beforeStep: (done: number) => boolean,
  evalEverySteps = stepsMax,
): Promise<void> {
  const layout = parameterLayout(shape);
  const { inputs, y } = noise(shape);
  const rows = Int32Array.from(y.keys());
  const random = createRandom(1, 2);
  let done = 0;
  const pause = (): Promise<void> =>
    beforeStep(done++) ? Promise.reject(new TrialStopped('enough')) : Promise.resolve();
  const few = { rows: rows.subarray(0, 8), y: y.subarray(0, 8) };
  try {
    const run = {
      network: { runtime, layout },
      settings: { ...settings, budget: { kind: 'steps', steps: stepsMax, evalEverySteps } as const },
      data: { inputs, train: { rows, y }, earlyStop: few },
    };
    await trainFold({ ...run, initial: initialParameters(layout, createRandom(1, 1)), random, pause });
  } catch (error) {
    if (!(error instanceof TrialStopped)) throw error;
  }
}

export interface StepTimes {
  /** Processor and wall-clock seconds of each step, in order, without the first two. */
  readonly cpuSeconds: readonly number[];
  readonly seconds: readonly number[];
}

/** Steps for about so many seconds, at least three of them. */
export async function timeSteps(
  runtime: Runtime,
  shape: ModelShape,
  budgetSeconds: number,
): Promise<StepTimes> {
  const cpu: number[] = [];
  const wall: number[] = [];
  let last = { cpu: cpuSeconds(), wall: performance.now() / 1000 };
  const began = last.wall;
  await train(runtime, shape, (done) => {
    const now = { cpu: cpuSeconds(), wall: performance.now() / 1000 };
    if (done > 2) {
      cpu.push(now.cpu - last.cpu);
      wall.push(now.wall - last.wall);
    }
    last = now;
    return cpu.length >= 3 && now.wall - began > budgetSeconds;
  });
  return { cpuSeconds: cpu, seconds: wall };
}

export interface MemoryMark {
  readonly steps: number;
  readonly residentBytes: number;
  readonly tensors: number;
}

/** Memory every hundred steps of `steps`, with a look every ten as in v6-stage1 (until then the outputs of the steps are kept). */
export async function memoryOverSteps(
  runtime: Runtime,
  shape: ModelShape,
  steps: number,
): Promise<MemoryMark[]> {
  const marks: MemoryMark[] = [];
  const stepsPerLook = 10;
  await train(
    runtime,
    shape,
    (pauses) => {
      const done = (pauses / (stepsPerLook + 1)) * stepsPerLook;
      if (done > 0 && done % 100 === 0) {
        const { tensors } = runtime.memory();
        marks.push({ steps: done, residentBytes: process.memoryUsage.rss(), tensors });
      }
      return done >= steps;
    },
    stepsPerLook,
  );
  return marks;
}

export interface FoldTimes {
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly peakMemoryBytes: number | null;
}

/** One fold as v6-stage1 has five: 50 steps on 16,000 rows, five looks at 1,000, then 1,000 rows to calibrate and 2,000 to test. */
export async function timeFold(runtime: Runtime, name: ConfigurationName): Promise<FoldTimes> {
  const folder = mkdtempSync(path.join(tmpdir(), 'parzen-bench-'));
  try {
    const dataPath = path.join(folder, 'candles');
    writeFileSync(
      dataPath,
      encodeCandles(makeSyntheticCandles({ seed: 1, bars: 22_400, volatility: 0.005, signal: 0 })),
    );
    const trainer = createHermiteTrainer({ runtime, stopRequested: () => false });
    const began = { cpu: cpuSeconds(), wall: performance.now() / 1000 };
    const { peakMemoryBytes } = await trainer.run(
      {
        ...{ study: 'bench', number: 0, attempt: 1, seed: 1, dataPath },
        params: { ...paramsOf(name), batch_size: batchRows, dropout: 0.1, steps: 50, eval_every_steps: 10 },
        evaluation: { profile: 'honest', fold_count: 1, train_rows_max: 16_000 },
      },
      () => Promise.resolve(false),
    );
    const seconds = performance.now() / 1000 - began.wall;
    return { cpuSeconds: cpuSeconds() - began.cpu, seconds, peakMemoryBytes };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export { shapeOf };
