/** The worker's commands as processes, from the compiled `dist/`. */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Workplace, processesIn, projectRoot } from '../test/helpers/cli.js';

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
});
afterEach(async () => {
  for (const name of ['PARZEN_TRAINERS', 'PARZEN_MEMORY']) Reflect.deleteProperty(process.env, name);
  await place.remove();
});

const splits = (error: string) =>
  JSON.stringify({
    cases: [
      {
        ...{ dataset_length: 0, feature_window: 16, validation_split: 0.2, use_cv: true, cv_folds: 5 },
        ...{ val_block: 128, calibration_fraction: 0.1, min_calib_size: 256, error },
      },
    ],
  });

describe('worker doctor', () => {
  it('says what is there, and that is enough', async () => {
    const { code, stdout } = await place.run('worker', ['doctor']);
    expect(code).toBe(0);
    for (const line of [
      /^versions .*Node \d+/m,
      /^processor .*cores/m,
      /^memory .*GiB/m,
      /^gpu /m,
      /^cache .*: /m,
    ])
      expect(stdout).toMatch(line);
    expect(stdout).toMatch(/^runtime +ok +wasm/m);
  });

  it('compares with golden figures; a miss is exit code 1', async () => {
    mkdirSync(path.join(place.directory, 'golden'));
    place.write('golden/right.json', splits('dataset_length_not_positive'));
    place.write('golden/README.md', 'notes');
    const well = await place.run('worker', ['doctor', '--golden', 'golden']);
    expect(well.code).toBe(0);
    expect(well.stdout).toMatch(/^ok {3}right.json {2}exact$/m);
    expect(well.stdout).toMatch(/^\? {4}README.md {2}skipped: not a .json file$/m);

    place.write('golden/wrong.json', splits('no_folds'));
    const missed = await place.run('worker', ['doctor', '--golden', 'golden']);
    expect(missed.code).toBe(1);
    expect(missed.stdout).toMatch(/^MISS wrong.json/m);

    const json = await place.run('worker', ['doctor', '--golden', 'golden', '--json']);
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({
      ok: false,
      runtimes: expect.arrayContaining([expect.objectContaining({ name: 'wasm', usable: true })]) as unknown,
      golden: {
        passed: false,
        files: [{ file: 'README.md' }, { file: 'right.json' }, { result: { worst: { ratio: 'Infinity' } } }],
      },
    });
  });

  it('says what is wrong with the folder', async () => {
    const { code, stderr } = await place.run('worker', ['doctor', '--golden', 'nowhere']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^worker: the golden figures cannot be read: ENOENT/m);
  });
});

describe('worker start', () => {
  it.each([
    [['--gpu', 'cuda'], /Give auto, none, an index/],
    [['--memory', 'lots'], /Give a size, for example 4G/],
    [['--slots', '0'], /whole number from 1/],
    [['--trainers', 'none.yaml'], /the trainers file cannot be read: ENOENT/],
    [['--gpu', 'GPU-00000000'], /no GPU can be used|there is no GPU-00000000/],
    [['--nonsense'], /unknown option/],
  ])('%j is wrong usage', async (args, message) => {
    const { code, stderr } = await place.run('worker', ['start', ...args]);
    expect(stderr).toMatch(message);
    expect(code).toBe(2);
  });

  it('names every mistake in its trainers file', async () => {
    const file = place.write(
      't.yaml',
      'a: {command: [no-such-program-here]}\nb: {command: [sh], cwd: nowhere}\n',
    );
    const { code, stderr } = await place.run('worker', ['start', '--trainers', file]);
    expect(code).toBe(2);
    expect(stderr).toContain("there is no program 'no-such-program-here' on PATH");
    expect(stderr).toMatch(/b.cwd: there is no folder .*nowhere/);
  });
});

const anyPort = ['--listen', '127.0.0.1:0'];

describe('a study', () => {
  it('on a program of the worker’s own runs to its end', async () => {
    process.env['PARZEN_TRAINERS'] = path.join(projectRoot, 'docs/guides/examples/trainers.yaml');
    const guide = readFileSync(path.join(projectRoot, 'docs/guides/command-trainer.md'), 'utf8');
    const study = /```yaml\n(name: my-study\n[^`]*)```/.exec(guide)?.[1] ?? '';
    const file = place.write(
      'my.yaml',
      study.replace('my-net', 'shell-example').replace('trials: 100', 'trials: 4'),
    );
    const { code, stderr } = await place.run('coordinator', [
      'start',
      '--study',
      file,
      '--workers',
      '1',
      ...anyPort,
    ]);
    expect(stderr).toContain('4/4 done');
    expect(code).toBe(0);
    const [header = '', ...rows] = place.read('out/trials.csv').trim().split('\n');
    const column = (name: string) => header.split(',').indexOf(name);
    for (const row of rows.map((line) => line.split(','))) {
      const rate = Number(row[column('param.rate')]);
      expect(row[column('state')]).toBe('COMPLETE');
      expect(Number(row[column('metric.loss')])).toBeCloseTo((1 - rate) ** 3, 4);
    }
    expect(processesIn(place.directory)).toBe(false);
  });

  it('whose trials cannot fit is pruned as out of memory, without a crash', async () => {
    process.env['PARZEN_MEMORY'] = '200M';
    const file = place.write(
      'big.yaml',
      `name: big
direction: maximize
objective: { auc: 1.0 }
trials: 2
space:
  lstm_hidden: { choices: [96, 128] }
fixed: { feature_window: 256, batch_size: 4096 }
trainer: hermite
data:
  synthetic: { name: s, seed: 1, bars: 20000, volatility: 0.005, signal: 0.5 }
`,
    );
    const { stderr } = await place.run('coordinator', [
      'start',
      '--study',
      file,
      '--workers',
      '1',
      ...anyPort,
    ]);
    expect(stderr).toContain('2/2 done');
    const trials = place.read('out/trials.csv');
    expect(trials.match(/,PRUNED,oom,/g)).toHaveLength(2);
    expect(trials).toMatch(
      /out of memory before it started: estimated \d\.\d\d GiB, but a trial may use 0.20 GiB/,
    );
  });
});
