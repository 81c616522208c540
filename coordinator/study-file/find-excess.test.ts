/** The bounds on what a study file may cost, each by itself: one more than allowed is refused where it stands. */
import { describe, expect, it } from 'vitest';
import { findExcess } from './find-excess.js';
import { studyFileLimits } from './limits.js';
import { parseStudyFile } from './parse-study-file.js';
import { base, problemsOf } from './study-file.test-helper.js';

const { nestingMax, tokensMax, aliasesMax, problemsMax, parametersMax, bytesMax } = studyFileLimits;

describe('a study file is refused for', () => {
  it.each(['{', '['])('a nesting of %s beyond the bound', (bracket) => {
    // The document itself counts.
    expect(findExcess(bracket.repeat(nestingMax - 1))).toBeNull();
    expect(findExcess(bracket.repeat(nestingMax))).toMatchObject({
      offset: nestingMax - 1,
      message: expect.stringContaining('nested too deeply') as string,
    });
  });

  // A key and what follows it count as one place each, so that the bound is below `nestingMax` levels.
  it.each([
    ['maps in flow', (level: number) => '{a: '.repeat(level)],
    ['dashes', (level: number) => '- '.repeat(level)],
    ['question marks', (level: number) => '? '.repeat(level)],
    ['blocks', (level: number) => Array.from({ length: level }, (_, at) => `${' '.repeat(at)}a:\n`).join('')],
  ])('a nesting of %s, far above what it needs', (_, nest) => {
    expect(findExcess(nest(10))).toBeNull();
    expect(findExcess(nest(nestingMax + 1))?.message).toContain('nested too deeply');
  });

  it('no number of neighbours', () => {
    expect(findExcess('a:\n  b:\n    c: 1\n'.repeat(nestingMax))).toBeNull();
  });

  it('words and signs beyond the bound', () => {
    // A dash and the end of its line.
    expect(findExcess('-\n'.repeat(tokensMax / 2 - 10))).toBeNull();
    expect(findExcess('-\n'.repeat(tokensMax / 2 + 10))?.message).toContain(`more than ${tokensMax} words`);
  });

  it('uses of anchors beyond the bound', () => {
    expect(findExcess(`- &a 1\n${'- *a\n'.repeat(aliasesMax)}`)).toBeNull();
    expect(findExcess(`- &a 1\n${'- *a\n'.repeat(aliasesMax + 1)}`)).toMatchObject({
      offset: 7 + 5 * aliasesMax + 2,
      message: expect.stringContaining('YAML anchors') as string,
    });
  });

  it('bytes beyond the bound', () => {
    expect(problemsOf(`${base}#${'x'.repeat(bytesMax - base.length - 1)}`)).toEqual([]);
    expect(problemsOf(`${base}#${'x'.repeat(bytesMax - base.length)}`)[0]).toContain('at most');
  });

  it('values beyond the number of parameters that there may be', () => {
    const values = Array.from({ length: parametersMax + 1 }, (_, index) => `  v${index}: 1\n`);
    const wanted = `has ${parametersMax + 1} entries, at most ${parametersMax} are allowed`;
    expect(problemsOf(`${base}fixed:\n${values.join('')}`).join()).toContain(wanted);
    expect(problemsOf(`${base}fixed:\n${values.slice(1).join('')}`)).toEqual([]);
  });

  it.each([
    ['brackets that close nothing', '}'],
    ['commas', '['],
    ['escapes', 'x: "\\q'],
    ['tags', '!!str '],
    ['anchors of one value', '&a '],
    ['quotes', '"a" '],
  ])('mistakes of its YAML, of which no more are looked for than are shown: %s', (_, text) => {
    const [sign = '', head = ''] =
      text === '[' ? [',', '['] : text.startsWith('x') ? ['\\q', 'x: "'] : [text];
    const parsed = parseStudyFile(head + sign.repeat(5_000));
    expect(parsed.kind === 'problems' && parsed.problems.length).toBe(problemsMax + 1);
    expect(parsed.kind === 'problems' && parsed.problems.at(-1)?.message).toMatch(
      /^… and [12] more mistakes$/,
    );
  });
});
