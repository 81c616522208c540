import { describe, expect, it } from 'vitest';
import { didYouMean } from './did-you-mean.js';

describe('didYouMean', () => {
  it('finds slips of the finger and other ways of writing, but not what is far off', () => {
    const known = ['startup_trials', 'ei_candidates', 'seed', 'low', 'high'];
    expect(didYouMean('startup_trails', known)).toBe('startup_trials');
    expect(didYouMean('startupTrials', known)).toBe('startup_trials');
    expect(didYouMean('n_startup_trials', known)).toBe('startup_trials');
    expect(didYouMean('sede', known)).toBe('seed');
    expect(didYouMean('candidates', known)).toBe('ei_candidates');
    expect(didYouMean('hihg', known)).toBe('high');
    expect(didYouMean('gamma', known)).toBeNull();
    expect(didYouMean('a', known)).toBeNull();
    expect(didYouMean('', known)).toBeNull();
    expect(didYouMean('x'.repeat(1000), known)).toBeNull();
  });
});
