import { describe, expect, it } from 'vitest';
import { ManualClock } from '../../test/helpers/app.js';
import { callsPerSecondMax, openCallsMax, refusalsMax, refusalWindowMs } from './limits.js';
import { PeerLimits } from './peer-limits.js';

const times = (count: number, act: () => unknown): number =>
  Array.from({ length: count }, act).filter((done) => done === true).length;

describe('limits per peer', () => {
  it('bounds open calls; an ended one makes room', () => {
    const limits = new PeerLimits(new ManualClock());
    expect(times(openCallsMax + 5, () => limits.begun('a'))).toBe(openCallsMax);
    expect(limits.begun('b')).toBe(true);
    limits.ended('a');
    expect(times(3, () => limits.begun('a'))).toBe(1);
  });

  it('bounds calls per second; the allowance comes back with time', () => {
    const clock = new ManualClock();
    const limits = new PeerLimits(clock);
    const call = (): boolean => {
      const begun = limits.begun('a');
      if (begun) limits.ended('a');
      return begun;
    };
    expect(times(callsPerSecondMax + 10, call)).toBe(callsPerSecondMax);
    clock.advance(100);
    expect(times(callsPerSecondMax, call)).toBe(callsPerSecondMax / 10);
    clock.advance(3_600_000);
    expect(times(callsPerSecondMax + 10, call)).toBe(callsPerSecondMax);
  });

  it('stops looking at tokens after many refusals, for a while', () => {
    const clock = new ManualClock();
    const limits = new PeerLimits(clock);
    times(refusalsMax - 1, () => limits.refused('a'));
    expect(limits.mayTry('a')).toBe(true);
    limits.refused('a');
    expect(limits.mayTry('a')).toBe(false);
    expect(limits.mayTry('b')).toBe(true);
    clock.advance(refusalWindowMs);
    expect(limits.mayTry('a')).toBe(true);
  });
});
