/**
 * Optuna itself as the oracle, on a few random studies; `npm run oracle` asks thousands. Needs a Python that has it: one of
 * PARZEN_PEER_PYTHONS (separated by colons), else `python3`.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { compareFront, compareImportance, compareSuggestion, type Comparison } from './compare.js';
import { Oracle, peerPythons } from './oracle.js';

const oracles = (await Promise.all(peerPythons().map((python) => Oracle.start(python)))).filter(
  (oracle) => oracle !== null,
);
const cases = 15;

describe.skipIf(oracles.length === 0)(
  'answers are those of Optuna (skipped without one: name a Python that has it in PARZEN_PEER_PYTHONS)',
  () => {
    afterAll(() => oracles.forEach((oracle) => oracle.close()));

    const comparisons: [string, (oracle: Oracle, seed: number) => Promise<Comparison>][] = [
      ['suggestions', compareSuggestion],
      ['fronts', compareFront],
      ['importance', compareImportance],
    ];
    for (const oracle of oracles)
      it.each(comparisons.filter(([what]) => what !== 'importance' || !oracle.version.startsWith('4')))(
        `${oracle.version}: %s`,
        async (_, compare) => {
          let answered = 0;
          for (let seed = 0; seed < cases; seed++) {
            const comparison = await compare(oracle, seed);
            if (comparison.answered) answered += 1;
            expect({ seed, note: comparison.answered ? comparison.note : null }).toEqual({
              seed,
              note: null,
            });
          }
          expect(answered).toBeGreaterThan(cases / 3);
        },
      );
  },
);
