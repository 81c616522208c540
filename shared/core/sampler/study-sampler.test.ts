import { describe, expect, it } from 'vitest';
import { Chance, randomStudy, runningAfter, type RandomStudy } from './random-study.test-helper.js';
import { SamplerSession } from './sampler-session.js';
import { StudySampler } from './study-sampler.js';
import type { RunningTrial, TpeRules } from './sampler.js';
import { suggestPlainly } from './plain-suggestion.test-helper.js';
import { complete, request, settings } from './suggest.test-helper.js';
import { makeCategorical, makeFloat, makeInt } from '../space/make-parameter.js';
import type { Space } from '../space/parameter.js';
import { sampleRandom } from './random.js';

/** How many times as many random studies as usual to try: PARZEN_SAMPLER_STUDIES=20 takes some minutes. */
const studiesFactor = Number(process.env['PARZEN_SAMPLER_STUDIES'] ?? 1);

/**
 * Suggests plainly and from the projection after some of the trials; both must be the same to the last bit. Two or three
 * suggestions in a row, nothing being told in between, the earlier ones running.
 */
function compare(study: RandomStudy, sampler: StudySampler, seen: number, chance: Chance): void {
  const finished = study.finished.slice(0, seen).sort((a, b) => a.number - b.number);
  const running = runningAfter(study, seen, chance);
  let number = study.finished.length + study.running.length;
  for (let asks = chance.of([1, 1, 2, 3]); asks > 0; asks--) {
    const seed = chance.below(2 ** 32);
    const asked = { number, running };
    const plain = suggestPlainly({ ...study.request, ...asked, finished }, new SamplerSession(seed));
    expect(sampler.suggestWithSeed(asked, seed), `after ${seen} trials, ask seed ${seed}`).toEqual(plain);
    running.push({ number, params: plain });
    number += 1;
  }
}

/** Folds a study in, comparing where `isDue` says so and at the end; failures name the study's seed. */
function walk(seed: number, count: number, isDue: (seen: number, chance: Chance) => boolean): void {
  const chance = new Chance(seed);
  const study = randomStudy(chance, count);
  const sampler = new StudySampler(study.request);
  try {
    for (const [i, trial] of study.finished.entries()) {
      sampler.fold(trial);
      if (i + 1 === study.finished.length || isDue(i + 1, chance)) compare(study, sampler, i + 1, chance);
    }
  } catch (error) {
    throw new Error(`study of seed ${seed}, ${count} trials`, { cause: error });
  }
}

describe('StudySampler agrees with the plain suggestion', () => {
  const counts = [4, 12, 30, 60, 120];

  it.each([0, 1, 2, 3, 4, 5, 6, 7])(
    'on random studies, block %d',
    { timeout: 240_000 * studiesFactor },
    (block) => {
      for (let i = 0; i < 40 * studiesFactor; i++) {
        const count = counts[i % counts.length] ?? 4;
        walk(block * 100_000 + i, count, (_, chance) => chance.is(6 / count));
      }
    },
  );

  it.each([0, 1, 2, 3])(
    'on longer ones, whose kernels are added up in parts, block %d',
    { timeout: 240_000 * studiesFactor },
    (block) => {
      for (let i = 0; i < 6 * studiesFactor; i++) {
        walk(1_000_000 + block * 100_000 + i, [350, 500, 800][i % 3] ?? 350, (_, chance) => chance.is(0.003));
      }
    },
  );

  it(
    'where the ramp of weights begins and where the smallest bandwidth stops to shrink',
    { timeout: 120_000 * studiesFactor },
    () => {
      // About a tenth of the trials are good and a tenth never finish: 20 to 40 bad ones, and 90 to 110.
      const isDue = (seen: number): boolean => (seen >= 22 && seen <= 34) || (seen >= 100 && seen <= 124);
      for (let i = 0; i < 8 * studiesFactor; i++)
        walk(2_000_000 + i, 140, (seen, chance) => isDue(seen) && chance.is(0.4));
    },
  );

  it(
    'when trials are taken in by the thousand and then one by one',
    { timeout: 120_000 * studiesFactor },
    () => {
      for (let i = 0; i < 2 * studiesFactor; i++)
        walk(3_000_000 + i, 1_200, (seen) => seen > 1_000 && seen % 20 === 0);
    },
  );
});

/** The seeds for which the suggestion differs from the plain one after `n` trials, every other one near the optimum. */
function differing(space: Space, n: number, rules: TpeRules, seeds: readonly number[]): number[] {
  const { rng } = new Chance(1);
  const finished = Array.from({ length: n }, (_, number) => {
    const params = Object.fromEntries(
      space.map((parameter) => [parameter.name, sampleRandom(parameter, rng)]),
    );
    let value = 0.5 * rng.nextDouble();
    for (const parameter of space) {
      if (parameter.kind === 'categorical') continue;
      const { name, low, high, step } = parameter;
      if (number % 2 === 1 && step === null)
        params[name] = low + (high - low) * (0.25 + 0.1 * rng.nextDouble());
      value += ((Number(params[name]) - low) / (high - low) - 0.3) ** 2;
    }
    return complete(number, params, value);
  });
  const study = request(space, finished, { rules, eiCandidates: 64 });
  const sampler = new StudySampler(study);
  for (const trial of finished) sampler.fold(trial);
  return seeds.filter((seed) => {
    const plain = suggestPlainly(study, new SamplerSession(seed));
    const fast = sampler.suggestWithSeed({ number: n, running: [] }, seed);
    return JSON.stringify(fast) !== JSON.stringify(plain);
  });
}

describe('StudySampler agrees with the plain suggestion at the limits of the screen', () => {
  const floats = (d: number): Space =>
    Array.from({ length: d }, (_, i) => makeFloat({ name: `x${i}`, low: 0, high: 1 }));

  it.each([
    [12, 500, 'optuna-5', [0, 1, 2]],
    [12, 500, 'optuna-4', [0, 1, 2]],
    [18, 600, 'optuna-5', [4, 5, 6]],
    [19, 600, 'optuna-5', [2, 3, 4]],
    [20, 600, 'optuna-5', [0, 1, 2]],
    [24, 500, 'optuna-5', [0, 1]],
    [24, 500, 'optuna-4', [0, 1]],
    [64, 500, 'optuna-4', [0, 1]],
  ] as const)('%d continuous parameters, %d trials, %s', { timeout: 60_000 }, (...[d, n, rules, seeds]) => {
    expect(differing(floats(d), n, rules, seeds)).toEqual([]);
  });

  const y = makeFloat({ name: 'y', low: -1, high: 1 });
  it.each([
    ['a wide grid', makeInt({ name: 'k', low: 0, high: 1e13 })],
    ['the narrowest range', makeFloat({ name: 'k', low: 0, high: 2 ** -1022 })],
    ['a grid in the narrowest range', makeFloat({ name: 'k', low: 0, high: 2 ** -1022, step: 2 ** -1025 })],
    ['a range of a few doubles', makeFloat({ name: 'k', low: 1, high: 1 + 4 * Number.EPSILON })],
    ['the widest range', makeFloat({ name: 'k', low: -8e307, high: 8e307 })],
  ])('%s', { timeout: 60_000 }, (_, parameter) => {
    const seeds = Array.from({ length: 30 }, (__, seed) => seed);
    for (const rules of ['optuna-4', 'optuna-5'] as const) {
      expect(differing([parameter, y], 60, rules, seeds)).toEqual([]);
    }
  });
});

describe('StudySampler', () => {
  const x = makeFloat({ name: 'x', low: 0, high: 1 });
  const c = makeCategorical('c', ['a', 'b']);
  const { space, directions } = request([x, c], []);
  const study = { space, directions, settings };
  const trials = Array.from({ length: 40 }, (_, i) =>
    complete(i, { x: ((i * 37) % 41) / 41, c: i % 3 === 0 ? 'a' : 'b' }, i % 7),
  );

  it('refuses a trial with an impossible value and stays as it was', () => {
    const sampler = new StudySampler(study);
    for (const trial of trials) sampler.fold(trial);
    const before = sampler.suggestWithSeed({ number: 40, running: [] }, 3);
    expect(() => sampler.fold(complete(40, { x: 0.5, c: 'z' }, 1))).toThrow(
      'trial 40: "z" is not a value of "c"',
    );
    expect(sampler.finishedCount).toBe(40);
    expect(sampler.suggestWithSeed({ number: 40, running: [] }, 3)).toEqual(before);
  });

  it('suggests the same whatever it was asked in between', () => {
    const asked = new StudySampler(study);
    const fresh = new StudySampler(study);
    for (const trial of trials) {
      asked.fold(trial);
      fresh.fold(trial);
      asked.suggest({ number: trial.number, running: [{ number: 900, params: { x: 0.3, c: 'a' } }] });
    }
    const last = { number: 40, running: [{ number: 38, params: { x: 0.9, c: 'b' } }] };
    expect(asked.suggest(last)).toEqual(fresh.suggest(last));
  });

  it('with 64 asks and no tells, all suggestions differ under the liar', () => {
    const sampler = new StudySampler({ ...study, settings: { ...settings, constantLiar: true } });
    for (const trial of trials) sampler.fold(trial);
    const running: RunningTrial[] = [];
    for (let number = 40; number < 104; number++) {
      running.push({ number, params: sampler.suggest({ number, running }) });
    }
    expect(new Set(running.map(({ params }) => params['x'])).size).toBe(64);
  });

  it('goes on where a running trial comes back with other values, or finishes with them', () => {
    const sampler = new StudySampler({ ...study, settings: { ...settings, constantLiar: true } });
    const fresh = new StudySampler({ ...study, settings: { ...settings, constantLiar: true } });
    for (const trial of trials) sampler.fold(trial);
    for (const trial of trials) fresh.fold(trial);
    sampler.suggest({ number: 50, running: [{ number: 45, params: { x: 0.1, c: 'a' } }] });
    sampler.suggest({ number: 50, running: [{ number: 45, params: { x: 0.8, c: 'b' } }] });
    sampler.fold(complete(45, { x: 0.4, c: 'a' }, 3));
    fresh.fold(complete(45, { x: 0.4, c: 'a' }, 3));
    for (const running of [[{ number: 45, params: { x: 0.4, c: 'a' } }], []]) {
      expect(sampler.suggest({ number: 51, running })).toEqual(fresh.suggest({ number: 51, running }));
    }
  });

  it('there is room for thousands in one process', { timeout: 60_000 }, () => {
    const running: RunningTrial[] = [];
    const seen = new Set<string>();
    const kept: StudySampler[] = [];
    for (let seed = 0; seed < 4_000; seed++) {
      const sampler = new StudySampler({ ...study, settings: { ...settings, seed } });
      for (const trial of trials.slice(0, 12)) sampler.fold(trial);
      seen.add(JSON.stringify(sampler.suggest({ number: 40, running })));
      kept.push(sampler);
    }
    expect(kept.length).toBe(4_000);
    expect(seen.size).toBeGreaterThan(3_000);
  });

  it('the random sampler needs no history', () => {
    const sampler = new StudySampler({ ...study, settings: { type: 'random', seed: 5 } });
    const before = sampler.suggest({ number: 7, running: [] });
    for (const trial of trials) sampler.fold(trial);
    expect(sampler.suggest({ number: 7, running: [] })).toEqual(before);
  });
});
