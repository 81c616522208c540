import { describe, expect, it } from 'vitest';
import { Mt19937 } from '../sampler/mt19937.js';
import { auc } from './auc.js';
import { dieboldMariano } from './diebold-mariano.js';
import { directionAccuracy, directionHits } from './direction.js';
import { mean, variance } from './numbers.js';
import { pairedDifference, type PairedBlock } from './paired.js';
import { normalTwoSided } from './special-functions.js';

/** A standard normal number, by Box and Muller. */
const normal = (random: Mt19937): number =>
  Math.sqrt(-2 * Math.log(1 - random.nextDouble())) * Math.cos(2 * Math.PI * random.nextDouble());

/**
 * Two forecasters of the same rows: both see a little of what is to come, and much of what the other sees. Targets `horizon` bars
 * ahead overlap.
 */
function block(random: Mt19937, rows: number, { horizon = 1, skills = [0.2, 0.2] } = {}): PairedBlock {
  const moves = Float64Array.from({ length: rows + horizon }, () => normal(random));
  const target = Array.from(
    { length: rows },
    (_, t) => mean(moves.slice(t, t + horizon)) * Math.sqrt(horizon),
  );
  const shared = target.map(() => normal(random));
  // What a forecaster sees of its own lasts as long as the targets overlap.
  const own = [0, 1].map(() => {
    const news = Float64Array.from({ length: rows + horizon }, () => normal(random));
    return target.map((_, t) => mean(news.slice(t, t + horizon)) * Math.sqrt(horizon));
  });
  const scores = [0, 1].map((side) =>
    target.map((y, t) => skills[side]! * y + shared[t]! + own[side]![t]!),
  ) as [number[], number[]];
  const probability = (score: number): number => 1 / (1 + Math.exp(-score / 3));
  return {
    up: target.map((y) => (y > 0 ? 1 : 0)),
    scores,
    probabilities: [scores[0].map(probability), scores[1].map(probability)],
  };
}

describe('the difference of two forecasts of the same rows', () => {
  const random = new Mt19937(11);
  const one = block(random, 300);
  const two = block(random, 200);

  it("of hits has McNemar's error", () => {
    const [first, second] = [0, 1].map((side) => directionHits(one.probabilities[side]!, one.up));
    const only = (these: Float64Array, those: Float64Array) =>
      these.filter((hit, row) => hit === 1 && those[row] === 0).length;
    const [b, c] = [only(first!, second!), only(second!, first!)];
    const { difference, standardError, pValue } = pairedDifference({ dir_acc: 1 }, [one], 1);
    expect(difference).toBeCloseTo((b - c) / 300, 14);
    expect(standardError).toBeCloseTo(Math.sqrt(b + c - (b - c) ** 2 / 300) / 300, 14);
    expect(pValue).toBeCloseTo(normalTwoSided(difference / standardError), 14);
  });

  it('of squared errors is the test of Diebold and Mariano, without its correction for few rows', () => {
    const losses = [0, 1].map((side) =>
      Array.from(one.probabilities[side]!, (p, row) => (p - one.up[row]!) ** 2),
    );
    const { statistic } = dieboldMariano(
      losses[0]!.map((loss, row) => loss - losses[1]![row]!),
      1,
    );
    const { difference, standardError } = pairedDifference({ brier: 1 }, [one], 1);
    expect((difference / standardError) * Math.sqrt(299 / 300)).toBeCloseTo(statistic, 12);
  });

  it("of AUCs has DeLong's error, by its definition over all pairs", () => {
    const components = (side: 0 | 1) => {
      const scores = Array.from(one.scores[side]);
      const [ups, downs] = [1, 0].map((label) => scores.filter((_, row) => one.up[row] === label));
      const wins = (a: number, b: number): number => (a > b ? 1 : a === b ? 0.5 : 0);
      return [
        ups!.map((up) => mean(downs!.map((down) => wins(up, down)))),
        downs!.map((down) => mean(ups!.map((up) => wins(up, down)))),
      ] as const;
    };
    const [first, second] = [components(0), components(1)];
    const square = [0, 1].reduce((sum, label) => {
      const difference = first[label]!.map((value, row) => value - second[label]![row]!);
      return sum + variance(difference, 0) / difference.length;
    }, 0);
    const { difference, standardError } = pairedDifference({ auc: 1 }, [one], 1);
    expect(difference).toBeCloseTo(auc(one.scores[0], one.up) - auc(one.scores[1], one.up), 14);
    expect(standardError).toBeCloseTo(Math.sqrt(square), 14);
  });

  it('of AUCs over folds weighs their errors as it weighs them', () => {
    const of = (blocks: readonly PairedBlock[]) => pairedDifference({ auc: 1 }, blocks, 1);
    const [first, second, both] = [of([one]), of([two]), of([one, two])];
    expect(both.difference).toBeCloseTo(0.6 * first.difference + 0.4 * second.difference, 14);
    expect(both.standardError).toBeCloseTo(
      Math.hypot(0.6 * first.standardError, 0.4 * second.standardError),
      14,
    );
  });

  it('of a weighted sum takes into account what its parts share, over folds of different length', () => {
    const blocks = [one, two];
    const of = (weights: Parameters<typeof pairedDifference>[0]) => pairedDifference(weights, blocks, 1);
    const [score, ranked, hits] = [of({ auc: 0.7, dir_acc: 0.3 }), of({ auc: 1 }), of({ dir_acc: 1 })];
    const all = (side: 0 | 1) =>
      directionAccuracy(
        [...blocks.flatMap(({ probabilities }) => Array.from(probabilities[side]))],
        blocks.flatMap(({ up }) => Array.from(up)),
      );
    expect(hits.difference).toBeCloseTo(all(0) - all(1), 14);
    expect(score.difference).toBeCloseTo(0.7 * ranked.difference + 0.3 * hits.difference, 14);
    const apart = Math.hypot(0.7 * ranked.standardError, 0.3 * hits.standardError);
    const together = 0.7 * ranked.standardError + 0.3 * hits.standardError;
    expect(score.standardError).toBeGreaterThan(apart);
    expect(score.standardError).toBeLessThan(together);
  });

  it('of a forecast to itself is nothing, and cannot be said without rows or with one class', () => {
    const same: PairedBlock = {
      ...one,
      scores: [one.scores[0], one.scores[0]],
      probabilities: [one.probabilities[0], one.probabilities[0]],
    };
    expect(pairedDifference({ auc: 1, brier: 1 }, [same], 4)).toEqual({
      ...{ difference: 0, standardError: 0, pValue: NaN },
    });
    expect(pairedDifference({ auc: 1 }, [], 1)).toEqual({
      ...{ difference: NaN, standardError: NaN, pValue: NaN },
    });
    const ups = { ...one, up: Array.from(one.up, () => 1) };
    expect(pairedDifference({ auc: 1 }, [ups], 1).standardError).toBeNaN();
  });

  it('of rows that overlap takes the products of neighbours together', () => {
    const overlapping = block(new Mt19937(3), 200, { horizon: 4 });
    const losses = [0, 1].map((side) =>
      Array.from(overlapping.probabilities[side]!, (p, row) => (p - overlapping.up[row]!) ** 2),
    );
    const differences = losses[0]!.map((loss, row) => loss - losses[1]![row]!);
    const center = mean(differences);
    let square = 0;
    for (let t = 0; t < 200; t++)
      for (let s = Math.max(0, t - 3); s < Math.min(200, t + 4); s++)
        square +=
          ((1 - Math.abs(t - s) / 4) * (differences[t]! - center) * (differences[s]! - center)) / 200 ** 2;
    const { standardError } = pairedDifference({ brier: 1 }, [overlapping], 4);
    expect(standardError).toBeCloseTo(Math.sqrt(square), 14);
    expect(standardError / pairedDifference({ brier: 1 }, [overlapping], 1).standardError).toBeGreaterThan(
      1.05,
    );
  });

  it.each([
    ['independent rows', 1, { low: 0.9, called: 0.09 }],
    // Newey and West's weights are too small for what lasts as long as this.
    ['targets that overlap, and so does what each sees', 4, { low: 0.8, called: 0.13 }],
  ])('has the error that repeated markets show: %s', (_, horizon, { low, called: calledMax }) => {
    const draws = new Mt19937(5 + horizon);
    const repeated = Array.from({ length: 400 }, () =>
      pairedDifference({ auc: 0.7, dir_acc: 0.3 }, [block(draws, 250, { horizon })], horizon),
    );
    const spread = Math.sqrt(
      variance(
        repeated.map(({ difference }) => difference),
        1,
      ),
    );
    const told = mean(repeated.map(({ standardError }) => standardError));
    expect(told / spread).toBeGreaterThan(low);
    expect(told / spread).toBeLessThan(1.1);
    // Equally good: hardly more than one in twenty is called different.
    const called = repeated.filter(({ pValue }) => pValue < 0.05).length / repeated.length;
    expect(called).toBeLessThan(calledMax);
    expect(called).toBeGreaterThan(0.02);
  });
});
