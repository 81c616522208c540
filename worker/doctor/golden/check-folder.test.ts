import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Runtime } from '../../trainers/runtime/runtime.js';
import { createWasmRuntime } from '../../trainers/runtime/wasm-runtime.js';
import { checkGoldenText } from './check-file.js';
import { checkGoldenFolder, goldenPassed, verdictLine } from './check-folder.js';
import { Figures } from './figures.js';
import { prepareGoldenFold, type GoldenFold } from './golden-fold.js';
import { hermiteActivation } from './hermite-activation.js';

const golden = path.resolve(import.meta.dirname, '../../../../shared/golden/hermite');
const present = existsSync(golden);
const titled = (title: string): string =>
  present ? title : `${title} (skipped: no ../shared/golden/hermite beside the project)`;

let runtime: Runtime;
let folder: string;
beforeAll(async () => {
  runtime = await createWasmRuntime();
  folder = mkdtempSync(path.join(tmpdir(), 'parzen-golden-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

type Path = readonly (string | number)[];

/** The file's text with one figure replaced. */
function changed(name: string, where: Path, change: (value: unknown) => unknown): string {
  const file: unknown = JSON.parse(readFileSync(path.join(golden, name), 'utf8'));
  let parent = file as Record<string | number, unknown>;
  for (const key of where.slice(0, -1)) parent = parent[key] as Record<string | number, unknown>;
  const last = where.at(-1)!;
  expect(parent).toHaveProperty([String(last)]);
  parent[last] = change(parent[last]);
  return JSON.stringify(file);
}

const larger = (value: unknown): number => Number(value) * 1.001 + 1e-4;
const other = (value: unknown): unknown => (typeof value === 'boolean' ? !value : 'another');

describe.skipIf(!present)(titled('the golden figures beside the project'), () => {
  it('are met by every file, and nothing is left unlooked at', async () => {
    const checked = await checkGoldenFolder(golden, runtime);
    expect(checked.filter(({ result }) => result.verdict !== 'ok').map(({ file }) => file)).toEqual([
      'README.md',
    ]);
    expect(checked.map(({ file }) => file)).toEqual(readdirSync(golden).sort());
    expect(goldenPassed(checked)).toBe(true);
    const kinds = checked.map(({ result }) => ('kind' in result ? result.kind : ''));
    expect([...new Set(kinds)].sort()).toEqual(
      [
        '',
        'features',
        'fold_train',
        'hermite',
        'metrics',
        'model',
        'objective',
        'splits',
        'train_small',
      ].sort(),
    );
    expect(runtime.memory().tensors).toBe(0);
  });

  const tampered: [string, Path, RegExp][] = [
    ['features.json', ['features_default', 'data', 'log_ret_ema_6', 77], /log_ret_ema_6\[77\]/],
    ['features.json', ['features_edge', 'columns', 3], /features_edge columns/],
    ['features.json', ['labels', 1, 'log_return', 9], /labels/],
    ['features.json', ['datasets', 1, 'scaler', 'mean', 40], /scaler mean\[40\]/],
    ['features.json', ['datasets', 0, 'scaler', 'transformed', 2, 5], /transformed row 2\[5\]/],
    ['splits.json', ['cases', 2, 'folds', 0, 'validation', 1], /case 2 fold 0 validation/],
    ['hermite.json', ['cases', 9, 'value', 4], /value\[4\]/],
    ['hermite.json', ['cases', 9, 'autograd_dvalue_dz', 5], /autograd_dvalue_dz\[5\]/],
    ['model_a.json', ['outputs', 'f64', 'mu', 2], /mu\[2\]/],
    ['model_b.json', ['outputs', 'intermediate_f64', 'block_features', 'data', 30], /block_features\[30\]/],
    ['model_b.json', ['grad_focal_f64', 'block.bias', 'data', 3], /grad block.bias \(focal\)\[3\]/],
    ['model_c.json', ['outputs', 'loss_bce_f64', 'sign'], /bce sign/],
    ['train_small.json', ['schedules', 0, 'lr', 12], /schedule 0 lr\[12\]/],
    [
      'train_small.json',
      ['cases', 0, 'trace_f64', 'steps', 3, 'grad_norm_before_clip'],
      /case 0 gradient norm of step 3/,
    ],
    [
      'train_small.json',
      ['cases', 1, 'trace_f64', 'final_weights', 'block.bias', 'data', 2],
      /case 1 final block.bias\[2\]/,
    ],
    ['fold_train.json', ['cases', 0, 'trace_f64', 'val_loss', 4], /val_loss of epoch 4/],
    ['fold_train.json', ['cases', 1, 'metrics', 'Sharpe_strategy'], /metric Sharpe_strategy/],
    ['fold_train.json', ['cases', 2, 'chosen'], /chosen|calibrator/],
    ['fold_train.json', ['cases', 3, 'outputs_f64', 'validation', 'logit', 6], /probability\[6\]/],
    ['metrics.json', ['auc', 2, 'midrank'], /auc .*mid-rank/],
    ['metrics.json', ['strategy', 3, 'runs', 1, 'turnover'], /turnover/],
    ['metrics.json', ['forecast_tests', 0, 'ljung_box', 'p_value'], /Ljung–Box p/],
    ['metrics.json', ['conformal', 1, 'std_gauss', 'coverage'], /coverage/],
    ['objective.json', ['cases', 1, 'stage2_script', 'attrs', 'sharpe_std'], /sharpe_std/],
    ['objective.json', ['stage1_effective', 'training', 'focal_gamma'], /training.focal_gamma/],
  ];
  it.each(tampered)('are missed when one is changed: %s %j', async (name, where, expected) => {
    const text = changed(name, where, (value) => (typeof value === 'number' ? larger(value) : other(value)));
    const result = await checkGoldenText(text, runtime);
    if (result.verdict === 'broken') expect(result.reason).toMatch(/another/);
    else expect(result).toMatchObject({ verdict: 'miss', worst: { where: expect.stringMatching(expected) } });
  });

  it('of folds may have ranges that no plan of the project would make, and settings without effect', () => {
    const file = JSON.parse(readFileSync(path.join(golden, 'fold_train.json'), 'utf8')) as {
      candles: unknown;
      cases: { window: number; fold: object; training: object; evaluation: object; strategy: object }[];
    };
    const fixed = file.cases[0]!;
    fixed.window = 140;
    fixed.fold = { train: [0, 90], calibration: [90, 130], validation: [130, 160] };
    Object.assign(fixed.training, { optimizer: 'adamw', scheduler: 'one-cycle', cv_folds: 5, seed: 42 });
    Object.assign(fixed.evaluation, { threshold: 0.55 });
    Object.assign(fixed.strategy, { extras: [1] });
    const read = (): GoldenFold =>
      prepareGoldenFold(new Figures(fixed, 'cases[0]'), new Figures(file.candles, 'candles'));
    expect(read().parts.train.rows).toHaveLength(90);
    expect(read().parts.test.rows).toHaveLength(30);
    fixed.fold = { train: [0, 90], calibration: [90, 130], validation: [130, 9000] };
    expect(read).toThrow(/cases\[0\]: fold reaches beyond the \d+ samples/);
  });

  it('are known by their content, whatever the file is called', async () => {
    writeFileSync(path.join(folder, 'anything.json'), readFileSync(path.join(golden, 'model_a.json')));
    const [checked] = await checkGoldenFolder(folder, runtime);
    expect(checked).toMatchObject({ file: 'anything.json', result: { verdict: 'ok', kind: 'model' } });
    rmSync(path.join(folder, 'anything.json'));
  });
});

describe('files of a folder', () => {
  const write = (name: string, value: unknown): void =>
    writeFileSync(path.join(folder, name), typeof value === 'string' ? value : JSON.stringify(value));
  const split = (folds: unknown) => ({
    cases: [
      {
        ...{ dataset_length: 1484, feature_window: 16, validation_split: 0.2, use_cv: true, cv_folds: 5 },
        ...{ val_block: 128, calibration_fraction: 0.1, min_calib_size: 256, ...(folds as object) },
      },
    ],
  });

  it('are judged one by one: right, wrong, broken, skipped', async () => {
    write('a-right.json', {
      ...split({ error: 'no_folds' }),
      cases: [{ ...split({}).cases[0], dataset_length: 0, error: 'dataset_length_not_positive' }],
    });
    write('b-wrong.json', split({ error: 'no_folds' }));
    write('c-broken.json', { cases: [{ dataset_length: 'many' }] });
    write('d-other.json', { hello: 1 });
    write('e-list.json', [1, 2]);
    write('f-cut.json', '{"cases": [');
    write('notes.txt', 'x');
    write('g-empty.json', { auc: [] });
    write('h-void.json', '');
    write('i-half.json.part', '{"cases": [');
    symlinkSync(path.join(folder, 'nowhere'), path.join(folder, 'j-link.json'));
    mkdirSync(path.join(folder, 'more'));
    const checked = await checkGoldenFolder(folder, runtime);
    const lines = checked.map(verdictLine);
    expect(lines[0]).toBe('ok   a-right.json  exact');
    expect(lines[1]).toBe('MISS b-wrong.json  wrong  (case 0 error: got "folds", not "no_folds")');
    expect(lines[2]).toMatch(/^MISS c-broken.json {2}splits: cases\[0\]/);
    expect(lines[3]).toMatch(/^MISS d-other.json {2}unrecognised: none of the kinds fold_train, /);
    expect(lines[4]).toMatch(/^MISS e-list.json {2}unrecognised/);
    expect(lines[5]).toBe('MISS f-cut.json  unrecognised: not JSON; cut short?');
    expect(lines[6]).toBe('MISS g-empty.json  metrics: holds no figure to compare');
    expect(lines[7]).toBe('MISS h-void.json  unrecognised: empty');
    expect(lines[8]).toBe('MISS i-half.json.part  unrecognised: not a whole, unpacked .json file');
    expect(lines[9]).toMatch(/^MISS j-link.json {2}unrecognised: cannot be read: ENOENT/);
    expect(lines[10]).toBe('?    notes.txt  skipped: not a .json file');
    expect(goldenPassed(checked)).toBe(false);
    const [right, , , ...others] = checked;
    expect(goldenPassed([right!, others.at(-1)!])).toBe(true);
    // One right file does not make up for one that cannot be judged, and nothing judged is nothing proven.
    for (const file of others.slice(0, -1)) expect(goldenPassed([right!, file]), file.file).toBe(false);
    expect(goldenPassed(others.slice(-1))).toBe(false);
  });

  it('must be there', async () => {
    await expect(checkGoldenFolder(path.join(folder, 'none'), runtime)).rejects.toThrow(
      /cannot be read: ENOENT/,
    );
  });

  it('spell what JSON cannot', async () => {
    const constant = {
      name: 'one class',
      prob: [0.2, 0.4],
      y: [1, 2],
      time_order_ranks: null,
      midrank: null,
    };
    expect(await checkGoldenText(JSON.stringify({ auc: [constant] }), runtime)).toMatchObject({
      verdict: 'ok',
    });
    const defined = { ...constant, midrank: 0.5 };
    expect(await checkGoldenText(JSON.stringify({ auc: [defined] }), runtime)).toMatchObject({
      ...{ verdict: 'miss', worst: { ratio: Infinity, detail: 'got NaN, not 0.5' } },
    });
  });
});

describe('the activation in doubles', () => {
  it('is the polynomial: He₂ = z² − 1, H₃ = 8z³ − 12z', () => {
    expect(hermiteActivation([0, 0, 1], 'probabilist', 3)).toMatchObject({
      value: 8,
      derivative: 6,
      slope: 6,
    });
    expect(hermiteActivation([0, 0, 0, 1], 'physicist', 2)).toMatchObject({ value: 40, derivative: 84 });
    expect(hermiteActivation([0, 0, 1], 'probabilist', 12)).toMatchObject({
      value: 99,
      derivative: 20,
      slope: 0,
    });
    expect(hermiteActivation([5], 'physicist', 1)).toMatchObject({ value: 5, derivative: 0, slope: 0 });
  });
});
