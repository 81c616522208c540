import { describe, expect, it } from 'vitest';
import { definition, running, waiting } from '../../test/contract/storage-fixtures.js';
import {
  canonicalMetrics,
  canonicalNewStudy,
  canonicalParams,
  canonicalText,
  canonicalTrial,
  canonicalWhole,
  compareText,
  looksLikeHash,
} from './canonical.js';

describe('the stored form', () => {
  it('keeps whole surrogate pairs and replaces lone halves and NUL', () => {
    expect(canonicalText('a😀b')).toBe('a😀b');
    expect(canonicalText('\0\ud83d\ude00\ude00')).toBe('\ufffd😀\ufffd');
  });

  it('orders keys as jsonb does: by bytes, shorter first', () => {
    const metrics = canonicalMetrics({ zz: 1, é: 2, b: 3, aaa: 4, a: NaN });
    expect(Object.keys(metrics)).toEqual(['a', 'b', 'zz', 'é', 'aaa']);
    expect(compareText('\uffff', '😀')).toBeLessThan(0);
  });

  it('has one zero, whole times and finite parameters', () => {
    expect(Object.is(canonicalMetrics({ x: -0 })['x'], 0)).toBe(true);
    expect(canonicalWhole(1.5)).toBe(2);
    expect(Object.is(canonicalWhole(-0.2), 0)).toBe(true);
    expect(() => canonicalWhole(NaN)).toThrow(/NaN/);
    expect(() => canonicalParams({ x: Infinity })).toThrow(/Infinity/);
  });

  it('is a frozen copy', () => {
    const given = { x: 1 };
    const trial = canonicalTrial(
      running('t', { params: given, watermark: { finishSequence: 1, running: [2] } }),
    );
    given.x = 2;
    expect(trial.params).toEqual({ x: 1 });
    for (const part of [
      trial,
      trial.params,
      trial.lease,
      trial.watermark?.running,
      trial.values,
      trial.retries,
    ])
      expect(Object.isFrozen(part)).toBe(true);
    expect(canonicalTrial(trial)).toEqual(trial);
  });

  it('keeps a definition as it is, key order and all', () => {
    const given = definition('demo', { enqueue: [{ b: 1, a: null }] });
    const study = {
      definition: given,
      definitionText: '',
      definitionHash: '',
      dataset: null,
      createdAtMs: 1,
    };
    const stored = canonicalNewStudy(study).definition;
    expect(JSON.stringify(stored)).toBe(JSON.stringify(given));
    expect(Object.isFrozen(stored.space[0])).toBe(true);
  });

  it('refuses ids that no index could hold', () => {
    expect(() => canonicalTrial(running('t'.repeat(513)))).toThrow(/513 characters/);
    const study = {
      definition: definition('n'.repeat(600)),
      definitionText: '',
      definitionHash: '',
      dataset: null,
      createdAtMs: 1,
    };
    expect(() => canonicalNewStudy(study)).toThrow(/600 characters/);
  });

  it('lets a cancelled trial have no parameters, and no other finished one', () => {
    const over = { params: null, finishedAtMs: 1 };
    expect(canonicalTrial(waiting({ ...over, state: 'CANCELLED' })).params).toBeNull();
    expect(() => canonicalTrial(waiting({ ...over, state: 'FAIL' }))).toThrow(/parameters/);
  });

  it('knows what a hash prefix looks like', () => {
    expect(looksLikeHash('abcdef12')).toBe(true);
    expect(looksLikeHash('abcdef1')).toBe(false);
    expect(looksLikeHash('ABCDEF12')).toBe(false);
    expect(looksLikeHash('a'.repeat(65))).toBe(false);
  });
});
