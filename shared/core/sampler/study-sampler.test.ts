import { describe, expect, it } from 'vitest';
import { Chance, randomStudy, type RandomStudy } from './random-study.test-helper.js';
import { SamplerSession } from './sampler-session.js';
import { StudySampler } from './study-sampler.js';
import type { RunningTrial } from './sampler.js';
import { complete, request, settings } from './suggest.test-helper.js';
import { suggestPlainly } from './suggest.js';
import { makeCategorical, makeFloat } from '../space/make-parameter.js';

/** Suggests plainly and from the projection after some of the trials; both must be the same to the last bit. */
function compare(study: RandomStudy, sampler: StudySampler, seen: number, seed: number): void {
  const finished = study.finished.slice(0, seen).sort((a, b) => a.number - b.number);
  const asked = { number: study.finished.length + study.running.length, running: study.running };
  const plain = suggestPlainly({ ...study.request, ...asked, finished }, new SamplerSession(seed));
  expect(sampler.suggestWithSeed(asked, seed), `study ${seed} after ${seen} trials`).toEqual(plain);
}

describe('StudySampler agrees with the plain suggestion', () => {
  it.each([0, 1, 2, 3, 4, 5, 6, 7])('on random studies, block %d', { timeout: 240_000 }, (block) => {
    for (let i = 0; i < 40; i++) {
      const seed = block * 1000 + i;
      const chance = new Chance(seed);
      const count = chance.of([4, 12, 30, 60, 120]);
      const study = randomStudy(chance, count);
      const sampler = new StudySampler(study.request);
      let seen = 0;
      for (const trial of study.finished) {
        sampler.fold(trial);
        seen += 1;
        if (seen === study.finished.length || chance.is(8 / count)) compare(study, sampler, seen, seed);
      }
    }
  });

  it.each([0, 1, 2, 3])(
    'on longer ones, whose kernels are added up in parts, block %d',
    { timeout: 240_000 },
    (block) => {
      for (let i = 0; i < 6; i++) {
        const seed = 50_000 + block * 1000 + i;
        const chance = new Chance(seed);
        const study = randomStudy(chance, chance.of([350, 500, 800]));
        const sampler = new StudySampler(study.request);
        for (const [seen, trial] of study.finished.entries()) {
          sampler.fold(trial);
          if (seen + 1 === study.finished.length || chance.is(0.004)) compare(study, sampler, seen + 1, seed);
        }
      }
    },
  );
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

  it('the random sampler needs no history', () => {
    const sampler = new StudySampler({ ...study, settings: { type: 'random', seed: 5 } });
    const before = sampler.suggest({ number: 7, running: [] });
    for (const trial of trials) sampler.fold(trial);
    expect(sampler.suggest({ number: 7, running: [] })).toEqual(before);
  });
});
