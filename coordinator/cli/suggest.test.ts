import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runSuggest } from './suggest.js';

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
