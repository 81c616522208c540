import { describe, expect, it } from 'vitest';
import { isGreedyChoice } from './volume-ties.js';

describe('ties of the greedy choice by hypervolume', () => {
  // After (0, −1, 0) the first and the last add 0.1 each; the second next to nothing.
  const front = [[-1, -1, 1], [-1, 0, -1], [0, -1, 0], [1, -1, -1]]; // prettier-ignore

  it('holds for every choice of the largest gain, step by step', () => {
    expect(isGreedyChoice(front, [2, 0])).toBe(true);
    expect(isGreedyChoice(front, [2, 3])).toBe(true);
    expect(isGreedyChoice(front, [2, 1])).toBe(false);
    expect(isGreedyChoice(front, [0, 2])).toBe(false);
    expect(isGreedyChoice(front, [2, 2])).toBe(false);
  });

  it('has no room for a gain that is smaller, however little, nor for infinities', () => {
    expect(isGreedyChoice([...front.slice(0, 3), [1 + 1e-9, -1, -1]], [2, 0])).toBe(false);
    expect(isGreedyChoice([...front, [-Infinity, 1, 1]], [2, 0])).toBe(false);
  });
});
