import { readFileSync, writeFileSync } from 'node:fs';
import type { PeakMemory } from './runtime.js';

/**
 * Starts a new measurement of this process's peak resident memory. Linux can reset the high-water mark; elsewhere the peak
 * is that of the process's whole life, and an attempt after a larger one reads too much.
 */
function resetPeakMemory(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5');
  } catch {
    // Not Linux, or not allowed here: `readPeakMemory` then has the peak since the process began.
  }
}

/** Peak resident memory in bytes since `resetPeakMemory`, or since the process began where that cannot be reset. */
function readPeakMemory(): number {
  try {
    const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
    if (line?.[1] !== undefined) return Number(line[1]) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}

/** For runtimes that compute in this process's own memory. */
export const processPeak: PeakMemory = { reset: resetPeakMemory, read: readPeakMemory };

/** For runtimes that compute elsewhere and do not say how much they take there. */
export const unknownPeak: PeakMemory = { reset: () => undefined, read: () => null };
