/** The real commands, as processes, from the compiled `dist/`. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export const projectRoot = path.resolve(import.meta.dirname, '../..');

export interface CommandResult {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningCommand {
  readonly process: ChildProcess;
  readonly stderr: () => string;
  readonly done: Promise<CommandResult>;
}

/** A folder of its own, removed by `remove`. Commands in it keep their data sets in it as well. */
export class Workplace {
  readonly directory = mkdtempSync(path.join(tmpdir(), 'parzen-e2e-'));
  readonly #running = new Set<ChildProcess>();

  /** Starts `coordinator …` or `worker …`; `input` becomes its standard input, `environment` is added to ours. */
  start(
    program: 'coordinator' | 'worker',
    args: readonly string[],
    input?: string,
    environment: Readonly<Record<string, string>> = {},
  ): RunningCommand {
    const child = spawn(process.execPath, [path.join(projectRoot, 'bin', `${program}.js`), ...args], {
      cwd: this.directory,
      env: { ...process.env, PARZEN_CACHE: path.join(this.directory, 'cache'), ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#running.add(child);
    child.stdin.on('error', () => undefined).end(input ?? '');
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const done = new Promise<CommandResult>((resolve) =>
      child.once('close', (code, signal) => {
        this.#running.delete(child);
        resolve({ code, signal, stdout, stderr });
      }),
    );
    return { process: child, stderr: () => stderr, done };
  }

  run(program: 'coordinator' | 'worker', args: readonly string[], input?: string): Promise<CommandResult> {
    return this.start(program, args, input).done;
  }

  write(name: string, text: string | Uint8Array): string {
    const file = path.join(this.directory, name);
    writeFileSync(file, text);
    return file;
  }

  read(name: string): string {
    return readFileSync(path.join(this.directory, name), 'utf8');
  }

  has(name: string): boolean {
    return existsSync(path.join(this.directory, name));
  }

  async remove(): Promise<void> {
    for (const child of this.#running) killTree(child.pid);
    // The watchdogs need a moment to take the database down.
    await until(() => !processesIn(this.directory), 20_000);
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

/** All descendants of a process and itself, by /proc. */
export function processTree(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const entry of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'utf8');
      // The command's name is in parentheses and may hold spaces; state and parent follow it.
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
    } catch {
      // It ended between the listing and the look.
    }
  }
  const tree = [pid];
  for (const parent of tree) for (const [child, of] of parents) if (of === parent) tree.push(child);
  return tree;
}

/** kill -9 of a process and everything below it, at once. */
export function killTree(pid: number | undefined): void {
  if (pid === undefined) return;
  for (const each of processTree(pid))
    try {
      process.kill(each, 'SIGKILL');
    } catch {
      // Gone already.
    }
}

/** Does any process name this folder on its command line? */
export function processesIn(directory: string): boolean {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .some((entry) => {
      try {
        return readFileSync(`/proc/${entry}/cmdline`, 'utf8').includes(directory);
      } catch {
        return false;
      }
    });
}

export async function until(condition: () => boolean | Promise<boolean>, limitMs = 60_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!(await condition())) {
    if (Date.now() > deadline)
      throw new Error(`did not come true within ${limitMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A study on the instant trainer: everything but training is real. */
export const instantStudyFile = (name: string, trials: number): string => `name: ${name}
direction: maximize
objective: { auc: 0.7, dir_acc: 0.3 }
trials: ${trials}
sampler: { type: tpe, seed: 42, startup_trials: 20, ei_candidates: 24, multivariate: true, constant_liar: true, rules: optuna-4 }
space:
  x: { low: -2.0, high: 2.0 }
  rate: { low: 1.0e-5, high: 0.1, log: true }
  kind: { choices: [a, b, c] }
trainer: instant
`;
