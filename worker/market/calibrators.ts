/** Making probabilities match frequencies, and which way to take (hermite-model.md §11, 18.3). */
import { brierScore, calibrationFigures } from '../../shared/core/metrics/calibration-figures.js';
import type { Numbers } from '../../shared/core/metrics/numbers.js';
import type { IsotonicKnots } from './isotonic.js';
import { fitIsotonic, predictIsotonic } from './isotonic.js';
import { clipProbability, sigmoid } from './probability.js';
import { fitTemperature } from './temperature.js';

/** In the order in which ties are broken. */
export const calibratorNames = ['raw', 'temperature', 'isotonic', 'temp_isotonic'] as const;
export type CalibratorName = (typeof calibratorNames)[number];

/** What a calibrator reads of each row. */
export interface CalibrationInput {
  readonly probability: Float64Array;
  readonly logit: Float64Array;
}

export interface Calibrators {
  readonly temperature: number;
  /** Null when there was no row to fit on; the candidate then equals its input. */
  readonly isotonic: IsotonicKnots | null;
  readonly tempIsotonic: IsotonicKnots | null;
}

const scaled = (logit: Float64Array, temperature: number): Float64Array =>
  logit.map((value) => clipProbability(sigmoid(value / temperature)));

/** Fits the parameters of all candidates on the calibration rows. The temperature always acts on the logit head. */
export function fitCalibrators(
  input: CalibrationInput,
  labels: Numbers,
  precision: 'f32' | 'f64',
): Calibrators {
  const temperature = fitTemperature(input.logit, labels);
  const fit = (probabilities: Float64Array): IsotonicKnots | null =>
    labels.length === 0 ? null : fitIsotonic(probabilities, labels, precision);
  return {
    temperature,
    isotonic: fit(input.probability),
    tempIsotonic: fit(scaled(input.logit, temperature)),
  };
}

/** The candidate's probabilities, within [1e−6, 1 − 1e−6]. */
export function applyCalibrator(
  fitted: Calibrators,
  name: CalibratorName,
  input: CalibrationInput,
): Float64Array {
  const through = (knots: IsotonicKnots | null, probabilities: Float64Array): Float64Array =>
    knots === null ? probabilities : probabilities.map((p) => clipProbability(predictIsotonic(knots, p)));
  switch (name) {
    case 'raw':
      return input.probability.map(clipProbability);
    case 'temperature':
      return scaled(input.logit, fitted.temperature);
    case 'isotonic':
      return through(fitted.isotonic, input.probability);
    case 'temp_isotonic':
      return through(fitted.tempIsotonic, scaled(input.logit, fitted.temperature));
  }
}

interface Scored {
  readonly name: CalibratorName;
  readonly brier: number;
  readonly ece: number;
}

/** NaN ranks last. */
const rank = (value: number): number => (Number.isNaN(value) ? Infinity : value);

/** Smallest Brier score, ties by smaller ECE, then by table order. */
function best(scores: readonly Scored[]): CalibratorName {
  const [first] = [...scores].sort((a, b) => {
    const x = rank(a.brier);
    const y = rank(b.brier);
    if (x !== y) return x < y ? -1 : 1;
    return rank(a.ece) < rank(b.ece) ? -1 : rank(a.ece) > rank(b.ece) ? 1 : 0;
  });
  return first?.name ?? 'raw';
}

/** The original's choice: the candidate that does best on the very rows it is then judged on. */
export function chooseOnRows(
  fitted: Calibrators,
  input: CalibrationInput,
  labels: Numbers,
  bins: number,
): CalibratorName {
  return best(
    calibratorNames.map((name) => {
      const { brier, ece } = calibrationFigures(applyCalibrator(fitted, name, input), labels, bins);
      return { name, brier, ece };
    }),
  );
}

const crossValidationBlocks = 5;
/** Fewer calibration rows say nothing about a calibrator; the raw probability is kept. */
const crossValidationRowsMin = 50;

const select = (x: Float64Array, keep: (row: number) => boolean): Float64Array =>
  x.filter((_, row) => keep(row));

/**
 * The honest choice: five blocks of the calibration rows in time order, each predicted by candidates fitted on the others (without the
 * `horizon` rows next to it), scored by Brier over all of them. The winner is then fitted on all calibration rows.
 */
export function chooseByCrossValidation(
  input: CalibrationInput,
  labels: Uint8Array,
  horizon: number,
): CalibratorName {
  const rows = labels.length;
  if (rows < crossValidationRowsMin) return 'raw';
  const predicted = calibratorNames.map((name) => ({ name, probability: new Float64Array(rows) }));
  for (let block = 0; block < crossValidationBlocks; block++) {
    const from = Math.floor((block * rows) / crossValidationBlocks);
    const to = Math.floor(((block + 1) * rows) / crossValidationBlocks);
    const held = (row: number): boolean => row >= from && row < to;
    const others = (row: number): boolean => row < from - horizon || row >= to + horizon;
    const part = (keep: (row: number) => boolean): CalibrationInput => ({
      probability: select(input.probability, keep),
      logit: select(input.logit, keep),
    });
    const fitted = fitCalibrators(
      part(others),
      labels.filter((_, row) => others(row)),
      'f64',
    );
    for (const { name, probability } of predicted)
      probability.set(applyCalibrator(fitted, name, part(held)), from);
  }
  return best(
    predicted.map(({ name, probability }) => ({ name, brier: brierScore(probability, labels), ece: 0 })),
  );
}
