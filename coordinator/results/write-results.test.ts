import { mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Trial } from '../../shared/core/study/trial.js';
import { readBestConfig } from '../../shared/core/study/best-config.js';
import { textField, trialsCsv } from './csv.js';
import { definition, study, trialOf } from './results.test-helper.js';
import { ResultsError, type OpenFile } from './write-files.js';
import { writeResults } from './write-results.js';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'parzen-results-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true, force: true });
});

const contentOf = (name: string): Promise<string> => readFile(path.join(directory, name), 'utf8');

const failed = trialOf(2, {
  state: 'FAIL',
  reason: 'error',
  values: [],
  metrics: {},
  message: 'boom, "bad"\nline 2',
});
const waiting = trialOf(3, {
  state: 'WAITING',
  reason: null,
  values: [],
  metrics: {},
  params: {},
  worker: null,
  startedAtMs: null,
  finishedAtMs: null,
});

describe('writeResults', () => {
  it('writes all trials, the ten best and the best configuration', async () => {
    const trials = [
      ...Array.from({ length: 12 }, (_, i) => trialOf(i + 10, { values: [i === 5 ? 0.9 : i / 100] })),
      waiting,
      failed,
    ];
    expect(await writeResults(directory, study, trials)).toEqual({
      files: ['trials.csv', 'top10.csv', 'best_config_demo.yaml'],
    });
    expect((await readdir(directory)).sort()).toEqual(['best_config_demo.yaml', 'top10.csv', 'trials.csv']);
    const numbersOf = (csv: string): number[] =>
      csv
        .split('\r\n')
        .map((line) => Number.parseInt(line, 10))
        .filter(Number.isFinite);
    expect(numbersOf(await contentOf('trials.csv'))).toEqual([
      2,
      3,
      ...Array.from({ length: 12 }, (_, i) => i + 10),
    ]);
    expect(numbersOf(await contentOf('top10.csv'))).toEqual([15, 21, 20, 19, 18, 17, 16, 14, 13, 12]);
    expect(readBestConfig(await contentOf('best_config_demo.yaml'))).toMatchObject({
      trial: 15,
      values: { score: 0.9 },
    });
  });

  it('makes the directory, replaces old files and leaves out the best while there is none', async () => {
    const inner = path.join(directory, 'a', 'b');
    expect((await writeResults(inner, study, [failed])).files).toEqual(['trials.csv', 'top10.csv']);
    await writeResults(inner, study, [failed, trialOf(4)]);
    const csv = await readFile(path.join(inner, 'top10.csv'), 'utf8');
    expect(csv.split('\r\n')[1]?.startsWith('4,COMPLETE,finished,0.5,')).toBe(true);
  });

  it('gives one clear error when the directory cannot be one', async () => {
    const file = path.join(directory, 'file');
    await writeFile(file, '');
    await expect(writeResults(file, study, [])).rejects.toThrow(
      `cannot write results to ${file}: it is a file, not a directory; name another one with --out (EEXIST)`,
    );
    await expect(writeResults(path.join(file, 'x'), study, [])).rejects.toThrow(
      /a part of the path is a file.*ENOTDIR/,
    );
  });

  it('on a full disk keeps the old files, leaves no pieces and says so', async () => {
    await writeResults(directory, study, [trialOf(4)]);
    const before = await contentOf('trials.csv');
    const fullDisk: OpenFile = async (name) => {
      const handle = await open(name, 'wx');
      handle.writeFile = async () => {
        await handle.write('half a li');
        throw Object.assign(new Error('write failed'), { code: 'ENOSPC' });
      };
      return handle;
    };
    const error: unknown = await writeResults(directory, study, [trialOf(4), failed], fullDisk).catch(
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(ResultsError);
    expect(error).toMatchObject({
      message: `cannot write results to ${directory}: the disk is full; free some space or name another directory with --out (ENOSPC)`,
    });
    expect(await contentOf('trials.csv')).toBe(before);
    expect((await readdir(directory)).sort()).toEqual(['best_config_demo.yaml', 'top10.csv', 'trials.csv']);
  });

  it('passes on what is no failure of the disk', async () => {
    const broken: OpenFile = () => Promise.reject(new Error('a bug'));
    await expect(writeResults(directory, study, [], broken)).rejects.toThrow(/^a bug$/);
  });
});

describe('trialsCsv', () => {
  const csvOf = (trials: readonly Trial[]): string => [...trialsCsv(study, trials)].join('');

  it('has one line per trial with every digit', () => {
    const trial = trialOf(1, {
      params: { learning_rate: 1.8200268769372706e-5, hermite_version: 'probabilist', feature_window: 64 },
      values: [0.1 + 0.2],
      metrics: { sharpe: Number.NaN, auc: -Infinity },
      offGrid: true,
    });
    expect(csvOf([trial, waiting])).toBe(
      'number,state,reason,score,metric.auc,metric.sharpe,param.learning_rate,param.hermite_version,' +
        'param.feature_window,off_grid,attempt,duration_seconds,started_at,finished_at,worker,message\r\n' +
        '1,COMPLETE,finished,0.30000000000000004,-Infinity,NaN,0.000018200268769372706,probabilist,64,true,1,1.5,' +
        '2025-01-01T00:00:00.000Z,2025-01-01T00:00:01.500Z,worker-1,\r\n' +
        '3,WAITING,,,,,,,,false,1,,,,,\r\n',
    );
  });

  it('quotes and defuses foreign text', () => {
    expect(csvOf([failed]).endsWith(',worker-1,"boom, ""bad""\nline 2"\r\n')).toBe(true);
    expect(textField('plain text')).toBe('plain text');
    expect(textField('=HYPERLINK("http://x")')).toBe(`"'=HYPERLINK(""http://x"")"`);
    for (const first of ['=', '+', '-', '@', '\t']) expect(textField(`${first}1+1`)).toBe(`'${first}1+1`);
    expect(textField('\rx')).toBe(`"'\rx"`);
    // A number of ours is no foreign text, also when negative.
    expect(csvOf([trialOf(1, { values: [-0.25] })])).toContain('1,COMPLETE,finished,-0.25,');
    expect(csvOf([trialOf(1, { params: { hermite_version: '@SUM(A1)' } })])).toContain(",'@SUM(A1),");
    expect(csvOf([trialOf(1, { metrics: { '=x': 1 } })])).toContain('metric.=x,');
  });

  it('has columns for parameters and metrics that only some trials have', () => {
    const lines = csvOf([
      trialOf(1, { metrics: { b: 1 } }),
      trialOf(2, { metrics: { a: 2 }, params: { extra: null } }),
    ]);
    const [header, first, second] = lines.split('\r\n').map((line) => line.split(','));
    const cell = (line: string[] | undefined, title: string): string | undefined =>
      line?.[header!.indexOf(title)];
    expect([cell(first, 'metric.a'), cell(first, 'metric.b')]).toEqual(['', '1']);
    expect([cell(second, 'metric.a'), cell(second, 'param.extra'), cell(first, 'param.extra')]).toEqual([
      '2',
      'null',
      '',
    ]);
  });

  it('comes in pieces that join to the whole', () => {
    const trials = Array.from({ length: 2500 }, (_, number) => trialOf(number));
    const pieces = [...trialsCsv({ ...study, definition }, trials)];
    expect(pieces.length).toBe(3);
    expect(pieces.join('').split('\r\n')).toHaveLength(2502);
    expect([...trialsCsv(study, [])].join('').split('\r\n')).toHaveLength(2);
  });
});
