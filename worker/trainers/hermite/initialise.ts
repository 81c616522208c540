import { blockWidth } from './model-shape.js';
import type { Layout, StackedName } from './layout.js';
import type { Random } from './random.js';

/** Draws one entry of a tensor. */
type Draw = (random: Random) => number;

const uniformWithin =
  (bound: number): Draw =>
  (random) =>
    (2 * random.uniform() - 1) * bound;

const constant =
  (value: number): Draw =>
  () =>
    value;

function draws(layout: Layout): Record<StackedName, Draw> {
  const { shape } = layout;
  const width = blockWidth(shape);
  const lstm = uniformWithin(1 / Math.sqrt(shape.lstmHidden ?? 1));
  const shared = uniformWithin(1 / Math.sqrt(2 * width + 1));
  const head = uniformWithin(1 / Math.sqrt(shape.hidden));
  return {
    'lstm.wi': lstm,
    'lstm.wh': lstm,
    'lstm.bi': lstm,
    'lstm.bh': lstm,
    'hermite.coefficients': (random) => 0.01 * Math.abs(random.normal()),
    'block.v': (random) => (0.1 * random.uniform()) / Math.sqrt(width),
    'block.bias': constant(0),
    'shared.w': shared,
    'shared.b': shared,
    'norm.gain': constant(1),
    'norm.shift': constant(0),
    'heads.w1': head,
    'heads.b1': head,
    'heads.w2': head,
    'heads.b2': head,
  };
}

/**
 * Fresh parameters in flat order, with the distributions of hermite-model.md §7.7; the stream of the original is not
 * reproduced. `logvarBias` replaces the drawn bias of the log variance, so that training starts at a known σ (§18.9).
 */
export function initialParameters(
  layout: Layout,
  random: Random,
  options: { readonly logvarBias?: number } = {},
): Float32Array {
  const table = draws(layout);
  const flat = new Float32Array(layout.size);
  for (const range of layout.stacked) {
    const draw = table[range.name];
    for (let i = 0; i < range.size; i += 1) flat[range.offset + i] = draw(random);
  }
  const bias = layout.canonical.find((range) => range.name === 'logvar_head.3.bias');
  if (bias !== undefined && options.logvarBias !== undefined) flat[bias.offset] = options.logvarBias;
  return flat;
}
