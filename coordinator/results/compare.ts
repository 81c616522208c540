/** Trials compared candle by candle, from the forecasts that they left (hermite-model.md §18.4). */
import type { Forecasts } from '../../shared/core/market/forecast-codec.js';
import { auc } from '../../shared/core/metrics/auc.js';
import { directionAccuracy } from '../../shared/core/metrics/direction.js';
import {
  pairedDifference,
  pairedFigures,
  type PairedBlock,
  type PairedDifference,
  type PairedFigure,
} from '../../shared/core/metrics/paired.js';
import type { Objective } from '../../shared/core/study/definition.js';
import type { Metrics } from '../../shared/core/study/trial.js';

/** Forecasts cannot be compared; the message says why. */
export class CompareError extends Error {
  override readonly name = 'CompareError';
}

export interface ComparedForecasts {
  /** Candles that both forecast and that count. */
  readonly candles: number;
  /** Those that both forecast besides, in pieces too short to rank rows in. */
  readonly leftOut: number;
  /** By objective: null where it is made of more than can be compared row by row. */
  readonly objectives: readonly (PairedDifference | null)[];
  readonly figures: Readonly<Record<PairedFigure, PairedDifference>>;
}

const upOf = (y: ArrayLike<number>): Uint8Array => Uint8Array.from(y, (value) => (value > 0 ? 1 : 0));

/** Where each fold begins, and where the last ends. */
function boundsOf(folds: readonly number[]): readonly number[] {
  const bounds = [0];
  for (const rows of folds) bounds.push((bounds.at(-1) ?? 0) + rows);
  return bounds;
}

/** For each row its fold. */
function foldOfRows({ folds }: Forecasts): Uint32Array {
  const bounds = boundsOf(folds);
  const fold = new Uint32Array(bounds.at(-1) ?? 0);
  folds.forEach((_, index) => fold.fill(index, bounds[index], bounds[index + 1]));
  return fold;
}

interface Pair {
  readonly first: number[];
  readonly second: number[];
}

/** Rows of the same candle, together where the same two models forecast them. */
function pairedRows(first: Forecasts, second: Forecasts): readonly Pair[] {
  const rowOfTime = new Map(Array.from(second.anchorTimeMs, (time, row) => [time, row] as const));
  const [firstFold, secondFold] = [foldOfRows(first), foldOfRows(second)];
  const pairs = new Map<string, Pair>();
  first.anchorTimeMs.forEach((time, row) => {
    const other = rowOfTime.get(time);
    if (other === undefined) return;
    const key = `${firstFold[row] ?? 0} ${secondFold[other] ?? 0}`;
    const pair = pairs.get(key) ?? { first: [], second: [] };
    pairs.set(key, pair);
    pair.first.push(row);
    pair.second.push(other);
  });
  return [...pairs.values()];
}

const pick = (column: ArrayLike<number>, rows: readonly number[]): Float64Array =>
  Float64Array.from(rows, (row) => column[row] ?? NaN);

function blockOf(first: Forecasts, second: Forecasts, rows: Pair): Block {
  const came = pick(first.y, rows.first);
  const cameToo = pick(second.y, rows.second);
  if (came.some((y, row) => y !== cameToo[row]))
    throw new CompareError('the two were judged on different returns at the same times');
  return {
    up: upOf(came),
    scores: [pick(first.score, rows.first), pick(second.score, rows.second)],
    probabilities: [pick(first.probability, rows.first), pick(second.probability, rows.second)],
  };
}

/** An AUC of fewer rows of a class is mostly noise, and of fewer than two has no error. */
const classRowsMin = 20;

/** A block with `up` as an array of 0 and 1. */
interface Block extends PairedBlock {
  readonly up: Uint8Array;
}

const rowsOf = (blocks: readonly Block[]): number => blocks.reduce((sum, { up }) => sum + up.length, 0);

const isPaired = (metric: string): metric is PairedFigure =>
  pairedFigures.some((figure) => figure === metric);

/**
 * The first trial's figures less the second's, over the candles that both forecast. Throws `CompareError` where there are none, or
 * where they differ in what came to pass.
 */
export function compareForecasts(
  objectives: readonly Objective[],
  first: Forecasts,
  second: Forecasts,
): ComparedForecasts {
  if (first.horizon !== second.horizon || first.secondsPerStep !== second.secondsPerStep)
    throw new CompareError('the two forecast different horizons');
  const all = pairedRows(first, second).map((rows) => blockOf(first, second, rows));
  if (all.length === 0) throw new CompareError('there is no candle that both forecast');
  const blocks = all.filter(({ up }) => {
    const ups = up.reduce((sum, each) => sum + each, 0);
    return Math.min(ups, up.length - ups) >= classRowsMin;
  });
  if (blocks.length === 0)
    throw new CompareError(
      `they share no run of candles with ${classRowsMin} moves up and as many down that the same two models forecast`,
    );
  const of = (weights: Readonly<Partial<Record<PairedFigure, number>>>): PairedDifference =>
    pairedDifference(weights, blocks, first.horizon);
  return {
    candles: rowsOf(blocks),
    leftOut: rowsOf(all) - rowsOf(blocks),
    objectives: objectives.map(({ weights }) => (Object.keys(weights).every(isPaired) ? of(weights) : null)),
    figures: { auc: of({ auc: 1 }), dir_acc: of({ dir_acc: 1 }), brier: of({ brier: 1 }) },
  };
}

/** Far below what another attempt would have; sums in another order, and returns in single precision, make a little of it. */
const tolerance = 1e-6;

/**
 * Whether a trial's result was made of these forecasts; they could be of an attempt before the one that was told. For studies whose
 * `auc` and `dir_acc` are those of the pooled test rows.
 */
export function isResultOf(forecasts: Forecasts, metrics: Metrics): boolean {
  const up = upOf(forecasts.y);
  const bounds = boundsOf(forecasts.folds);
  const ranked = forecasts.folds.reduce((sum, rows, fold) => {
    const [from, to] = [bounds[fold], bounds[fold + 1]];
    return sum + (rows / up.length) * auc(forecasts.score.slice(from, to), up.slice(from, to));
  }, 0);
  const isClose = (name: string, value: number): boolean =>
    !(Math.abs((metrics[name] ?? NaN) - value) > tolerance);
  return isClose('auc', ranked) && isClose('dir_acc', directionAccuracy(forecasts.probability, up));
}
