/** `worker doctor`: what a worker would find on this machine, and whether it computes what it should. */
import { toJson } from '../../shared/core/json.js';
import type { Log } from '../../shared/platform/log.js';
import { chooseRuntime } from '../trainers/runtime/choose-runtime.js';
import { checkGoldenFolder, goldenPassed, verdictLine, type CheckedFile } from './golden/check-folder.js';
import { inspectMachine } from './inspect-machine.js';
import { inspectRuntimes } from './inspect-runtimes.js';
import { machineLines, runtimeLines } from './report.js';

export interface DoctorOptions {
  readonly version: string;
  readonly cacheDirectory: string;
  /** Path of the compiled trainer process. */
  readonly childPath: string;
  /** Folder of golden figures to compare with; null for none. */
  readonly golden: string | null;
  /** Runtime that the golden figures are computed on: `auto` or a name. */
  readonly runtime: string;
  readonly json: boolean;
  /** Writes to standard output. */
  readonly write: (text: string) => void;
  readonly log: Log;
}

interface GoldenReport {
  readonly folder: string;
  readonly runtime: string;
  readonly passed: boolean;
  readonly files: readonly CheckedFile[];
}

async function compareWithGolden(folder: string, options: DoctorOptions): Promise<GoldenReport> {
  const { runtime, reason } = await chooseRuntime(options.runtime);
  const say = (line: string): void => {
    if (!options.json) options.write(`${line}\n`);
  };
  say(`golden     ${folder}, on runtime ${runtime.name} (${reason})`);
  const files = await checkGoldenFolder(folder, runtime, (checked) => say(verdictLine(checked)));
  const passed = goldenPassed(files);
  if (!files.some(({ result }) => result.verdict !== 'unknown'))
    say(`MISS ${folder}  holds no golden figures`);
  return { folder, runtime: runtime.name, passed, files };
}

/** Looks, compares, prints; resolves to whether all is well: a runtime works, and no golden figure was missed. */
export async function runDoctor(options: DoctorOptions): Promise<boolean> {
  const machine = await inspectMachine(options);
  const runtimes = await inspectRuntimes(options.childPath, options.log);
  if (!options.json) options.write([...machineLines(machine), ...runtimeLines(runtimes), ''].join('\n'));
  const golden = options.golden === null ? null : await compareWithGolden(options.golden, options);
  const ok = runtimes.some(({ usable }) => usable) && (golden?.passed ?? true);
  if (options.json) options.write(`${toJson({ ok, ...machine, runtimes, golden })}\n`);
  return ok;
}
