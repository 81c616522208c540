import { beforeAll, describe, expect, test } from 'vitest';
import { TrialFailed, TrialStopped } from '../port.js';
import type { Runtime } from '../runtime/runtime.js';
import { createWasmRuntime } from '../runtime/wasm-runtime.js';
import { initialParameters } from './initialise.js';
import { parameterLayout } from './layout.js';
import { rawSignScale } from './losses.js';
import type { InputRows } from './network.js';
import { rowIndices, rowsOf } from './golden.test-helper.js';
import { createRandom } from './random.js';
import { trainFold, type FoldRun, type FoldSettings } from './train-fold.js';

const layout = parameterLayout({
  window: 8,
  context: 3,
  lstmHidden: 6,
  hidden: 8,
  degree: 3,
  version: 'probabilist',
  mapsA: 2,
  mapsB: 1,
});

const settings: FoldSettings = {
  loss: {
    regWeight: 1,
    clsWeight: 1,
    uncWeight: 0.1,
    signWeight: 0.1,
    classification: 'bce',
    focalGamma: 2,
    posWeight: 1,
    signScale: rawSignScale,
  },
  adamW: { weightDecay: 1e-4, gradientClip: 1, beta2: 0.999, epsilon: 1e-8 },
  learningRate: 0.02,
  warmup: 0.1,
  batchSize: 64,
  dropout: 0.1,
  budget: { kind: 'steps', steps: 60, evalEverySteps: 20 },
  earlyStopping: { patience: 10, minDelta: 1e-4 },
  earlyStopMetric: 'auc',
  probSource: 'logit',
  aucTies: 'mid-rank',
};

const rowCount = 400;

/** Noise, except that the target follows the last candle's first feature. */
function market(): { inputs: InputRows; y: Float32Array } {
  const random = createRandom(7);
  const width = 8 * 4 + 3;
  const values = Float32Array.from({ length: rowCount * width }, () => random.normal());
  const y = Float32Array.from({ length: rowCount }, (_, row) => {
    const signal = values[row * width + 7 * 4] ?? NaN;
    return 0.5 * signal + 0.5 * random.normal();
  });
  const inputs = rowsOf(layout.shape, [...values]);
  return { inputs, y };
}

describe('training a fold', () => {
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await createWasmRuntime();
  });

  const foldRun = (changes: Partial<FoldSettings> = {}, seed = 1): FoldRun => {
    const rows = rowIndices(rowCount);
    const { inputs, y } = market();
    return {
      network: { runtime, layout },
      settings: { ...settings, ...changes },
      data: {
        inputs,
        train: { rows: rows.subarray(0, 300), y: y.subarray(0, 300) },
        earlyStop: { rows: rows.subarray(300), y: y.subarray(300) },
      },
      initial: initialParameters(layout, createRandom(seed, 1)),
      random: createRandom(seed, 2),
      pause: () => Promise.resolve(),
    };
  };

  test('finds a planted signal', async () => {
    const { looks, parameters, steps, diverged } = await trainFold(foldRun());
    parameters.dispose();
    expect(steps).toBe(60);
    expect(diverged).toBe(false);
    expect(looks.map((look) => look.step)).toEqual([20, 40, 60]);
    expect(Math.max(...looks.map((look) => look.auc))).toBeGreaterThan(0.75);
  });

  test('the same seed gives the same figures, another seed others', async () => {
    const [first, again, other] = [
      await trainFold(foldRun()),
      await trainFold(foldRun()),
      await trainFold(foldRun({}, 2)),
    ];
    expect(again.looks).toEqual(first.looks);
    expect(other.looks).not.toEqual(first.looks);
    [first, again, other].forEach(({ parameters }) => parameters.dispose());
  });

  test('an epoch is a pass over the training rows with a short last batch', async () => {
    const { looks, parameters, steps } = await trainFold(foldRun({ budget: { kind: 'epochs', epochs: 3 } }));
    parameters.dispose();
    expect(steps).toBe(15);
    expect(looks.map((look) => look.step)).toEqual([5, 10, 15]);
  });

  test('stops after `patience` looks without improvement and keeps the best weights', async () => {
    const { looks, parameters } = await trainFold(
      foldRun({
        earlyStopping: { patience: 2, minDelta: 1 },
        budget: { kind: 'steps', steps: 60, evalEverySteps: 5 },
      }),
    );
    parameters.dispose();
    expect(looks.length).toBe(3);
  });

  test('200 steps leave not one tensor behind', async () => {
    const before = runtime.memory().tensors;
    const perLook: number[] = [];
    const run = foldRun({
      budget: { kind: 'steps', steps: 200, evalEverySteps: 10 },
      earlyStopping: { patience: 0, minDelta: 1e-4 },
    });
    let pauses = 0;
    const { parameters } = await trainFold({
      ...run,
      pause: () => {
        pauses += 1;
        // Between steps: parameters, two moments, the best parameters, and one output per step since the last look.
        perLook.push(runtime.memory().tensors - before);
        return Promise.resolve();
      },
    });
    expect(pauses).toBeGreaterThanOrEqual(200);
    expect(Math.max(...perLook.slice(-50))).toBe(Math.max(...perLook.slice(0, 50)));
    parameters.dispose();
    expect(runtime.memory().tensors).toBe(before);
  });

  test('a learning rate beyond reason ends as diverged', async () => {
    const before = runtime.memory().tensors;
    const run = trainFold(foldRun({ learningRate: 1e30, adamW: { ...settings.adamW, gradientClip: 1e6 } }));
    await expect(run).rejects.toThrow(TrialFailed);
    await expect(run).rejects.toMatchObject({ reason: 'diverged' });
    expect(runtime.memory().tensors).toBe(before);
  });

  test('ends when `pause` says so, and frees everything', async () => {
    const before = runtime.memory().tensors;
    let pauses = 0;
    const run = trainFold({
      ...foldRun(),
      pause: () => {
        pauses += 1;
        return pauses > 30 ? Promise.reject(new TrialStopped('enough')) : Promise.resolve();
      },
    });
    await expect(run).rejects.toThrow(TrialStopped);
    expect(runtime.memory().tensors).toBe(before);
  });
});
