/** Every promise that is broken on purpose is found, within the number of seeds that this prints. */
import { describe, expect, it } from 'vitest';
import { mutantNames } from './mutants.js';
import { simulate } from './simulate.js';

/** Several times what the slowest one needs. */
const seedsMax = 600;

describe('the simulation finds', () => {
  it.each(mutantNames)('%s', async (mutant) => {
    for (let seed = 0; seed < seedsMax; seed += 1) {
      const { violation } = await simulate({ seed, mutant });
      if (violation === null) continue;
      console.log(
        `${mutant}: found by seed ${seed}, the ${seed + 1}. of ${seedsMax}: ${violation.slice(0, 120)}`,
      );
      return;
    }
    expect.unreachable(`${seedsMax} seeds did not find it`);
  });
});
