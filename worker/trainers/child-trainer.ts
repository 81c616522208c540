/**
 * The worker's side of a trainer process: starts it when it is first needed, keeps it between trials, and replaces it
 * after a crash, an out-of-memory, a time-out or a stop that it did not follow. `protocol.ts` has the messages.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { assertNever } from '../../shared/core/assert.js';
import type { FailureReason, Metrics } from '../../shared/core/study/trial.js';
import type { Log } from '../../shared/platform/log.js';
import { cgroupOomKills } from '../gpu/cgroup.js';
import { classifyExit } from '../gpu/classify-exit.js';
import { memoryOfProcesses, peakResidentBytes, processesOfGroup } from '../gpu/process-memory.js';
import { memoryLookMaxMs, stderrTailMax, trainerStartTimeoutMs, trainerStopGraceMs } from '../limits.js';
import type { TrialDone, TrialJob, TrialPhase } from './port.js';
import type { FromChild, ToChild } from './protocol.js';

export type AttemptResult =
  | ({ readonly kind: 'done' } & TrialDone)
  | {
      readonly kind: 'failed';
      readonly reason: FailureReason;
      readonly message: string;
      /** What the failed attempt had used, bytes, where that is known. */
      readonly peakMemoryBytes?: number | null;
      /** What it was doing, where that is known. */
      readonly phase?: TrialPhase;
    }
  | { readonly kind: 'stopped' }
  /** The trainer cannot start here at all: the trial is not to blame, and the next one would fare no better. */
  | { readonly kind: 'unfit'; readonly message: string };

export interface AttemptOptions {
  readonly stallTimeoutMs: number;
  readonly trialTimeoutMs: number;
  /** Told of every report. */
  readonly onReport: (step: number, metrics: Metrics) => void;
  /** Ends the attempt: `stopped`. */
  readonly signal: AbortSignal;
}

/** The runtime of a trainer process, and why it was chosen. */
export interface ReadyTrainer {
  readonly runtime: string;
  readonly reason: string;
}

/** How the start of a trainer process went. */
export type StartOutcome =
  ({ readonly kind: 'ready' } & ReadyTrainer) | { readonly kind: 'refused'; readonly reason: string };

export interface ChildTrainerOptions {
  /** Path of the compiled file that runs in the process. */
  readonly childPath: string;
  /** Its arguments. */
  readonly args: readonly string[];
  /** Its environment, whole; this process's own when it is not given. */
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
  /** The message that starts a job; the job alone by default. */
  readonly runMessage?: (job: TrialJob) => ToChild;
  /** False: every attempt gets a process of its own. */
  readonly keepProcess?: boolean;
  /** Why a job has no chance on this runtime for lack of memory, or null; asked before it starts. */
  readonly preflight?: (job: TrialJob, runtime: string) => string | null;
  /** Flags for Node, e.g. a heap limit. */
  readonly nodeFlags?: readonly string[];
}

/** A process from its start; everything about it that outlives one attempt. */
class RunningChild {
  readonly process: ChildProcess;
  ready: ReadyTrainer | null = null;
  /** Resolves when the process is ready, or has ended without, or takes too long. */
  readonly started: Promise<StartOutcome>;
  #stderr = '';

  constructor(options: ChildTrainerOptions) {
    const { childPath, args, environment, nodeFlags, log } = options;
    // A group of its own: Ctrl-C in the terminal reaches the worker, which decides what happens to the trial.
    this.process = fork(childPath, [...args], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      detached: true,
      ...(environment === undefined ? {} : { env: { ...environment } }),
      ...(nodeFlags === undefined ? {} : { execArgv: [...nodeFlags] }),
    });
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-stderrTailMax);
    });
    this.process.on('error', (error) => log.warn({ err: error }, 'trainer process'));
    this.started = this.#watchStart(log);
  }

  #watchStart(log: Log): Promise<StartOutcome> {
    return new Promise((resolve) => {
      const refuse = (reason: string): void => resolve({ kind: 'refused', reason });
      const seconds = trainerStartTimeoutMs / 1000;
      const timer = setTimeout(() => refuse(`it did not start within ${seconds} s`), trainerStartTimeoutMs);
      let refusal: string | null = null;
      // It may be ready before the attempt that it is for.
      this.process.on('message', (message: FromChild) => {
        if (message.type === 'failed' && this.ready === null) refusal = message.message;
        if (message.type !== 'ready') return;
        clearTimeout(timer);
        const { runtime, reason } = message;
        this.ready = { runtime, reason };
        log.debug({ runtime, reason }, 'trainer ready');
        resolve({ kind: 'ready', runtime, reason });
      });
      this.process.once('close', (code, signal) => {
        clearTimeout(timer);
        refuse(refusal ?? classifyExit({ code, signal, output: this.#stderr, cgroupOomKills: null }).message);
      });
    });
  }

  get stderr(): string {
    return this.#stderr;
  }

  get gone(): boolean {
    return this.process.exitCode !== null || this.process.signalCode !== null;
  }

  /** Forgets what earlier attempts wrote, so that it cannot explain a later death. */
  forgetOutput(): void {
    this.#stderr = '';
  }

  /** High-water mark of the process's memory, bytes. */
  ownMemory(): number | null {
    const { pid } = this.process;
    return pid === undefined ? null : peakResidentBytes(pid);
  }

  /** Memory of what the process started, bytes; looks at every process of the machine. */
  memoryOfStarted(): number | null {
    const { pid } = this.process;
    return pid === undefined ? null : memoryOfProcesses(processesOfGroup(pid).filter((each) => each !== pid));
  }

  /** Ends the whole process group and waits until the process is gone. */
  async kill(): Promise<void> {
    const { pid } = this.process;
    const gone = this.gone ? null : new Promise((resolve) => this.process.once('exit', resolve));
    try {
      if (pid !== undefined) process.kill(-pid, 'SIGKILL');
    } catch {
      // The group is gone already, or was never started.
      if (pid === undefined) return;
    }
    await gone;
  }
}

export class ChildTrainer {
  readonly #options: ChildTrainerOptions;
  #child: RunningChild | null = null;

  constructor(options: ChildTrainerOptions) {
    this.#options = options;
  }

  /** Runs one attempt; never rejects: whatever happens to the process is a result. One at a time. */
  async run(job: TrialJob, options: AttemptOptions): Promise<AttemptResult> {
    if (options.signal.aborted) return { kind: 'stopped' };
    if (this.#child?.gone === true) await this.kill();
    this.#child ??= new RunningChild(this.#options);
    const child = this.#child;
    const { result, reusable } = await new Attempt(child, job, options, this.#options).ending;
    const kept = this.#options.keepProcess !== false;
    if (!reusable || !kept || child.gone) await this.kill();
    // The next attempt's process starts while this one's result is told.
    if (!kept && result.kind === 'done') this.#child = new RunningChild(this.#options);
    return result;
  }

  /** Starts the process ahead of the first attempt: the runtime it will train on, or why it cannot. */
  start(): Promise<StartOutcome> {
    this.#child ??= new RunningChild(this.#options);
    return this.#child.started;
  }

  /** Ends the process and everything it started, and waits until it is gone. The next run starts a new one. */
  async kill(): Promise<void> {
    const child = this.#child;
    this.#child = null;
    await child?.kill();
  }
}

interface Ending {
  readonly result: AttemptResult;
  /** The process is sound and can take the next job. */
  readonly reusable: boolean;
}

type Limit = 'start' | 'stall' | 'trial' | 'grace';

/** One attempt in one process: the first of its endings wins. */
class Attempt {
  readonly ending: Promise<Ending>;
  readonly #child: RunningChild;
  readonly #job: TrialJob;
  readonly #options: AttemptOptions;
  readonly #trainer: ChildTrainerOptions;
  readonly #oomKillsBefore = cgroupOomKills();
  readonly #timers = new Map<Limit, NodeJS.Timeout>();
  #settle: (ending: Ending) => void = () => undefined;
  #memoryBytes: number | null = null;

  constructor(child: RunningChild, job: TrialJob, options: AttemptOptions, trainer: ChildTrainerOptions) {
    this.#child = child;
    this.#job = job;
    this.#options = options;
    this.#trainer = trainer;
    const { process: running } = child;
    const onMessage = (message: FromChild): void => this.#onMessage(message);
    const onClose = (code: number | null, signal: NodeJS.Signals | null): void => this.#onClose(code, signal);
    const onAbort = (): void => this.#stop();
    const looking =
      trainer.keepProcess === false
        ? undefined
        : setInterval(() => this.#look(child.ownMemory()), memoryLookMaxMs);
    this.ending = new Promise<Ending>((resolve) => {
      this.#settle = resolve;
    }).finally(() => {
      for (const timer of this.#timers.values()) clearTimeout(timer);
      clearInterval(looking);
      running.off('message', onMessage).off('close', onClose);
      options.signal.removeEventListener('abort', onAbort);
    });
    running.on('message', onMessage).on('close', onClose);
    options.signal.addEventListener('abort', onAbort, { once: true });
    child.forgetOutput();
    if (child.ready === null)
      this.#timeout('start', trainerStartTimeoutMs, 'the trainer process did not start in time');
    else this.#begin(child.ready.runtime);
  }

  #begin(runtime: string): void {
    this.#clear('start');
    if (this.#options.signal.aborted) {
      this.#settle({ result: { kind: 'stopped' }, reusable: true });
      return;
    }
    const hopeless = this.#trainer.preflight?.(this.#job, runtime) ?? null;
    if (hopeless !== null) {
      this.#fail('oom', hopeless, { reusable: true, phase: 'load' });
      return;
    }
    const { runMessage } = this.#trainer;
    this.#send(runMessage === undefined ? { type: 'run', job: this.#job } : runMessage(this.#job));
    this.#timeout('stall', this.#options.stallTimeoutMs, 'no report from the trainer');
    this.#timeout('trial', this.#options.trialTimeoutMs, 'the trial ran too long');
  }

  #onMessage(message: FromChild): void {
    switch (message.type) {
      case 'ready':
        this.#begin(message.runtime);
        break;
      case 'report':
        this.#timeout('stall', this.#options.stallTimeoutMs, `no report after step ${message.step}`);
        this.#options.onReport(message.step, message.metrics);
        break;
      case 'done':
        this.#settle({ result: { kind: 'done', ...message.done }, reusable: true });
        break;
      case 'failed':
        this.#memoryBytes = message.peakMemoryBytes ?? this.#memoryBytes;
        this.#fail(
          message.reason,
          message.message,
          message.phase === undefined ? {} : { phase: message.phase },
        );
        break;
      case 'stopped':
        this.#settle({ result: { kind: 'stopped' }, reusable: false });
        break;
      case 'log':
        this.#trainer.log.debug({ study: this.#job.study, trial: this.#job.number }, message.text);
        break;
      default:
        assertNever(message);
    }
  }

  /** The process ended without an answer. */
  #onClose(code: number | null, signal: NodeJS.Signals | null): void {
    if (this.#options.signal.aborted) {
      this.#settle({ result: { kind: 'stopped' }, reusable: false });
      return;
    }
    const kills = cgroupOomKills();
    const before = this.#oomKillsBefore;
    const cgroupKills = kills === null || before === null ? null : kills - before;
    const exit = classifyExit({ code, signal, output: this.#child.stderr, cgroupOomKills: cgroupKills });
    this.#fail(exit.reason, exit.message);
  }

  #stop(): void {
    this.#send({ type: 'stop' });
    const timer = setTimeout(
      () => this.#settle({ result: { kind: 'stopped' }, reusable: false }),
      trainerStopGraceMs,
    );
    this.#timers.set('grace', timer);
  }

  #fail(
    reason: FailureReason,
    message: string,
    { reusable = false, phase }: { readonly reusable?: boolean; readonly phase?: TrialPhase } = {},
  ): void {
    // Out of memory is told as what it is, also when it struck while the process was starting.
    if (this.#child.ready === null && reason !== 'oom') {
      this.#settle({ result: { kind: 'unfit', message }, reusable: false });
      return;
    }
    // A process that runs programs is small itself; what counts is what it runs.
    if (this.#trainer.keepProcess === false) this.#look(this.#child.memoryOfStarted());
    const peakMemoryBytes = this.#memoryBytes;
    const doing = phase ?? (this.#child.ready === null ? 'load' : undefined);
    const result = { kind: 'failed', reason, message, peakMemoryBytes } as const;
    this.#settle({ result: doing === undefined ? result : { ...result, phase: doing }, reusable });
  }

  /** Remembers what was used, for the case that the process cannot say so itself in the end. */
  #look(bytes: number | null): void {
    if (bytes !== null) this.#memoryBytes = Math.max(this.#memoryBytes ?? 0, bytes);
  }

  #send(message: ToChild): void {
    // A failure to send means that the process is gone; its exit says so too.
    this.#child.process.send(message, () => undefined);
  }

  #clear(name: Limit): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  #timeout(name: Limit, ms: number, what: string): void {
    this.#clear(name);
    const message = `${what} (limit ${Math.round(ms / 1000)} s)`;
    const timer = setTimeout(() => this.#fail('timeout', message), ms);
    this.#timers.set(name, timer);
  }
}
