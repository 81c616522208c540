/** Judging and aggregating, on small made-up markets and made-up forecasts. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Mt19937 } from '../../shared/core/sampler/mt19937.js';
import { aggregateTrial, failureMetrics, foldSummary } from './aggregate-trial.js';
import type { FoldEvaluation, FoldInput } from './evaluate-fold.js';
import { evaluateFold, evaluateFoldHonest, evaluateFoldV6 } from './evaluate-fold.js';
import { market, ready, settings } from './market.test-helper.js';
import type { TrialData } from './prepare-trial-data.js';
import { prepareFold } from './prepare-trial-data.js';
import { countReturns, decide } from './strategy.js';

/** Outputs of a network that knows a little: its logit leans towards the truth. */
function outputs(y: Float64Array, seed: number, skill: number) {
  const random = new Mt19937(seed);
  const logit = y.map((value) => skill * Math.sign(value) + 2 * (random.nextDouble() - 0.5));
  return { mu: logit.map((z) => z * 0.3), logvar: logit.map(() => -0.1), logit };
}
function foldInput(data: TrialData, id: number, extra: Partial<FoldInput> = {}, skill = 0.5): FoldInput {
  const fold = prepareFold(data, data.folds[id]!);
  return {
    calibration: { outputs: outputs(fold.calibration.y, 2 * id, skill), data: fold.calibration },
    test: { outputs: outputs(fold.test.y, 2 * id + 1, skill), data: fold.test },
    targetScale: fold.targetScale,
    secondsPerStep: data.secondsPerStep,
    params: { probSource: 'logit', thresholds: [0.55], confidenceMargin: 0.02, kellyClip: 0.5 },
    evaluation: data.evaluation,
    ...extra,
  };
}
function evaluated(input: FoldInput): FoldEvaluation {
  const outcome = evaluateFold(input);
  if (outcome.kind === 'diverged') throw new Error(outcome.message);
  return outcome;
}

describe('strategy', () => {
  const chain = (length: number) => Uint32Array.from({ length }, (_, i) => i);
  const long = (length: number) => ({
    positions: new Float64Array(length).fill(1),
    active: Array<boolean>(length).fill(true),
  });

  it('pays for closing, also where the candles do not follow on', () => {
    const y = new Float64Array(4);
    const accounting = (anchors: Uint32Array) =>
      ({ form: 'bar-aware', anchors, horizon: 1, secondsPerStep: 3600 }) as const;
    const whole = countReturns(long(4), y, accounting(chain(4)), 10);
    [-0.001, 0, 0, -0.001].forEach((cost, t) => expect(whole.net[t]).toBeCloseTo(cost, 12));
    expect(whole).toMatchObject({ turnover: 2, trades: 1, activeFraction: 1 });
    const broken = countReturns(long(4), y, accounting(Uint32Array.of(0, 1, 9, 10)), 10);
    expect(broken).toMatchObject({ turnover: 4, trades: 2 });
    expect(broken.maxDrawdown).toBeCloseTo(0.999 ** 4 - 1, 6);
    expect(countReturns(long(4), y, { form: 'v6', periodsPerYear: 1 }, 10).turnover).toBe(1);
  });

  it('holds non-overlapping periods for a horizon above 1', () => {
    const accounting = { form: 'bar-aware', anchors: chain(7), horizon: 3, secondsPerStep: 3600 } as const;
    const figures = countReturns(long(7), new Float64Array(7).fill(0.01), accounting, 0);
    expect(figures.net).toHaveLength(3);
    expect(figures.periodsPerYear).toBeCloseTo(8760 / 3, 9);
  });

  it('counts hits over steps with a position, turning around as a trade', () => {
    const decisions = decide(new Float64Array([0.7, 0.5, 0.3, 0.7]), null, {
      threshold: 0.55,
      confidenceMargin: 0,
      kellyClip: 1,
    });
    const accounting = { form: 'bar-aware', anchors: chain(4), horizon: 1, secondsPerStep: 60 } as const;
    const figures = countReturns(decisions, new Float64Array([0.1, 0.1, -0.1, -0.1]), accounting, 0);
    expect(figures.hitRate).toBeCloseTo(2 / 3, 12);
    expect(figures.trades).toBe(3);
  });
});

describe('judging a fold', () => {
  const candles = market(1200);

  it.each([
    ['none', {}],
    ['ex-ante', { gate: 'ex-ante', gate_width_ratio: 8 }],
  ] as const)('no position depends on later data: gate %s', (_, extra) => {
    const data = ready(candles, 8, settings(extra));
    const params = {
      probSource: 'logit',
      thresholds: [0.51, 0.6, 0.7],
      confidenceMargin: 0.01,
      kellyClip: 0.5,
    } as const;
    const input = foldInput(data, 1, { params });
    const { predictions } = evaluated(input);
    const rows = predictions.y.length;
    expect(predictions.position.some((position) => position !== 0)).toBe(true);
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: rows - 1 }),
        fc.array(fc.double({ min: -0.2, max: 0.2, noNaN: true }), { minLength: rows, maxLength: rows }),
        (from, future) => {
          const y = input.test.data.y.map((value, t) => (t < from ? value : future[t]!));
          const up = Uint8Array.from(y, (value) => Number(value > 0));
          const changed = evaluateFoldHonest({
            ...input,
            test: { ...input.test, data: { ...input.test.data, y, up } },
          });
          expect(changed.kind === 'evaluated' && changed.predictions.position).toEqual(predictions.position);
          expect(changed.kind === 'evaluated' && changed.predictions.probability).toEqual(
            predictions.probability,
          );
        },
      ),
      { numRuns: 30 },
    );
  });

  it("the original's gate does look ahead: the same replacement moves its positions", () => {
    const data = ready(candles, 8, settings({ gate: 'v6-realised' }));
    const input = foldInput(data, 1);
    const wild = input.test.data.y.map(() => 0.5);
    const data2 = { ...input.test.data, y: wild };
    expect(evaluated({ ...input, test: { ...input.test, data: data2 } }).predictions.position).not.toEqual(
      evaluated(input).predictions.position,
    );
  });

  it('converts standardised outputs back to log returns', () => {
    const data = ready(candles, 8, settings());
    const input = foldInput(data, 0);
    const { predictions } = evaluated(input);
    expect(predictions.mu[0]).toBeCloseTo(Number(input.test.outputs.mu[0]) * input.targetScale, 14);
    expect(predictions.sigma[0]).toBeCloseTo(Math.exp(-0.05) * input.targetScale, 14);
    expect(predictions.lower[0]).toBeLessThan(predictions.mu[0]!);
  });

  it('reports divergence instead of figures', () => {
    const input = foldInput(ready(candles, 8, settings()), 0);
    const mu = input.test.outputs.mu as Float64Array;
    mu[3] = NaN;
    expect(evaluateFoldHonest(input)).toEqual({
      kind: 'diverged',
      message: 'forecast 3 of the test part is not finite',
    });
    expect(evaluateFoldV6(input).kind).toBe('diverged');
  });

  it('takes several thresholds by the calibration rows, a fixed calibrator as told', () => {
    const data = ready(candles, 8, settings({ calibrator: 'raw' }));
    const params = {
      probSource: 'logit',
      thresholds: [0.9, 0.55],
      confidenceMargin: 0,
      kellyClip: 1,
    } as const;
    const result = evaluated(foldInput(data, 0, { params }));
    expect(result.calibrator).toBe('raw');
    expect([0.55, 0.9]).toContain(result.threshold);
    expect(result.predictions.probability).toEqual(result.predictions.rawProbability);
  });

  it('finds an over-confident logit and cools it down by cross-validation', () => {
    const data = ready(market(2000), 8, settings({ calibration_rows: 900 }));
    const input = foldInput(data, 1);
    const heat = (part: FoldInput['test']) => ({
      ...part,
      outputs: { ...part.outputs, logit: Float64Array.from(part.outputs.logit, (z) => 8 * z) },
    });
    const result = evaluated({ ...input, calibration: heat(input.calibration), test: heat(input.test) });
    expect(result.calibrator).not.toBe('raw');
    expect(result.metrics['Brier']).toBeLessThan(result.metrics['Brier_raw']!);
    // A monotone calibrator cannot move the headline.
    expect(result.scoreAuc).toBeCloseTo(evaluated(input).scoreAuc, 12);
  });
});

describe('aggregating a trial', () => {
  const data = ready(market(1200), 8, settings());
  const folds = [0, 1, 2].map((id) => evaluated(foldInput(data, id)));
  const complete = (list: readonly FoldEvaluation[], evaluation = data.evaluation) => {
    const outcome = aggregateTrial(list, evaluation, 7);
    if (outcome.kind === 'infeasible') throw new Error(outcome.message);
    return outcome.metrics;
  };

  it('pools test rows and gives every headline its error', () => {
    const metrics = complete(folds);
    expect(metrics['test_rows']).toBe(180);
    expect(metrics['auc']).toBeCloseTo(
      folds.reduce((sum, { scoreAuc }) => sum + scoreAuc / 3, 0),
      12,
    );
    expect(metrics['dir_acc']).toBeCloseTo(
      folds.reduce((sum, { metrics: m }) => sum + m['DirAcc']! / 3, 0),
      12,
    );
    for (const key of ['auc_se', 'dir_acc_se', 'sharpe_se', 'sharpe_low', 'sharpe_high']) {
      expect(metrics[key], key).not.toBeNaN();
    }
    expect(metrics['sharpe_psr']! > 0.5).toBe(metrics['sharpe']! > 0);
    expect(metrics['auc_se']).toBeGreaterThan(0.02);
    expect(metrics['auc_se']).toBeLessThan(0.08);
    // The same rows: both are lucky together.
    const correlation = metrics['auc_dir_acc_cov']! / (metrics['auc_se']! * metrics['dir_acc_se']!);
    expect(correlation).toBeGreaterThan(0.5);
    expect(correlation).toBeLessThan(1);
    // Twice as many folds, alike: half the variance, and half of what they share.
    expect(complete([...folds, ...folds])['auc_dir_acc_cov']).toBeCloseTo(
      metrics['auc_dir_acc_cov']! / 2,
      12,
    );
    expect(metrics['dir_acc_excess']).toBeCloseTo(metrics['dir_acc']! - metrics['majority_share']!, 12);
    expect(complete(folds)).toEqual(metrics);
  });

  it('rows that overlap are no rows of their own, in what AUC and hits share as well', () => {
    const shared = (horizon: number) => complete(folds, settings({ horizon }))['auc_dir_acc_cov'];
    const expected = (horizon: number) => {
      const mean = complete(folds)['dir_acc']!;
      let sum = 0;
      for (const {
        hits,
        scoreAucDeviation: { shares },
      } of folds)
        for (let t = 0; t < hits.length; t++)
          for (let s = Math.max(0, t - horizon + 1); s < Math.min(hits.length, t + horizon); s++)
            sum += ((1 - Math.abs(t - s) / horizon) * shares[t]! * (hits[s]! - mean)) / 180 / folds.length;
      return sum;
    };
    expect(shared(1)).toBeCloseTo(expected(1), 14);
    expect(shared(4)).toBeCloseTo(expected(4), 14);
    expect(Math.abs(shared(4)! / shared(1)! - 1)).toBeGreaterThan(0.01);
  });

  it('says so when nothing was traded, as Sharpe 0 or as infeasible', () => {
    const params = { probSource: 'logit', thresholds: [1], confidenceMargin: 0.5, kellyClip: 1 } as const;
    const idle = [0, 1, 2].map((id) => evaluated(foldInput(data, id, { params })));
    expect(complete(idle)).toMatchObject({
      sharpe: 0,
      no_trades: 1,
      trades: 0,
      traded_folds: 0,
      max_drawdown: 0,
    });
    const strict = settings({ min_trades: 1 });
    expect(aggregateTrial(idle, strict, 7)).toEqual({
      kind: 'infeasible',
      message: '0 trades, fewer than evaluation.min_trades (1)',
    });
    expect(complete(idle, settings({ sharpe_aggregation: 'v6-drop-nan' }))['sharpe']).toBeNaN();
    expect(complete(idle, settings({ sharpe_aggregation: 'briefing-minus-10' }))['sharpe']).toBe(-10);
  });

  it('an undefined AUC is infeasible, and vanishes only under v6', () => {
    const broken = [
      ...folds.slice(0, 2),
      { ...folds[2]!, scoreAuc: NaN, metrics: { ...folds[2]!.metrics, AUC: NaN } },
    ];
    expect(aggregateTrial(broken, data.evaluation, 7)).toMatchObject({ kind: 'infeasible' });
    expect(complete(broken, settings({ sharpe_aggregation: 'v6-drop-nan' }))).toMatchObject({
      ...{ valid_auc_folds: 2, auc: complete(folds.slice(0, 2))['auc'] },
    });
  });

  it('under v6 a standard error is that of the figure beside it, or is not there', () => {
    const undefinedAuc = (fold: FoldEvaluation): FoldEvaluation => ({
      ...fold,
      scoreAuc: NaN,
      metrics: { ...fold.metrics, AUC: NaN },
    });
    const longer = evaluated(foldInput(ready(market(1200), 8, settings({ test_rows: 90 })), 0));
    const original = settings({ sharpe_aggregation: 'v6-drop-nan', auc: 'time-order' });
    const midRank = settings({ sharpe_aggregation: 'v6-drop-nan' });
    const errors = (list: readonly FoldEvaluation[], evaluation: typeof original) => {
      const { auc_se: auc, dir_acc_se: hits, auc_dir_acc_cov: shared } = complete(list, evaluation);
      return { auc, hits, shared };
    };
    const pooled = errors(folds, settings());
    expect(errors(folds, original)).toEqual(pooled);
    expect(errors(folds, midRank)).toEqual(pooled);
    // Its plain mean of folds of different lengths is not the mean over rows.
    const none = { auc: undefined, hits: undefined, shared: undefined };
    expect(errors([longer, folds[1]!, folds[2]!], original)).toEqual(none);
    expect(errors([longer, folds[1]!, folds[2]!], midRank).auc).toBeGreaterThan(0);
    // A fold that has no AUC has hits nevertheless.
    const broken = [folds[0]!, folds[1]!, undefinedAuc(folds[2]!)];
    expect(errors(broken, original)).toEqual(none);
    expect(errors(broken, midRank)).toEqual({
      auc: errors(folds.slice(0, 2), settings()).auc,
      hits: pooled.hits,
      shared: undefined,
    });
    expect(complete([undefinedAuc(folds[0]!)], midRank)['auc_se']).toBeNaN();
  });

  it('summarises folds and scores failures as told', () => {
    expect(foldSummary(folds)['DirAcc']?.mean).toBeCloseTo(complete(folds)['dir_acc']!, 12);
    expect(failureMetrics(data.evaluation)).toBeNull();
    expect(failureMetrics(settings({ failure_value: 'zero' }))).toMatchObject({ auc: 0, dir_acc: 0 });
  });
});
