import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BestConfigError, formatBestConfig, readBestConfig } from '../../shared/core/study/best-config.js';
import { bestConfigOf } from './best-config.js';
import { definition, study, trialOf } from './results.test-helper.js';

describe('the best configuration', () => {
  it('reads back exactly, also NaN, infinities and awkward texts', () => {
    const trial = trialOf(7, {
      params: { learning_rate: 1.8200268769372706e-5, hermite_version: 'physicist', feature_window: 227 },
      offGrid: true,
      values: [0.5868],
      metrics: { auc: 0.1 + 0.2, sharpe: Number.NaN, low: -Infinity, high: Infinity, zero: -0, tiny: 5e-324 },
    });
    const changed = {
      ...study,
      definition: { ...definition, fixed: { a: 'yes', b: '1e5', c: ' # x: y\n', d: null } },
    };
    const config = bestConfigOf(changed, trial, [7]);
    expect(readBestConfig(formatBestConfig(config))).toEqual(config);
    expect(config).toMatchObject({
      study: 'demo',
      trial: 7,
      values: { score: 0.5868 },
      paretoFront: [],
      seed: 42,
    });
  });

  it('shows the effective settings with every default', () => {
    const { effective } = bestConfigOf(study, trialOf(1), []);
    expect(effective).toMatchObject({
      params: { learning_rate: 0.001, batch_size: 512, hermite_degree: 5, budget: { kind: 'steps' } },
      evaluation: { profile: 'honest', fold_count: 3, auc: 'mid-rank', train_rows_min: 4000 },
    });
    const command = { ...study, definition: { ...definition, trainer: 'my-program' } };
    expect(bestConfigOf(command, trialOf(1), []).effective).toEqual({});
  });

  it('names the whole front of a study with several objectives', () => {
    const [first] = definition.objectives;
    const several = { ...definition, objectives: [first!, { ...first!, name: 'other' }] };
    const config = bestConfigOf({ ...study, definition: several }, trialOf(3, { values: [1, 2] }), [3, 9]);
    expect(config).toMatchObject({ values: { score: 1, other: 2 }, paretoFront: [3, 9] });
    expect(readBestConfig(formatBestConfig(config))).toEqual(config);
  });

  it('has the standard errors of the values, or what they are at most, where they can be said', () => {
    const errors = { auc: 0.6, auc_se: 0.03, dir_acc: 0.5, dir_acc_se: 0.04 };
    const { weights } = definition.objectives[0]!;
    const of = (metrics: Record<string, number>) => {
      const config = bestConfigOf(study, trialOf(3, { metrics }), []);
      expect(readBestConfig(formatBestConfig(config))).toEqual(config);
      return config;
    };
    const bound = weights['auc']! * 0.03 + weights['dir_acc']! * 0.04;
    const bounded = of(errors);
    expect(bounded.standardErrors).toEqual({});
    expect(bounded.standardErrorsAtMost['score']).toBeCloseTo(bound, 12);
    const known = of({ ...errors, auc_dir_acc_cov: 0 });
    expect(known.standardErrorsAtMost).toEqual({});
    expect(known.standardErrors['score']).toBeCloseTo(
      Math.hypot(weights['auc']! * 0.03, weights['dir_acc']! * 0.04),
      12,
    );
    expect(formatBestConfig(of({ auc: 0.6 }))).not.toContain('standard_errors');
  });

  it('keeps every float bit for bit and every text as it is', () => {
    const value = fc.oneof(
      fc.double(),
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.boolean(),
      fc.constant(null),
    );
    const name = fc.string({ minLength: 1 }).filter((text) => text !== '__proto__');
    fc.assert(
      fc.property(fc.dictionary(name, value), fc.dictionary(name, fc.double()), (params, metrics) => {
        const config = bestConfigOf(
          study,
          trialOf(1, { params: { ...params }, metrics: { ...metrics } }),
          [],
        );
        const read = readBestConfig(formatBestConfig(config));
        for (const [key, written] of Object.entries(params))
          expect(Object.is(read.params[key], written)).toBe(true);
        for (const [key, written] of Object.entries(metrics))
          expect(Object.is(read.metrics[key], written)).toBe(true);
        expect(Object.keys(read.params)).toHaveLength(Object.keys(params).length);
      }),
    );
  });

  it('says what is wrong with another file', () => {
    const text = formatBestConfig(bestConfigOf(study, trialOf(1), []));
    const cases: [string, string][] = [
      ['', 'expected a map of fields'],
      ['- 1', 'expected a map of fields'],
      ['a: [', 'not a YAML file'],
      ['a: 1', 'the field layout is missing'],
      [
        text.replace('-config-1', '-config-2'),
        "layout is 'parzen-best-config-2', expected parzen-best-config-1",
      ],
      [text.replace(/^trial: .*$/m, 'trial: x'), 'the field trial is not a number'],
      [text.replace(/^trainer: .*$/m, ''), 'the field trainer is missing'],
      [
        text.replace('learning_rate: 0.001', 'learning_rate: [1]'),
        'the field params is not a map of plain values',
      ],
      [text.replace(/^off_grid: .*$/m, 'off_grid: 1'), 'the field off_grid is not true or false'],
    ];
    for (const [content, message] of cases) {
      expect(() => readBestConfig(content)).toThrow(BestConfigError);
      expect(() => readBestConfig(content)).toThrow(message);
    }
  });
});
