/** Workers that the coordinator starts on its own machine, and that end with it. */
import { spawn, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { channelOptions } from '../../shared/platform/channel-files.js';
import type { Clock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';

export interface LocalWorkersOptions {
  readonly count: number;
  readonly coordinator: string;
  readonly study: string;
  readonly runtime: string;
  /** File with the token that they send; null where none is asked for. */
  readonly tokenFile: string | null;
  /** Collector that they send traces to; null for none. */
  readonly traces: string | null;
  readonly log: Log;
  readonly clock: Clock;
  readonly stopGraceMs: number;
}

export interface LocalWorkers {
  /** Resolves when a worker ended by itself, with how; never when all are stopped on purpose. */
  readonly failed: Promise<string>;
  /** Asks the workers to give their trials back, and waits until they are gone; kills them after the grace. */
  stop(): Promise<void>;
}

/** Restarts of one worker before it counts as failed. */
const restartsMax = 2;

/**
 * Starts the workers. Each holds our end of its standard input: when this process dies, however, they end as well. Each is
 * in a process group of its own, so that Ctrl-C reaches us alone and we decide the order of things. A worker that dies is
 * started again, a few times.
 */
export function startLocalWorkers(options: LocalWorkersOptions): LocalWorkers {
  const running = new Set<ChildProcess>();
  let stopping = false;
  let reportFailure: (how: string) => void = () => undefined;
  const failed = new Promise<string>((resolve) => {
    reportFailure = resolve;
  });
  const start = (restartsLeft: number): void => {
    const child = spawnWorker(options);
    running.add(child);
    child.once('error', (error) => options.log.error({ err: error }, 'a local worker could not be started'));
    child.once('close', (code, signal) => {
      running.delete(child);
      if (stopping) return;
      const how = signal === null ? `exit code ${code ?? '?'}` : `signal ${signal}`;
      options.log.warn({ how, restartsLeft }, 'a local worker ended');
      if (restartsLeft > 0) start(restartsLeft - 1);
      // As long as one works, the study goes on.
      else if (running.size === 0) reportFailure(how);
    });
  };
  for (let index = 0; index < options.count; index += 1) start(restartsMax);
  return {
    failed,
    stop: async () => {
      stopping = true;
      const gone = [...running].map(
        (child) => new Promise<void>((resolve) => child.once('close', () => resolve())),
      );
      for (const child of running) child.kill('SIGTERM');
      const patience = new AbortController();
      const killer = options.clock.sleep(options.stopGraceMs, patience.signal).then(() => {
        if (!patience.signal.aborted) for (const child of running) child.kill('SIGKILL');
      });
      await Promise.all(gone);
      patience.abort();
      await killer;
    },
  };
}

function spawnWorker({
  coordinator,
  study,
  runtime,
  tokenFile,
  traces,
  log,
}: LocalWorkersOptions): ChildProcess {
  const main = path.join(import.meta.dirname, '..', '..', 'worker', 'main.js');
  const args = [
    'start',
    '--coordinator',
    coordinator,
    '--study',
    study,
    '--runtime',
    runtime,
    // Ctrl-C at a study is not to wait for trials of minutes.
    '--drain',
    '0',
    '--exit-with-parent',
    ...(tokenFile === null ? [] : ['--token-file', tokenFile]),
    ...(traces === null ? [] : ['--traces', traces]),
  ];
  const child = spawn(process.execPath, [main, ...args, '--log', 'warn', '--log-format', 'json'], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: environmentOfWorker(process.env),
    detached: true,
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    for (const line of text.split('\n')) if (line.trim() !== '') relay(log, line.trim());
  });
  return child;
}

/**
 * Ours, without what says how to reach some other coordinator, without the addresses at which this process is watched, and
 * without the store's URL, whose password is no business of trainers.
 */
export const environmentOfWorker = (ours: NodeJS.ProcessEnv): NodeJS.ProcessEnv => {
  const foreign = new Set<string>(channelOptions.map(([, , variable]) => variable));
  const others = (name: string): boolean =>
    foreign.has(name) || name === 'PARZEN_STORAGE' || /^PARZEN_(INSECURE_)?METRICS/.test(name);
  return Object.fromEntries(Object.entries(ours).filter(([name]) => !others(name)));
};

/** A line of a worker's log, in ours; anything that is no log line (the last words of a crash) as it is. */
function relay(log: Log, line: string): void {
  try {
    const { msg, level, ...fields } = JSON.parse(line) as Record<string, unknown>;
    delete fields['time'];
    log[Number(level) >= 50 ? 'error' : 'warn'](fields, `worker: ${String(msg)}`);
  } catch {
    log.warn({}, `worker: ${line}`);
  }
}
