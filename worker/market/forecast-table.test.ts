import { expect, it } from 'vitest';
import { forecastTable } from './forecast-table.js';

it('holds every row of every fold under its own name, fold after fold', () => {
  // Numbers that say where they come from: fold, column, row.
  const fold = (id: number, rows: number) => {
    const column = (place: number) =>
      Float64Array.from({ length: rows }, (_, row) => 100 * id + 10 * place + row);
    return {
      predictions: {
        ...{ anchorTimeMs: column(1), y: column(2), score: column(3), probability: column(4) },
        ...{ mu: column(5), sigma: column(6) },
      },
    };
  };
  const table = forecastTable([fold(1, 2), fold(2, 1)], { horizon: 3, secondsPerStep: 60 });
  const of = (place: number) => [100, 101, 200].map((start) => start + 10 * place);
  expect(table).toEqual({
    ...{ folds: [2, 1], horizon: 3, secondsPerStep: 60 },
    ...{ anchorTimeMs: Float64Array.from(of(1)), y: Float32Array.from(of(2)) },
    ...{ score: Float64Array.from(of(3)), probability: Float64Array.from(of(4)) },
    ...{ mu: Float32Array.from(of(5)), sigma: Float32Array.from(of(6)) },
  });
});
