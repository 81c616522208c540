import { describe, expect, test } from 'vitest';
import { initialParameters } from './initialise.js';
import { parameterLayout } from './layout.js';
import type { ModelShape } from './model-shape.js';
import { createRandom } from './random.js';

const defaults: ModelShape = {
  window: 64,
  context: 18,
  lstmHidden: 64,
  hidden: 64,
  degree: 5,
  version: 'probabilist',
  mapsA: 2,
  mapsB: 2,
};

describe('parameter layout', () => {
  test.each([
    ['library defaults', {}, 62_427],
    ['v6 warm start', { lstmHidden: 48, hidden: 192, degree: 7, mapsA: 5, mapsB: 1 }, 224_333],
    ['largest v6 model', { lstmHidden: 96, hidden: 192, degree: 8, mapsA: 9, mapsB: 5 }, 502_014],
  ])('%s has as many parameters as the original', (_, changes, count) => {
    expect(parameterLayout({ ...defaults, ...changes }).size).toBe(count);
  });

  test('canonical parameters and stacked tensors each cover the vector exactly once', () => {
    for (const lstmHidden of [64, null]) {
      const layout = parameterLayout({ ...defaults, lstmHidden });
      for (const ranges of [layout.canonical, layout.stacked]) {
        let end = 0;
        for (const range of ranges) {
          expect(range.offset).toBe(end);
          expect(range.shape.reduce((size, extent) => size * extent, 1)).toBe(range.size);
          end += range.size;
        }
        expect(end).toBe(layout.size);
      }
    }
  });

  test('without an LSTM the block sees the whole vector', () => {
    const layout = parameterLayout({ ...defaults, lstmHidden: null });
    expect(layout.canonical.map(({ name }) => name).filter((name) => name.includes('lstm'))).toEqual([]);
    expect(layout.canonical.find(({ name }) => name === 'block.bias')?.size).toBe(4 * 64 + 18);
  });
});

describe('initial parameters', () => {
  const layout = parameterLayout(defaults);
  const flat = initialParameters(layout, createRandom(1));
  const values = (name: string): number[] => {
    const { offset, size } = layout.canonical.find((range) => range.name === name)!;
    return [...flat.subarray(offset, offset + size)];
  };

  test.each([
    ['temporal_encoder.lstm.weight_hh_l0', -1 / 8, 1 / 8],
    ['temporal_encoder.lstm.bias_ih_l0', -1 / 8, 1 / 8],
    ['pre_head.0.weight', -1 / Math.sqrt(165), 1 / Math.sqrt(165)],
    ['pre_head.0.bias', -1 / Math.sqrt(165), 1 / Math.sqrt(165)],
    ['mu_head.0.weight', -1 / 8, 1 / 8],
    ['logit_head.3.weight', -1 / 8, 1 / 8],
    ['block.a_maps.1.weight', 0, 0.1 / Math.sqrt(82)],
    ['block.b_maps.0.weight', 0, 0.1 / Math.sqrt(82)],
  ])('%s is uniform on [%f, %f]', (name, low, high) => {
    const drawn = values(name);
    const mean = drawn.reduce((sum, value) => sum + value, 0) / drawn.length;
    expect(Math.min(...drawn)).toBeGreaterThanOrEqual(low);
    expect(Math.max(...drawn)).toBeLessThanOrEqual(high * (1 + 1e-6));
    // Four standard errors of a uniform mean.
    expect(Math.abs(mean - (low + high) / 2)).toBeLessThan((4 * (high - low)) / Math.sqrt(12 * drawn.length));
    expect(Math.max(...drawn) - Math.min(...drawn)).toBeGreaterThan(0.8 * (high - low));
  });

  test('constants, and the small positive coefficients', () => {
    expect(new Set(values('block.bias'))).toEqual(new Set([0]));
    expect(new Set(values('pre_head.1.weight'))).toEqual(new Set([1]));
    expect(new Set(values('pre_head.1.bias'))).toEqual(new Set([0]));
    const many = Array.from(
      { length: 500 },
      (_, seed) =>
        initialParameters(layout, createRandom(seed)).slice(
          layout.stacked.find(({ name }) => name === 'hermite.coefficients')!.offset,
        )[0]!,
    );
    expect(Math.min(...many)).toBeGreaterThanOrEqual(0);
    // The mean of |g| is √(2/π).
    const mean = many.reduce((sum, value) => sum + value, 0) / many.length;
    expect(Math.abs(mean / (0.01 * Math.sqrt(2 / Math.PI)) - 1)).toBeLessThan(0.15);
  });

  test('a given bias of the log variance replaces the drawn one, and nothing else', () => {
    const biased = initialParameters(layout, createRandom(1), { logvarBias: 0.25 });
    const { offset } = layout.canonical.find(({ name }) => name === 'logvar_head.3.bias')!;
    expect(biased[offset]).toBe(0.25);
    biased[offset] = flat[offset]!;
    expect(biased).toEqual(flat);
  });
});
