import { describe, expect, it } from 'vitest';
import { parseCommands } from './parse-commands.js';

const parse = (text: string) =>
  parseCommands(text, { file: 'trainers.yaml', base: '/base', reserved: ['hermite', 'instant'] });
const problemsOf = (text: string): readonly string[] => {
  const parsed = parse(text);
  return parsed.ok ? [] : parsed.problems;
};

describe('a trainers file', () => {
  it('names programs with their arguments, folder and variables', () => {
    const parsed = parse(
      'my-net:\n  command: [python3, "train me.py", "--n=3"]\n  cwd: nets\n  env: {MODE: fast}\nother: {command: [./run]}\n',
    );
    if (!parsed.ok) throw new Error(parsed.problems.join());
    expect([...parsed.commands.keys()]).toEqual(['my-net', 'other']);
    expect(parsed.commands.get('my-net')).toEqual({
      ...{ name: 'my-net', command: ['python3', 'train me.py', '--n=3'] },
      ...{ cwd: '/base/nets', env: { MODE: 'fast' } },
    });
    expect(parsed.commands.get('other')).toEqual({
      name: 'other',
      command: ['./run'],
      cwd: '/base',
      env: {},
    });
  });

  it('has all its mistakes named at once, with their lines', () => {
    const problems = problemsOf(
      [
        'a:',
        '  command: python3 train.py',
        '  cwd: 7',
        'b: {command: [run, 3], shell: true}',
        'hermite: {command: [x]}',
        '"../c": {command: [x]}',
        'd: {env: {PARZEN_SEED: "1", "A-B": x, N: 1}, command: [""]}',
        'e: [run]',
        'f: {cwd: /}',
      ].join('\n'),
    );
    const expected = [
      /^trainers.yaml:2: a.command must be a list .* no shell/,
      /^trainers.yaml:3: a.cwd must be a text \(7 is not one: put it in quotes\)/,
      /^trainers.yaml:4: b.shell is unknown; known are command, cwd, env/,
      /^trainers.yaml:4: b.command\[1\] must be a text/,
      /^trainers.yaml:5: 'hermite' is built in/,
      /^trainers.yaml:6: '..\/c' cannot name a trainer/,
      /^trainers.yaml:7: d.command\[0\] must name a program/,
      /^trainers.yaml:7: d.env.PARZEN_SEED: .* given by the worker/,
      /^trainers.yaml:7: d.env: 'A-B' is not a variable name/,
      /^trainers.yaml:7: d.env.N must be a text/,
      /^trainers.yaml:8: e must be a map/,
      /^trainers.yaml:9: f has no command/,
    ];
    expect(problems).toHaveLength(expected.length);
    expected.forEach((pattern, i) => expect(problems[i]).toMatch(pattern));
  });

  it.each([
    ['nothing', '', /:1: must be a map/],
    ['no program', '{}', /names no program/],
    ['a list', '- a', /must be a map/],
    ['a name twice', 'a: {command: [x]}\na: {command: [y]}', /:2: .*unique/],
    ['broken YAML', 'a: {command: [x', /^trainers.yaml:1: /],
    ['a NUL', 'a: {command: ["x\\0y"]}', /NUL/],
    ['an empty folder', 'a: {command: [x], cwd: ""}', /cwd must name a folder/],
    ['no words', 'a: {command: []}', /must be a list/],
    ['a nested word', 'a: {command: [x, [y]]}', /a.command\[1\] must be a text/],
  ])('with %s is refused', (_, text, expected) => {
    expect(problemsOf(text).join('\n')).toMatch(expected);
  });
});
