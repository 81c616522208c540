import { describe, expect, it } from 'vitest';
import type { Candles } from '../../shared/core/market/candles.js';
import { inputSource } from './batches.js';
import type { FeatureConfig } from './features.js';
import { stationaryFeatures } from './features.js';
import { goldenTitle, haveGolden, near, readGolden } from './golden.test-helper.js';
import { forwardLabels } from './labels.js';
import { buildSamples, secondsPerStep } from './samples.js';
import { fitScaler, packColumns } from './scaler.js';
import { v6RollingSplits, v6SingleSplit } from './v6-splits.js';

interface GoldenCandles {
  open_time_ms: number[];
  open: number[];
  high: number[];
  low: number[];
  close: number[];
  volume: number[];
  close_time_ms: number[];
}
interface GoldenConfig {
  momentum_windows: number[];
  volatility_windows: number[];
  autocorr_window: number;
  drawdown_window: number;
  add_ema: boolean;
  ema_windows: number[];
}
interface GoldenTable {
  columns: string[];
  data: Record<string, number[]>;
}
interface GoldenDataset {
  window: number;
  horizon: number;
  length: number;
  feature_dim: number;
  first_anchor_candle: number;
  last_anchor_candle: number;
  rows: number[];
  row_features: number[][];
  targets: number[];
  direction: number[];
  anchor_price_first_last: number[];
  anchor_time_first_last: number[];
  target_time_first_last: number[];
  seconds_per_step: number;
  scaler: {
    fit_rows: [number, number];
    mean: number[];
    std: number[];
    transformed_rows: number[];
    transformed: number[][];
  };
}
interface Golden {
  candles: GoldenCandles;
  config_default: GoldenConfig;
  features_default: GoldenTable;
  config_alt: GoldenConfig & { rows: number };
  features_alt: GoldenTable;
  edge_candles: GoldenCandles;
  config_edge: GoldenConfig;
  features_edge: GoldenTable;
  labels: { horizon: number; price_precision: string; log_return: number[]; up: number[] }[];
  datasets: GoldenDataset[];
}

const toCandles = (golden: GoldenCandles, rows = golden.close.length): Candles => {
  const column = (values: number[]) => Float64Array.from(values.slice(0, rows));
  const empty = new Float64Array(rows);
  return {
    openTimeMs: column(golden.open_time_ms),
    open: column(golden.open),
    high: column(golden.high),
    low: column(golden.low),
    close: column(golden.close),
    volume: column(golden.volume),
    closeTimeMs: column(golden.close_time_ms),
    quoteVolume: empty,
    tradeCount: empty,
    takerBuyBase: empty,
    takerBuyQuote: empty,
  };
};
const toConfig = (golden: GoldenConfig): FeatureConfig => ({
  momentumWindows: golden.momentum_windows,
  volatilityWindows: golden.volatility_windows,
  autocorrelationWindow: golden.autocorr_window,
  drawdownWindow: golden.drawdown_window,
  emaSpans: golden.add_ema ? golden.ema_windows : [],
  volume: 'raw',
  volumeWindow: 1,
});

/** Index and size of the largest deviation beyond a tolerance that is absolute below 1 and relative above. */
function firstMiss(actual: ArrayLike<number>, expected: number[], tolerance: number): string | null {
  if (actual.length !== expected.length) return `length ${actual.length}, not ${expected.length}`;
  const at = expected.findIndex((value, i) => !near(actual[i] ?? NaN, value, tolerance));
  return at < 0 ? null : `[${at}] ${String(actual[at])}, not ${String(expected[at])}`;
}

describe.skipIf(!haveGolden)(
  goldenTitle('features, labels, samples and scaler against the golden figures'),
  () => {
    const golden = haveGolden ? (readGolden('features.json') as Golden) : undefined!;
    const candles = haveGolden ? toCandles(golden.candles) : undefined!;

    it.each([
      ['default', 'config_default', 'features_default'],
      ['other windows', 'config_alt', 'features_alt'],
      ['zero prices and volumes', 'config_edge', 'features_edge'],
    ] as const)('features: %s', (name, configKey, tableKey) => {
      const config = golden[configKey];
      const source =
        name === 'zero prices and volumes'
          ? toCandles(golden.edge_candles)
          : toCandles(golden.candles, 'rows' in config ? config.rows : undefined);
      const table = stationaryFeatures(source, toConfig(config));
      expect(table.names).toEqual(golden[tableKey].columns);
      table.names.forEach((column, c) => {
        expect(
          firstMiss(table.columns[c] ?? [], golden[tableKey].data[column] ?? [], 1e-9),
          column,
        ).toBeNull();
      });
    });

    it('are exactly 0 on the flat stretch', () => {
      const table = stationaryFeatures(candles, toConfig(golden.config_default));
      for (const name of ['log_ret_std_8', 'log_ret_std_24', 'log_ret_autocorr_1']) {
        const column = table.columns[table.names.indexOf(name)];
        expect(Array.from(column?.subarray(283, 290) ?? []), name).toEqual(Array(7).fill(0));
      }
    });

    it('labels', () => {
      for (const { horizon, price_precision, log_return, up } of golden.labels) {
        const precision = price_precision === 'float32' ? 'f32' : 'f64';
        const labels = forwardLabels(candles.close, horizon, precision);
        expect(firstMiss(labels.y, log_return, 1e-7)).toBeNull();
        expect([...labels.up]).toEqual(up);
      }
      expect(golden.labels.map(({ price_precision }) => price_precision)).toContain('float32');
    });

    it('samples and their scaler', () => {
      const columns = packColumns(stationaryFeatures(candles, toConfig(golden.config_default)));
      for (const set of golden.datasets) {
        const { window, horizon } = set;
        const samples = buildSamples(candles, { window, horizon, gaps: 'ignore', labelPrecision: 'f32' });
        const { anchors, anchorPrice, anchorTimeMs, targetTimeMs } = samples;
        const ends = (values: ArrayLike<number>) => [values[0], values[values.length - 1]];
        expect(anchors).toHaveLength(set.length);
        expect(ends(anchors)).toEqual([set.first_anchor_candle, set.last_anchor_candle]);
        expect(firstMiss(samples.y, set.targets, 1e-7)).toBeNull();
        expect([...samples.up]).toEqual(set.direction);
        expect(
          firstMiss([anchorPrice[0]!, anchorPrice.at(-1)!], set.anchor_price_first_last, 1e-8),
        ).toBeNull();
        expect(ends(anchorTimeMs)).toEqual(set.anchor_time_first_last);
        expect(ends(targetTimeMs)).toEqual(set.target_time_first_last);
        expect(samples.secondsPerStep).toBe(set.seconds_per_step);

        const flat = (scalerOf: Parameters<typeof inputSource>[1], row: number) => {
          const batch = inputSource(columns, scalerOf, { anchors, window }).gather([row]);
          return [...batch.window, ...batch.context];
        };
        const [from, to] = set.scaler.fit_rows;
        const scaler = fitScaler(columns, anchors.subarray(from, to), window, 'per-lag');
        const ones = (values: Float64Array) => values.map(() => 1);
        const identity = {
          ...scaler,
          windowMean: new Float64Array(scaler.windowMean.length),
          contextMean: new Float64Array(scaler.contextMean.length),
          windowDeviation: ones(scaler.windowDeviation),
          contextDeviation: ones(scaler.contextDeviation),
        };
        set.rows.forEach((row, i) => {
          expect(flat(identity, row)).toHaveLength(set.feature_dim);
          expect(firstMiss(flat(identity, row), set.row_features[i] ?? [], 1e-6)).toBeNull();
        });
        const pair = (a: Float64Array, b: Float64Array) => [...a, ...b];
        pair(scaler.windowMean, scaler.contextMean).forEach((value, j) => {
          const expected = set.scaler.mean[j]!;
          const size = Math.max(Math.abs(expected), set.scaler.std[j]!);
          expect(Math.abs(value - expected)).toBeLessThan(1e-5 * size);
        });
        const deviations = pair(scaler.windowDeviation, scaler.contextDeviation);
        deviations.forEach((value, j) => expect(Math.abs(value / set.scaler.std[j]! - 1)).toBeLessThan(1e-5));
        set.scaler.transformed_rows.forEach((row, i) => {
          expect(firstMiss(flat(scaler, row), set.scaler.transformed[i] ?? [], 1e-5)).toBeNull();
        });
      }
      expect(golden.datasets).toHaveLength(2);
    });
  },
);

interface GoldenSplit {
  dataset_length: number;
  feature_window: number;
  validation_split: number;
  use_cv: boolean;
  cv_folds: number;
  val_block: number;
  calibration_fraction: number;
  min_calib_size: number;
  folds?: { train: [number, number]; calibration: [number, number]; validation: [number, number] }[];
  error?: string;
}

describe.skipIf(!haveGolden)(goldenTitle('splits against the golden figures'), () => {
  const cases = haveGolden ? (readGolden('splits.json') as { cases: GoldenSplit[] }).cases : [];

  it.each(cases.map((c, i) => [i, c] as const))('case %i', (_, c) => {
    const split = (c.use_cv ? v6RollingSplits : v6SingleSplit)(c.dataset_length, {
      window: c.feature_window,
      validationSplit: c.validation_split,
      valBlock: c.val_block,
      foldCount: c.cv_folds,
      calibrationFraction: c.calibration_fraction,
      minCalibSize: c.min_calib_size,
    });
    if (c.error !== undefined) expect(split).toEqual({ kind: 'error', error: c.error });
    else {
      const pair = ({ from, to }: { from: number; to: number }) => [from, to];
      expect(split.kind).toBe('folds');
      const folds = split.kind === 'folds' ? split.folds : [];
      expect(
        folds.map(({ train, calibration, validation }) => [pair(train), pair(calibration), pair(validation)]),
      ).toEqual(c.folds?.map(({ train, calibration, validation }) => [train, calibration, validation]));
    }
  });

  it('seconds per step', () => {
    const { seconds_per_step } = readGolden('metrics.json') as {
      seconds_per_step: { anchor_times_ms: number[]; seconds: number }[];
    };
    for (const { anchor_times_ms, seconds } of seconds_per_step) {
      expect(secondsPerStep(Float64Array.from(anchor_times_ms))).toBe(seconds);
    }
  });
});
