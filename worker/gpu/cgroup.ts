import { readFileSync } from 'node:fs';

/** Out-of-memory kills in this process's cgroup so far; null where the kernel does not say (no cgroup v2). */
export function cgroupOomKills(): number | null {
  try {
    const own = readFileSync('/proc/self/cgroup', 'utf8')
      .split('\n')
      .find((line) => line.startsWith('0::'));
    if (own === undefined) return null;
    const events = readFileSync(`/sys/fs/cgroup${own.slice(3)}/memory.events`, 'utf8');
    const count = /^oom_kill (\d+)$/m.exec(events)?.[1];
    return count === undefined ? null : Number(count);
  } catch {
    // No such file: another system, or a container that hides it. Then nothing can be said.
    return null;
  }
}
