/** What processes cost, by /proc (Linux): CPU time and memory. */
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks per second: 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

interface Stat {
  readonly parent: number;
  /** User and system time of the process and of its children that have ended, seconds. */
  readonly seconds: number;
}

function statOf(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = [11, 12, 13, 14].reduce((sum, index) => sum + Number(fields[index]), 0);
    return { parent: Number(fields[1]), seconds: ticks / ticksPerSecond };
  } catch {
    // The process has ended.
    return null;
  }
}

/** CPU seconds that a process, and all processes below it, have used. */
export function cpuSeconds(root: number): number {
  const stats = new Map<number, Stat>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    const stat = Number.isInteger(pid) ? statOf(pid) : null;
    if (stat !== null) stats.set(pid, stat);
  }
  const isBelow = (pid: number): boolean => {
    const stat = stats.get(pid);
    return pid === root || (stat !== undefined && stat.parent > 1 && isBelow(stat.parent));
  };
  let seconds = 0;
  for (const [pid, stat] of stats) if (isBelow(pid)) seconds += stat.seconds;
  return seconds;
}

/** CPU seconds of one process alone. */
export const ownCpuSeconds = (pid: number): number => statOf(pid)?.seconds ?? 0;

/** Memory of a process, and the most it ever had, MB. */
export function memoryMb(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const of = (name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? NaN) / 1e3;
  return { now: of('VmRSS'), peak: of('VmHWM') };
}

/** Waits until `condition` answers something; fails after `limitMs`. */
export async function until<T>(what: string, limitMs: number, condition: () => T | null): Promise<T> {
  const endMs = performance.now() + limitMs;
  for (;;) {
    const value = condition();
    if (value !== null) return value;
    if (performance.now() > endMs) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
