import { describe, expect, it } from 'vitest';
import { trialNumber } from '../../../shared/core/ids.js';
import { waiting } from '../../../test/contract/storage-fixtures.js';
import type { StudyRecord, TrialRecord } from '../port.js';
import { StudyPicture } from './study-picture.js';

const version = { changes: 1, tag: 1 };

/** A picture into which so many trials have finished, one transaction each. */
function pictureOf(count: number, change: Partial<TrialRecord> = {}): StudyPicture {
  const picture = new StudyPicture({} as StudyRecord);
  for (let sequence = 1; sequence <= count; sequence += 1) {
    const fields = { ...waiting(), ...change, number: trialNumber(sequence - 1), finishSequence: sequence };
    const trial: TrialRecord = { ...fields, state: 'COMPLETE' };
    const trials = new Map([[trial.number, trial]]);
    picture.apply(version, { trials, begun: [], ended: [], finished: [trial] });
  }
  return picture;
}

/** How many of the trials that finished last it knows. */
function known(picture: StudyPicture, count: number): number {
  let back = 0;
  while (back < count && picture.finishedAfter(count - back - 1, count) !== null) back += 1;
  return back;
}

describe('finished trials that a process remembers', () => {
  it('are the last ones, without a gap', () => {
    expect(known(pictureOf(500), 500)).toBe(500);
    const many = pictureOf(5_000);
    expect(known(many, 5_000)).toBeGreaterThanOrEqual(1_024);
    expect(known(many, 5_000)).toBeLessThanOrEqual(2_048);
    expect(many.finishedAfter(4_990, 5_000)?.map(({ finishSequence }) => finishSequence)).toEqual(
      Array.from({ length: 10 }, (_, index) => 4_991 + index),
    );
  });

  it('are fewer where each takes much memory', () => {
    const metrics = Object.fromEntries(
      Array.from({ length: 1_000 }, (_, index) => [`metric ${index}`, index]),
    );
    const kept = known(pictureOf(1_000, { metrics }), 1_000);
    expect(kept).toBeGreaterThan(100);
    expect(kept).toBeLessThan(400);
  });
});
