/** Memory of other processes, read from /proc; null where there is none (not Linux) or the process is gone. */
import { readFileSync, readdirSync } from 'node:fs';

function field(pid: number, file: string, name: string): number | null {
  try {
    const text = readFileSync(`/proc/${pid}/${file}`, 'utf8');
    const kilobytes = new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1];
    return kilobytes === undefined ? null : Number(kilobytes) * 1024;
  } catch {
    // Gone meanwhile, or not Linux.
    return null;
  }
}

/** Largest resident memory of a process so far (since it reset the mark), bytes. */
export const peakResidentBytes = (pid: number): number | null => field(pid, 'status', 'VmHWM');

/** The process group in a line of /proc/PID/stat: the third field after the name, which may hold spaces and parentheses. */
const groupOf = (stat: string): number => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2]);

/** Processes of a group; empty where there is no /proc. */
export function processesOfGroup(group: number): number[] {
  let entries: string[];
  try {
    entries = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    // Not Linux.
    return [];
  }
  return entries.map(Number).filter((pid) => {
    try {
      return groupOf(readFileSync(`/proc/${pid}/stat`, 'utf8')) === group;
    } catch {
      // It ended between the listing and the look.
      return false;
    }
  });
}

/**
 * Memory of several processes together, bytes: the high-water mark of a single one; of several the sum of their
 * proportional shares, so that pages which forked processes share count once. Null when nothing could be read.
 */
export function memoryOfProcesses(pids: readonly number[]): number | null {
  const [only, ...others] = pids;
  if (only === undefined) return null;
  if (others.length === 0) return peakResidentBytes(only);
  const shares = pids
    .map((pid) => field(pid, 'smaps_rollup', 'Pss') ?? field(pid, 'status', 'VmRSS'))
    .filter((bytes) => bytes !== null);
  return shares.length === 0 ? null : shares.reduce((sum, bytes) => sum + bytes, 0);
}
