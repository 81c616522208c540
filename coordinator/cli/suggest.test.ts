import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { InputError } from './json-input.js';
import { checkSuggestions, runSuggest } from './suggest.js';

const golden = path.resolve(import.meta.dirname, '../../../shared/golden/tpe');

interface GoldenFile {
  spaces: Record<string, { name: string; choices?: unknown[]; int?: boolean }[]>;
  cases: (Record<string, unknown> & { space: string; expected: { seed: number; params: unknown[] }[] })[];
}

function suggestions(input: unknown): { seed: number; params: Record<string, unknown> }[] {
  return runSuggest(JSON.stringify(input))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { seed: number; params: Record<string, unknown> });
}

describe.skipIf(!existsSync(golden))(`golden one-shot suggestions (skipped without ${golden})`, () => {
  for (const file of ['one-shot-optuna-4.json', 'one-shot-optuna-5.json']) {
    const { spaces, cases } = existsSync(golden)
      ? (JSON.parse(readFileSync(path.join(golden, file), 'utf8')) as GoldenFile)
      : { spaces: {}, cases: [] };
    cases.forEach(({ space: spaceName, expected, ...settings }, index) => {
      it(`${file} case ${index}`, { timeout: 300_000 }, () => {
        const space = spaces[spaceName] ?? [];
        const seeds = expected.map(({ seed }) => seed);
        const actual = suggestions({ space, seeds, ...settings });
        expect(actual.map(({ seed }) => seed)).toEqual(seeds);
        actual.forEach(({ params }, i) => {
          expect(Object.keys(params)).toEqual(space.map(({ name }) => name));
          space.forEach(({ name, choices, int }, j) => {
            const wanted = expected[i]?.params[j];
            if (choices !== undefined || int === true) expect(params[name], name).toBe(wanted);
            else {
              const error = Math.abs(Number(params[name]) - Number(wanted));
              expect(error, name).toBeLessThanOrEqual(1e-9 * Math.abs(Number(wanted)));
            }
          });
        });
      });
    });
  }
});

describe.skipIf(!existsSync(golden))(
  `files of golden figures as they are (skipped without ${golden})`,
  () => {
    const file = (): string => readFileSync(path.join(golden, 'one-shot-optuna-5.json'), 'utf8');

    it('gives one line per case and seed, labelled', () => {
      const { cases } = JSON.parse(file()) as GoldenFile;
      const lines = runSuggest(file())
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { case: number; seed: number });
      const wanted = cases.flatMap(({ expected }, index) =>
        expected.map(({ seed }) => ({ case: index, seed })),
      );
      expect(lines.map(({ case: index, seed }) => ({ case: index, seed }))).toEqual(wanted);
    });

    it('compares with what it expects, and finds the one that differs', () => {
      expect(checkSuggestions(file())).toMatchObject({ different: 0 });
      const changed = JSON.parse(file()) as GoldenFile;
      const { params } = changed.cases[1]?.expected[2] ?? { params: [] };
      params[0] = Number(params[0]) * (1 + 3e-9);
      const { different, text } = checkSuggestions(JSON.stringify(changed));
      expect(different).toBe(1);
      expect(text).toContain('{"case":1,"seed":1002,"differs":"a"');
      params[0] = Number(params[0]) * (1 - 2.5e-9);
      expect(checkSuggestions(JSON.stringify(changed)).different).toBe(0);
    });
  },
);

const space = [
  { name: 'x', low: 0, high: 1 },
  { name: 'k', int: true, low: 1, high: 64, log: true },
  { name: 'c', choices: ['a', null, 3] },
];
const trial = { params: [0.25, 7, 'a'], state: 'COMPLETE', values: [1] };
const input = { space, directions: ['minimize'], rules: 'optuna-5', trials: [trial], seeds: [1] };

describe('input', () => {
  it('takes params by list or by name, null meaning absent unless it is a choice', () => {
    const many = Array.from({ length: 15 }, (_, i) => ({
      ...trial,
      params: [i / 15, i + 1, null],
      values: [i],
    }));
    const byName = many.map((entry) => {
      const [x, k, c] = entry.params;
      return { ...entry, params: { x, k, c } };
    });
    expect(suggestions({ ...input, trials: many })).toEqual(suggestions({ ...input, trials: byName }));
    const partial = many.map((entry) => ({ ...entry, params: [null, ...entry.params.slice(1)] }));
    const partialByName = byName.map(({ params: { k, c }, ...rest }) => ({ ...rest, params: { k, c } }));
    expect(suggestions({ ...input, trials: partial })).toEqual(
      suggestions({ ...input, trials: partialByName }),
    );
    expect(suggestions({ ...input, trials: partial })).not.toEqual(suggestions({ ...input, trials: many }));
  });

  it('has the defaults of the release whose rules are named', () => {
    const trials = Array.from({ length: 40 }, (_, i) => ({
      params: [((i * 37) % 101) / 101, ((i * 53) % 64) + 1, 'a'],
      state: i % 5 === 4 ? 'RUNNING' : 'COMPLETE',
      ...(i % 5 === 4 ? {} : { values: [i % 7] }),
    }));
    const five = { ...input, trials };
    expect(suggestions(five)).toEqual(
      suggestions({
        ...five,
        multivariate: true,
        constant_liar: true,
        n_startup_trials: 10,
        n_ei_candidates: 24,
        group: false,
      }),
    );
    const four = { ...five, rules: 'optuna-4' };
    expect(suggestions(four)).toEqual(suggestions({ ...four, multivariate: false, constant_liar: false }));
    expect(suggestions(four)).not.toEqual(suggestions({ ...four, constant_liar: true }));
    const two = {
      ...five,
      directions: ['minimize', 'minimize'],
      trials: trials.map((entry, i) => ('values' in entry ? { ...entry, values: [i % 7, i % 3] } : entry)),
    };
    expect(suggestions(two)).toEqual(suggestions({ ...two, multivariate: false }));
  });

  it('reads NaN and infinities in every spelling', () => {
    const pruned = (value: unknown) => ({ params: [0.5, 2, 'a'], state: 'PRUNED', reports: [[0, 1], [3, value]] }); // prettier-ignore
    const trials = Array.from({ length: 12 }, (_, i) => ({
      params: [i / 12, 3, 'a'],
      state: 'COMPLETE',
      values: [i],
    }));
    const lines = [null, 'NaN'].map((value) => suggestions({ ...input, trials: [...trials, pruned(value)] }));
    expect(lines[0]).toEqual(lines[1]);
    const text = JSON.stringify({ ...input, trials: [...trials, pruned('NaN')] });
    expect(runSuggest(text.replace('"NaN"', 'NaN'))).toBe(runSuggest(text));
    const infinite = { ...trial, values: ['-Infinity'] };
    const bare = JSON.stringify({ ...input, trials: [infinite] }).replace('"-Infinity"', '-Infinity');
    expect(runSuggest(bare)).toBe(runSuggest(JSON.stringify({ ...input, trials: [infinite] })));
  });

  it('ignores FAIL, WAITING and CANCELLED trials and keeps seeds in order', () => {
    const ignored = ['FAIL', 'WAITING', 'CANCELLED'].map((state) => ({ params: [0.9, 9, 3], state }));
    const many = Array.from({ length: 15 }, (_, i) => ({
      ...trial,
      params: [i / 15, i + 1, 3],
      values: [i],
    }));
    const seeds = [5, 0, 4294967295];
    const plain = suggestions({ ...input, trials: many, seeds });
    expect(plain.map(({ seed }) => seed)).toEqual(seeds);
    expect(suggestions({ ...input, trials: [...many, ...ignored], seeds })).toEqual(plain);
  });

  it.each<[string, unknown, string]>([
    ['no JSON', '{', 'the input is not JSON'],
    ['no object', [], 'input: [] must be an object'],
    [
      'unknown key',
      { ...input, n_startup: 3 },
      'input: unknown key "n_startup"; the keys are space, spaces, directions',
    ],
    ['no space', { ...input, space: undefined }, 'space: is missing; give a list of parameters'],
    [
      'parameter without bounds',
      { ...input, space: [{ name: 'x', low: 1 }] },
      'space[0].high: is missing; give a finite number',
    ],
    [
      'reversed bounds',
      { ...input, space: [{ name: 'x', low: 1, high: 0 }] },
      'space[0]: parameter "x": low 1 is above high 0',
    ],
    [
      'no name',
      { ...input, space: [{ low: 1, high: 2 }] },
      'space[0].name: is missing; give a non-empty string',
    ],
    [
      'choices and bounds',
      { ...input, space: [{ name: 'x', choices: [1], low: 1 }] },
      'space[0]: a parameter with choices has only',
    ],
    [
      'bad choice',
      { ...input, space: [{ name: 'x', choices: [[1]] }] },
      'space[0].choices[0]: [1] must be a number, a string',
    ],
    [
      'name twice',
      { ...input, space: [space[0], space[0]], trials: [] },
      'space: parameter "x": the name occurs twice',
    ],
    ['direction', { ...input, directions: ['up'] }, 'directions[0]: "up" must be one of minimize, maximize'],
    ['no direction', { ...input, directions: [] }, 'directions: give at least one direction'],
    ['rules', { ...input, rules: 'optuna-3' }, 'rules: "optuna-3" must be one of optuna-4, optuna-5'],
    ['candidates', { ...input, n_ei_candidates: 0 }, 'n_ei_candidates: 0 must be an integer from 1 to'],
    ['candidates', { ...input, n_ei_candidates: 100_001 }, 'must be an integer from 1 to 100000'],
    ['start-up', { ...input, n_startup_trials: -1 }, 'n_startup_trials: -1 must be an integer from 0 to'],
    ['boolean', { ...input, constant_liar: 1 }, 'constant_liar: 1 must be true or false'],
    [
      'group without joint',
      { ...input, group: true, multivariate: false },
      'multivariate: group needs multivariate',
    ],
    ['seed', { ...input, seeds: [1, -1] }, 'seeds[1]: -1 must be an integer from 0 to 4294967295'],
    ['no seeds', { ...input, seeds: undefined }, 'seeds: is missing; give a list of integers'],
    [
      'state',
      { ...input, trials: [{ ...trial, state: 'DONE' }] },
      'trials[0].state: "DONE" must be one of COMPLETE, PRUNED',
    ],
    ['trial key', { ...input, trials: [trial, { ...trial, value: 1 }] }, 'trials[1]: unknown key "value"'],
    [
      'number of params',
      { ...input, trials: [{ ...trial, params: [1] }] },
      'trials[0].params: 1 values, but the space has 3 parameters',
    ],
    [
      'unknown choice',
      { ...input, trials: [{ ...trial, params: [0.5, 1, 'z'] }] },
      'trials[0].params (c): "z" is not a value of "c"',
    ],
    [
      'fraction for an int',
      { ...input, trials: [{ ...trial, params: { k: 1.5 } }] },
      'trials[0].params.k: 1.5 is not a value of "k"',
    ],
    [
      'unknown name',
      { ...input, trials: [{ ...trial, params: { q: 1 } }] },
      'trials[0].params: "q" is not in the space; its names are x, k, c',
    ],
    [
      'no values',
      { ...input, trials: [{ ...trial, values: undefined }] },
      'trials[0].values: is missing; give a list of numbers, one per direction',
    ],
    [
      'value count',
      { ...input, trials: [{ ...trial, values: [1, 2] }] },
      'trials[0].values: 2 values, but there are 1 directions',
    ],
    [
      'NaN value',
      { ...input, trials: [{ ...trial, values: [null] }] },
      'trials[0].values[0]: a COMPLETE trial cannot have NaN',
    ],
    [
      'values of a pruned one',
      { ...input, trials: [{ ...trial, state: 'PRUNED', values: [1] }] },
      'trials[0].values: a PRUNED trial has none; give what it reported as "reports"',
    ],
    [
      'expected twice',
      { ...input, expected: [1, 2, 1].map((seed) => ({ seed, params: {} })) },
      'expected[2].seed: 1 is expected twice',
    ],
    [
      'report',
      { ...input, trials: [{ ...trial, state: 'PRUNED', values: undefined, reports: [[1]] }] },
      'trials[0].reports[0]: [1] must be [step, value]',
    ],
    [
      'report step',
      { ...input, trials: [{ ...trial, state: 'PRUNED', values: undefined, reports: [[-1, 0]] }] },
      'trials[0].reports[0][0]: -1 must be an integer',
    ],
    [
      'report value',
      { ...input, trials: [{ ...trial, state: 'PRUNED', values: undefined, reports: [[1, 'x']] }] },
      'trials[0].reports[0][1]: "x" must be a number',
    ],
    [
      'constraint',
      { ...input, trials: [{ ...trial, constraints: ['x'] }] },
      'trials[0].constraints[0]: "x" must be a number',
    ],
    ['number', { ...input, trials: [{ ...trial, number: 4 }] }, 'trials[0].number: 4 must be 0'],
    ['fixed', { ...input, fixed: { q: 1 } }, 'fixed: "q" is not in the space'],
    [
      'changed choices',
      { ...input, trials: [{ ...trial, params: { c: 'a' }, space: [{ name: 'c', choices: ['a'] }] }] },
      'trials: parameter "c" was categorical (one of "a") in an earlier trial',
    ],
  ])('names the place of a mistake: %s', (_, bad, message) => {
    const text = typeof bad === 'string' ? bad : JSON.stringify(bad);
    expect(() => runSuggest(text)).toThrow(InputError);
    expect(() => runSuggest(text)).toThrow(message);
  });
});

describe('several cases', () => {
  const one = { space: 'small', trials: [trial], seeds: [7, 8] };
  const file = {
    reference: 'by hand',
    spaces: { small: space },
    cases: [one, { ...one, space, seeds: [7] }],
  };

  it('are each what they are alone', () => {
    const alone = suggestions({ ...one, space });
    expect(suggestions(file)).toEqual([
      ...alone.map((line) => ({ case: 0, ...line })),
      { case: 1, ...alone[0] },
    ]);
  });

  it('may be one alone that names its space', () => {
    expect(suggestions({ ...one, spaces: { small: space } })).toEqual(suggestions({ ...one, space }));
  });

  it('take the seeds of what is expected', () => {
    const [line] = suggestions({ ...one, space, seeds: [7] });
    const unseeded = { ...one, space, seeds: undefined, expected: [{ seed: 7, params: line?.params }] };
    expect(suggestions(unseeded)).toEqual([line]);
    expect(checkSuggestions(JSON.stringify(unseeded))).toMatchObject({ different: 0 });
  });

  it.each([
    [
      'space',
      { ...file, cases: [one, { ...one, space: 'big' }] },
      'cases[1].space: "big" is none of the "spaces": small',
    ],
    [
      'trial',
      { ...file, cases: [{ ...one, trials: [{}] }] },
      'cases[0].trials[0].state: is missing; give one of COMPLETE',
    ],
    [
      'file key',
      { ...file, seeds: [1] },
      'input: unknown key "seeds"; the keys are reference, spaces, cases',
    ],
    [
      'no seeds',
      { ...file, cases: [{ ...one, seeds: undefined }] },
      'cases[0].seeds: is missing; give a list of integers',
    ],
    [
      'expected of another seed',
      { ...file, cases: [{ ...one, expected: [{ seed: 1, params: {} }] }] },
      'cases[0].seeds[0]: 7 is none of the seeds in "expected"',
    ],
  ])('name the place of a mistake: %s', (_, bad, message) => {
    expect(() => runSuggest(JSON.stringify(bad))).toThrow(message);
  });

  it('cannot be checked against nothing', () => {
    expect(() => checkSuggestions(JSON.stringify(file))).toThrow('cases[0].expected: is not there');
  });
});

describe('trials', () => {
  const wide = [{ name: 'x', low: 0, high: 2 }];
  const many = Array.from({ length: 14 }, (_, i) => ({
    params: { x: i / 14, k: i + 1, c: 'a' },
    state: 'COMPLETE',
    values: [i],
  }));

  it("may carry some parameters of their own; the rest are the study's", () => {
    const own = many.map((entry, i) => (i === 3 ? { ...entry, space: wide } : entry));
    const all = many.map((entry, i) => (i === 3 ? { ...entry, space: [...wide, ...space.slice(1)] } : entry));
    expect(suggestions({ ...input, trials: own })).toEqual(suggestions({ ...input, trials: all }));
    expect(suggestions({ ...input, trials: own })).not.toEqual(suggestions({ ...input, trials: many }));
  });

  it('may have constraints by name', () => {
    const named = many.map((entry, i) => ({ ...entry, constraints: { weight: i < 3 ? 1 : 0, time: -1 } }));
    const listed = many.map((entry, i) => ({ ...entry, constraints: [i < 3 ? 1 : 0, -1] }));
    expect(suggestions({ ...input, trials: named })).toEqual(suggestions({ ...input, trials: listed }));
    expect(suggestions({ ...input, trials: named })).not.toEqual(suggestions({ ...input, trials: many }));
  });
});

describe('input at its edges', () => {
  const text = (seeds: readonly number[]): string =>
    JSON.stringify({ space: [{ name: 'x', low: 0, high: 1 }], seeds });

  it('takes a byte order mark in front, and nowhere else', () => {
    expect(runSuggest(`\uFEFF${text([1])}`)).toBe(runSuggest(text([1])));
    expect(() => runSuggest(`\uFEFF\uFEFF${text([1])}`)).toThrow('the input is not JSON');
  });

  it('prints nothing for no seeds', () => {
    expect(runSuggest(text([]))).toBe('');
  });
});
