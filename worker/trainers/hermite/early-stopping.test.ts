import { describe, expect, test } from 'vitest';
import { classBalance, positiveWeight } from './class-balance.js';
import { createEarlyStopping } from './early-stopping.js';

describe('early stopping', () => {
  test('counts looks without enough improvement', () => {
    const stopping = createEarlyStopping({ patience: 2, minDelta: 0.01 });
    expect([0.5, 0.505, 0.52, 0.4].map(stopping.improved)).toEqual([true, false, true, false]);
    expect(stopping.exhausted()).toBe(false);
    expect(stopping.improved(0.521)).toBe(false);
    expect(stopping.exhausted()).toBe(true);
  });

  test('a first NaN improves on nothing, a later one does not improve on a number', () => {
    const stopping = createEarlyStopping({ patience: 1, minDelta: 0.01 });
    expect([NaN, NaN, 0.1, NaN].map(stopping.improved)).toEqual([true, true, true, false]);
  });

  test('patience 0 never stops', () => {
    const stopping = createEarlyStopping({ patience: 0, minDelta: 0.01 });
    for (let look = 0; look < 100; look += 1) stopping.improved(0);
    expect(stopping.exhausted()).toBe(false);
  });
});

describe('class balance', () => {
  const labels = (up: number, down: number) =>
    Uint8Array.from({ length: up + down }, (_, i) => (i < up ? 1 : 0));
  const weight = (up: number, down: number, classification: 'bce' | 'focal', autoPosWeight: boolean) =>
    positiveWeight(classBalance(labels(up, down)), { classification, autoPosWeight });

  test('the automatic weight is negatives over positives, under bce alone', () => {
    expect(weight(20, 30, 'bce', true)).toBe(1.5);
    expect(weight(20, 30, 'bce', false)).toBe(1);
    expect(weight(20, 30, 'focal', true)).toBe(1);
  });

  test('one class, or an unmitigated minority, cannot be trained on', () => {
    expect(() => weight(0, 30, 'focal', true)).toThrow('all 30 training rows go down: nothing to learn');
    expect(() => weight(9, 91, 'bce', false)).toThrow('only 9.0 % of the training rows go up');
    expect(weight(10, 90, 'bce', false)).toBe(1);
    expect(weight(9, 91, 'focal', false)).toBe(1);
    expect(weight(9, 91, 'bce', true)).toBeCloseTo(91 / 9);
  });
});
