/**
 * Whatever `coordinator suggest` is given: suggestions that lie in the space, or one mistake that names its place; never a
 * crash.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../coordinator/cli/json-input.js';
import { parseSuggestInput } from '../../coordinator/cli/suggest-input.js';
import { runSuggest } from '../../coordinator/cli/suggest.js';
import { contains, toInternal } from '../../shared/core/space/parameter-values.js';
import type { Params } from '../../shared/core/space/parameter.js';
import { number, text as hostileText } from './hostile.js';
import { checkProperty } from './inputs.js';

/** Whether the suggestions that an input asks for cost little; what asks for more is right and takes its time. */
const cheap = (text: string): boolean => {
  try {
    return parseSuggestInput(text).every(
      ({ request: { settings, space, finished }, seeds }) =>
        settings.eiCandidates * seeds.length * space.length * (1 + finished.length) < 100_000,
    );
  } catch {
    return true;
  }
};

/** What a reader may rely on, whatever the text. */
function expectSense(text: string): void {
  if (!cheap(text)) return;
  const lines = outcomeOf(text);
  if (lines === null) return;
  const cases = parseSuggestInput(text);
  const expected = cases.flatMap(({ seeds, request }) => seeds.map(() => request));
  expect(lines).toHaveLength(expected.length);
  for (const [index, { space, fixed }] of expected.entries()) {
    const { params } = JSON.parse(lines[index] ?? '') as { params: Params };
    expect(Object.keys(params).sort()).toEqual(space.map(({ name }) => name).sort());
    for (const parameter of space) {
      if (parameter.name in (fixed ?? {})) continue;
      const internal = toInternal(parameter, params[parameter.name] ?? null);
      expect(internal !== null && contains(parameter, internal)).toBe(true);
    }
  }
}

/** The lines printed; null when there was a mistake in the input, said in one line that does not fill the screen. */
function outcomeOf(text: string): readonly string[] | null {
  try {
    return runSuggest(text).split('\n').slice(0, -1);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    expect(error.message).not.toMatch(/\n\s+at |\[object|call stack/);
    expect(error.message.length).toBeGreaterThan(0);
    return null;
  }
}

const space = [
  { name: 'x', low: -2, high: 2 },
  { name: 'rate', low: 1e-5, high: 0.1, log: true },
  { name: 'n', low: 1, high: 9, step: 2, int: true },
  { name: 'kind', choices: ['a', 'b', null, true] },
];
const params = { x: 0.5, rate: 0.01, n: 3, kind: 'a' };
const trials = [
  { state: 'COMPLETE', params, values: [0.5] },
  { state: 'COMPLETE', params: { ...params, kind: null }, values: [1.5], constraints: [0.5, -1] },
  { state: 'COMPLETE', params: { x: 1 }, values: [-1] },
  { state: 'PRUNED', params, reports: [[1, 0.5]] },
  { state: 'RUNNING', params },
  { state: 'FAIL', params },
];
const one = {
  ...{ space, directions: ['minimize'], trials, seeds: [0, 1], fixed: { n: 5 }, group: false },
  ...{ rules: 'optuna-5', n_startup_trials: 2, n_ei_candidates: 8, multivariate: true, constant_liar: true },
};
const several = { spaces: { s: space }, cases: [{ ...one, space: 's' }] };

/** As Python writes it: with NaN and the infinities. */
const python = (value: unknown): string =>
  (
    (JSON.stringify(value, (_key, each: unknown) =>
      typeof each === 'number' && !Number.isFinite(each) ? `<${each}>` : each,
    ) as string | undefined) ?? ''
  ).replace(/"<(NaN|-?Infinity)>"/g, '$1');

type Path = readonly (string | number)[];

/** The way to every part of a value, itself first. */
function pathsOf(value: unknown, path: Path = []): readonly Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, part]) => pathsOf(part, [...path, key]))];
}

/** A copy of a value with another part at this place; `undefined` leaves the part out. */
function withPart(value: unknown, [key, ...path]: Path, part: unknown): unknown {
  if (key === undefined) return part;
  if (typeof value !== 'object' || value === null) return value;
  const copy = (Array.isArray(value) ? [...(value as unknown[])] : { ...value }) as Record<string, unknown>;
  copy[key] = withPart(copy[key], path, part);
  return copy;
}

const part = fc.oneof(
  { weight: 4, arbitrary: number },
  { weight: 2, arbitrary: hostileText },
  fc.constantFrom<unknown[]>(
    undefined,
    null,
    true,
    [],
    {},
    [[]],
    [0, 1, 2],
    ['minimize', 'maximize'],
    one.trials,
    space,
  ),
  fc.constantFrom<unknown[]>(
    trials.concat(trials),
    Array.from({ length: 300 }, () => trials[0]),
  ),
  fc.jsonValue({ maxDepth: 2 }),
);

/** A sensible case with one to three parts that are not. */
const spoiled = fc
  .tuple(
    fc.constantFrom<unknown[]>(one, several),
    fc.array(fc.tuple(fc.nat(1_000), part), { minLength: 1, maxLength: 3 }),
  )
  .map(([value, parts]) =>
    parts.reduce((before, [at, each]) => {
      const paths = pathsOf(before);
      return withPart(before, paths[at % paths.length] ?? [], each);
    }, value),
  );

const awkward = fc.oneof(
  fc.constantFrom(...Array.from('{}[]:,"\\-+.eE0123456789 ')),
  fc.constantFrom(
    'null',
    'NaN',
    '-Infinity',
    'true',
    '1e999',
    '5e-324',
    '"__proto__"',
    '"x"',
    '\uFEFF',
    '\0',
    '\ud800',
  ),
  fc.string({ unit: 'binary', maxLength: 10 }),
);

describe('the input of coordinator suggest is answered or refused, for', () => {
  it('texts that are no JSON, or hardly', () =>
    checkProperty(
      2_000,
      fc.property(fc.array(awkward, { maxLength: 20 }), (pieces) => expectSense(pieces.join(''))),
    ));

  it('any JSON', () => checkProperty(1_500, fc.property(fc.json(), expectSense)));

  it('sensible cases with parts that make no sense', () =>
    checkProperty(
      1_000,
      fc.property(spoiled, (value) => expectSense(python(value))),
    ));

  it('sensible cases with pieces cut out or replaced', () =>
    checkProperty(
      1_000,
      fc.property(
        fc.constantFrom(python(one), python(several)),
        fc.array(fc.record({ at: fc.nat(1_500), length: fc.nat(20), insert: awkward }), {
          minLength: 1,
          maxLength: 3,
        }),
        (text, edits) =>
          expectSense(
            edits.reduce(
              (before, { at, length, insert }) => before.slice(0, at) + insert + before.slice(at + length),
              text,
            ),
          ),
      ),
    ));

  it.each([
    ['lists within lists', `{"space":${'['.repeat(200_000)}${']'.repeat(200_000)}}`],
    ['objects within objects', `${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`],
    ['lists that do not end', '['.repeat(500_000)],
    ['one long name', `{"${'a'.repeat(5_000_000)}": 1}`],
    ['one long name with marks in it', `{"${'\\"'.repeat(2_000_000)}": 1}`],
    ['one long number', `{"seeds": [${'9'.repeat(1_000_000)}]}`],
    [
      'a hundred thousand trials that are none',
      python({ ...one, trials: Array.from({ length: 100_000 }, () => 0) }),
    ],
  ])('%s', (_name, text) => expectSense(text));
});
