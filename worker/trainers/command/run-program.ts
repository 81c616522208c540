/**
 * One run of a program as a trial: its output becomes reports and a result, its end becomes a reason. It runs in the process
 * group of the process that calls this (command-child.ts), so that the worker can end all of it with one signal.
 */
import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { assertNever } from '../../../shared/core/assert.js';
import type { FailureReason, Metrics } from '../../../shared/core/study/trial.js';
import { cgroupOomKills } from '../../gpu/cgroup.js';
import { classifyExit } from '../../gpu/classify-exit.js';
import { outputLineLengthMax, outputTailMax, programEndGraceMs, programOutputGraceMs } from '../../limits.js';
import type { TrialDone, TrialJob } from '../port.js';
import type { CommandDefinition } from './definition.js';
import { programEnvironment } from './job-environment.js';
import { LineSplitter } from './line-splitter.js';
import { readOutputLine, type OutputLine } from './output-line.js';

/** How a program ended. */
export type ProgramOutcome =
  | { readonly type: 'done'; readonly done: TrialDone }
  | { readonly type: 'failed'; readonly reason: FailureReason; readonly message: string };

export interface ProgramOptions {
  readonly command: CommandDefinition;
  readonly job: TrialJob;
  /** The environment that the program inherits. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly onReport: (step: number, metrics: Metrics) => void;
  /** Told of every other line, of standard output and standard error. */
  readonly onLog: (text: string) => void;
}

type Verdict = Extract<OutputLine, { kind: 'done' | 'failed' | 'wrong' }>;

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** We ended it ourselves, after its verdict. */
  readonly byUs: boolean;
}

/** What was printed, as far as it matters at the end. */
class Output {
  verdict: Verdict | null = null;
  #tail = '';
  readonly #options: ProgramOptions;
  readonly #onVerdict: () => void;

  constructor(options: ProgramOptions, onVerdict: () => void) {
    this.#options = options;
    this.#onVerdict = onVerdict;
  }

  get tail(): string {
    return this.#tail;
  }

  log(text: string): void {
    this.#tail = `${this.#tail}${text}\n`.slice(-outputTailMax);
    this.#options.onLog(text);
  }

  /** Takes a line of standard output. After the verdict only log lines mean anything. */
  read(text: string): void {
    const line = readOutputLine(text);
    switch (line.kind) {
      case 'log':
        this.log(line.text);
        break;
      case 'report':
        if (this.verdict === null) this.#options.onReport(line.step, line.metrics);
        break;
      case 'done':
      case 'failed':
      case 'wrong':
        if (this.verdict !== null) break;
        this.verdict = line;
        this.#onVerdict();
        break;
      default:
        assertNever(line);
    }
  }
}

const programOf = ({ command }: ProgramOptions): string => command.command.join(' ').slice(0, 200);

function start(options: ProgramOptions): ChildProcessByStdio<Writable, Readable, Readable> {
  const { command, job, environment } = options;
  const [program = '', ...args] = command.command;
  return spawn(program, args, {
    cwd: command.cwd,
    env: programEnvironment(environment, command.env, job),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

/** What the end of the program and its last word mean together. */
function outcomeOf(output: Output, ended: Ended, oomKillsBefore: number | null): ProgramOutcome {
  const { verdict, tail } = output;
  if (verdict?.kind === 'wrong')
    return {
      type: 'failed',
      reason: 'error',
      message: `wrong line in the program's output: ${verdict.message}`,
    };
  if (verdict?.kind === 'failed') return { type: 'failed', reason: verdict.reason, message: verdict.message };
  const well = ended.byUs || ended.code === 0;
  if (verdict?.kind === 'done' && well)
    return { type: 'done', done: { metrics: verdict.metrics, peakMemoryBytes: verdict.peakMemoryBytes } };
  if (ended.code === 0) {
    const said = tail.trim() === '' ? '' : `; its last words: ${tail.trim().slice(-500)}`;
    return { type: 'failed', reason: 'error', message: `the program ended without {"done":{…}}${said}` };
  }
  const kills = cgroupOomKills();
  const cgroupKills = kills === null || oomKillsBefore === null ? null : kills - oomKillsBefore;
  const exit = classifyExit({
    ...{ code: ended.code, signal: ended.signal, output: tail },
    cgroupOomKills: cgroupKills,
  });
  const afterDone = verdict === null ? '' : 'it printed a result, but then ';
  return { type: 'failed', reason: exit.reason, message: `${afterDone}${exit.message}` };
}

/** Resolves with how the process ended, once its output is read as well (or does not end within a grace). */
function endOf(child: ChildProcess, wasEnded: () => boolean): Promise<Ended> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      const end = (): void => resolve({ code, signal, byUs: wasEnded() });
      const timer = setTimeout(end, programOutputGraceMs);
      child.once('close', () => {
        clearTimeout(timer);
        end();
      });
    });
  });
}

/**
 * Runs the program to its end; never rejects for anything the program does. A program that does not end after its result is
 * killed, and the result counts. To stop it early, end the process group.
 */
export async function runProgram(options: ProgramOptions): Promise<ProgramOutcome> {
  const oomKillsBefore = cgroupOomKills();
  let endedByUs = false;
  let grace: NodeJS.Timeout | undefined;
  const cannotStart = (error: unknown): ProgramOutcome => {
    const reason = error instanceof Error ? error.message : String(error);
    return { type: 'failed', reason: 'error', message: `${programOf(options)} cannot be started: ${reason}` };
  };
  try {
    const child = start(options);
    const endIt = (): void => {
      endedByUs = true;
      child.kill('SIGKILL');
    };
    const output = new Output(options, () => {
      grace = setTimeout(endIt, output.verdict?.kind === 'wrong' ? 0 : programEndGraceMs);
    });
    const lines = new LineSplitter(outputLineLengthMax, (line) => output.read(line));
    const errors = new LineSplitter(outputLineLengthMax, (line) => output.log(line));
    child.stdout
      .setEncoding('utf8')
      .on('data', (text: string) => lines.push(text))
      .on('end', () => lines.end());
    child.stderr
      .setEncoding('utf8')
      .on('data', (text: string) => errors.push(text))
      .on('end', () => errors.end());
    // A program need not read its parameters.
    child.stdin.on('error', () => undefined).end(`${JSON.stringify(options.job.params)}\n`);
    const ended = await endOf(child, () => endedByUs);
    lines.end();
    errors.end();
    return outcomeOf(output, ended, oomKillsBefore);
  } catch (error) {
    return cannotStart(error);
  } finally {
    clearTimeout(grace);
  }
}
