import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../../shared/platform/log.js';
import { StorageOpenError } from '../errors.js';
import { serverEnvironment, type Cluster } from './cluster.js';
import { endOldServer } from './old-server.js';
import { saysDiskFull, type ServerLog } from './server-log.js';
import { asUser } from './server-user.js';

/**
 * Runs the server ($0 …) and shuts it down (SIGINT: fast) when our end of the pipe on standard input closes, which the
 * kernel does for us however this process dies. Ends when the server ends, with its exit code.
 */
const watchdog = `
exec 3<&0
"$0" "$@" </dev/null 3<&- &
server=$!
{ read -r _ <&3; kill -INT $server; } &
reader=$!
exec 3<&-
wait $server
code=$?
kill $reader 2>/dev/null
exit $code`;

/** Given on the command line, where they win over the files in the data directory. */
const settings: Readonly<Record<string, string>> = {
  // Relative to the data directory, so the path is short for the server however deep the directory lies.
  unix_socket_directories: '.',
  unix_socket_permissions: '0700',
  password_encryption: 'scram-sha-256',
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  max_connections: '60',
  // Bounds the work of a recovery after a kill.
  max_wal_size: '256MB',
  wal_level: 'minimal',
  max_wal_senders: '0',
  // Fewer idle processes.
  max_logical_replication_workers: '0',
  io_method: 'sync',
  // Deadlocks are possible only between different coordinators' transactions, and retried.
  deadlock_timeout: '200ms',
  logging_collector: 'off',
  log_destination: 'stderr',
  log_timezone: 'UTC',
  timezone: 'UTC',
  ...(process.platform === 'linux' ? { recovery_init_sync_method: 'syncfs' } : {}),
};

export const loopback = '127.0.0.1';
/** Names the socket where no port is open. */
export const defaultPort = 5432;

/** How often a server that died is started again before it is given up, within `restartWindowMs`. */
const restartsMax = 5;
const restartWindowMs = 60_000;
const startMaxMs = 10 * 60_000;

/** A running server: started again when it dies, until it is stopped. */
export class Server {
  readonly #cluster: Cluster;
  readonly #serverLog: ServerLog;
  readonly #log: Log;
  readonly #listening: Readonly<Record<string, string>>;
  #child: ChildProcess | null = null;
  #exited: Promise<void> = Promise.resolve();
  #stopping = false;
  readonly #restartsAtMs: number[] = [];

  /** `port`: where to listen on loopback besides the socket; null for nowhere. */
  constructor(
    cluster: Cluster,
    {
      serverLog,
      log,
      port,
    }: { readonly serverLog: ServerLog; readonly log: Log; readonly port: number | null },
  ) {
    this.#cluster = cluster;
    this.#listening = {
      listen_addresses: port === null ? '' : loopback,
      // Part of the socket's name too.
      port: String(port ?? defaultPort),
    };
    this.#serverLog = serverLog;
    this.#log = log;
  }

  /**
   * Resolves when the server answers.
   *
   * @throws StorageOpenError when it ends instead, with what it said
   */
  async start(): Promise<void> {
    const before = this.#serverLog.size();
    const startedAtSeconds = Math.floor(Date.now() / 1_000);
    const child = this.#spawn();
    for (let waitedMs = 0; waitedMs < startMaxMs; waitedMs += 10) {
      if (this.#child !== child) throw this.#startError(before);
      if (isReady(this.#cluster.data, startedAtSeconds)) return;
      if (waitedMs > 0 && waitedMs % 5_000 === 0) this.#log.info({}, 'the database is recovering');
      await sleep(10);
    }
    throw new StorageOpenError(`the database in ${this.#cluster.data} did not start within ${startMaxMs} ms`);
  }

  /** Shuts the server down cleanly; resolves when it has ended. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child?.ref();
    this.#child?.stdin?.end();
    await this.#exited;
  }

  #spawn(): ChildProcess {
    const { native, data, dataArgument, user } = this.#cluster;
    const output = this.#serverLog.open();
    const all = { ...settings, ...this.#listening };
    const options = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
    const program = path.join(native, 'bin', 'postgres');
    const child = spawn('/bin/sh', ['-c', watchdog, program, '-D', dataArgument, ...options], {
      ...asUser(user),
      cwd: data,
      env: serverEnvironment,
      stdio: ['pipe', output, output],
      // Its own process group: a Ctrl-C on our terminal is ours to answer; the server goes last.
      detached: true,
    });
    closeSync(output);
    // A program that fails without closing its store ends all the same, and the server with it.
    child.unref();
    if (child.stdin instanceof Socket) child.stdin.unref();
    child.stdin?.on('error', () => undefined);
    this.#child = child;
    this.#exited = new Promise((resolve) => {
      const ended = (why: string): void => {
        if (this.#child === child) this.#child = null;
        resolve();
        child.stdin?.destroy();
        this.#log.debug({ why }, 'database server ended');
      };
      child.once('error', (error) => ended(error.message));
      child.once('exit', (code, signal) => ended(`exit code ${code ?? signal ?? 'unknown'}`));
    });
    return child;
  }

  /** Call once, after the first start. */
  keepRunning(): void {
    void this.#exited.then(() => this.#restart());
  }

  async #restart(): Promise<void> {
    while (!this.#stopping) {
      const nowMs = Date.now();
      while ((this.#restartsAtMs[0] ?? nowMs) < nowMs - restartWindowMs) this.#restartsAtMs.shift();
      if (this.#restartsAtMs.length >= restartsMax) {
        this.#log.error({ log: this.#serverLog.file }, 'the database server keeps dying and is given up');
        return;
      }
      this.#restartsAtMs.push(nowMs);
      this.#log.error(
        { reason: this.#serverLog.complaint(0), log: this.#serverLog.file },
        'the database server died and is started again',
      );
      try {
        await endOldServer(this.#cluster.data, this.#log);
        if (this.#isStopping()) return;
        await this.start();
        await this.#exited;
      } catch (error) {
        this.#log.error({ err: error }, 'the database server did not start');
        await sleep(500 * this.#restartsAtMs.length);
      }
    }
  }

  /** Asked anew after a wait, during which it may have changed. */
  #isStopping(): boolean {
    return this.#stopping;
  }

  #startError(before: number): StorageOpenError {
    const { data } = this.#cluster;
    const said = this.#serverLog.complaint(before);
    if (saysDiskFull(this.#serverLog.tail(before)))
      return new StorageOpenError(`the disk that holds ${data} is full: free some space and start again`);
    return new StorageOpenError(
      `the database in ${data} did not start: ${said === '' ? 'it said nothing' : said} (see ${this.#serverLog.file})`,
    );
  }
}

/**
 * The server writes its state into its lock file: line 3 when it started, line 8 whether it takes connections. A file
 * from before is told by its time.
 */
function isReady(data: string, startedAtSeconds: number): boolean {
  let lines: readonly string[];
  try {
    lines = readFileSync(path.join(data, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    // Not written yet.
    return false;
  }
  return Number(lines[2]) >= startedAtSeconds && lines[7]?.trim() === 'ready';
}
