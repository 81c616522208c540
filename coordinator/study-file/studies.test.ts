import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { gridSize } from '../../shared/core/space/make-parameter.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import { formatProblems, parseStudyFile } from './parse-study-file.js';

const folder = path.resolve(import.meta.dirname, '../../studies');
const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));

function studyOf(file: string): { definition: StudyDefinition; notices: readonly string[] } {
  const parsed = parseStudyFile(readFileSync(path.join(folder, file), 'utf8'));
  if (parsed.kind === 'problems') throw new Error(formatProblems(file, parsed.problems));
  return parsed;
}

/** Eight values of the warm start lie off the grid (hermite-model.md §17.2). */
const offGrid = [
  'dropout',
  'focal_gamma',
  'gradient_clip',
  'reg_weight',
  'cls_weight',
  'unc_weight',
  'sign_hinge_weight',
  'feature_window',
];

describe('the studies of the package', () => {
  it.each(files)('%s is free of mistakes and named like its file', (file) => {
    expect(studyOf(file).definition.name).toBe(path.parse(file).name);
  });

  it('v6-stage1 is the study of the briefing', () => {
    const { definition, notices } = studyOf('v6-stage1.yaml');
    expect(definition).toMatchObject({
      objectives: [{ name: 'score', direction: 'maximize', weights: { auc: 0.7, dir_acc: 0.3 } }],
      trials: 2500,
      sampler: {
        type: 'tpe',
        seed: 42,
        startupTrials: 250,
        eiCandidates: 64,
        multivariate: true,
        group: false,
        constantLiar: true,
        rules: 'optuna-4',
      },
      trainer: 'hermite',
      evaluation: { profile: 'honest' },
      failure: {
        oom: 'retry-bigger-gpu',
        diverged: 'value',
        divergedValue: 0,
        errorRetriesMax: 1,
        timeoutRetriesMax: 1,
        lostRetriesMax: 5,
      },
    });
    expect(definition.fixed).toMatchObject({
      use_lstm: true,
      prob_source: 'pdf',
      batch_size: 512,
      threshold: 0.6243501180239593,
      confidence_margin: 0.10478522730539439,
      kelly_clip: 0.9399874126598519,
    });
    expect(definition.enqueue).toHaveLength(1);
    expect(Object.keys(definition.enqueue[0]!)).toEqual(definition.space.map(({ name }) => name));
    expect(definition.enqueue[0]).toMatchObject({
      learning_rate: 1.8200268769372706e-5,
      dropout: 0.05946113101962681,
      feature_window: 227,
    });
    const marked = notices.filter((notice) => notice.includes('enqueue[0]'));
    expect(marked.map((notice) => /enqueue\[0\]\.(\w+)/.exec(notice)?.[1])).toEqual(offGrid);
  });

  it('all V6 studies have the space of the table, in its order, with as many values', () => {
    for (const file of ['v6-stage1.yaml', 'v6-noise.yaml', 'v6-original.yaml', 'quick.yaml']) {
      const { space } = studyOf(file).definition;
      expect(space.map((parameter) => [parameter.name, gridSize(parameter)])).toEqual([
        ['hermite_version', 2],
        ['hermite_degree', 5],
        ['hermite_maps_a', 6],
        ['hermite_maps_b', 5],
        ['hermite_hidden_dim', 5],
        ['dropout', 40],
        ['lstm_hidden', 5],
        ['classification_loss', 2],
        ['focal_gamma', 36],
        ['learning_rate', null],
        ['weight_decay', null],
        ['gradient_clip', 19],
        ['reg_weight', 36],
        ['cls_weight', 30],
        ['unc_weight', 21],
        ['sign_hinge_weight', 31],
        ['feature_window', 31],
      ]);
      const product = space.reduce((all, parameter) => all * BigInt(gridSize(parameter) ?? 1), 1n);
      expect(product).toBe(8_944_864_992_000_000n);
    }
  });

  it('v6-original differs from v6-stage1 in name, data, evaluation and budget only', () => {
    const honest = studyOf('v6-stage1.yaml').definition;
    const original = studyOf('v6-original.yaml').definition;
    for (const key of ['objectives', 'trials', 'sampler', 'space', 'enqueue', 'trainer'] as const)
      expect(original[key]).toEqual(honest[key]);
    expect(original.data).toEqual({ kind: 'dataset', dataset: 'btcusdt-1h', bars: 1500 });
    expect(original.evaluation['profile']).toBe('v6');
  });

  it('v6-noise differs from v6-stage1 in name and data only', () => {
    const { name, data, ...noise } = studyOf('v6-noise.yaml').definition;
    const { name: honestName, data: real, ...honest } = studyOf('v6-stage1.yaml').definition;
    expect([name, honestName]).toEqual(['v6-noise', 'v6-stage1']);
    expect(noise).toEqual(honest);
    expect(data).toEqual({ ...real, randomSigns: { seed: 1 } });
  });

  it('v6-stage1 trains on thousands of rows, for 250 optimiser steps in all', () => {
    const { evaluation, fixed, data } = studyOf('v6-stage1.yaml').definition;
    expect(data).toMatchObject({ bars: 34_000 });
    const folds = Number(evaluation['fold_count']);
    expect(Number(evaluation['train_rows_min'])).toBeGreaterThanOrEqual(4000);
    expect(folds * Number(evaluation['test_rows'])).toBeGreaterThanOrEqual(10_000);
    expect(folds * Number(fixed['steps'])).toBe(250);
  });

  it('quick says openly that its market is synthetic', () => {
    const { data, trials } = studyOf('quick.yaml').definition;
    expect(data).toMatchObject({ kind: 'synthetic', name: 'synthetic-signal' });
    expect(trials).toBeLessThanOrEqual(30);
  });
});
