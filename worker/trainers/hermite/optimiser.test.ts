import { beforeAll, describe, expect, test } from 'vitest';
import type { HermiteVersion, Runtime } from '../runtime/runtime.js';
import { createWasmRuntime } from '../runtime/wasm-runtime.js';
import {
  flattenWeights,
  goldenPresent,
  goldenTitle,
  largestError,
  readGolden,
  rowIndices,
  rowsOf,
  type GoldenTensor,
  type GoldenWeights,
} from './golden.test-helper.js';
import { parameterLayout } from './layout.js';
import { emptyOutputs, lossTerms, rawSignScale, readOutputs, type LossSettings } from './losses.js';
import { batchInput, disposeBatch, lossGradient, predict, type Network } from './network.js';
import { adamWStep, disposeState, initialState, type AdamWSettings } from './optimiser.js';
import { oneCycle } from './schedule.js';

interface GoldenSchedule {
  readonly total_steps: number;
  readonly warmup_pct: number;
  readonly max_lr: number;
  readonly error?: string;
  readonly lr: readonly number[];
  readonly beta1: readonly number[];
  readonly lr_after_last_step: number;
  readonly beta1_after_last_step: number;
}

interface GoldenStep {
  readonly nll: number;
  readonly cls: number;
  readonly variance: number;
  readonly sign: number;
  readonly total: number;
  readonly grad_norm_before_clip: number;
  readonly checksum: Readonly<Record<string, readonly [number, number]>>;
}

interface GoldenCase {
  readonly config: Readonly<
    Record<
      | 'window'
      | 'context'
      | 'lstm_hidden'
      | 'hidden'
      | 'degree'
      | 'maps_a'
      | 'maps_b'
      | 'lr'
      | 'weight_decay'
      | 'clip'
      | 'total_steps'
      | 'warmup_pct'
      | 'focal_gamma'
      | 'pos_weight',
      number
    >
  > & {
    readonly version: HermiteVersion;
    readonly cls: 'bce' | 'focal';
    readonly loss_weights: Readonly<
      Record<'reg_weight' | 'cls_weight' | 'unc_weight' | 'sign_hinge_weight', number>
    >;
  };
  readonly initial_weights: GoldenWeights;
  readonly batches: readonly { readonly x: GoldenTensor; readonly y: readonly number[] }[];
  readonly trace_f64: {
    readonly steps: readonly GoldenStep[];
    readonly final_weights: GoldenWeights;
    readonly final_outputs_on_batch_0: Readonly<Record<'mu' | 'logvar' | 'logits', readonly number[]>>;
  };
}

interface Golden {
  readonly schedules: readonly GoldenSchedule[];
  readonly cases: readonly GoldenCase[];
}

describe('one-cycle schedule', () => {
  const settings = { totalSteps: 100, warmup: 0.25, peak: 1e-2 };

  test('starts at a 25th of the peak and of momentum 0.95, ends 10,000 times lower', () => {
    expect(oneCycle(settings, 0).learningRate).toBeCloseTo(4e-4, 15);
    expect(oneCycle(settings, 0).beta1).toBeCloseTo(0.95, 15);
    expect(oneCycle(settings, 24)).toEqual({ learningRate: 1e-2, beta1: 0.85 });
    expect(oneCycle(settings, 99).learningRate).toBeCloseTo(4e-8, 15);
    expect(oneCycle(settings, 99).beta1).toBeCloseTo(0.95, 15);
  });

  test('is defined where the original divides by zero: the peak holds', () => {
    expect(oneCycle({ totalSteps: 10, warmup: 0.1, peak: 1e-3 }, 0)).toEqual({
      learningRate: 1e-3,
      beta1: 0.85,
    });
    for (let k = 0; k <= 10; k += 1) {
      expect(oneCycle({ totalSteps: 10, warmup: 0.1, peak: 1e-3 }, k).learningRate).toBeGreaterThan(0);
    }
  });

  test('of a single step is finite', () => {
    expect(oneCycle({ totalSteps: 1, warmup: 0, peak: 1e-3 }, 0).learningRate).toBeGreaterThan(0);
    expect(oneCycle({ totalSteps: 1, warmup: 0.9, peak: 1e-3 }, 0).learningRate).toBeGreaterThan(0);
  });
});

describe('AdamW', () => {
  test('first step moves every entry by the learning rate against its gradient, after decay and clipping', async () => {
    const runtime = await createWasmRuntime();
    const settings: AdamWSettings = { weightDecay: 0.1, gradientClip: 1, beta2: 0.999, epsilon: 1e-8 };
    const state = initialState(runtime, Float32Array.of(1, -2, 3));
    const gradient = runtime.tf.tensor1d([300, -400, 0]);
    const next = adamWStep(runtime, state, gradient, {
      settings,
      rates: { learningRate: 0.01, beta1: 0.95 },
    });
    const moved = next.parameters.dataSync();
    [0.999 - 0.01, -1.998 + 0.01, 2.997].forEach((value, i) => expect(moved[i]).toBeCloseTo(value, 6));
    // Clipped to norm 1: (0.6, −0.8, 0).
    [0.6 * 0.05, -0.8 * 0.05, 0].forEach((value, i) =>
      expect(next.first.dataSync()[i]).toBeCloseTo(value, 7),
    );
  });
});

describe.skipIf(!goldenPresent)(goldenTitle('golden train_small.json'), () => {
  const golden = goldenPresent ? (readGolden('train_small.json') as Golden) : { schedules: [], cases: [] };
  let runtime: Runtime;
  beforeAll(async () => {
    runtime = await createWasmRuntime();
  });

  test('schedules, every step and the value after the last', () => {
    expect(golden.schedules.length).toBeGreaterThan(0);
    for (const schedule of golden.schedules) {
      if (schedule.error !== undefined) continue;
      const settings = {
        totalSteps: schedule.total_steps,
        warmup: schedule.warmup_pct,
        peak: schedule.max_lr,
      };
      const lr = [...schedule.lr, schedule.lr_after_last_step];
      const beta1 = [...schedule.beta1, schedule.beta1_after_last_step];
      lr.forEach((value, k) => {
        expect(Math.abs(oneCycle(settings, k).learningRate - value)).toBeLessThan(1e-12 * Math.max(value, 1));
        expect(Math.abs(oneCycle(settings, k).beta1 - (beta1[k] ?? NaN))).toBeLessThan(1e-12);
      });
    }
  });

  test('the case that crashed the original takes the peak at once', () => {
    const crash = golden.schedules.filter((schedule) => schedule.error !== undefined);
    expect(crash.length).toBeGreaterThan(0);
    for (const schedule of crash) {
      const settings = {
        totalSteps: schedule.total_steps,
        warmup: schedule.warmup_pct,
        peak: schedule.max_lr,
      };
      expect(oneCycle(settings, 0).learningRate).toBe(schedule.max_lr);
    }
  });

  test.each([0, 1])('optimiser steps of case %i: losses, norms, all weights', async (index) => {
    const golden0 = golden.cases[index]!;
    const { config } = golden0;
    const layout = parameterLayout({
      window: config.window,
      context: config.context,
      lstmHidden: config.lstm_hidden,
      hidden: config.hidden,
      degree: config.degree,
      version: config.version,
      mapsA: config.maps_a,
      mapsB: config.maps_b,
    });
    const network: Network = { runtime, layout };
    const settings: LossSettings = {
      regWeight: config.loss_weights.reg_weight,
      clsWeight: config.loss_weights.cls_weight,
      uncWeight: config.loss_weights.unc_weight,
      signWeight: config.loss_weights.sign_hinge_weight,
      classification: config.cls,
      focalGamma: config.focal_gamma,
      posWeight: config.pos_weight,
      signScale: rawSignScale,
    };
    let state = initialState(runtime, flattenWeights(layout, golden0.initial_weights));
    golden0.trace_f64.steps.forEach((expected, k) => {
      const data = golden0.batches[k]!;
      const rows = rowIndices(data.y.length);
      const batch = {
        input: batchInput(network, rowsOf(layout.shape, data.x.data), rows),
        y: Float32Array.from(data.y),
        masks: null,
      };
      const { gradient, outputs } = lossGradient(network, settings, state.parameters, batch);
      const read = emptyOutputs(rows.length);
      readOutputs(outputs.dataSync<'float32'>(), read, 0);
      const terms = lossTerms(settings, read, Float32Array.from(data.y));
      for (const term of ['nll', 'cls', 'variance', 'sign', 'total'] as const) {
        expect(Math.abs(terms[term] - expected[term]), `${term} of step ${k}`).toBeLessThan(1e-5);
      }
      const norm = Math.hypot(...gradient.dataSync());
      expect(Math.abs(norm / expected.grad_norm_before_clip - 1)).toBeLessThan(1e-5);
      const next = adamWStep(runtime, state, gradient, {
        settings: {
          weightDecay: config.weight_decay,
          gradientClip: config.clip,
          beta2: 0.999,
          epsilon: 1e-8,
        },
        rates: oneCycle({ totalSteps: config.total_steps, warmup: config.warmup_pct, peak: config.lr }, k),
      });
      disposeState(state, false);
      disposeBatch(batch);
      state = next;
      const flat = state.parameters.dataSync<'float32'>();
      for (const range of layout.canonical) {
        const weights = flat.slice(range.offset, range.offset + range.size);
        const [sum, squares] = expected.checksum[range.name]!;
        const tolerance = 1e-5 * range.size;
        expect(Math.abs(weights.reduce((a, b) => a + b, 0) - sum), range.name).toBeLessThan(tolerance);
        expect(Math.abs(weights.reduce((a, b) => a + b * b, 0) - squares), range.name).toBeLessThan(
          tolerance,
        );
      }
    });
    const flat = state.parameters.dataSync<'float32'>();
    for (const [name, tensor] of Object.entries(golden0.trace_f64.final_weights)) {
      const range = layout.canonical.find((candidate) => candidate.name === name)!;
      tensor.data.forEach((value, i) => expect(Math.abs(flat[range.offset + i]! - value)).toBeLessThan(1e-5));
    }
    const data = golden0.batches[0]!;
    const outputs = await predict(
      network,
      state.parameters,
      { inputs: rowsOf(layout.shape, data.x.data), rows: rowIndices(data.y.length) },
      () => Promise.resolve(),
    );
    expect(largestError(outputs.mu, golden0.trace_f64.final_outputs_on_batch_0.mu)).toBeLessThan(1e-4);
    expect(largestError(outputs.logit, golden0.trace_f64.final_outputs_on_batch_0.logits)).toBeLessThan(1e-4);
  });
});
