/**
 * Whatever is called a study file: it is a whole study, or a list of mistakes that each name a place within it and a remedy;
 * never a crash, and never a wait.
 */
import fc from 'fast-check';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { describe, expect, it } from 'vitest';
import { studyFileLimits } from '../../coordinator/study-file/limits.js';
import { formatProblems, parseStudyFile } from '../../coordinator/study-file/parse-study-file.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import { projectRoot } from '../helpers/cli.js';
import { checkProperty } from './inputs.js';
import { validStudy } from './valid-study.js';

/** What a reader may rely on, whatever the text. */
function expectSense(text: string): void {
  const parsed = parseStudyFile(text);
  if (parsed.kind === 'ok') {
    expectWhole(parsed.definition);
    return;
  }
  expect(parsed.problems.length).toBeGreaterThan(0);
  expect(parsed.problems.length).toBeLessThanOrEqual(studyFileLimits.problemsMax + 1);
  // As the YAML library counts lines.
  const lines = text.split('\n');
  for (const { line, column, message } of parsed.problems) {
    expect(Number.isInteger(line) && line >= 1 && line <= lines.length).toBe(true);
    expect(Number.isInteger(column) && column >= 1 && column <= (lines[line - 1] ?? '').length + 1).toBe(
      true,
    );
    expect(message).not.toBe('');
    expect(message).not.toMatch(/\n\s+at |undefined|\[object|call stack/);
    expect(message.length).toBeLessThan(8_000);
  }
  expect(formatProblems('study.yaml', parsed.problems)).not.toBe('');
}

/** Everything is there, and survives the way into the database and back. */
function expectWhole(definition: StudyDefinition): void {
  expect(definition.name).not.toBe('');
  expect(definition.trials).toBeGreaterThanOrEqual(1);
  expect(definition.space.length).toBeGreaterThan(0);
  expect(definition.objectives.length).toBeGreaterThan(0);
  for (const parameter of definition.space)
    if (parameter.kind === 'categorical') expect(parameter.choices.length).toBeGreaterThan(0);
    else
      expect(Number.isFinite(parameter.high - parameter.low) && parameter.low <= parameter.high).toBe(true);
  expect(JSON.parse(JSON.stringify(definition))).toEqual(definition);
}

const folder = path.join(projectRoot, 'studies');
const studies = readdirSync(folder).map((file) => readFileSync(path.join(folder, file), 'utf8'));

/** What has a meaning in YAML or in a study file, and numbers that are none. */
const awkward = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...Array.from('{}[]:-?|>&*!"\'#%@`,~\n\t ')) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      ...['.nan', '.inf', '-.inf', '1e999', '-0', '0x7fffffffffffffff', '9007199254740993', '1_000', '0o17'],
      ...[
        'null',
        'true',
        'yes',
        '<<: *a',
        '&a ',
        '*a',
        '!!binary ',
        '!!set',
        '!<tag:x>',
        '---',
        '...',
        '%YAML 1.1\n',
      ],
      ...[
        'name: ',
        'space: ',
        'low: 1',
        'choices: []',
        '__proto__: 1',
        'constructor: {}',
        'toString',
        '\\',
        '\0',
        '\uFEFF',
      ],
    ),
  },
  fc.string({ maxLength: 20 }),
  fc.string({ unit: 'binary', maxLength: 20 }),
);

/** A study file in which a few pieces were cut out, doubled, moved or replaced. */
const mutated = fc
  .record({
    text: fc.oneof(
      fc.constantFrom(...studies),
      validStudy.map((definition) => stringify(definition.file)),
    ),
    edits: fc.array(
      fc.record({
        at: fc.double({ min: 0, max: 1, noNaN: true }),
        length: fc.nat(40),
        insert: fc.oneof(awkward, fc.constant('again' as const)),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  })
  .map(({ text, edits }) =>
    edits.reduce((before, { at, length, insert }) => {
      const from = Math.floor(at * before.length);
      const piece = before.slice(from, from + length);
      return (
        before.slice(0, from) +
        (insert === 'again' ? `${piece}\n${piece}` : insert) +
        before.slice(from + length)
      );
    }, text),
  );

describe('a study file is a study or a list of mistakes with places, for', () => {
  it('bytes that are no text', () =>
    checkProperty(
      1_500,
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) =>
        expectSense(Buffer.from(bytes).toString('utf8')),
      ),
    ));

  it('texts of what YAML has a meaning for', () =>
    checkProperty(
      1_200,
      fc.property(fc.array(awkward, { maxLength: 30 }), (pieces) => expectSense(pieces.join(''))),
    ));

  it('study files with pieces cut out, doubled or replaced', () =>
    checkProperty(200, fc.property(mutated, expectSense)));

  it('lines of another kind', () =>
    checkProperty(
      100,
      fc.property(
        fc.constantFrom(...studies),
        fc.nat(200),
        fc.oneof(awkward, fc.constantFrom('[]', '{}', '"1"', '{ low: 1, high: 0 }', '[1, [2]]')),
        (text, row, value) => {
          const lines = text.split('\n');
          expectSense(
            lines
              .map((line, index) =>
                index === row % lines.length ? line.replace(/:.*$/, `: ${value}`) : line,
              )
              .join('\n'),
          );
        },
      ),
    ));

  it.each([
    ['as large as allowed', 'x'.repeat(studyFileLimits.bytesMax)],
    ['of other keys, as large as allowed', Array.from({ length: 90_000 }, (_, n) => `k${n}: 1\n`).join('')],
    ['larger', 'x'.repeat(studyFileLimits.bytesMax + 1)],
    ['of a million brackets', '['.repeat(1_000_000)],
    ['of a million dashes', '- '.repeat(500_000)],
    ['of maps within maps', Array.from({ length: 1_000 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join('')],
    ['of a billion laughs', laughs(9)],
    ['of a few laughs', laughs(3)],
    ['that contains itself', 'name: &a\n  b: *a\nspace: *a\n'],
    ['of anchors', Array.from({ length: 5_000 }, (_, n) => `- &a${n} 1\n`).join('')],
    ['of quotes', '"'.repeat(100_001)],
    ['of tabs', '\t'.repeat(100_000)],
  ])('one %s', (_, text) => expectSense(text));
});

/** Each list holds the one before nine times. */
function laughs(levels: number): string {
  const lines = Array.from({ length: levels }, (_, level) => {
    const items = Array.from({ length: 9 }, () => (level === 0 ? 'ha' : `*l${level - 1}`));
    return `l${level}: &l${level} [${items.join(', ')}]\n`;
  });
  return `${lines.join('')}fixed: { x: *l${levels - 1} }\n`;
}

describe('a valid study', () => {
  it('is read as it is meant, float for float, whichever way it is written', () =>
    checkProperty(
      100,
      fc.property(
        validStudy,
        fc.constantFrom(
          {},
          { collectionStyle: 'flow' as const },
          { defaultStringType: 'QUOTE_DOUBLE' as const },
        ),
        ({ file, definition }, style) => {
          expect(parseStudyFile(stringify(file, style))).toMatchObject({ kind: 'ok', definition });
          expect(parseStudyFile(JSON.stringify(file))).toMatchObject({ kind: 'ok', definition });
        },
      ),
    ));
});
