import { describe, expect, it } from 'vitest';
import { expectedNormalMaximum } from '../../shared/core/metrics/normal-maximum.js';
import { deflatedSharpeOf } from './deflated-sharpe.js';
import { trialOf } from './results.test-helper.js';

const trials = [-1, 0, 1].map((sharpe, number) => trialOf(number, { metrics: { sharpe, sharpe_se: 0.5 } }));

describe('deflatedSharpeOf', () => {
  it('compares with the best that as many trials of no worth would show', () => {
    const found = deflatedSharpeOf(trials[2]!, trials);
    expect(found).toMatchObject({ sharpe: 1, trials: 3 });
    expect(found?.expectedBest).toBeCloseTo(expectedNormalMaximum(3), 12);
    // Φ((1 − 0.8463) / 0.5)
    expect(found?.probability).toBeCloseTo(0.6207, 4);
    const more = [...trials, ...trials, ...trials];
    expect(deflatedSharpeOf(trials[2]!, more)?.probability).toBeLessThan(found?.probability ?? 0);
  });

  it('says nothing where there is nothing to say', () => {
    const [first, , last] = trials;
    expect(deflatedSharpeOf(last!, [last!])).toBeNull();
    expect(deflatedSharpeOf(last!, [last!, last!])).toBeNull();
    // Nothing was traded: the ratio is 0 by definition, and has no error.
    const idle = trialOf(3, { metrics: { sharpe: 0, sharpe_se: NaN } });
    expect(deflatedSharpeOf(idle, [...trials, idle])).toBeNull();
    expect(deflatedSharpeOf(trialOf(4, { metrics: {} }), [first!, last!])).toBeNull();
  });
});
