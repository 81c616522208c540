/** Golden figures of kind `features`: feature columns, labels, samples and their scaler (hermite-model.md §1–5). */
import type { Candles } from '../../../shared/core/market/candles.js';
import { inputSource } from '../../market/batches.js';
import { stationaryFeatures, type FeatureConfig } from '../../market/features.js';
import { forwardLabels } from '../../market/labels.js';
import { buildSamples } from '../../market/samples.js';
import { fitScaler, packColumns, type FeatureColumns, type Scaler } from '../../market/scaler.js';
import type { Deviations } from './deviations.js';
import type { Figures } from './figures.js';

const featureTolerance = 1e-9;
/** Where prices stand still, rolling deviation and autocorrelation must be nothing, not almost nothing. */
const flatTolerance = 1e-12;
const labelTolerance = 1e-7;
const vectorTolerance = 1e-6;
const scalerTolerance = 1e-5;

/** The first `rows` candles of a golden table; columns it does not have are 0. */
export function candlesOf(table: Figures, rows = Infinity): Candles {
  const column = (name: string): Float64Array => Float64Array.from(table.get(name).numbers().slice(0, rows));
  const close = column('close');
  const none = new Float64Array(close.length);
  return {
    ...{ openTimeMs: column('open_time_ms'), open: column('open'), high: column('high'), low: column('low') },
    ...{ close, volume: column('volume'), closeTimeMs: column('close_time_ms') },
    ...{ quoteVolume: none, tradeCount: none, takerBuyBase: none, takerBuyQuote: none },
  };
}

const configOf = (config: Figures): FeatureConfig => ({
  momentumWindows: config.get('momentum_windows').numbers(),
  volatilityWindows: config.get('volatility_windows').numbers(),
  autocorrelationWindow: config.get('autocorr_window').number(),
  drawdownWindow: config.get('drawdown_window').number(),
  emaSpans: config.get('add_ema').flag() ? config.get('ema_windows').numbers() : [],
  ...{ volume: 'raw', volumeWindow: 1 },
});

const isRolling = (column: string): boolean => /_std_\d+$|_autocorr_/.test(column);

/** `features_X` belong to `config_X` and to `X_candles`, or else to the first `rows` of `candles`. */
function checkTable(golden: Figures, name: string, deviations: Deviations): void {
  const suffix = name.slice('features_'.length);
  const config = golden.get(`config_${suffix}`);
  const candles = candlesOf(
    golden.find(`${suffix}_candles`) ?? golden.get('candles'),
    config.find('rows')?.number(),
  );
  const table = stationaryFeatures(candles, configOf(config));
  const data = golden.get(name).get('data');
  const columns = golden
    .get(name)
    .get('columns')
    .list()
    .map((column) => column.text());
  if (!deviations.same(`${name} columns`, table.names, columns)) return;
  table.names.forEach((column, c) => {
    const actual = table.columns[c] ?? [];
    const expected = data.get(column).numbers();
    deviations.allNear(`${name} ${column}`, actual, expected, featureTolerance);
    if (!isRolling(column)) return;
    expected.forEach((value, t) => {
      if (Math.abs(value) <= flatTolerance)
        deviations.absolute(`${name} ${column}[${t}], flat`, actual[t], 0, flatTolerance);
    });
  });
}

function checkLabels(labels: Figures, close: Float64Array, deviations: Deviations): void {
  const horizon = labels.get('horizon').number();
  const precision = labels.get('price_precision').choice(['float32', 'float64']);
  const { y, up } = forwardLabels(close, horizon, precision === 'float32' ? 'f32' : 'f64');
  deviations.allNear(`labels ${horizon} ${precision}`, y, labels.get('log_return').numbers(), labelTolerance);
  deviations.same(`labels ${horizon} ${precision} up`, [...up], labels.get('up').numbers());
}

/** A scaler that changes nothing, to see the vectors as they are. */
const identity = (scaler: Scaler): Scaler => ({
  ...scaler,
  windowMean: new Float64Array(scaler.windowMean.length),
  contextMean: new Float64Array(scaler.contextMean.length),
  windowDeviation: new Float64Array(scaler.windowDeviation.length).fill(1),
  contextDeviation: new Float64Array(scaler.contextDeviation.length).fill(1),
});

const ends = (values: ArrayLike<number>): (number | undefined)[] => [values[0], values[values.length - 1]];

function checkDataset(set: Figures, candles: Candles, columns: FeatureColumns, deviations: Deviations): void {
  const window = set.get('window').number();
  const horizon = set.get('horizon').number();
  const name = `dataset ${window}/${horizon}`;
  const samples = buildSamples(candles, { window, horizon, gaps: 'ignore', labelPrecision: 'f32' });
  const { anchors } = samples;
  deviations.same(`${name} length`, anchors.length, set.get('length').number());
  deviations.same(`${name} anchors`, ends(anchors), [
    set.get('first_anchor_candle').number(),
    set.get('last_anchor_candle').number(),
  ]);
  deviations.allNear(`${name} targets`, samples.y, set.get('targets').numbers(), labelTolerance);
  deviations.same(`${name} direction`, [...samples.up], set.get('direction').numbers());
  const prices = ends(samples.anchorPrice).map((price) => price ?? NaN);
  deviations.allNear(`${name} prices`, prices, set.get('anchor_price_first_last').numbers(), labelTolerance);
  deviations.same(
    `${name} anchor times`,
    ends(samples.anchorTimeMs),
    set.get('anchor_time_first_last').numbers(),
  );
  deviations.same(
    `${name} target times`,
    ends(samples.targetTimeMs),
    set.get('target_time_first_last').numbers(),
  );
  deviations.same(`${name} seconds per step`, samples.secondsPerStep, set.get('seconds_per_step').number());
  checkVectors(set, { name, window, anchors, columns }, deviations);
}

function checkVectors(
  set: Figures,
  {
    name,
    window,
    anchors,
    columns,
  }: { name: string; window: number; anchors: Uint32Array; columns: FeatureColumns },
  deviations: Deviations,
): void {
  const golden = set.get('scaler');
  const { from, to } = golden.get('fit_rows').range();
  const scaler = fitScaler(columns, anchors.subarray(from, to), window, 'per-lag');
  const vectors = (by: Scaler, rows: Figures): number[][] => {
    const source = inputSource(columns, by, { anchors, window });
    return rows.numbers().map((row) => {
      const batch = source.gather([row]);
      return [...batch.window, ...batch.context];
    });
  };
  const compare = (what: string, actual: number[][], expected: Figures, tolerance: number): void => {
    expected.list().forEach((row, i) => {
      deviations.allNear(`${name} ${what} ${i}`, actual[i] ?? [], row.numbers(), tolerance);
    });
  };
  deviations.same(`${name} width`, window * 4 + columns.contextWidth, set.get('feature_dim').number());
  compare('row', vectors(identity(scaler), set.get('rows')), set.get('row_features'), vectorTolerance);
  const mean = golden.get('mean').numbers();
  const deviation = golden.get('std').numbers();
  const both = (a: Float64Array, b: Float64Array): number[] => [...a, ...b];
  both(scaler.windowMean, scaler.contextMean).forEach((value, j) => {
    const size = Math.max(Math.abs(mean[j] ?? NaN), deviation[j] ?? NaN);
    deviations.absolute(`${name} scaler mean[${j}]`, value, mean[j] ?? NaN, scalerTolerance * size);
  });
  both(scaler.windowDeviation, scaler.contextDeviation).forEach((value, j) => {
    const expected = deviation[j] ?? NaN;
    deviations.absolute(
      `${name} scaler deviation[${j}]`,
      value,
      expected,
      scalerTolerance * Math.abs(expected),
    );
  });
  const transformed = vectors(scaler, golden.get('transformed_rows'));
  compare('transformed row', transformed, golden.get('transformed'), scalerTolerance);
}

/** Compares every table, label and data set of the file. */
export function checkFeatures(golden: Figures, deviations: Deviations): void {
  for (const key of golden.keys()) if (key.startsWith('features_')) checkTable(golden, key, deviations);
  const candles = candlesOf(golden.get('candles'));
  for (const labels of golden.listAt('labels')) checkLabels(labels, candles.close, deviations);
  const datasets = golden.listAt('datasets');
  if (datasets.length === 0) return;
  const columns = packColumns(stationaryFeatures(candles, configOf(golden.get('config_default'))));
  for (const set of datasets) checkDataset(set, candles, columns, deviations);
}
