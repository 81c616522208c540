import { readFileSync } from 'node:fs';
import path from 'node:path';

/** Where to look; tests have folders of their own. */
export interface CgroupRoots {
  readonly proc: string;
  readonly cgroup: string;
}

const systemRoots: CgroupRoots = { proc: '/proc', cgroup: '/sys/fs/cgroup' };

function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // No such file: another system, another cgroup version, or a container that hides it.
    return null;
  }
}

/** The memory cgroup folders that may be this process's own, best first: version 2, then version 1. */
function candidates({ proc, cgroup }: CgroupRoots): { folders: string[]; counter: string }[] {
  const lines = (readOrNull(path.join(proc, 'self/cgroup')) ?? '').split('\n');
  const pathOf = (pattern: RegExp): string | undefined =>
    lines.map((line) => pattern.exec(line)?.[1]).find((found) => found !== undefined);
  const unified = pathOf(/^0::(.*)$/);
  const memory = pathOf(/^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(.*)$/);
  // A container sees its own folder at the root, whatever path the kernel names.
  const folders = (base: string, own: string | undefined): string[] =>
    own === undefined ? [] : [path.join(base, own), base];
  return [
    { folders: folders(cgroup, unified), counter: 'memory.events' },
    { folders: folders(path.join(cgroup, 'memory'), memory), counter: 'memory.oom_control' },
  ];
}

/** Out-of-memory kills in this process's cgroup so far; null where the kernel does not say. */
export function cgroupOomKills(roots: CgroupRoots = systemRoots): number | null {
  for (const { folders, counter } of candidates(roots)) {
    for (const folder of folders) {
      const count = /^oom_kill (\d+)$/m.exec(readOrNull(path.join(folder, counter)) ?? '')?.[1];
      if (count !== undefined) return Number(count);
    }
  }
  return null;
}
