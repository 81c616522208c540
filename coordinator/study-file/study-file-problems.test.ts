import { describe, expect, it } from 'vitest';
import { formatProblems, parseStudyFile } from './parse-study-file.js';
import { base, hermite, problemsOf } from './study-file.test-helper.js';

/** The only problem of `base` with one section added or replaced. */
function problemWith(section: string, text = base): string {
  const key = section.slice(0, section.indexOf(':'));
  const kept = text.replace(new RegExp(`^${key}:.*\n(  .*\n)*`, 'm'), '');
  const problems = problemsOf(`${kept.trimStart()}${section}\n`);
  expect(problems, problems.join('\n')).toHaveLength(1);
  return (problems[0] ?? '').replace(/^\d+:\d+ /, '');
}

describe('mistakes', () => {
  it('are all reported at once, with line, column, path and remedy', () => {
    const text = `name: my study
direction: maximise
objective: { auc: .nan, dir_acc: 0 }
trials: 0
trialz: 7
sampler: { seed: -1, startup_trails: 3, ei_candidates: 0, rules: optuna }
space:
  dropout: { low: 0.4, high: 0.01, step: 0 }
  dropout: { low: 0, high: 1 }
  learning_rate: { low: 0, high: 1, log: true }
  feature_window: { low: 16, high: 256 }
  hermite_version: { choices: [] }
  patience: {}
fixed: { dropout: 0.2, batch_sise: 12, use_lstm: yes }
enqueue: [{ nope: 1, learning_rate: fast }]
data: { synthetic: { name: a, seed: -1, bars: 0, volatility: .inf, sginal: 2 } }
evaluation: { profile: honst }
failure: { oom: retry, stall_timeout: 10 minutes }
`;
    expect(problemsOf(text)).toEqual([
      expect.stringMatching(/^1:7 name: is the text "my study", expected a name of at most 100 letters/),
      '2:12 direction: is the text "maximise", expected one of minimize, maximize; did you mean maximize?',
      '3:19 objective.auc: is NaN, expected a finite number',
      '3:34 objective.dir_acc: is 0, which has no effect; remove the metric',
      '4:9 trials: is 0, expected a whole number from 1 to 10000000',
      '5:1 trialz: unknown key; did you mean trials?',
      '6:18 sampler.seed: is -1, expected a whole number from 0 to 4294967295',
      '6:22 sampler.startup_trails: unknown key; did you mean startup_trials?',
      '6:56 sampler.ei_candidates: is 0, expected a whole number from 1 to 100000',
      '6:66 sampler.rules: is the text "optuna", expected one of optuna-5, optuna-4; did you mean optuna-5?',
      '8:42 space.dropout.step: is 0, expected a finite number above 0',
      '9:3 space.dropout: is given twice; keep one of them',
      '10:25 space.learning_rate.low: is 0, expected a number above 0 with log: true',
      '11:19 space.feature_window: has values that are not whole, but the trainer takes whole numbers; add int: true',
      '12:31 space.hermite_version.choices: has no entries; give at least one choice',
      '13:13 space.patience: has neither choices nor a range; expected { choices: [...] } or { low, high } with step, log or int if wanted',
      '14:19 fixed.dropout: is fixed here and searched in space; keep one of the two',
      '14:36 fixed.batch_sise: unknown key; did you mean batch_size?',
      expect.stringMatching(/^14:50 fixed.use_lstm: must be true or false, but is "yes"/),
      '15:19 enqueue[0].nope: is not a parameter of space; space has dropout, learning_rate, feature_window, hermite_version, patience',
      '16:20 data.synthetic: signal is missing; expected the correlation of neighbouring returns, 0 for nothing to predict',
      '16:37 data.synthetic.seed: -1 is not a whole number from 0 to 4294967295',
      '16:47 data.synthetic.bars: 0 is not a whole number from 2 to 1000000',
      '16:62 data.synthetic.volatility: is Infinity, expected a finite number',
      '16:68 data.synthetic.sginal: unknown key; did you mean signal?',
      expect.stringMatching(/^17:24 evaluation.profile: must be one of honest, v6, but is "honst"/),
      '18:17 failure.oom: is the text "retry", expected one of retry-bigger-gpu, prune, fail',
      expect.stringMatching(
        /^18:39 failure.stall_timeout: is the text "10 minutes", expected seconds above 0/,
      ),
    ]);
  });

  it('are printed as a compiler does', () => {
    const parsed = parseStudyFile('name: demo\nspace: 3\n');
    if (parsed.kind === 'ok') throw new Error('expected problems');
    expect(formatProblems('studies/x.yaml', parsed.problems).split('\n')).toContain(
      'studies/x.yaml:2:8 space: is 3, expected a map of keys and values',
    );
  });

  it('of missing keys say what is expected', () => {
    expect(problemsOf('trainer: x')).toEqual([
      expect.stringMatching(/^1:1 name is missing; expected a name/),
      '1:1 direction is missing; expected maximize or minimize',
      '1:1 objective is missing; expected a map from metric to weight, such as { auc: 0.7, dir_acc: 0.3 }',
      '1:1 trials is missing; expected the number of trials in the study',
      '1:1 space is missing; expected a map from parameter to its range or choices',
    ]);
  });

  it.each([
    ['name: ../etc', 'name: is the text "../etc", expected a name of at most 100'],
    ['name: 7', 'name: is 7, expected a name'],
    [`name: ${'x'.repeat(101)}`, 'expected a name of at most 100 letters'],
    ['trials: "30"', 'trials: is the text "30", expected a whole number from 1 to 10000000 (without quotes)'],
    ['trials: 1.5', 'trials: is 1.5, expected a whole number'],
    ['trials: 99999999', 'trials: is 99999999, expected a whole number'],
    ['trials:', 'trials: is empty, expected a whole number'],
    ['trials: [1]', 'trials: is a list, expected a whole number'],
    ['objective: {}', 'objective: names no metric'],
    ['objective: auc', 'objective: is the text "auc", expected a map'],
    ['objective: { auc: high }', 'objective.auc: is the text "high", expected a finite number'],
    ['directions: [minimize]', "directions: is given beside 'direction'"],
    ['sampler: tpe', 'sampler: is the text "tpe", expected a map of keys and values'],
    [
      'sampler: { type: tpee }',
      'sampler.type: is the text "tpee", expected one of tpe, random; did you mean tpe?',
    ],
    ['sampler: { type: random, ei_candidates: 3 }', 'sampler.ei_candidates: belongs to type: tpe'],
    [
      'sampler: { group: true, multivariate: false }',
      'sampler.multivariate: is false, but group: true needs it',
    ],
    ['sampler: { multivariate: "true" }', 'sampler.multivariate: is the text "true", expected true or false'],
    ['sampler: { seed: 4294967296 }', 'sampler.seed: is 4294967296, expected a whole number'],
    ['space: {}', 'space: has no parameters'],
    ['space: { x: 3 }', 'space.x: is 3, expected a map'],
    ['space: { x: { low: 1 } }', 'space.x: high is missing; expected the largest value'],
    ['space: { x: { low: .nan, high: 1 } }', 'space.x.low: is NaN, expected a finite number'],
    ['space: { x: { low: 0, high: 1e999 } }', 'space.x.high: is Infinity, expected a finite number'],
    ['space: { x: { low: -1e308, high: 1e308 } }', 'the range from -1e+308 to 1e+308 is too wide'],
    ['space: { x: { low: 1, high: 2, step: -1 } }', 'space.x.step: is -1, expected a finite number above 0'],
    [
      'space: { x: { low: 1, high: 2, step: 0.1, log: true } }',
      'space.x.step: cannot be given with log: true',
    ],
    [
      'space: { x: { low: 0, high: 9, log: true, int: true } }',
      'space.x.low: is 0, expected at least 1 with log',
    ],
    ['space: { x: { low: 0.5, high: 9, int: true } }', 'space.x.low: is 0.5, expected a whole number'],
    [
      'space: { x: { low: 0, high: 9007199254740993, int: true } }',
      'space.x.high: is 9007199254740992, expected a whole',
    ],
    [
      'space: { x: { low: 1, high: 9, int: true, step: 0 } }',
      'space.x.step: is 0, expected a whole number from 1 up',
    ],
    ['space: { x: { choices: [1, 2], step: 1 } }', "space.x.step: has no place beside 'choices'"],
    ['space: { x: { choices: a } }', 'space.x.choices: is the text "a", expected a list'],
    ['space: { x: { choices: [a, b, a] } }', 'space.x.choices[2]: "a" is listed twice'],
    ['space: { x: { choices: [1, true] } }', 'space.x.choices[1]: true counts as equal to 1'],
    ['space: { x: { choices: [[1]] } }', 'space.x.choices[0]: is a list, expected a finite number, a text'],
    ['space: { "a b": { low: 1, high: 2 } }', 'space."a b": the name is not a name of at most 100 letters'],
    ['space: { constructor: { low: 1, high: 2 } }', 'space.constructor: the name is not a name'],
    ['space: { 3: { low: 1, high: 2 }, x: { low: 1, high: 2 } }', 'space: a key is not a text'],
    ['space: { x: { low: 1, high: 2, stepp: 1 } }', 'space.x.stepp: unknown key; did you mean step?'],
    ['space: { x: { low: 1, low: 2, high: 3 } }', 'space.x.low: is given twice'],
    ['fixed: { x: 1 }', 'fixed.x: is fixed here and searched in space'],
    ['fixed: { y: .inf }', 'fixed.y: is Infinity, expected a finite number, a text, true, false or null'],
    ['fixed: [y]', 'fixed: is a list, expected a map'],
    ['enqueue: { x: 1 }', 'enqueue: is a map, expected a list'],
    ['enqueue: [{ xx: 1 }]', 'enqueue[0].xx: is not a parameter of space; did you mean x?'],
    [
      'enqueue: [{ x: 0.5 }, { x: a }]',
      'enqueue[1].x: is the text "a", expected a number from 0 to 1 in steps of 0.25',
    ],
    ['enqueue: [{ kind: c }]', 'enqueue[0].kind: is the text "c", expected one of "a", "b", 3, true, null'],
    ['enqueue: [{ n: 1.5 }]', 'enqueue[0].n: is 1.5, expected an integer from 1 to 64'],
    ['data: { bars: 3 }', 'data: names no data'],
    ['data: { dataset: 3 }', 'data.dataset: is 3, expected the name or hash of a stored data set'],
    ['data: { dataset: a, random_signs: 3 }', 'data.random_signs: is 3, expected a map'],
    ['data: { dataset: a, random_signs: {} }', 'data.random_signs: seed is missing; expected a whole number'],
    ['data: { dataset: a, random_signs: { seed: 0.5 } }', 'data.random_signs.seed: is 0.5, expected a whole'],
    [
      'data: { synthetic: { name: b, seed: 1, bars: 9, volatility: 0.1, signal: 0 }, random_signs: { seed: 1 } }',
      'data.random_signs: belongs to a dataset; a synthetic market with signal 0',
    ],
    ['data: { dataset: a, bars: 0 }', 'data.bars: is 0, expected a whole number from 1'],
    [
      'data: { dataset: a, synthetic: { name: b, seed: 1, bars: 9, volatility: 0.1, signal: 0 } }',
      'data: names two sources',
    ],
    [
      'data: { synthetic: { name: b, seed: 1, bars: 9, volatility: 0.1, signal: 2 } }',
      'data.synthetic.signal: 2 is not between',
    ],
    [
      'failure: { diverged: prune, diverged_value: 1 }',
      'failure.diverged_value: has no effect without diverged: value',
    ],
    [
      'failure: { error_retries: -1 }',
      'failure.error_retries: is -1, expected a whole number from 0 to 1000',
    ],
    ['failure: { stall_timeout: 0 }', 'failure.stall_timeout: is 0, expected a finite number above 0'],
    ['failure: { retries: 1 }', 'failure.retries: unknown key'],
    ['trainer: rm -rf', 'trainer: is the text "rm -rf", expected a name'],
  ])('%s', (section, message) => {
    expect(problemWith(section)).toContain(message);
  });

  it.each([
    ['fixed: { dropout_rate: 0.1 }', 'fixed.dropout_rate: unknown key'],
    [
      'space: { learning_rat: { low: 0.1, high: 0.2 } }',
      'space.learning_rat: unknown key; did you mean learning_rate?',
    ],
    ['space: { dropout: { low: 0, high: 1 } }', 'space.dropout: must be a number from 0 to 0.95, but is 1'],
    [
      'space: { hermite_version: { choices: [probabilist, chebyshev] } }',
      'must be one of probabilist, physicist, but is "chebyshev"',
    ],
    [
      'space: { feature_window: { low: 16, high: 512, int: true } }',
      'space.feature_window: is 512, above evaluation.window_max (256)',
    ],
    ['fixed: { steps: 5, num_epochs: 3 }', 'fixed.num_epochs: give steps or num_epochs, not both'],
    ['evaluation: { test_row: 100 }', 'evaluation.test_row: unknown key; did you mean test_rows?'],
    [
      'evaluation: { profile: v6, test_rows: 100 }',
      'evaluation.test_rows: has no effect without folds: fixed-times',
    ],
    ['evaluation: { fold_count: [3] }', 'evaluation.fold_count: must be an integer'],
  ])('for the Hermite trainer: %s', (section, message) => {
    expect(problemWith(section, hermite)).toContain(message);
  });

  it('of objectives in lists name their place', () => {
    const rest = base.trimStart().replace(/^direction.*\nobjective.*\n/m, '');
    const count = rest.split('\n').length;
    expect(
      problemsOf(`${rest}objectives: [{ name: a, direction: up, weights: {} }, { name: a, weight: 1 }]`),
    ).toEqual([
      `${count}:36 objectives[0].direction: is the text "up", expected one of minimize, maximize`,
      `${count}:49 objectives[0].weights: names no metric; expected one such as { auc: 1 }`,
      `${count}:55 objectives[1]: direction is missing; expected maximize or minimize`,
      `${count}:55 objectives[1]: weights is missing; expected a map from metric to weight`,
      `${count}:63 objectives[1].name: the name a is used twice; names must differ`,
      `${count}:66 objectives[1].weight: unknown key; did you mean weights?`,
    ]);
    expect(problemsOf(`${rest}directions: [maximize, minimize]\nobjective: { a: { m: 1 } }`)).toEqual([
      `${count}:13 directions: has 2 entries, but 'objective' names 1 objectives; they must be as many`,
    ]);
    expect(problemsOf(`${rest}directions: [maximize, minimize]\nobjective: { a: 1, b: 1 }`)).toHaveLength(2);
    expect(problemsOf(`${rest}directions: []\nobjective: { a: 1 }`)).toHaveLength(1);
    expect(problemsOf(`${base}objectives: []`)).toHaveLength(3);
  });

  it('of a budget smaller than the queue', () => {
    expect(problemsOf(`${base.replace('trials: 30', 'trials: 1')}enqueue: [{ x: 0 }, { x: 1 }]`)).toEqual([
      '5:9 trials: is 1, less than the 2 entries of enqueue',
    ]);
  });
});

describe('texts that are no study file', () => {
  it.each([
    ['', 'the file is empty'],
    ['# only a comment', 'the file is empty'],
    ['- a', 'the file does not hold a map'],
    ['just words', 'the file does not hold a map'],
    ['name: a\n  b: [1, 2', 'not valid YAML'],
    ['name: "a', 'not valid YAML: Missing closing "quote'],
    ['name: a\n\tb: 1', 'not valid YAML'],
    ['name: a\n---\nname: b', '2:1 a second document begins here (---); a study file holds one study'],
    ['%YAML 1.1\n---\nname: a', 'the file asks for an old version of YAML'],
    ['name: !!python/object a', 'not valid YAML: Unresolved tag'],
    ['name: *nowhere', 'the anchor of *nowhere is nowhere above'],
    ['a'.repeat(1024 * 1024 + 1), 'the file has 1048577 bytes, at most 1048576 are read'],
    [`a: ${'['.repeat(20_000)}`, 'nested too deeply'],
    ['- '.repeat(20_000), 'nested too deeply'],
  ])('text %#', (text, message) => {
    expect(problemsOf(text).join('\n')).toContain(message);
  });

  it('tells the mistakes before a second document with it, and none for a document that just ends', () => {
    expect(problemsOf(`${base}colour: red\n---\n${base}`)).toEqual([
      expect.stringMatching(/^11:1 colour: unknown key/),
      expect.stringMatching(/^12:1 a second document begins here/),
    ]);
    expect(problemsOf(`---${base}...\n`)).toEqual([]);
  });

  it('says where a part that is used again belongs', () => {
    const remedy =
      'write the part where it is first used, with &rates in front, and *rates where it is used again';
    expect(problemsOf(`${base}shared: &rates { low: 0, high: 1 }\n`)).toEqual([
      `11:1 shared: unknown key; a study file has no keys of its own for parts used elsewhere: ${remedy}`,
    ]);
    expect(problemsOf(`${base}x-parts: { low: 0 }\n`)[0]).toContain('with &name in front');
    // An anchor at a key that is known says nothing about one that is not.
    expect(problemsOf(`${base}fixed: &f { a: 1 }\ncolour: *f\n`)[0]).toMatch(
      /^12:1 colour: unknown key; known keys/,
    );
  });

  it('says that maps are not merged', () => {
    const merged = base.replace('x: { low: 0,', 'w: &w { low: 0, high: 1 }\n  x: { <<: *w,');
    expect(problemsOf(merged).join()).toContain(
      'space.x."<<": maps are not merged here (YAML 1.2 has no <<); write the keys out',
    );
  });

  it('bombs of aliases cost nothing', () => {
    const levels = Array.from({ length: 30 }, (_, i) => `l${i + 1}: &l${i + 1} [${`*l${i},`.repeat(9)}]`);
    const started = performance.now();
    expect(problemsOf(`l0: &l0 [x]\n${levels.join('\n')}`).join('\n')).toContain(
      'more than 100 uses of YAML anchors',
    );
    expect(
      problemsOf('name: &a [*a]\nspace: &b { x: *b }\nobjective: *b\nenqueue: [*b]').length,
    ).toBeGreaterThan(3);
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it('names that objects have already do no harm', () => {
    const text = `${base}fixed: { __proto__: 1, toString: 2 }\n__proto__: { name: evil }\n`;
    expect(problemsOf(text).map((problem) => problem.replace(/^\S+ /, ''))).toEqual([
      expect.stringMatching(/^fixed.__proto__: the name is not/),
      expect.stringMatching(/^fixed.toString: the name is not/),
      expect.stringMatching(/^__proto__: unknown key/),
    ]);
  });
});
