import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeForecasts, encodeForecasts, ForecastCodecError, type Forecasts } from './forecast-codec.js';

const single = fc.float();

/** Any table of up to four folds. */
const tables = fc.array(fc.nat(5), { maxLength: 4 }).chain((folds) => {
  const rows = folds.reduce((sum, fold) => sum + fold, 0);
  const column = fc
    .array(single, { minLength: rows, maxLength: rows })
    .map((values) => Float32Array.from(values));
  return fc.record<Forecasts>({
    folds: fc.constant(folds),
    horizon: fc.integer({ min: 1, max: 100 }),
    secondsPerStep: fc.integer({ min: 1, max: 86_400 }),
    anchorTimeMs: fc
      .array(fc.integer({ min: 0, max: 4e12 }), { minLength: rows, maxLength: rows })
      .map((values) => Float64Array.from(values)),
    ...{ y: column, score: column, probability: column, mu: column, sigma: column },
  });
});

describe('forecasts as bytes', () => {
  it('read back bit for bit, also NaN and infinities', () => {
    fc.assert(
      fc.property(tables, (table) => {
        expect(decodeForecasts(encodeForecasts(table))).toEqual(table);
      }),
    );
  });

  it('refuse what is cut off, continued, or something else', () => {
    const bytes = encodeForecasts({
      ...{ folds: [1, 1], horizon: 1, secondsPerStep: 3600, anchorTimeMs: Float64Array.of(1, 2) },
      ...{ y: Float32Array.of(1, 2), score: Float32Array.of(1, 2), probability: Float32Array.of(1, 2) },
      ...{ mu: Float32Array.of(1, 2), sigma: Float32Array.of(1, 2) },
    });
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeForecasts(bytes.subarray(0, length))).toThrow(ForecastCodecError);
    expect(() => decodeForecasts(Uint8Array.of(...bytes, 0))).toThrow('followed by something else');
    expect(() => decodeForecasts(bytes.with(3, 0))).toThrow('do not begin with parzen-forecasts-v1');
    expect(() => decodeForecasts(bytes.with(35, 255))).toThrow('cut off');
    expect(() => encodeForecasts({ ...decodeForecasts(bytes), folds: [3] })).toThrow(
      'column anchorTimeMs has 2 rows, the folds have 3',
    );
  });
});
