import { describe, expect, it } from 'vitest';
import type { TrialJob } from '../port.js';
import { jobVariables, programEnvironment } from './job-environment.js';
import { LineSplitter } from './line-splitter.js';

const job = (params: TrialJob['params']): TrialJob => ({
  ...{ study: 'a study', number: 7, attempt: 2, params, seed: 4294967295 },
  ...{ dataPath: null, evaluation: { folds: [1, 2] } },
});

describe('the variables of a job', () => {
  it('hold the trial and its parameters', () => {
    expect(
      jobVariables(job({ 'learning-rate': 0.1 + 0.2, kind: "x'; rm -rf $HOME", warm: true, none: null })),
    ).toEqual({
      PARZEN_STUDY: 'a study',
      PARZEN_TRIAL: '7',
      PARZEN_ATTEMPT: '2',
      PARZEN_SEED: '4294967295',
      PARZEN_DATA: '',
      PARZEN_EVALUATION: '{"folds":[1,2]}',
      PARZEN_PARAM_LEARNING_RATE: '0.30000000000000004',
      PARZEN_PARAM_KIND: "x'; rm -rf $HOME",
      PARZEN_PARAM_WARM: 'true',
      PARZEN_PARAM_NONE: '',
    });
  });

  it('leave out parameters that would share one, all of them', () => {
    const variables = jobVariables(job({ lr: 1, LR: 2, Lr: 3, 'a.b': 4, a_b: 5, c: 6 }));
    expect(Object.keys(variables).filter((name) => name.startsWith('PARZEN_PARAM_'))).toEqual([
      'PARZEN_PARAM_C',
    ]);
  });

  it('win over the definition’s, which win over the worker’s; the worker’s settings stay with it', () => {
    const own = {
      PATH: '/bin',
      PARZEN_STUDY: 'filter',
      PARZEN_TOKEN_FILE: '/secret',
      MODE: 'slow',
      GONE: undefined,
    };
    const environment = programEnvironment(own, { MODE: 'fast' }, job({}));
    expect(environment).toMatchObject({ PATH: '/bin', MODE: 'fast', PARZEN_STUDY: 'a study' });
    expect(environment).not.toHaveProperty('PARZEN_TOKEN_FILE');
    expect(environment).not.toHaveProperty('GONE');
  });
});

describe('lines of a stream', () => {
  const split = (pieces: string[], max = 100): string[] => {
    const lines: string[] = [];
    const splitter = new LineSplitter(max, (line) => lines.push(line));
    pieces.forEach((piece) => splitter.push(piece));
    splitter.end();
    return lines;
  };

  it('come whole, however the stream is cut', () => {
    const text = 'one\ntwo\r\n\nlast';
    const whole = ['one', 'two', '', 'last'];
    expect(split([text])).toEqual(whole);
    expect(split(text.split(''))).toEqual(whole);
  });

  it('are cut when they are too long, and memory stays bounded', () => {
    expect(split(['abcdefgh\n', 'xyz'], 3)).toEqual(['abc', 'def', 'gh', 'xyz']);
    expect(split('abcdefgh'.split(''), 3)).toEqual(['abc', 'def', 'gh']);
  });
});
