import { describe, expect, it } from 'vitest';
import { simulate } from './simulate.js';
import { calm } from './weather.js';

describe('the simulation', () => {
  it.each(Array.from({ length: 30 }, (_, seed) => seed))(
    'keeps every promise under the faults of seed %i',
    async (seed) => {
      const { violation, tail } = await simulate({ seed });
      expect(violation, [...tail, `npm run sim -- --seed=${seed} --trace`].join('\n')).toBeNull();
    },
  );

  it('is the same run for the same seed, and another for another', async () => {
    const first = await simulate({ seed: 3 });
    expect(await simulate({ seed: 3 })).toEqual(first);
    expect((await simulate({ seed: 4 })).digest).not.toBe(first.digest);
  });

  it('loses no lease when nothing goes wrong', async () => {
    for (let seed = 0; seed < 5; seed += 1) {
      const { violation, counts } = await simulate({ seed, weather: calm });
      expect(violation).toBeNull();
      expect(counts.results + counts.returned).toBe(counts.assignments);
      expect(counts.late).toBe(0);
    }
  });

  it('loses no lease when workers are told to stop: they give back what they have, and what they asked for', async () => {
    const happening = { ...calm.happening, 'worker-drain': 1 };
    for (let seed = 0; seed < 5; seed += 1) {
      const { violation, lost } = await simulate({
        seed,
        weather: { ...calm, happening, happeningEveryMs: 3_000 },
      });
      expect({ seed, violation, lost }).toEqual({ seed, violation: null, lost: 0 });
    }
  });
});
