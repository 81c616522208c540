/** The original's split rules (hermite-model.md §6), kept for comparison; §18.4 and 18.5 say why they are not the default. */

/** Half-open range of rows. */
export interface RowRange {
  readonly from: number;
  readonly to: number;
}

export interface V6Fold {
  readonly train: RowRange;
  readonly calibration: RowRange;
  readonly validation: RowRange;
}

export type V6SplitError =
  | 'dataset_length_not_positive'
  | 'calibration_block_too_small'
  | 'dataset_too_small_for_single_split'
  | 'no_folds';

export type V6Splits =
  | { readonly kind: 'folds'; readonly folds: readonly V6Fold[] }
  | { readonly kind: 'error'; readonly error: V6SplitError };

export interface V6SplitOptions {
  readonly window: number;
  readonly validationSplit: number;
  readonly valBlock: number;
  readonly foldCount: number;
  readonly calibrationFraction: number;
  readonly minCalibSize: number;
}

/** Rows at the end of a past of `past` ≥ 2 rows that calibrate; null when the past is exactly the minimum. */
function calibrationRows(past: number, options: V6SplitOptions): number | null {
  const fraction = Math.min(0.5, Math.max(0, options.calibrationFraction));
  const wanted = Math.max(Math.trunc(0.1 * past), options.minCalibSize);
  const share = Math.max(1, Math.trunc(fraction * past));
  const rows = Math.min(
    past - 1,
    wanted < past ? Math.max(share, wanted) : Math.max(share, Math.floor(past / 2), 1),
  );
  return rows < options.minCalibSize && past >= options.minCalibSize ? null : rows;
}

function foldOf(past: number, to: number, options: V6SplitOptions): V6Fold | null {
  const calibration = calibrationRows(past, options);
  if (calibration === null) return null;
  return {
    train: { from: 0, to: past - calibration },
    calibration: { from: past - calibration, to: past },
    validation: { from: past, to },
  };
}

const error = (code: V6SplitError): V6Splits => ({ kind: 'error', error: code });

/** Rolling origin over `rows` rows: up to `foldCount` validation blocks after a growing past. */
export function v6RollingSplits(rows: number, options: V6SplitOptions): V6Splits {
  if (rows <= 0) return error('dataset_length_not_positive');
  const block = Math.max(1, options.valBlock);
  let start = Math.max(2 * options.window, Math.trunc(options.validationSplit * rows), block);
  const folds: V6Fold[] = [];
  while (start < rows && folds.length < options.foldCount && start >= 2) {
    const fold = foldOf(start, Math.min(rows, start + block), options);
    if (fold === null) return error('calibration_block_too_small');
    folds.push(fold);
    start += block;
  }
  return folds.length === 0 ? error('no_folds') : { kind: 'folds', folds };
}

/** One split: the last `validationSplit` of the rows validate. */
export function v6SingleSplit(rows: number, options: V6SplitOptions): V6Splits {
  if (rows <= 0) return error('dataset_length_not_positive');
  const past = rows - Math.max(1, Math.trunc(options.validationSplit * rows));
  if (past <= 1) return error('dataset_too_small_for_single_split');
  const fold = foldOf(past, rows, options);
  return fold === null ? error('calibration_block_too_small') : { kind: 'folds', folds: [fold] };
}
