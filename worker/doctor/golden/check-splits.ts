/** Golden figures of kind `splits`: fold boundaries of the original (hermite-model.md §6). Everything is exact. */
import { v6RollingSplits, v6SingleSplit } from '../../market/v6-splits.js';
import type { Deviations } from './deviations.js';
import type { Figures } from './figures.js';

const pair = ({ from, to }: { readonly from: number; readonly to: number }): [number, number] => [from, to];

/** Compares the folds, or the refusal, of every case. */
export function checkSplits(golden: Figures, deviations: Deviations): void {
  golden
    .get('cases')
    .list()
    .forEach((golden, index) => {
      const count = (key: string): number => golden.get(key).number();
      const split = (golden.get('use_cv').flag() ? v6RollingSplits : v6SingleSplit)(count('dataset_length'), {
        window: count('feature_window'),
        validationSplit: count('validation_split'),
        valBlock: count('val_block'),
        foldCount: count('cv_folds'),
        calibrationFraction: count('calibration_fraction'),
        minCalibSize: count('min_calib_size'),
      });
      const name = `case ${index}`;
      const error = golden.find('error');
      if (error !== null) {
        deviations.same(`${name} error`, split.kind === 'error' ? split.error : 'folds', error.text());
        return;
      }
      const actual = split.kind === 'folds' ? split.folds : [];
      const expected = golden.get('folds').list();
      deviations.same(`${name} number of folds`, actual.length, expected.length);
      expected.forEach((fold, k) => {
        const mine = actual[k];
        if (mine === undefined) return;
        for (const part of ['train', 'calibration', 'validation'] as const)
          deviations.same(`${name} fold ${k} ${part}`, pair(mine[part]), pair(fold.get(part).range()));
        const scaler = fold.find('scaler');
        // The scaler of the original sees training and calibration rows, which follow each other.
        if (scaler !== null)
          deviations.same(
            `${name} fold ${k} scaler`,
            [mine.train.from, mine.calibration.to],
            pair(scaler.range()),
          );
      });
    });
}
