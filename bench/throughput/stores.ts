/** The stores that are measured: a PostgreSQL server of the system, and the embedded one. */
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import { postmasterPid } from '../../coordinator/storage/embedded/processes.js';
import { serverUser } from '../../coordinator/storage/embedded/server-user.js';
import { until } from './processes.js';

export interface Store {
  readonly kind: 'postgres' | 'embedded';
  /** What `--storage` is told. */
  readonly location: string;
  /** Where to look at the database beside the coordinator. */
  readonly connection: pg.ClientConfig;
  /** The server's first process; the embedded one's runs only while a coordinator has it open. */
  serverPid(): number | null;
  remove(): Promise<void>;
}

const base = '/usr/lib/postgresql';

/** Folder of the newest PostgreSQL server that is installed; null when there is none. */
export function installedPostgres(): string | null {
  const named = process.env['PARZEN_PG_BIN'];
  if (named !== undefined) return named;
  const versions = existsSync(base) ? readdirSync(base).map(Number).filter(Number.isFinite) : [];
  const newest = versions.sort((a, b) => b - a)[0];
  const bin = newest === undefined ? null : path.join(base, String(newest), 'bin');
  return bin !== null && existsSync(path.join(bin, 'postgres')) ? bin : null;
}

/** Starts a durable PostgreSQL server with stock settings (more connections apart) on a port of loopback. */
export async function startPostgres(bin: string): Promise<Store> {
  const home = mkdtempSync(path.join(tmpdir(), 'parzen-bench-pg-'));
  const data = path.join(home, 'data');
  const user = serverUser();
  mkdirSync(data, { mode: 0o700 });
  if (user !== null) {
    chmodSync(home, 0o755);
    chownSync(home, user.uid, user.gid);
    chownSync(data, user.uid, user.gid);
  }
  const as = { cwd: home, ...(user === null ? {} : { uid: user.uid, gid: user.gid }) };
  const options = ['-D', data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C'];
  execFileSync(path.join(bin, 'initdb'), options, { ...as, stdio: 'ignore' });
  const port = 20_000 + (process.pid % 20_000);
  const settings = {
    ...{ listen_addresses: '127.0.0.1', port: String(port), unix_socket_directories: home },
    ...{ max_connections: '200', synchronous_commit: 'on', fsync: 'on' },
  };
  const server = spawn(
    path.join(bin, 'postgres'),
    ['-D', data, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    { ...as, stdio: 'ignore' },
  );
  const connection = { host: '127.0.0.1', port, user: 'postgres', database: 'postgres' };
  await until('the database server answers', 30_000, () => (postmasterPid(data) === null ? null : true));
  await untilConnected(connection);
  return {
    kind: 'postgres',
    location: `postgres://postgres@127.0.0.1:${port}/postgres`,
    connection,
    serverPid: () => server.pid ?? null,
    remove: async () => {
      const ended = new Promise((resolve) => server.once('exit', resolve));
      server.kill('SIGQUIT');
      await ended;
      rmSync(home, { recursive: true, force: true });
    },
  };
}

async function untilConnected(connection: pg.ClientConfig): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    const client = new pg.Client(connection);
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      if (tries > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** A folder for the embedded store; the coordinator starts the server in it. */
export function embeddedStore(): Store {
  const folder = mkdtempSync(path.join(tmpdir(), 'parzen-bench-embedded-'));
  chmodSync(folder, 0o755);
  const data = path.join(folder, 'pg18');
  return {
    kind: 'embedded',
    location: folder,
    connection: { host: data, port: 5432, user: 'postgres', database: 'postgres' },
    serverPid: () => postmasterPid(data),
    remove: async () => {
      await until('the embedded server has ended', 30_000, () =>
        postmasterPid(data) === null ? true : null,
      );
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Runs SQL on a connection of its own. */
export async function withClient<T>(store: Store, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client(store.connection);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** Transactions that wrote something, so far. Asking counts as one. */
export const writingTransactions = (store: Store): Promise<number> =>
  withClient(store, async (client) => {
    const { rows } = await client.query<{ xid: string }>('select pg_current_xact_id()::text as xid');
    return Number(rows[0]?.xid);
  });
