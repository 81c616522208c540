/**
 * The table of the edge cases of tpe.md §18: every one has a test that names it ("case 25: ...", "cases 30 and 31: ...",
 * "... (case 14)"). `npx vitest run --project unit -t "cases? 25\b"` runs it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

const root = path.resolve(import.meta.dirname, '..');
const caseCount = 61;

/** Case numbers in what a test file has in quotes: titles, also those in tables of `it.each`. */
const casesIn = (text: string): number[] =>
  [...text.matchAll(/['"`][^'"`\n]*?\bcases? (\d+)(?:(?: and |, )(\d+))?/g)].flatMap(([, first, second]) =>
    [first, second].filter((number) => number !== undefined).map(Number),
  );

const table = new Map<number, string[]>();
for (const folder of ['shared/core', 'coordinator'])
  for (const name of readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' }))
    if (name.endsWith('.test.ts'))
      for (const number of casesIn(readFileSync(path.join(root, folder, name), 'utf8')))
        table.set(number, [...(table.get(number) ?? []), path.posix.join(folder, name)]);

describe('edge cases of tpe.md §18', () => {
  it.each(Array.from({ length: caseCount }, (_, i) => i + 1))('number %d has its test', (number) => {
    expect(table.get(number) ?? []).not.toHaveLength(0);
  });

  it('has no test of a case that does not exist', () => {
    expect([...table.keys()].filter((number) => number < 1 || number > caseCount)).toEqual([]);
  });
});
