import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeForecasts, encodeForecasts, ForecastCodecError, type Forecasts } from './forecast-codec.js';

/** Any table of up to four folds. */
const tables = fc.array(fc.nat(5), { maxLength: 4 }).chain((folds) => {
  const rows = folds.reduce((sum, fold) => sum + fold, 0);
  const of = (value: fc.Arbitrary<number>) => fc.array(value, { minLength: rows, maxLength: rows });
  const single = (value: fc.Arbitrary<number>) => of(value).map((values) => Float32Array.from(values));
  const double = (value: fc.Arbitrary<number>) => of(value).map((values) => Float64Array.from(values));
  const finite = { noNaN: true, noDefaultInfinity: true };
  return fc.record<Forecasts>({
    folds: fc.constant(folds),
    horizon: fc.integer({ min: 1, max: 100 }),
    secondsPerStep: fc.integer({ min: 1, max: 86_400 }),
    anchorTimeMs: of(fc.integer({ min: 1, max: 1e9 })).map((steps) => {
      let time = 0;
      return Float64Array.from(steps, (step) => (time += step));
    }),
    y: single(fc.float(finite)),
    score: double(fc.double(finite)),
    probability: double(fc.double({ min: 0, max: 1, noNaN: true })),
    mu: single(fc.float()),
    sigma: single(fc.float()),
  });
});

const two: Forecasts = {
  ...{ folds: [1, 1], horizon: 1, secondsPerStep: 3600, anchorTimeMs: Float64Array.of(1, 2) },
  ...{ y: Float32Array.of(1, 2), score: Float64Array.of(3, 4), probability: Float64Array.of(0.5, 0.75) },
  ...{ mu: Float32Array.of(5, 6), sigma: Float32Array.of(7, 8) },
};

describe('forecasts as bytes', () => {
  it('read back bit for bit', () => {
    fc.assert(
      fc.property(tables, (table) => {
        expect(decodeForecasts(encodeForecasts(table))).toEqual(table);
      }),
    );
  });

  it('are the same bytes for ever: what is kept must stay legible', () => {
    const bytes = Buffer.from(encodeForecasts(two));
    expect(bytes).toHaveLength(116);
    expect(bytes.subarray(0, 24).toString()).toBe('parzen-forecasts-v1\0\0\0\0\0');
    expect([24, 28, 32, 36, 40].map((at) => bytes.readUInt32LE(at))).toEqual([1, 3600, 2, 1, 1]);
    expect([44, 52, 60, 68, 76, 84].map((at) => bytes.readDoubleLE(at))).toEqual([1, 2, 3, 4, 0.5, 0.75]);
    expect([92, 96, 100, 104, 108, 112].map((at) => bytes.readFloatLE(at))).toEqual([1, 2, 5, 6, 7, 8]);
  });

  it('refuse what is cut off, continued, or something else', () => {
    const bytes = encodeForecasts(two);
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeForecasts(bytes.subarray(0, length))).toThrow(ForecastCodecError);
    expect(() => decodeForecasts(Uint8Array.of(...bytes, 0))).toThrow('followed by something else');
    expect(() => decodeForecasts(bytes.with(3, 0))).toThrow('do not begin with parzen-forecasts-v1');
    expect(() => decodeForecasts(bytes.with(35, 255))).toThrow('it states 4278190082 folds');
    expect(() => decodeForecasts(bytes.with(33, 1))).toThrow('cut off');
    expect(() => encodeForecasts({ ...two, folds: [3] })).toThrow(
      'column anchorTimeMs has 2 rows, the folds have 3',
    );
  });

  it('refuse what cannot be judged', () => {
    const refused = (change: Partial<Forecasts>) =>
      expect(() => decodeForecasts(encodeForecasts({ ...two, ...change })));
    refused({ horizon: 0 }).toThrow('a horizon of 0 bars');
    refused({ secondsPerStep: 0 }).toThrow('of 0 s');
    refused({ anchorTimeMs: Float64Array.of(1, NaN) }).toThrow('the times of fold 1 do not rise at row 1');
    refused({ anchorTimeMs: Float64Array.of(1, 9e15) }).toThrow('do not rise');
    refused({ folds: [2], anchorTimeMs: Float64Array.of(2, 2) }).toThrow('the times of fold 0 do not rise');
    // Another fold may begin earlier.
    expect(() =>
      decodeForecasts(encodeForecasts({ ...two, anchorTimeMs: Float64Array.of(2, 1) })),
    ).not.toThrow();
    refused({ score: Float64Array.of(1, NaN) }).toThrow('row 1 holds what is no return');
    refused({ y: Float32Array.of(Infinity, 1) }).toThrow('row 0 holds');
    refused({ probability: Float64Array.of(1, 1.5) }).toThrow('row 1 holds');
  });
});
