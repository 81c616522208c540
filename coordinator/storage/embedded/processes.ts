/** What the operating system says about processes. A process id alone proves nothing: ids are given again. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

const onLinux = process.platform === 'linux';

function attempt<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    // The process is gone, or it is somebody else's: nothing to know either way.
    return null;
  }
}

/** When a process started, in a form that only serves to compare; null when no such process runs. */
export function processStart(pid: number): string | null {
  if (!onLinux)
    return attempt(() =>
      execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim(),
    );
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The name in parentheses may hold anything; the start time is the 20th field after it.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}

/** Tells apart machines, boots and containers: within one of them, process ids mean the same. */
export function processSpace(): string {
  const boot = attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
  const container = attempt(() => readlinkSync('/proc/self/ns/pid'));
  return [os.hostname(), boot, container].filter((part) => part !== null).join(' ');
}

/** Server processes that work in this data directory (a real path), the postmaster and its children. */
export function serversIn(data: string): readonly number[] {
  if (!onLinux) {
    const pid = postmasterPid(data);
    const command =
      pid === null
        ? null
        : attempt(() => execFileSync('ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' }));
    return pid !== null && command?.includes(data) === true ? [pid] : [];
  }
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((entry) => attempt(() => readlinkSync(`/proc/${entry}/cwd`)) === data)
    .filter((entry) => isPostgres(attempt(() => readlinkSync(`/proc/${entry}/exe`))))
    .map(Number);
}

/** The link of a running program whose file was replaced ends in " (deleted)". */
const isPostgres = (program: string | null): boolean =>
  program !== null && path.basename(program).replace(/ \(deleted\)$/, '') === 'postgres';

/** Process id in the data directory's lock file; null when there is none. */
export function postmasterPid(data: string): number | null {
  const [line] = attempt(() => readFileSync(path.join(data, 'postmaster.pid'), 'utf8'))?.split('\n') ?? [];
  const pid = Number(line);
  return Number.isInteger(pid) && pid > 0 ? pid : null;
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Not ours to signal, but there.
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
