import { describe, expect, it } from 'vitest';
import type { Forecasts } from '../../shared/core/market/forecast-codec.js';
import { auc } from '../../shared/core/metrics/auc.js';
import type { Objective } from '../../shared/core/study/definition.js';
import { compareForecasts, CompareError, isResultOf } from './compare.js';

const score: Objective = { name: 'score', direction: 'maximize', weights: { auc: 0.7, dir_acc: 0.3 } };
const sharpe: Objective = { name: 'sharpe', direction: 'maximize', weights: { sharpe: 1 } };

/** A market of numbers that go up and down without a pattern, and forecasts that lean towards them by `skill`. */
function forecasts(from: number, folds: readonly number[], skill: number): Forecasts {
  const rows = folds.reduce((sum, fold) => sum + fold, 0);
  const noise = (t: number, seed: number): number => Math.sin(1e4 * Math.sin(t * 12.9898 + seed));
  const times = Float64Array.from({ length: rows }, (_, row) => (from + row) * 3_600_000);
  const column = (of: (t: number) => number) =>
    Float32Array.from({ length: rows }, (_, row) => of(from + row));
  const whole = (of: (t: number) => number) =>
    Float64Array.from({ length: rows }, (_, row) => of(from + row));
  const leaning = (t: number): number => skill * Math.sign(noise(t, 1)) + noise(t, 2);
  return {
    ...{ folds, horizon: 1, secondsPerStep: 3600, anchorTimeMs: times },
    y: column((t) => noise(t, 1) / 100),
    score: whole(leaning),
    probability: whole((t) => 1 / (1 + Math.exp(-leaning(t)))),
    mu: column(() => 0),
    sigma: column(() => 1),
  };
}

const aucOf = ({ y, score: ranked }: Forecasts, rows: readonly [number, number]): number =>
  auc(
    ranked.slice(...rows),
    Array.from(y.slice(...rows), (value) => (value > 0 ? 1 : 0)),
  );

describe('forecasts of two trials', () => {
  it('are compared on the candles that both have', () => {
    const good = forecasts(1_000, [100, 100], 0.5);
    const poor = forecasts(1_000, [100, 100], 0.1);
    const { candles, objectives, figures } = compareForecasts([score, sharpe], good, poor);
    expect(candles).toBe(200);
    expect(figures.auc.difference).toBeCloseTo(
      (aucOf(good, [0, 100]) + aucOf(good, [100, 200]) - aucOf(poor, [0, 100]) - aucOf(poor, [100, 200])) / 2,
      12,
    );
    expect(figures.auc.difference).toBeGreaterThan(0.1);
    expect(figures.brier.difference).toBeLessThan(0);
    expect(objectives[0]?.difference).toBeCloseTo(
      0.7 * figures.auc.difference + 0.3 * figures.dir_acc.difference,
      12,
    );
    expect(objectives[0]?.pValue).toBeLessThan(0.01);
    // What is made of more than rows cannot be said.
    expect(objectives[1]).toBeNull();
  });

  it('have a larger error where their targets overlap and they err in a row', () => {
    const errorOf = (horizon: number) => {
      const [first, second] = [0.5, 0.1].map((skill) => ({ ...forecasts(1_000, [200], skill), horizon }));
      // Right and wrong come in turns of ten.
      const turns = second!.probability.map((_, row) => (Math.floor(row / 10) % 2 === 0 ? 0.9 : 0.1));
      return compareForecasts([], first!, { ...second!, probability: turns }).figures.brier.standardError;
    };
    expect(errorOf(4)).not.toBeCloseTo(errorOf(1), 4);
  });

  it('of other periods and folds: rows are ranked among those that the same two models forecast', () => {
    const first = forecasts(1_000, [120, 80], 0.5);
    const second = forecasts(1_050, [100, 100], 0.1);
    const { candles, leftOut, figures } = compareForecasts([], first, second);
    // Candles 1050–1119, 1120–1149 and 1150–1199, in blocks of 70, 30 and 50 rows, the second of too few of a class.
    expect({ candles, leftOut }).toEqual({ candles: 120, leftOut: 30 });
    const blocks = [
      [70, [50, 120], [0, 70]],
      [50, [150, 200], [100, 150]],
    ] as const;
    const expected = blocks.reduce(
      (sum, [rows, mine, other]) => sum + (rows / 120) * (aucOf(first, mine) - aucOf(second, other)),
      0,
    );
    expect(figures.auc.difference).toBeCloseTo(expected, 12);
    expect(compareForecasts([], second, first).figures.auc.difference).toBeCloseTo(-expected, 12);
  });

  it('are refused where there is nothing to compare', () => {
    const here = forecasts(1_000, [50], 0.5);
    const refused = (other: Forecasts) => expect(() => compareForecasts([score], here, other));
    refused(forecasts(2_000, [50], 0.5)).toThrow('no candle that both forecast');
    refused({ ...here, horizon: 2 }).toThrow('different horizons');
    refused({ ...here, secondsPerStep: 60 }).toThrow('different horizons');
    refused(forecasts(1_030, [50], 0.5)).toThrow('they share no run of candles with 20 moves up');
    refused({ ...here, y: here.y.with(7, 0.5) }).toThrow(CompareError);
    refused({ ...here, y: here.y.with(7, 0.5) }).toThrow('different returns at the same times');
  });

  it('belong to a result whose figures they give', () => {
    const table = forecasts(1_000, [60, 40], 0.3);
    const hits = Array.from(table.y, (y, row) => Number(y > 0 === table.probability[row]! >= 0.5));
    const metrics = {
      auc: 0.6 * aucOf(table, [0, 60]) + 0.4 * aucOf(table, [60, 100]),
      dir_acc: hits.reduce((sum, hit) => sum + hit, 0) / 100,
    };
    expect(isResultOf(table, metrics)).toBe(true);
    expect(isResultOf(table, { ...metrics, auc: metrics.auc + 0.001 })).toBe(false);
    expect(isResultOf(table, { ...metrics, dir_acc: metrics.dir_acc - 0.01 })).toBe(false);
  });
});
