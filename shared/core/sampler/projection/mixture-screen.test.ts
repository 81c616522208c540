import { describe, expect, it } from 'vitest';
import { isSingle, makeFloat, makeInt, toInternal } from '../../space/make-parameter.js';
import type { Space } from '../../space/parameter.js';
import { Chance, randomStudy } from '../random-study.test-helper.js';
import { sampleRandom } from '../random.js';
import { estimatorRules, type EstimatorRules } from '../tpe/estimator-rules.js';
import { ParzenEstimator } from '../tpe/parzen-estimator.js';
import { mixtureWeights, rampWeights } from '../tpe/weights.js';
import { BadKernels } from './bad-kernels.js';
import { MixtureScreen } from './mixture-screen.js';
import { Observations } from './observations.js';
import { fineShare, roughShare } from './open-mixture.js';
import { ScreenMemory } from './screen-memory.js';
import { goodKernels } from './screened-kernels.js';

/**
 * ln of the totals of one mixture less what the plain estimator says, per candidate. The screen leaves out a factor per
 * candidate that is the same for every mixture, so only differences between two mixtures can be compared. In units of
 * how far a logarithm may be off. None when the screen says that it cannot hold the totals.
 */
function screenErrors(
  space: Space,
  rules: EstimatorRules,
  { count, chance, memory }: { count: number; chance: Chance; memory: ScreenMemory },
): number[] {
  const internal = (): number[] =>
    space.map((parameter) => toInternal(parameter, sampleRandom(parameter, chance.rng)) ?? 0);
  const points = Array.from({ length: count }, internal);
  const observations = new Observations(space, rules);
  const badKernels = new BadKernels(observations, rules, space.length);
  const isGood = points.map((_, i) => i % 5 === 0);
  for (const [number, point] of points.entries()) {
    const slot = observations.add(number, point, false);
    if (isGood[number] !== true) badKernels.add(slot);
    // Now and then everything is brought up to date, so that later kernels are taken in one by one.
    if (chance.is(0.1)) badKernels.current();
  }
  // Some kernels leave and come back, as running trials and good ones do.
  for (let slot = 0; slot < count; slot++) {
    if (isGood[slot] === true || !chance.is(0.2)) continue;
    badKernels.remove(slot);
    if (chance.is(0.3)) badKernels.current();
    badKernels.add(slot);
  }
  for (let slot = 0; slot < count; slot++) {
    if (isGood[slot] === true || !chance.is(0.1)) continue;
    badKernels.remove(slot);
    isGood[slot] = true;
  }
  const candidates = Array.from({ length: 24 }, internal);
  const columns = space.map((_, i) => Float64Array.from(candidates, (candidate) => candidate[i] ?? 0));
  for (const axis of observations.tables) axis.setCandidates(columns);
  const screen = new MixtureScreen(observations, rules, space.length, memory);
  let errorMax = 0;
  const logs = [true, false].map((good) => {
    const slots = Uint32Array.from(points.keys()).filter((slot) => isGood[slot] === good);
    const weights = rampWeights(slots.length);
    const mixture = { slots, weights: mixtureWeights(weights, 1) };
    const kernels = good ? goodKernels(observations, mixture, space.length, rules) : badKernels.current();
    const open = screen.open(kernels, columns);
    if (open === null) return null;
    ({ errorMax } = open);
    const whole = { from: 0, to: open.count };
    const sums = open.prior.slice();
    open.sum(whole, sums, fineShare);
    const rough = open.prior.slice();
    open.sum(whole, rough, roughShare);
    const screened = candidates.map((_, j) => Math.log(sums[j] ?? 0));
    const chosen = candidates.map((_, j) => j).slice(3, 12);
    open.take(chosen);
    const narrow = Float64Array.from(chosen, (j) => open.prior[j] ?? 0);
    open.addTo(narrow, whole, fineShare);
    // Roughly, a total may lack no more than the share.
    sums.forEach((sum, j) => {
      expect((rough[j] ?? 0) / sum).toBeLessThan(1 + 1e-5);
      expect((rough[j] ?? 0) / sum).toBeGreaterThan(1 - roughShare);
    });
    // What is summed for a few candidates is what is summed for all.
    chosen.forEach((j, i) => {
      expect(Math.abs((narrow[i] ?? 0) - (sums[j] ?? 0))).toBeLessThanOrEqual(1e-4 * (sums[j] ?? 0));
    });
    const plain = new ParzenEstimator(
      space,
      space.map((_, i) => Float64Array.from(slots, (slot) => points[slot]?.[i] ?? 0)),
      weights,
      rules,
    );
    return candidates.map((candidate, j) => (screened[j] ?? 0) - plain.logDensity(candidate));
  });
  const [good, bad] = logs;
  if (good === undefined || bad === undefined || good === null || bad === null) return [];
  return good.map((difference, j) => (difference - (bad[j] ?? 0)) / errorMax);
}

describe('MixtureScreen', () => {
  it('is as exact as the margin of the contenders supposes', () => {
    const memory = new ScreenMemory();
    let compared = 0;
    let worst = 0;
    for (let seed = 0; seed < 400; seed++) {
      const chance = new Chance(seed);
      const { request } = randomStudy(chance, 1);
      const space = request.space.filter((parameter) => !isSingle(parameter));
      if (space.length === 0) continue;
      const rules = estimatorRules(chance.of(['optuna-4', 'optuna-5']), true);
      const count = chance.of([3, 20, 60, 200]);
      for (const error of screenErrors(space, rules, { count, chance, memory })) {
        compared += 1;
        worst = Math.max(worst, Math.abs(error));
      }
    }
    expect(compared).toBeGreaterThan(8_000);
    // Two mixtures, each off by the error allowed for at most.
    expect(worst).toBeLessThan(2);
    expect(worst).toBeGreaterThan(1e-3);
  });

  it.each([
    [12, 'optuna-5', 600],
    [18, 'optuna-5', 600],
    [20, 'optuna-5', 600],
    [24, 'optuna-4', 600],
    [64, 'optuna-4', 500],
  ] as const)('so it is with %d continuous parameters under the rules of %s', (d, release, count) => {
    const memory = new ScreenMemory();
    for (let seed = 0; seed < 2; seed++) {
      const space = Array.from({ length: d }, (_, i) =>
        i % 4 === 3
          ? makeInt({ name: `k${i}`, low: 0, high: 2_000 })
          : makeFloat({ name: `x${i}`, low: 0, high: 1 }),
      );
      const chance = new Chance(seed);
      const errors = screenErrors(space, estimatorRules(release, true), { count, chance, memory });
      expect(errors.length).toBe(24);
      expect(Math.max(...errors.map(Math.abs))).toBeLessThan(2);
    }
  });

  it('is not opened where single precision has no room for that many narrow kernels', () => {
    const space = Array.from({ length: 26 }, (_, i) => makeFloat({ name: `x${i}`, low: 0, high: 1 }));
    const rest = { count: 300, chance: new Chance(1), memory: new ScreenMemory() };
    expect(screenErrors(space, estimatorRules('optuna-5', true), rest)).toEqual([]);
  });
});
