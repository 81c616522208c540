import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { fanova } from './fanova.js';
import { goldenFolder, goldenStudy } from './importance.test-helper.js';

/** What two forests may differ by beside the spread of the two recorded ones. */
const spreadSlack = 0.03;

describe.skipIf(!existsSync(goldenFolder))(`golden fANOVA (skipped without ${goldenFolder})`, () => {
  const { results } = existsSync(goldenFolder)
    ? (JSON.parse(readFileSync(path.join(goldenFolder, 'importance-optuna-4.json'), 'utf8')) as {
        results: {
          case: number;
          fanova_seed0: Record<string, number>;
          fanova_seed1: Record<string, number>;
        }[];
      })
    : { results: [] };
  for (const expected of results) {
    it(
      `case ${expected.case}: within the spread of two seeds plus ${spreadSlack}`,
      { timeout: 240_000 },
      () => {
        const actual = fanova(goldenStudy(expected.case), 7);
        const names = Object.keys(expected.fanova_seed0);
        expect([...actual.keys()].sort()).toEqual([...names].sort());
        for (const name of names) {
          const both = [expected.fanova_seed0[name] ?? 0, expected.fanova_seed1[name] ?? 0];
          const value = actual.get(name) ?? 0;
          expect(value, name).toBeGreaterThan(Math.min(...both) - spreadSlack);
          expect(value, name).toBeLessThan(Math.max(...both) + spreadSlack);
        }
        expect([...actual.keys()][0]).toBe(names[0]);
      },
    );
  }
});
