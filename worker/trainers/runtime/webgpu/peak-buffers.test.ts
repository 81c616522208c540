import { expect, test } from 'vitest';
import { PeakBuffers } from './peak-buffers.js';

test('the peak is the most since the last reset, seen after steps and when asked for', () => {
  let bytes = 10;
  let released = 0;
  const peak = new PeakBuffers(() => bytes);
  const step = peak.watched(
    Object.assign(
      () => {
        bytes += 90;
        return [];
      },
      { release: () => void (released += 1) },
    ),
  );
  peak.reset();
  expect(peak.read()).toBe(10);
  step([]);
  step.release();
  bytes = 20;
  expect(released).toBe(1);
  expect(peak.read()).toBe(100);
  peak.reset();
  expect(peak.read()).toBe(20);
  bytes = 30;
  peak.look();
  bytes = 5;
  expect(peak.read()).toBe(30);
});
