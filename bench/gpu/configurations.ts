/** The three models that trainers are timed with (also in bench/peers/trainer.py), batches of 512 rows, twelve context columns. */
import type { ModelShape } from '../../worker/trainers/hermite/model-shape.js';

const shape = ([window, lstmHidden, mapsA, mapsB, hidden, degree]: readonly [
  number,
  number,
  number,
  number,
  number,
  number,
]): ModelShape => ({
  ...{ window, lstmHidden, mapsA, mapsB, hidden, degree },
  ...{ context: 12, version: 'probabilist' },
});

export const configurations: Readonly<Record<string, ModelShape>> = {
  small: shape([16, 32, 4, 1, 64, 4]),
  median: shape([136, 64, 6, 3, 128, 6]),
  large: shape([256, 96, 9, 5, 192, 8]),
};

export const batchRows = 512;
