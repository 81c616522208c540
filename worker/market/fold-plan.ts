/**
 * Which rows a fold trains, stops, calibrates and is tested on (hermite-model.md §18.3, 18.4, 18.18). In the default plan the boundaries
 * are the same candles for every trial of a study: rows are those a window of `windowMax` would have, whatever the trial's own.
 *
 *     … train … |h| early-stop |h| calibration |h| test 0 | test 1 | … | test k |h| hold-out
 *
 * `|h|` is a purge of `horizon` rows, so that no label reaches into a later part. The parts before a fold's test block move on with
 * it. The hold-out at the end belongs to no fold: nothing here ever hands out its rows. The original's folds are purged as well where
 * they are judged by nested selection, which the original did not know; by its own selection they are its own rows.
 */
import type { EvaluationSettings } from '../../shared/core/trainers/evaluation-settings.js';
import type { RowRange, V6Fold, V6SplitError } from './v6-splits.js';
import { v6RollingSplits, v6SingleSplit } from './v6-splits.js';

/** Rows of one fold by purpose. Under `selection: v6-validation` early-stop and test are the same rows. */
export interface FoldPlan {
  readonly id: number;
  readonly train: RowRange;
  readonly earlyStop: RowRange;
  readonly calibration: RowRange;
  readonly test: RowRange;
}

export type FoldPlans =
  | { readonly kind: 'folds'; readonly folds: readonly FoldPlan[]; readonly holdout: RowRange }
  | { readonly kind: 'refused'; readonly message: string };

const endingAt = (to: number, rows: number): RowRange => ({ from: to - rows, to });

function fixedFold(id: number, test: RowRange, settings: EvaluationSettings): FoldPlan {
  const { horizon, calibrationRows, earlyStopRows, trainRowsMax } = settings;
  const calibration = endingAt(test.from - horizon, calibrationRows);
  const earlyStop = endingAt(calibration.from - horizon, earlyStopRows);
  const trainTo = earlyStop.from - horizon;
  const train = { from: Math.max(0, trainTo - (trainRowsMax ?? trainTo)), to: trainTo };
  return { id, train, earlyStop: settings.selection === 'nested' ? earlyStop : test, calibration, test };
}

/** Rows that the plan needs with the smallest training set it accepts. */
export function fixedRowsNeeded(settings: EvaluationSettings): number {
  const { horizon, foldCount, testRows, calibrationRows, earlyStopRows, trainRowsMin, holdoutRows } =
    settings;
  const purges = holdoutRows > 0 ? 4 : 3;
  return (
    trainRowsMin + earlyStopRows + calibrationRows + foldCount * testRows + holdoutRows + purges * horizon
  );
}

function fixedFolds(rows: number, settings: EvaluationSettings): FoldPlans {
  const needed = fixedRowsNeeded(settings);
  if (rows < needed) {
    return {
      kind: 'refused',
      message:
        `the data give ${rows} samples with a window of ${settings.windowMax}, but ${settings.foldCount} folds need ` +
        `${needed}; give more bars, or lower evaluation.test_rows, holdout_rows or train_rows_min`,
    };
  }
  const { foldCount, testRows, holdoutRows, horizon } = settings;
  const end = rows - (holdoutRows > 0 ? holdoutRows + horizon : 0);
  const folds = Array.from({ length: foldCount }, (_, id) =>
    fixedFold(id, endingAt(end - (foldCount - 1 - id) * testRows, testRows), settings),
  );
  return { kind: 'folds', folds, holdout: { from: rows - holdoutRows, to: rows } };
}

const v6ErrorTexts: Readonly<Record<V6SplitError, string>> = {
  dataset_length_not_positive: 'there are no samples',
  calibration_block_too_small: 'a calibration block falls short of evaluation.min_calib_size',
  dataset_too_small_for_single_split: 'too few samples for a single split',
  no_folds: 'too few samples for one fold',
};

function v6Folds(rows: number, window: number, settings: EvaluationSettings): FoldPlans {
  const split = (settings.folds === 'v6-single' ? v6SingleSplit : v6RollingSplits)(rows, {
    ...settings,
    window,
  });
  if (split.kind === 'error') {
    return { kind: 'refused', message: `${v6ErrorTexts[split.error]} (${rows} samples); give more bars` };
  }
  const nested = settings.selection === 'nested';
  const folds = split.folds.map((fold, id) => (nested ? nestedV6Fold(id, fold, settings) : v6Fold(id, fold)));
  const empty = folds.find(({ train, earlyStop, calibration }) =>
    [train, earlyStop, calibration].some(({ from, to }) => to <= from),
  );
  if (empty !== undefined)
    return {
      kind: 'refused',
      message: `fold ${empty.id} has no rows left between parts that lie ${settings.horizon} rows apart; give more bars`,
    };
  return { kind: 'folds', folds, holdout: { from: rows, to: rows } };
}

const v6Fold = (id: number, { train, calibration, validation }: V6Fold): FoldPlan => ({
  ...{ id, train, earlyStop: validation, calibration, test: validation },
});

/** The original has no early-stop part: half of its calibration slice becomes one. Every part ends `horizon` rows before the next. */
function nestedV6Fold(
  id: number,
  { train, calibration, validation }: V6Fold,
  { horizon }: EvaluationSettings,
): FoldPlan {
  const middle = calibration.from + Math.floor((calibration.to - calibration.from) / 2);
  const purged = (from: number, to: number): RowRange => ({ from, to: to - horizon });
  return {
    id,
    train: purged(train.from, train.to),
    earlyStop: purged(calibration.from, middle),
    calibration: purged(middle, calibration.to),
    test: validation,
  };
}

/**
 * The folds over `rows` samples for a trial with this window. With `folds: fixed-times` the window does not matter. Refused when the
 * samples do not suffice, with what to change.
 */
export const planFolds = (rows: number, window: number, settings: EvaluationSettings): FoldPlans =>
  settings.folds === 'fixed-times' ? fixedFolds(rows, settings) : v6Folds(rows, window, settings);
