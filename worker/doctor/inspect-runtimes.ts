/** Which training runtimes work here. Each is tried in a process of its own, the one that would train. */
import { ChildTrainer } from '../trainers/child-trainer.js';
import { runtimeNames } from '../trainers/runtime/runtime.js';
import type { Log } from '../../shared/platform/log.js';

export interface RuntimeReport {
  readonly name: string;
  readonly usable: boolean;
  /** What it computes on, or why it cannot be used. */
  readonly reason: string;
  /** `--runtime auto` would take it. */
  readonly automatic: boolean;
}

async function tryRuntime(
  name: string,
  childPath: string,
  log: Log,
): Promise<{ usable: boolean; reason: string }> {
  const trainer = new ChildTrainer({ childPath, args: ['hermite', name], log });
  try {
    const started = await trainer.start();
    return { usable: started.kind === 'ready', reason: started.reason };
  } finally {
    await trainer.kill();
  }
}

/** Every runtime the project knows, best first. */
export async function inspectRuntimes(childPath: string, log: Log): Promise<readonly RuntimeReport[]> {
  const reports: RuntimeReport[] = [];
  for (const name of runtimeNames) {
    const tried = await tryRuntime(name, childPath, log);
    const automatic = tried.usable && !reports.some(({ usable }) => usable);
    reports.push({ name, ...tried, automatic });
  }
  return reports;
}
