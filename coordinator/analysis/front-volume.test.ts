import { describe, expect, it } from 'vitest';
import { feasibleValues, frontVolume } from './front-volume.js';

describe('front volume', () => {
  const values = [[1, 3], [2, 2], [3, 1], [3, 3]]; // prettier-ignore

  it('is that of the points, in the units of the objectives', () => {
    expect(frontVolume(['minimize', 'minimize'], values, [4, 4])).toEqual({
      hypervolume: 6,
      reference: [4, 4],
    });
    const mirrored = values.map(([x = 0, y = 0]) => [-x, y]);
    expect(frontVolume(['maximize', 'minimize'], mirrored, [-4, 4])).toEqual({
      hypervolume: 6,
      reference: [-4, 4],
    });
  });

  it('takes a reference a tenth beyond the worst of the front by itself', () => {
    const { hypervolume, reference } = frontVolume(['minimize', 'minimize'], values);
    expect(reference[0]).toBeCloseTo(3.3, 12);
    expect(hypervolume).toBeCloseTo(0.3 * 2.3 + 1 * 1.3 + 1 * 0.3, 12);
    expect(frontVolume(['minimize'], [])).toEqual({ hypervolume: 0, reference: [] });
  });

  it('refuses a reference that some trial is worse than, or of another length', () => {
    expect(() =>
      frontVolume(
        ['minimize', 'maximize'],
        [
          [1, 3],
          [9, 1],
        ],
        [4, 0],
      ),
    ).toThrow(
      // prettier-ignore
      'a trial with the values 9, 1 is worse than the reference 4, 0',
    );
    expect(() => frontVolume(['minimize'], [[1]], [4, 0])).toThrow('the reference has 2 values');
  });

  it('looks at feasible trials alone', () => {
    const trial = (values: number[], constraints?: number[]) => ({
      params: {},
      values,
      ...(constraints === undefined ? {} : { constraints }),
    });
    const trials = [trial([0, 0], [-1, 0.1]), trial([1, 3], [0, -2]), trial([3, 1], []), trial([2, 2])];
    expect(feasibleValues(trials)).toEqual([
      [1, 3],
      [3, 1],
      [2, 2],
    ]);
    expect(frontVolume(['minimize', 'minimize'], feasibleValues(trials), [4, 4]).hypervolume).toBe(6);
    expect(feasibleValues([])).toEqual([]);
    expect(() => feasibleValues(trials.slice(0, 1))).toThrow('none is feasible');
  });
});
