/**
 * Where each parameter lives in the one flat vector that clipping and AdamW work on. Tensors that are used together are
 * stacked (all maps of the block; the three heads), so that a step needs few operations; every canonical parameter of
 * hermite-model.md §7.8 is still one contiguous range.
 */
import { blockWidth, candleFeatures, mapRows, type ModelShape } from './model-shape.js';

/** The stacked tensors, in the order of the flat vector. The LSTM's are absent without an LSTM. */
export type StackedName =
  | 'lstm.wi'
  | 'lstm.wh'
  | 'lstm.bi'
  | 'lstm.bh'
  | 'hermite.coefficients'
  | 'block.v'
  | 'block.bias'
  | 'shared.w'
  | 'shared.b'
  | 'norm.gain'
  | 'norm.shift'
  | 'heads.w1'
  | 'heads.b1'
  | 'heads.w2'
  | 'heads.b2';

export interface ParameterRange {
  readonly name: string;
  readonly shape: readonly number[];
  /** First entry in the flat vector. */
  readonly offset: number;
  readonly size: number;
}

export interface StackedRange extends ParameterRange {
  readonly name: StackedName;
}

export interface Layout {
  readonly shape: ModelShape;
  readonly stacked: readonly StackedRange[];
  /** The parameters under their canonical names (§7.8), each a range of the flat vector. */
  readonly canonical: readonly ParameterRange[];
  /** Number of parameters. */
  readonly size: number;
}

/** Order of the heads within the stacked tensors, and of the model's outputs. */
export const headNames = ['mu', 'logvar', 'logit'] as const;

const product = (shape: readonly number[]): number => shape.reduce((size, extent) => size * extent, 1);

type Part = readonly [name: string, shape: readonly number[]];

/** A stacked tensor and the canonical parameters it consists of, in order. */
interface Stack {
  readonly name: StackedName;
  readonly shape: readonly number[];
  readonly parts: readonly Part[];
}

const single = (name: StackedName, canonical: string, shape: readonly number[]): Stack => ({
  name,
  shape,
  parts: [[canonical, shape]],
});

function lstmStacks(hidden: number): Stack[] {
  const prefix = 'temporal_encoder.lstm.';
  return [
    single('lstm.wi', `${prefix}weight_ih_l0`, [4 * hidden, candleFeatures]),
    single('lstm.wh', `${prefix}weight_hh_l0`, [4 * hidden, hidden]),
    single('lstm.bi', `${prefix}bias_ih_l0`, [4 * hidden]),
    single('lstm.bh', `${prefix}bias_hh_l0`, [4 * hidden]),
  ];
}

function headStack(name: StackedName, suffix: string, shape: readonly number[]): Stack {
  const [rows = 0, ...rest] = shape;
  return {
    name,
    shape: [headNames.length * rows, ...rest],
    parts: headNames.map((head): Part => [`${head}_head.${suffix}`, shape]),
  };
}

function stacks(shape: ModelShape): Stack[] {
  const { hidden, mapsA, mapsB } = shape;
  const width = blockWidth(shape);
  const maps = (group: string, count: number): Part[] =>
    Array.from({ length: count }, (_, j) => [`block.${group}_maps.${j}.weight`, [hidden, width]]);
  return [
    ...(shape.lstmHidden === null ? [] : lstmStacks(shape.lstmHidden)),
    single('hermite.coefficients', 'block.hermite.coeffs', [shape.degree + 1]),
    {
      name: 'block.v',
      shape: [mapRows(shape), width],
      parts: [...maps('a', mapsA), ...maps('b', mapsB)],
    },
    single('block.bias', 'block.bias', [width]),
    single('shared.w', 'pre_head.0.weight', [hidden, 2 * width + 1]),
    single('shared.b', 'pre_head.0.bias', [hidden]),
    single('norm.gain', 'pre_head.1.weight', [hidden]),
    single('norm.shift', 'pre_head.1.bias', [hidden]),
    headStack('heads.w1', '0.weight', [hidden, hidden]),
    headStack('heads.b1', '0.bias', [hidden]),
    headStack('heads.w2', '3.weight', [1, hidden]),
    headStack('heads.b2', '3.bias', [1]),
  ];
}

/** The layout of a model's parameters; see `Layout`. */
export function parameterLayout(shape: ModelShape): Layout {
  const stacked: StackedRange[] = [];
  const canonical: ParameterRange[] = [];
  let offset = 0;
  for (const stack of stacks(shape)) {
    const size = product(stack.shape);
    stacked.push({ name: stack.name, shape: stack.shape, offset, size });
    for (const [name, partShape] of stack.parts) {
      const partSize = product(partShape);
      canonical.push({ name, shape: partShape, offset, size: partSize });
      offset += partSize;
    }
  }
  return { shape, stacked, canonical, size: offset };
}
