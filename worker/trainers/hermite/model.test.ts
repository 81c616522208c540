import { beforeAll, describe, expect, test } from 'vitest';
import { createWasmRuntime } from '../runtime/wasm-runtime.js';
import type { HermiteVersion, Runtime } from '../runtime/runtime.js';
import type { Tensor } from '../runtime/tensorflow.js';
import { forward, splitParameters } from './forward.js';
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
import { lossTerms, rawSignScale, type LossSettings } from './losses.js';
import { batchInput, lossGradient, predict, type Network } from './network.js';

interface GoldenLoss {
  readonly nll: number;
  readonly cls: number;
  readonly variance: number;
  readonly sign: number;
  readonly total: number;
  readonly grad_norm: number;
}

interface GoldenModel {
  readonly config: {
    readonly window: number;
    readonly context: number;
    readonly lstm_hidden: number;
    readonly hidden: number;
    readonly degree: number;
    readonly version: HermiteVersion;
    readonly maps_a: number;
    readonly maps_b: number;
  };
  readonly loss_config: Readonly<
    Record<
      'reg_weight' | 'cls_weight' | 'unc_weight' | 'sign_hinge_weight' | 'pos_weight' | 'focal_gamma',
      number
    >
  >;
  readonly weights: GoldenWeights;
  readonly input: GoldenTensor;
  readonly targets: readonly number[];
  readonly grad_bce_f64: GoldenWeights;
  readonly grad_focal_f64: GoldenWeights;
  readonly outputs: {
    readonly f64: Readonly<Record<'mu' | 'logvar' | 'logits' | 'jacobian_trace', readonly number[]>>;
    readonly intermediate_f64: Readonly<Record<string, GoldenTensor>>;
    readonly loss_bce_f64: GoldenLoss;
    readonly loss_focal_f64: GoldenLoss;
  };
}

function setUp(runtime: Runtime, name: string) {
  const golden = readGolden(name) as GoldenModel;
  const { config } = golden;
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
  return {
    golden,
    network,
    parameters: runtime.tf.tensor(flattenWeights(layout, golden.weights)),
    inputs: rowsOf(layout.shape, golden.input.data),
    rows: rowIndices(golden.targets.length),
  };
}

const lossSettings = (golden: GoldenModel, classification: 'bce' | 'focal'): LossSettings => ({
  regWeight: golden.loss_config.reg_weight,
  clsWeight: golden.loss_config.cls_weight,
  uncWeight: golden.loss_config.unc_weight,
  signWeight: golden.loss_config.sign_hinge_weight,
  classification,
  focalGamma: golden.loss_config.focal_gamma,
  posWeight: golden.loss_config.pos_weight,
  signScale: rawSignScale,
});

describe.skipIf(!goldenPresent).each(['model_a.json', 'model_b.json', 'model_c.json'])(
  goldenTitle('golden %s'),
  (name) => {
    let runtime: Runtime;
    beforeAll(async () => {
      runtime = await createWasmRuntime();
    });

    test('outputs and every intermediate', async () => {
      const { golden, network, parameters, inputs, rows } = setUp(runtime, name);
      const { layout } = network;
      const outputs = await predict(network, parameters, { inputs, rows }, () => Promise.resolve());
      expect(largestError(outputs.mu, golden.outputs.f64.mu)).toBeLessThan(1e-5);
      expect(largestError(outputs.logvar, golden.outputs.f64.logvar)).toBeLessThan(1e-5);
      expect(largestError(outputs.logit, golden.outputs.f64.logits)).toBeLessThan(1e-5);

      const pass = forward(runtime, layout, splitParameters(runtime, layout, parameters), {
        input: batchInput(network, inputs, rows),
        masks: null,
      });
      const width = layout.shape.lstmHidden! + layout.shape.context;
      const columns = (tensor: Tensor, from: number, to: number) =>
        runtime.tf.slice(tensor, [0, from], [rows.length, to - from]).dataSync();
      const expected = golden.outputs.intermediate_f64;
      const figures: [string, ArrayLike<number>][] = [
        ['lstm_last_hidden', columns(pass.features, 0, layout.shape.lstmHidden!)],
        ['block_features', columns(pass.features, width, 2 * width)],
        ['jacobian_trace', columns(pass.features, 2 * width, 2 * width + 1)],
        ['pre_head_linear', pass.linear.dataSync()],
        ['pre_head_layernorm', pass.normed.dataSync()],
        ['pre_head_out', pass.activated.dataSync()],
      ];
      for (const [figure, actual] of figures) {
        expect(largestError(actual, expected[figure]!.data), figure).toBeLessThan(1e-5);
      }
    });

    test.each(['bce', 'focal'] as const)('loss terms and gradients, %s', async (classification) => {
      const { golden, network, parameters, inputs, rows } = setUp(runtime, name);
      const settings = lossSettings(golden, classification);
      const expected = golden.outputs[`loss_${classification}_f64`];
      const outputs = await predict(network, parameters, { inputs, rows }, () => Promise.resolve());
      const terms = lossTerms(settings, outputs, Float32Array.from(golden.targets));
      for (const term of ['nll', 'cls', 'variance', 'sign', 'total'] as const) {
        expect(Math.abs(terms[term] / expected[term] - 1), term).toBeLessThan(1e-5);
      }

      const { gradient } = lossGradient(network, settings, parameters, {
        input: batchInput(network, inputs, rows),
        y: Float32Array.from(golden.targets),
        masks: null,
      });
      const flat = gradient.dataSync<'float32'>();
      const gradients = golden[`grad_${classification}_f64`];
      for (const range of network.layout.canonical) {
        const actual = flat.slice(range.offset, range.offset + range.size);
        expect(largestError(actual, gradients[range.name]!.data), range.name).toBeLessThan(1e-4);
      }
      const norm = Math.sqrt(flat.reduce((sum, value) => sum + value * value, 0));
      expect(Math.abs(norm / expected.grad_norm - 1)).toBeLessThan(1e-5);
    });
  },
);
