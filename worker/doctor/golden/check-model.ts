/** Golden figures of kind `model`: one forward and backward pass (hermite-model.md §7, 8) on the runtime. */
import { toForecasts } from '../../market/probability.js';
import { forward, splitParameters } from '../../trainers/hermite/forward.js';
import { lossTerms } from '../../trainers/hermite/losses.js';
import { blockWidth } from '../../trainers/hermite/model-shape.js';
import {
  batchInput,
  disposeBatch,
  lossGradient,
  predict,
  type InputRows,
  type Network,
} from '../../trainers/hermite/network.js';
import type { Runtime } from '../../trainers/runtime/runtime.js';
import type { Tensor } from '../../trainers/runtime/tensorflow.js';
import { largestOf, type Deviations } from './deviations.js';
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

/** Single precision: outputs and intermediates, relative to the largest entry. */
const outputTolerance = 1e-5;
/** Gradients, relative to the largest entry of their tensor. */
const gradientTolerance = 1e-4;
/** A tensor whose gradient is less than this part of the whole one's norm is judged by the whole: it is rounding, or next to it. */
const gradientShareMin = 1e-4;

interface Pass {
  readonly golden: Figures;
  readonly network: Network;
  readonly parameters: Tensor;
  readonly inputs: InputRows;
  readonly rows: Int32Array;
}

/** The tensors inside a pass by golden name. */
function intermediates({ network, parameters, inputs, rows }: Pass): Readonly<Record<string, Tensor>> {
  const { runtime, layout } = network;
  const { tf } = runtime;
  const width = blockWidth(layout.shape);
  const { lstmHidden } = layout.shape;
  return tf.tidy(() => {
    const pass = forward(runtime, layout, splitParameters(runtime, layout, parameters), {
      input: batchInput(network, inputs, rows),
      masks: null,
    });
    const columns = (tensor: Tensor, from: number, to: number): Tensor =>
      tf.slice(tensor, [0, from], [rows.length, to - from]);
    return {
      ...(lstmHidden === null ? {} : { lstm_last_hidden: columns(pass.features, 0, lstmHidden) }),
      block_features: columns(pass.features, width, 2 * width),
      jacobian_trace: columns(pass.features, 2 * width, 2 * width + 1),
      pre_head_linear: pass.linear,
      pre_head_layernorm: pass.normed,
      pre_head_out: pass.activated,
    };
  });
}

async function checkIntermediates(pass: Pass, deviations: Deviations): Promise<void> {
  const outputs = pass.golden.get('outputs');
  for (const [name, tensor] of Object.entries(intermediates(pass))) {
    const actual = await take(tensor);
    const expected = outputs.find('intermediate_f64')?.find(name);
    if (expected != null) deviations.allOfLargest(name, actual, expected.tensor().data, outputTolerance);
    const trace = name === 'jacobian_trace' ? outputs.get('f64').find(name) : null;
    if (trace !== null) deviations.allOfLargest('trace J', actual, trace.numbers(), outputTolerance);
  }
}

async function checkOutputs(
  { golden, network, parameters, inputs, rows }: Pass,
  deviations: Deviations,
): Promise<void> {
  const outputs = await predict(network, parameters, { inputs, rows }, noPause);
  const expected = golden.get('outputs').get('f64');
  deviations.allOfLargest('mu', outputs.mu, expected.get('mu').numbers(), outputTolerance);
  deviations.allOfLargest('logvar', outputs.logvar, expected.get('logvar').numbers(), outputTolerance);
  deviations.allOfLargest('logit', outputs.logit, expected.get('logits').numbers(), outputTolerance);
  for (const [key, probSource] of [
    ['p_up_cdf', 'cdf'],
    ['p_up_logit', 'logit'],
  ] as const) {
    const forecasts = toForecasts(outputs, { probSource, targetScale: 1, precision: 'f64' });
    const figure = expected.find(key);
    if (figure !== null) deviations.allNear(key, forecasts.probability, figure.numbers(), outputTolerance);
  }
}

async function checkLoss(pass: Pass, classification: 'bce' | 'focal', deviations: Deviations): Promise<void> {
  const { golden, network, parameters, inputs, rows } = pass;
  const expected = golden.get('outputs').find(`loss_${classification}_f64`);
  if (expected === null) return;
  const lossConfig = golden.get('loss_config');
  const settings = lossSettingsOf(lossConfig, lossConfig, classification);
  const targets = Float32Array.from(golden.get('targets').numbers());
  const outputs = await predict(network, parameters, { inputs, rows }, noPause);
  const terms = lossTerms(settings, outputs, targets);
  for (const term of lossTermNames)
    deviations.near(`${classification} ${term}`, terms[term], expected.get(term).number(), outputTolerance);
  const batch = { input: batchInput(network, inputs, rows), y: targets, masks: null };
  const pulled = lossGradient(network, settings, parameters, batch);
  pulled.outputs.dispose();
  disposeBatch(batch);
  const flat = await take(pulled.gradient);
  const size = expected.get('grad_norm').number();
  const gradients = golden.get(`grad_${classification}_f64`);
  for (const { name, offset, size: count } of network.layout.canonical) {
    const wanted = gradients.get(name).tensor().data;
    const bound = gradientTolerance * Math.max(largestOf(wanted), gradientShareMin * size);
    deviations.allWithin(
      `grad ${name} (${classification})`,
      flat.slice(offset, offset + count),
      wanted,
      bound > 0 ? bound : gradientTolerance,
    );
  }
  deviations.absolute(`${classification} gradient norm`, norm(flat), size, gradientTolerance * size);
}

/** Compares outputs, intermediates, both losses and every gradient. */
export async function checkModel(golden: Figures, deviations: Deviations, runtime: Runtime): Promise<void> {
  const layout = layoutOf(golden.get('config'));
  const parameters = runtime.tf.tensor1d(flatWeights(layout, golden.get('weights')));
  const pass: Pass = {
    ...{ golden, parameters, network: { runtime, layout } },
    inputs: inputRows(layout.shape, golden.get('input')),
    rows: allRows(golden.get('targets').numbers().length),
  };
  const labels = golden.find('labels');
  const targets = Float32Array.from(golden.get('targets').numbers());
  if (labels !== null) deviations.same('labels', directionsOf(targets), labels.numbers());
  try {
    await checkOutputs(pass, deviations);
    await checkIntermediates(pass, deviations);
    await checkLoss(pass, 'bce', deviations);
    await checkLoss(pass, 'focal', deviations);
  } finally {
    parameters.dispose();
  }
}
