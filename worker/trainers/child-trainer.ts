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
import { stderrTailMax, trainerStartTimeoutMs, trainerStopGraceMs } from '../limits.js';
import type { TrialJob } from './port.js';
import type { FromChild, ToChild } from './protocol.js';

export type AttemptResult =
  | { readonly kind: 'done'; readonly metrics: Metrics; readonly peakMemoryBytes: number | null }
  | { readonly kind: 'failed'; readonly reason: FailureReason; readonly message: string }
  | { readonly kind: 'stopped' };

export interface AttemptOptions {
  readonly stallTimeoutMs: number;
  readonly trialTimeoutMs: number;
  /** Told of every report. */
  readonly onReport: (step: number, metrics: Metrics) => void;
  /** Ends the attempt: `stopped`. */
  readonly signal: AbortSignal;
}

export interface ChildTrainerOptions {
  /** Path of the compiled `child.js`. */
  readonly childPath: string;
  readonly trainer: string;
  readonly runtime: string;
  readonly log: Log;
}

interface RunningChild {
  readonly process: ChildProcess;
  readonly stderr: () => string;
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
    const oomKillsBefore = cgroupOomKills();
    const fresh = this.#child === null;
    const child = this.#child ?? this.#start();
    const result = await new Attempt(child, job, options, fresh, oomKillsBefore).result;
    if (result.kind !== 'done' || child.process.exitCode !== null) await this.kill();
    return result;
  }

  /** Ends the process at once and waits until it is gone. The next run starts a new one. */
  async kill(): Promise<void> {
    const child = this.#child?.process;
    this.#child = null;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await gone;
  }

  #start(): RunningChild {
    const { childPath, trainer, runtime } = this.#options;
    // A group of its own: Ctrl-C in the terminal reaches the worker, which decides what happens to the trial.
    const child = fork(childPath, [trainer, runtime], {
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      detached: true,
    });
    let tail = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      tail = (tail + text).slice(-stderrTailMax);
    });
    child.on('error', (error) => this.#options.log.warn({ err: error }, 'trainer process'));
    const started = { process: child, stderr: () => tail };
    this.#child = started;
    return started;
  }
}

/** One attempt in one process: the first of its endings wins. */
class Attempt {
  readonly result: Promise<AttemptResult>;
  readonly #child: RunningChild;
  readonly #options: AttemptOptions;
  readonly #timers = new Map<'start' | 'stall' | 'trial' | 'grace', NodeJS.Timeout>();
  #settle: (result: AttemptResult) => void = () => undefined;

  constructor(
    child: RunningChild,
    job: TrialJob,
    options: AttemptOptions,
    ...[fresh, oomKillsBefore]: [boolean, number | null]
  ) {
    this.#child = child;
    this.#options = options;
    const { process: running } = child;
    const onMessage = (message: FromChild): void => this.#onMessage(message, job);
    const onClose = (code: number | null, signal: NodeJS.Signals | null): void => {
      const kills = cgroupOomKills();
      const cgroupKills = kills === null || oomKillsBefore === null ? null : kills - oomKillsBefore;
      const exit = classifyExit({ code, signal, stderr: child.stderr(), cgroupOomKills: cgroupKills });
      this.#settle(options.signal.aborted ? { kind: 'stopped' } : { kind: 'failed', ...exit });
    };
    const onAbort = (): void => this.#stop();
    this.result = new Promise<AttemptResult>((resolve) => {
      this.#settle = resolve;
    }).finally(() => {
      for (const timer of this.#timers.values()) clearTimeout(timer);
      running.off('message', onMessage).off('close', onClose);
      options.signal.removeEventListener('abort', onAbort);
    });
    running.on('message', onMessage).on('close', onClose);
    options.signal.addEventListener('abort', onAbort, { once: true });
    if (fresh) this.#timeout('start', trainerStartTimeoutMs, 'the trainer process did not start in time');
    else this.#begin(job);
  }

  #begin(job: TrialJob): void {
    this.#clear('start');
    this.#send({ type: 'run', job });
    this.#timeout('stall', this.#options.stallTimeoutMs, 'no report from the trainer');
    this.#timeout('trial', this.#options.trialTimeoutMs, 'the trial ran too long');
  }

  #onMessage(message: FromChild, job: TrialJob): void {
    switch (message.type) {
      case 'ready':
        this.#begin(job);
        break;
      case 'report':
        this.#timeout('stall', this.#options.stallTimeoutMs, `no report after step ${message.step}`);
        this.#options.onReport(message.step, message.metrics);
        break;
      case 'done':
        this.#settle({ kind: 'done', ...message.done });
        break;
      case 'failed':
        this.#settle({ kind: 'failed', reason: message.reason, message: message.message });
        break;
      case 'stopped':
        this.#settle({ kind: 'stopped' });
        break;
      default:
        assertNever(message);
    }
  }

  #stop(): void {
    this.#send({ type: 'stop' });
    const timer = setTimeout(() => this.#settle({ kind: 'stopped' }), trainerStopGraceMs);
    this.#timers.set('grace', timer);
  }

  #send(message: ToChild): void {
    // A failure to send means that the process is gone; its exit says so too.
    this.#child.process.send(message, () => undefined);
  }

  #clear(name: 'start' | 'stall' | 'trial'): void {
    clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }

  #timeout(name: 'start' | 'stall' | 'trial', ms: number, what: string): void {
    this.#clear(name);
    const message = `${what} (limit ${Math.round(ms / 1000)} s)`;
    const timer = setTimeout(() => this.#settle({ kind: 'failed', reason: 'timeout', message }), ms);
    this.#timers.set(name, timer);
  }
}
