/** A program that is started again whenever it ends, until it is retired. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { killTree, processTree } from '../helpers/cli.js';
import { signal } from '../helpers/postgres-server.js';
import path from 'node:path';
import type { BreakName } from './breaks.js';

export interface SupervisedOptions {
  readonly name: string;
  readonly program: 'coordinator' | 'worker';
  readonly args: readonly string[];
  readonly directory: string;
  /** What it does wrong on purpose; nothing unless given. */
  readonly broken?: BreakName | null;
}

/** An end that nobody asked for. */
export interface Crash {
  readonly name: string;
  readonly how: string;
  readonly lastWords: string;
}

/** Of the compiled programs, this one among them. */
const compiled = path.resolve(import.meta.dirname, '../..');

const restartPauseMs = 200;

export class Supervised {
  readonly crashes: Crash[] = [];
  starts = 0;
  readonly #options: SupervisedOptions;
  readonly #log: WriteStream;
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();
  /** We have sent a signal that ends it. */
  #hurt = false;
  #retired = false;

  constructor(options: SupervisedOptions) {
    this.#options = options;
    this.#log = createWriteStream(path.join(options.directory, `${options.name}.log`));
    this.#run();
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** The processes that it has started. */
  children(): readonly number[] {
    return this.pid === undefined ? [] : processTree(this.pid).slice(1);
  }

  kill(name: 'SIGKILL' | 'SIGTERM'): void {
    this.#hurt = true;
    this.#child?.kill(name);
  }

  /** Stops it with SIGTERM, for good. Answers how long that took, ms, and the exit code. */
  async retire(): Promise<{ readonly tookMs: number; readonly code: number | null }> {
    this.#retired = true;
    const child = this.#child;
    const startedMs = performance.now();
    this.kill('SIGTERM');
    await this.#ended;
    this.#log.end();
    return { tookMs: performance.now() - startedMs, code: child?.exitCode ?? null };
  }

  /** Ends it now, with all that it started, for good. */
  abandon(): void {
    this.#retired = true;
    if (this.#child?.exitCode === null && this.#child.signalCode === null) killTree(this.pid);
  }

  #run(): void {
    const { program, args, directory, name, broken = null } = this.#options;
    this.starts += 1;
    this.#hurt = false;
    const breakIn = broken === null ? [] : ['--import', new URL('./break-in.js', import.meta.url).href];
    const child = spawn(process.execPath, [...breakIn, path.join(compiled, program, 'main.js'), ...args], {
      cwd: directory,
      env: { ...process.env, PARZEN_CACHE: path.join(directory, 'cache'), CHAOS_BREAK: broken ?? '' },
      stdio: ['ignore', 'ignore', 'pipe'],
      // Ctrl-C is for the run as a whole.
      detached: true,
    });
    this.#child = child;
    let lastWords = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log.write(text);
      lastWords = (lastWords + text).slice(-2_000);
    });
    this.#ended = new Promise((resolve) => {
      child.once('close', (code, ended) => {
        // A coordinator that finds no database says so and ends; whoever runs it starts it again.
        const noDatabase = /^coordinator: .*(cannot be reached|cannot be opened|refuses work)/m.test(
          lastWords.trimEnd().split('\n').at(-1) ?? '',
        );
        if (!this.#hurt && !(program === 'coordinator' && noDatabase))
          this.crashes.push({ name, how: ended ?? `exit code ${code ?? '?'}`, lastWords });
        if (this.#retired) resolve();
        else
          void sleep(restartPauseMs)
            .then(() => {
              // Retired during the pause: there is nothing to start any more.
              if (this.#retired) return;
              this.#run();
            })
            .finally(resolve);
      });
    });
  }
}

/** SIGSTOP, and SIGCONT after a while. A process that ended meanwhile is left alone. */
export async function pause(pid: number, ms: number): Promise<void> {
  signal(pid, 'SIGSTOP');
  await sleep(ms);
  signal(pid, 'SIGCONT');
}
