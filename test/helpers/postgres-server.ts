/** A PostgreSQL server of our own that can be killed in every way: the machine's programs where it has some, else the built-in ones. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  rmSync,
} from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import pg, { type ClientConfig } from 'pg';
import { preparePrograms } from '../../coordinator/storage/embedded/binaries.js';
import { serverEnvironment } from '../../coordinator/storage/embedded/cluster.js';
import { serversIn } from '../../coordinator/storage/embedded/processes.js';
import { asUser, serverUser } from '../../coordinator/storage/embedded/server-user.js';
import { until } from './cli.js';

const execute = promisify(execFile);

/** Where Debian keeps the programs of each major version. */
const debianVersions = '/usr/lib/postgresql';
const oldestMajor = 15;

/** A folder with `bin/postgres`: the newest that Debian has here, else the npm package's. */
function findPrograms(directory: string): string {
  const majors = existsSync(debianVersions) ? readdirSync(debianVersions).map(Number) : [];
  const newest = Math.max(0, ...majors.filter((major) => major >= oldestMajor));
  const installed = path.join(debianVersions, String(newest));
  if (existsSync(path.join(installed, 'bin', 'postgres'))) return installed;
  return preparePrograms(directory, serverUser());
}

export interface PostgresServerOptions {
  /** An empty folder of its own; with root, others can pass through it. */
  readonly directory: string;
  readonly port: number;
  /** Settings of the server, as `-c` takes them. */
  readonly settings?: Readonly<Record<string, string>>;
  /** The folder for the data when it is not to be one in `directory`. */
  readonly data?: string;
}

export class PostgresServer {
  readonly programs: string;
  readonly connection: ClientConfig;
  readonly #data: string;
  readonly #options: PostgresServerOptions;
  #process: ChildProcess | null = null;

  private constructor(options: PostgresServerOptions, programs: string, data: string) {
    this.#options = options;
    this.programs = programs;
    this.#data = data;
    this.connection = { host: '127.0.0.1', port: options.port, user: 'postgres', database: 'postgres' };
  }

  /** Creates the cluster and starts the server. */
  static async create(options: PostgresServerOptions): Promise<PostgresServer> {
    const user = serverUser();
    chmodSync(options.directory, 0o711);
    const data = options.data ?? path.join(options.directory, 'data');
    mkdirSync(data, { recursive: true, mode: 0o700 });
    if (user !== null) chownSync(data, user.uid, user.gid);
    const programs = findPrograms(options.directory);
    const server = new PostgresServer(options, programs, realpathSync(data));
    const words = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
    await execute(path.join(programs, 'bin', 'initdb'), words, {
      ...asUser(user),
      cwd: '/',
      env: serverEnvironment,
    });
    await server.start();
    return server;
  }

  /** Starts it, if it does not run, and waits until it takes connections. */
  async start(): Promise<void> {
    // A child of a killed postmaster may hold the shared memory for a moment; then the new one refuses to start.
    await until(async () => {
      if (this.#process === null || this.#process.exitCode !== null || this.#process.signalCode !== null)
        this.#spawn();
      return this.#answers();
    });
  }

  /** Its processes now, the postmaster among them. */
  pids(): readonly number[] {
    return serversIn(this.#data);
  }

  /** Processes that serve a client. */
  async backends(): Promise<readonly number[]> {
    const client = new pg.Client({
      ...this.connection,
      connectionTimeoutMillis: 1_000,
      query_timeout: 2_000,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      const { rows } = await client.query<{ pid: number }>(
        `select pid from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()`,
      );
      return rows.map(({ pid }) => pid);
    } catch {
      return [];
    } finally {
      await client.end().catch(() => undefined);
    }
  }

  /** kill -9 of the postmaster alone, or of every process; resolves when all are gone. */
  async kill(whom: 'postmaster' | 'all'): Promise<void> {
    const victims = whom === 'all' ? this.pids() : [];
    this.#process?.kill('SIGKILL');
    for (const pid of victims) signal(pid, 'SIGKILL');
    // A stopped child would never notice that its postmaster is gone.
    await until(() => {
      const left = this.pids();
      for (const pid of left) signal(pid, 'SIGCONT');
      return left.length === 0;
    });
  }

  /** Ends it at once and removes its data. */
  async remove(): Promise<void> {
    await this.kill('all');
    rmSync(this.#data, { recursive: true, force: true });
  }

  #spawn(): void {
    const { directory, port, settings = {} } = this.#options;
    const log = openSync(path.join(directory, 'postgres.log'), 'a');
    const words = {
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      port: String(port),
      ...settings,
    };
    this.#process = spawn(
      path.join(this.programs, 'bin', 'postgres'),
      ['-D', this.#data, ...Object.entries(words).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      {
        ...asUser(serverUser()),
        cwd: '/',
        env: serverEnvironment,
        stdio: ['ignore', log, log],
        detached: true,
      },
    );
    this.#process.on('error', () => undefined);
  }

  async #answers(): Promise<boolean> {
    const client = new pg.Client({
      ...this.connection,
      connectionTimeoutMillis: 2_000,
      query_timeout: 2_000,
    });
    client.on('error', () => undefined);
    try {
      await client.connect();
      await client.query('select 1');
      return true;
    } catch {
      return false;
    } finally {
      await client.end().catch(() => undefined);
    }
  }
}

/** Sends a signal to a process that may be gone. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It is gone.
  }
}
