/** The three models that training speed is measured on, and what a step of each computes. Batches have 512 rows. */
import type { Params } from '../../shared/core/space/parameter.js';
import {
  blockWidth,
  candleFeatures,
  mapRows,
  type ModelShape,
} from '../../worker/trainers/hermite/model-shape.js';

export const batchRows = 512;

/** Entries of the context, as in the peers. */
const context = 12;

export const configurations = {
  small: { window: 16, lstmHidden: 32, mapsA: 4, mapsB: 1, hidden: 64, degree: 4 },
  median: { window: 136, lstmHidden: 64, mapsA: 6, mapsB: 3, hidden: 128, degree: 6 },
  large: { window: 256, lstmHidden: 96, mapsA: 9, mapsB: 5, hidden: 192, degree: 8 },
} as const;

export type ConfigurationName = keyof typeof configurations;

export const configurationNames = [
  'small',
  'median',
  'large',
] as const satisfies readonly ConfigurationName[];

/** The configurations of a list such as `small,large`, in their usual order; none of an empty one. Throws naming one that there is not. */
export function configurationsNamed(list: string): readonly ConfigurationName[] {
  const wanted = list.split(',').filter((name) => name !== '');
  const known: readonly string[] = configurationNames;
  const unknown = wanted.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw new Error(`no configuration '${unknown}'; there are ${configurationNames.join(', ')}`);
  return configurationNames.filter((name) => wanted.includes(name));
}

export const shapeOf = (name: ConfigurationName): ModelShape => ({
  ...configurations[name],
  ...{ context, version: 'probabilist' },
});

/** The same model as a trial's parameters. */
export function paramsOf(name: ConfigurationName): Params {
  const { window, lstmHidden, mapsA, mapsB, hidden, degree } = configurations[name];
  return {
    feature_window: window,
    lstm_hidden: lstmHidden,
    hermite_maps_a: mapsA,
    hermite_maps_b: mapsB,
    hermite_hidden_dim: hidden,
    hermite_degree: degree,
  };
}

/** Multiplications and additions in the matrix products of one optimiser step, forward and backward; everything else is little. */
export function operationsOf(shape: ModelShape): number {
  const { window, hidden, lstmHidden } = shape;
  const width = blockWidth(shape);
  const product = (m: number, k: number, n: number): number => 2 * m * k * n;
  const units = lstmHidden ?? 0;
  // Forward and weight gradient see inputs, bias and state, the gradient of the state only the recurrence.
  const recurrent = batchRows * window * 4 * units * 2 * (2 * (units + candleFeatures + 1) + units);
  const block = 6 * product(batchRows, width, mapRows(shape));
  const dense = 3 * (product(batchRows, 2 * width + 1, hidden) + product(batchRows, hidden, 3 * hidden));
  return recurrent + block + dense;
}
