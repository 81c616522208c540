/** Golden figures of kind `train_small`: schedules, and optimiser steps on the runtime (hermite-model.md §9). */
import { emptyOutputs, lossTerms, readOutputs, type LossSettings } from '../../trainers/hermite/losses.js';
import {
  batchInput,
  disposeBatch,
  lossGradient,
  predict,
  type Network,
} from '../../trainers/hermite/network.js';
import {
  adamWStep,
  disposeState,
  initialState,
  type OptimiserState,
} from '../../trainers/hermite/optimiser.js';
import { oneCycle, type ScheduleSettings } from '../../trainers/hermite/schedule.js';
import type { Runtime } from '../../trainers/runtime/runtime.js';
import type { Deviations } from './deviations.js';
import type { Figures } from './figures.js';
import {
  allRows,
  directionsOf,
  flatWeights,
  inputRows,
  layoutOf,
  lossSettingsOf,
  lossTermNames,
  noPause,
  norm,
  take,
} from './golden-model.js';

const scheduleTolerance = 1e-12;
/** Single precision. */
const lossTolerance = 1e-5;
const gradientTolerance = 1e-4;
const weightTolerance = 1e-5;
const outputTolerance = 1e-4;

function checkSchedule(golden: Figures, name: string, deviations: Deviations): void {
  const settings: ScheduleSettings = {
    totalSteps: golden.get('total_steps').number(),
    warmup: golden.get('warmup_pct').number(),
    peak: golden.get('max_lr').number(),
  };
  if (golden.has('error')) {
    // The original divided by zero; the project takes the peak at once (§9).
    deviations.same(
      `${name}: the original's division by zero`,
      oneCycle(settings, 0).learningRate,
      settings.peak,
    );
    return;
  }
  const withLast = (key: string): number[] => [
    ...golden.get(key).numbers(),
    golden.get(`${key}_after_last_step`).number(),
  ];
  withLast('lr').forEach((rate, k) => {
    const size = Math.max(1, settings.peak);
    deviations.absolute(
      `${name} lr[${k}]`,
      oneCycle(settings, k).learningRate,
      rate,
      scheduleTolerance * size,
    );
  });
  withLast('beta1').forEach((beta1, k) => {
    deviations.absolute(`${name} beta1[${k}]`, oneCycle(settings, k).beta1, beta1, scheduleTolerance);
  });
}

interface Run {
  readonly golden: Figures;
  readonly name: string;
  readonly network: Network;
  readonly settings: LossSettings;
  readonly schedule: ScheduleSettings;
  readonly deviations: Deviations;
}

/**
 * `[Σ θ, Σ θ²]` and, where given, Σ i·θ_i / count, within what independent errors of single weights within their tolerance add
 * up to.
 */
function checkSums(
  name: string,
  weights: Float32Array,
  sums: readonly number[],
  deviations: Deviations,
): void {
  const count = weights.length;
  const mine = { sum: 0, squares: 0, moment: 0 };
  weights.forEach((value, i) => {
    mine.sum += value;
    mine.squares += value * value;
    mine.moment += ((i + 1) * value) / count;
  });
  const bound = weightTolerance * Math.sqrt(count);
  const bounds = { sum: bound, squares: bound, moment: bound };
  (['sum', 'squares', 'moment'] as const).forEach((what, k) => {
    const expected = sums[k];
    if (expected !== undefined) deviations.absolute(`${name} ${what}`, mine[what], expected, bounds[what]);
  });
}

function checkWeights({ network, deviations }: Run, where: string, flat: Float32Array, sums: Figures): void {
  for (const { name, offset, size } of network.layout.canonical) {
    const expected = sums.find(name);
    if (expected !== null)
      checkSums(`${where} ${name}`, flat.subarray(offset, offset + size), expected.numbers(), deviations);
  }
}

async function step(run: Run, state: OptimiserState, k: number, expected: Figures): Promise<OptimiserState> {
  const { golden, name, network, settings, schedule, deviations } = run;
  const { runtime, layout } = network;
  const data = golden.get('batches').at(k);
  const y = Float32Array.from(data.get('y').numbers());
  deviations.same(
    `${name} labels of step ${k}`,
    directionsOf(y),
    data.find('label')?.numbers() ?? directionsOf(y),
  );
  const batch = {
    input: batchInput(network, inputRows(layout.shape, data.get('x')), allRows(y.length)),
    y,
    masks: null,
  };
  const { gradient, outputs } = lossGradient(network, settings, state.parameters, batch);
  const read = emptyOutputs(y.length);
  readOutputs(await take(outputs), read, 0);
  const terms = lossTerms(settings, read, y);
  for (const term of lossTermNames)
    deviations.near(`${name} ${term} of step ${k}`, terms[term], expected.get(term).number(), lossTolerance);
  const size = norm(await gradient.data<'float32'>());
  const clip = golden.get('config').get('clip').number();
  deviations.near(
    `${name} gradient norm of step ${k}`,
    size,
    expected.get('grad_norm_before_clip').number(),
    gradientTolerance,
  );
  deviations.same(`${name} clipping of step ${k}`, size > clip, expected.get('clipped').flag());
  const rates = oneCycle(schedule, k);
  deviations.absolute(
    `${name} lr of step ${k}`,
    rates.learningRate,
    expected.get('lr').number(),
    scheduleTolerance,
  );
  deviations.absolute(
    `${name} beta1 of step ${k}`,
    rates.beta1,
    expected.get('beta1').number(),
    scheduleTolerance,
  );
  const adam = golden.find('adam');
  const next = adamWStep(runtime, state, gradient, {
    settings: {
      weightDecay: golden.get('config').get('weight_decay').number(),
      gradientClip: clip,
      beta2: adam?.get('beta2').number() ?? 0.999,
      epsilon: adam?.get('eps').number() ?? 1e-8,
    },
    rates,
  });
  gradient.dispose();
  disposeBatch(batch);
  disposeState(state, false);
  checkWeights(run, `${name} step ${k}`, await next.parameters.data<'float32'>(), expected.get('checksum'));
  return next;
}

async function checkEnd(run: Run, state: OptimiserState): Promise<void> {
  const { golden, name, network, deviations } = run;
  const { layout } = network;
  const trace = golden.get('trace_f64');
  const flat = await state.parameters.data<'float32'>();
  const sums = trace.find('final_checksums');
  if (sums !== null) checkWeights(run, `${name} final`, flat, sums);
  const weights = trace.find('final_weights');
  for (const { name: parameter, offset, size } of layout.canonical) {
    const expected = weights?.find(parameter)?.tensor().data ?? [];
    const mine = flat.subarray(offset, offset + size);
    expected.forEach((value, i) => {
      deviations.absolute(`${name} final ${parameter}[${i}]`, mine[i], value, weightTolerance);
    });
  }
  const expected = trace.find('final_outputs_on_batch_0');
  const first = golden.get('batches').list()[0];
  if (expected === null || first === undefined) return;
  const source = {
    inputs: inputRows(layout.shape, first.get('x')),
    rows: allRows(first.get('y').numbers().length),
  };
  const outputs = await predict(network, state.parameters, source, noPause);
  deviations.allOfLargest(`${name} final mu`, outputs.mu, expected.get('mu').numbers(), outputTolerance);
  deviations.allOfLargest(
    `${name} final logvar`,
    outputs.logvar,
    expected.get('logvar').numbers(),
    outputTolerance,
  );
  deviations.allOfLargest(
    `${name} final logit`,
    outputs.logit,
    expected.get('logits').numbers(),
    outputTolerance,
  );
}

async function checkCase(
  golden: Figures,
  name: string,
  deviations: Deviations,
  runtime: Runtime,
): Promise<void> {
  const config = golden.get('config');
  const layout = layoutOf(config);
  const classification = config.get('cls').choice(['bce', 'focal']);
  const run: Run = {
    ...{ golden, name, deviations, network: { runtime, layout } },
    settings: lossSettingsOf(config.get('loss_weights'), config, classification),
    schedule: {
      totalSteps: config.get('total_steps').number(),
      warmup: config.get('warmup_pct').number(),
      peak: config.get('lr').number(),
    },
  };
  let state = initialState(runtime, flatWeights(layout, golden.get('initial_weights')));
  try {
    for (const [k, expected] of golden.get('trace_f64').get('steps').list().entries())
      state = await step(run, state, k, expected);
    await checkEnd(run, state);
  } finally {
    disposeState(state, false);
  }
}

/** Compares every schedule, and every optimiser step of every case. */
export async function checkTraining(
  golden: Figures,
  deviations: Deviations,
  runtime: Runtime,
): Promise<void> {
  golden.listAt('schedules').forEach((schedule, i) => checkSchedule(schedule, `schedule ${i}`, deviations));
  for (const [i, fixed] of golden.listAt('cases').entries())
    await checkCase(fixed, `case ${i}`, deviations, runtime);
}
