/** Reads the golden files of the Hermite model where the folder with them lies beside the project. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Layout } from './layout.js';
import type { InputRows } from './network.js';
import type { ModelShape } from './model-shape.js';
import { candleFeatures } from './model-shape.js';

const folder = path.resolve(import.meta.dirname, '../../../../shared/golden/hermite');

export const goldenPresent = existsSync(folder);

/** Title of a group of tests that need the golden files; says why it is skipped. */
export const goldenTitle = (title: string): string =>
  goldenPresent ? title : `${title} (skipped: no ../shared/golden/hermite beside the project)`;

export const readGolden = (name: string): unknown =>
  JSON.parse(readFileSync(path.join(folder, name), 'utf8'));

export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
export type GoldenWeights = Readonly<Record<string, GoldenTensor>>;

/** Weights by canonical name as one flat vector; every name and size must fit the layout. */
export function flattenWeights(layout: Layout, weights: GoldenWeights): Float32Array {
  const flat = new Float32Array(layout.size).fill(NaN);
  const names = new Set(Object.keys(weights));
  for (const range of layout.canonical) {
    const tensor = weights[range.name];
    if (tensor === undefined || !names.delete(range.name)) throw new Error(`no weight ${range.name}`);
    if (tensor.shape.join() !== range.shape.join()) throw new Error(`${range.name}: ${tensor.shape.join()}`);
    flat.set(tensor.data, range.offset);
  }
  if (names.size > 0) throw new Error(`unused weights: ${[...names].join(', ')}`);
  return flat;
}

/** Rows given as flat scaled vectors of 4W + C values. */
export function rowsOf(shape: ModelShape, flat: readonly number[]): InputRows {
  const sequenceLength = shape.window * candleFeatures;
  const length = sequenceLength + shape.context;
  const table = Float32Array.from(flat);
  return {
    gather: (rows) => {
      const window = new Float32Array(rows.length * sequenceLength);
      const context = new Float32Array(rows.length * shape.context);
      for (let i = 0; i < rows.length; i += 1) {
        const start = (rows[i] ?? 0) * length;
        window.set(table.subarray(start, start + sequenceLength), i * sequenceLength);
        context.set(table.subarray(start + sequenceLength, start + length), i * shape.context);
      }
      return { window, context };
    },
  };
}

/** Largest difference, relative to the largest entry expected. Infinite when something is NaN. */
export function largestError(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let scale = 0;
  let worst = 0;
  for (let i = 0; i < expected.length; i += 1) scale = Math.max(scale, Math.abs(expected[i] ?? NaN));
  for (let i = 0; i < expected.length; i += 1) {
    const error = Math.abs((actual[i] ?? NaN) - (expected[i] ?? NaN)) / (scale || 1);
    worst = Math.max(worst, Number.isNaN(error) ? Infinity : error);
  }
  return worst;
}

export const rowIndices = (count: number): Int32Array => Int32Array.from({ length: count }, (_, row) => row);
