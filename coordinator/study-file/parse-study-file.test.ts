import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { builtInTrainers } from '../../shared/core/trainers/built-in.js';
import { formatBestConfig, readBestConfig } from '../../shared/core/study/best-config.js';
import { bestConfigOf } from '../results/best-config.js';
import { base, hermite, noticesOf, studyOf } from './study-file.test-helper.js';

describe('a study without mistakes', () => {
  it('is read with every default filled in', () => {
    expect(studyOf(base)).toEqual({
      name: 'demo',
      objectives: [{ name: 'score', direction: 'minimize', weights: { loss: 1 } }],
      trials: 30,
      sampler: {
        type: 'tpe',
        seed: 42,
        rules: 'optuna-5',
        startupTrials: 10,
        eiCandidates: 24,
        multivariate: true,
        group: false,
        constantLiar: true,
      },
      space: [
        { kind: 'float', name: 'x', low: 0, high: 1, log: false, step: 0.25 },
        { kind: 'int', name: 'n', low: 1, high: 64, log: true, step: 1 },
        { kind: 'categorical', name: 'kind', choices: ['a', 'b', 3, true, null] },
      ],
      fixed: {},
      enqueue: [],
      trainer: 'my-program',
      data: { kind: 'none' },
      evaluation: {},
      failure: {
        oom: 'retry-bigger-gpu',
        diverged: 'value',
        divergedValue: 0,
        errorRetriesMax: 1,
        timeoutRetriesMax: 1,
        lostRetriesMax: 5,
        stallTimeoutSeconds: 900,
        trialTimeoutSeconds: 14_400,
      },
    });
    expect(studyOf(hermite).trainer).toBe('hermite');
  });

  it('takes every section as written', () => {
    const text = `${base}
sampler: { type: tpe, seed: 7, startup_trials: 0, ei_candidates: 8, group: true, constant_liar: false, rules: optuna-4 }
fixed: { alpha: 1.5e-7, word: text, flag: false, none: null }
enqueue:
  - { x: 0.3, kind: 3 }
  - {}
data: { dataset: btc, bars: 100 }
evaluation: { depth: 3, list: [1, two, true] }
failure: { oom: prune, diverged: fail, error_retries: 0, timeout_retries: 2, lost_retries: 3, stall_timeout: 90s, trial_timeout: 1.5h }
`;
    expect(studyOf(text)).toMatchObject({
      sampler: {
        type: 'tpe',
        seed: 7,
        startupTrials: 0,
        eiCandidates: 8,
        group: true,
        multivariate: true,
        constantLiar: false,
        rules: 'optuna-4',
      },
      fixed: { alpha: 1.5e-7, word: 'text', flag: false, none: null },
      enqueue: [{ x: 0.3, kind: 3 }, {}],
      data: { kind: 'dataset', dataset: 'btc', bars: 100 },
      evaluation: { depth: 3, list: [1, 'two', true] },
      failure: {
        oom: 'prune',
        diverged: 'fail',
        divergedValue: 0,
        errorRetriesMax: 0,
        timeoutRetriesMax: 2,
        lostRetriesMax: 3,
        stallTimeoutSeconds: 90,
        trialTimeoutSeconds: 5400,
      },
    });
    expect(studyOf(`${base}sampler: { type: random, seed: 0 }`).sampler).toEqual({ type: 'random', seed: 0 });
    expect(studyOf(`${base}data: { dataset: btc }`).data).toEqual({
      kind: 'dataset',
      dataset: 'btc',
      bars: null,
    });
    expect(studyOf(`${base}data: { dataset: btc, bars: 9, random_signs: { seed: 4 } }`).data).toEqual({
      kind: 'dataset',
      dataset: 'btc',
      bars: 9,
      randomSigns: { seed: 4 },
    });
    const market = { seed: 3, bars: 500, volatility: 0.01, signal: -0.2 };
    expect(
      studyOf(`${base}data: { synthetic: { name: toy, seed: 3, bars: 500, volatility: 0.01, signal: -0.2 } }`)
        .data,
    ).toEqual({
      kind: 'synthetic',
      name: 'toy',
      market,
    });
  });

  it('may name several objectives, in two forms', () => {
    const objectives = [
      { name: 'quality', direction: 'maximize', weights: { auc: 1, dir_acc: 0.5 } },
      { name: 'risk', direction: 'minimize', weights: { drawdown: 1 } },
    ];
    const rest = base.replace(/^direction.*\nobjective.*\n/m, '');
    const listed = `${rest}objectives:
  - { name: quality, direction: maximize, weights: { auc: 1, dir_acc: 0.5 } }
  - { name: risk, direction: minimize, weights: { drawdown: 1 } }
`;
    const named = `${rest}directions: [maximize, minimize]
objective: { quality: { auc: 1, dir_acc: 0.5 }, risk: { drawdown: 1 } }
`;
    for (const text of [listed, named]) {
      const study = studyOf(text);
      expect(study.objectives).toEqual(objectives);
      // With several objectives the joint model is off by default (tpe.md §1).
      expect(study.sampler).toMatchObject({ multivariate: false });
    }
  });

  it('may use anchors', () => {
    const text = `${base}fixed: &same { a: 1 }\nevaluation: *same\n`;
    expect(studyOf(text)).toMatchObject({ fixed: { a: 1 }, evaluation: { a: 1 } });
  });

  it('follows the defaults of the rules it asks for', () => {
    expect(studyOf(`${base}sampler: { rules: optuna-4 }`).sampler).toMatchObject({
      multivariate: false,
      constantLiar: false,
      startupTrials: 10,
      eiCandidates: 24,
    });
  });
});

describe('notices', () => {
  it('tell of a high that was lowered to the grid', () => {
    const text = base.replace('high: 1, step: 0.25', 'high: 0.75, step: 0.2');
    expect(studyOf(text).space[0]).toMatchObject({ high: 0.6 });
    expect(noticesOf(text)).toEqual([
      '7:22 space.x.high: 0.75 is not a whole number of steps above 0; 0.6 is used',
      '10:10 trainer: my-program is not built in: only workers that allow a command of this name take trials',
    ]);
    expect(noticesOf(`${hermite}  feature_window: { low: 16, high: 100, step: 8, int: true }`)).toEqual([
      '8:36 space.feature_window.high: 100 is not a whole number of steps above 16; 96 is used',
    ]);
    // Decimal steps divide: 0.3 is a third of 0.9.
    expect(noticesOf(hermite.replace('high: 0.5', 'high: 0.9, step: 0.3'))).toEqual([]);
  });

  it('tell of enqueued values off the grid, which are kept', () => {
    const text = `${hermite}enqueue:\n  - { dropout: 0.7 }\n`;
    expect(studyOf(text).enqueue).toEqual([{ dropout: 0.7 }]);
    expect(noticesOf(text)).toEqual([
      '9:16 enqueue[0].dropout: 0.7 is not a number from 0 to 0.5; it is used as given and the trial is marked',
    ]);
  });

  it('pass on what the trainer reads differently', () => {
    expect(noticesOf(`${hermite}fixed: { prob_source: pdf }`).join()).toContain(
      'the old word pdf means the logit head',
    );
    expect(noticesOf(base.replace('my-program', 'hermit')).join()).toContain('did you mean hermite?');
    expect(noticesOf(base.replace('my-program', 'instnat')).join()).toContain('did you mean instant?');
  });

  it('are none for the trainers that every worker brings along', () => {
    for (const trainer of builtInTrainers.filter((name) => name !== 'hermite'))
      expect(noticesOf(base.replace('my-program', trainer))).toEqual([]);
    expect(builtInTrainers).toContain('instant');
  });
});

describe('a best configuration', () => {
  it('goes back into a study file as an entry of enqueue and as fixed, float for float', () => {
    const double = fc.double({ noNaN: true, noDefaultInfinity: true, min: 1e-300, max: 1 });
    const first = studyOf(base);
    fc.assert(
      fc.property(double, double, (x, alpha) => {
        const definition = { ...first, fixed: { alpha, word: 'yes' } };
        const study = { definition, definitionHash: '', dataset: null, trialsMax: 30, oomAttempts: 0 };
        const trial = {
          number: 4,
          state: 'COMPLETE' as const,
          reason: 'finished' as const,
          params: { x, n: 3, kind: null },
          offGrid: true,
          values: [1],
          metrics: {},
          attempt: 1,
          message: '',
          worker: null,
          startedAtMs: null,
          finishedAtMs: null,
        };
        const text = formatBestConfig(bestConfigOf(study, trial, []));
        // As a person would do it: the lines of the two sections, moved.
        const section = (name: string): string[] =>
          (new RegExp(`^${name}:\n((?:  .*\n)*)`, 'm').exec(text)?.[1] ?? '')
            .split('\n')
            .filter((line) => line !== '');
        const again = studyOf(
          `${base}enqueue:\n  -\n${section('params')
            .map((line) => `  ${line}`)
            .join('\n')}\nfixed:\n${section('fixed').join('\n')}\n`,
        );
        expect(again.enqueue).toEqual([{ x, n: 3, kind: null }]);
        expect(again.fixed).toEqual({ alpha, word: 'yes' });
        expect(readBestConfig(text).params).toEqual(again.enqueue[0]);
      }),
    );
  });
});
