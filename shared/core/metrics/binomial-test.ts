import { logGamma } from './special-functions.js';

/** Outcomes whose probability exceeds the observed one by less than this still count as "not more likely". */
const slack = 1e-15;

/**
 * Exact two-sided test of `hits` out of `trials` against ½: the sum of the probabilities of all outcomes not more likely than
 * the observed one (hermite-model.md §13.3). Through ln Γ, so that it holds for any number of trials. NaN for no trials.
 */
export function binomialTest(hits: number, trials: number): number {
  if (trials <= 0) return NaN;
  const logTotal = logGamma(trials + 1) - trials * Math.LN2;
  const probability = (k: number): number => Math.exp(logTotal - logGamma(k + 1) - logGamma(trials - k + 1));
  const observed = probability(hits);
  // ln Γ leaves a relative error that grows with the number of trials; the mirror outcome must not fall through it.
  const limit = observed * (1 + 1e-9) + slack;
  let sum = 0;
  for (let k = 0; k <= trials; k++) {
    const p = probability(k);
    if (p <= limit) sum += p;
  }
  return Math.min(1, sum);
}
