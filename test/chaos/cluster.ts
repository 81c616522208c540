/** Everything that runs: one PostgreSQL, two coordinators, eight workers, and a proxy on every way between them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { ClientConfig } from 'pg';
import { processTree } from '../helpers/cli.js';
import { PostgresServer, signal } from '../helpers/postgres-server.js';
import { TcpProxy, freePorts } from '../helpers/tcp-proxy.js';
import { run } from '../helpers/postgres.js';
import type { BreakName } from './breaks.js';
import { coordinatorCount, workerCount } from './plan.js';
import { Supervised } from './supervised.js';

/** Short, so that leases run out during the run. */
const leaseTtlSeconds = 2;

export interface ClusterOptions {
  /** Settings of PostgreSQL. */
  readonly settings?: Readonly<Record<string, string>>;
  /** What coordinators do wrong on purpose; nothing unless given. */
  readonly broken?: BreakName | null;
}

export class ChaosCluster {
  readonly directory: string;
  readonly postgres: PostgresServer;
  /** Straight to PostgreSQL, for the audit. */
  readonly database: ClientConfig;
  readonly coordinators: readonly Supervised[];
  readonly workers: readonly Supervised[];
  /** From each coordinator to PostgreSQL. */
  readonly databaseLinks: readonly TcpProxy[];
  /** From each worker to whichever coordinator is next. */
  readonly workerLinks: readonly TcpProxy[];
  /** People's way to the coordinators. */
  readonly peopleLink: TcpProxy;

  private constructor(
    parts: Omit<ChaosCluster, 'links' | 'heal' | 'stop' | 'remove' | 'crashes' | 'killAll'>,
  ) {
    this.directory = parts.directory;
    this.postgres = parts.postgres;
    this.database = parts.database;
    this.coordinators = parts.coordinators;
    this.workers = parts.workers;
    this.databaseLinks = parts.databaseLinks;
    this.workerLinks = parts.workerLinks;
    this.peopleLink = parts.peopleLink;
  }

  static async start({
    settings = { recovery_init_sync_method: 'syncfs' },
    broken = null,
  }: ClusterOptions = {}): Promise<ChaosCluster> {
    const directory = mkdtempSync(path.join(tmpdir(), 'parzen-chaos-'));
    const [postgresPort = 0, ...ports] = await freePorts(1 + coordinatorCount);
    const postgres = await PostgresServer.create({ directory, port: postgresPort, settings });
    await run(postgres.connection, 'create database parzen');
    const databaseLinks = await Promise.all(
      ports.map(() => TcpProxy.start(() => ({ host: '127.0.0.1', port: postgresPort }))),
    );
    const coordinators = databaseLinks.map((link, index) =>
      startCoordinator(directory, index, { link, broken, port: ports[index] ?? 0 }),
    );
    let next = 0;
    const toCoordinators = (): Promise<TcpProxy> =>
      TcpProxy.start(() => ({ host: '127.0.0.1', port: ports[(next += 1) % coordinatorCount] ?? 0 }));
    const workerLinks = await Promise.all(Array.from({ length: workerCount }, toCoordinators));
    const workers = workerLinks.map((link, index) => startWorker(directory, index, link));
    const database = { ...postgres.connection, database: 'parzen' };
    const peopleLink = await toCoordinators();
    const cluster = new ChaosCluster({
      directory,
      postgres,
      database,
      coordinators,
      workers,
      databaseLinks,
      workerLinks,
      peopleLink,
    });
    // Whatever ends this process, nothing of ours goes on.
    process.once('exit', () => cluster.killAll());
    return cluster;
  }

  get links(): readonly TcpProxy[] {
    return [...this.databaseLinks, ...this.workerLinks, this.peopleLink];
  }

  /** Ends that nobody asked for. */
  get crashes() {
    return [...this.coordinators, ...this.workers].flatMap((each) => each.crashes);
  }

  /** Makes everything whole again. */
  async heal(): Promise<void> {
    for (const link of this.links) link.set('pass');
    for (const each of [...this.coordinators, ...this.workers])
      if (each.pid !== undefined) for (const pid of processTree(each.pid)) signal(pid, 'SIGCONT');
    for (const pid of this.postgres.pids()) signal(pid, 'SIGCONT');
    await this.postgres.start();
  }

  /** Ends workers, then coordinators, as an operator would. */
  async stop(): Promise<readonly { readonly tookMs: number; readonly code: number | null }[]> {
    const workers = await Promise.all(this.workers.map((each) => each.retire()));
    return [...workers, ...(await Promise.all(this.coordinators.map((each) => each.retire())))];
  }

  /** kill -9 of everything, at once. */
  killAll(): void {
    for (const each of [...this.coordinators, ...this.workers]) each.abandon();
    for (const pid of this.postgres.pids()) signal(pid, 'SIGKILL');
  }

  async remove(keepLogs: boolean): Promise<void> {
    this.killAll();
    await Promise.all(this.links.map((link) => link.close()));
    await this.postgres.remove();
    if (!keepLogs) rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

function startCoordinator(
  directory: string,
  index: number,
  {
    link,
    port,
    broken,
  }: { readonly link: TcpProxy; readonly port: number; readonly broken: BreakName | null },
): Supervised {
  const args = [
    ...['start', '--storage', `postgres://postgres@${link.address}/parzen`],
    ...['--listen', `127.0.0.1:${port}`, '--lease-ttl', String(leaseTtlSeconds), '--log', 'info'],
  ];
  return new Supervised({ name: `coordinator-${index}`, program: 'coordinator', args, directory, broken });
}

function startWorker(directory: string, index: number, link: TcpProxy): Supervised {
  const name = `worker-${index}`;
  const args = [
    ...['start', '--coordinator', link.address, '--gpu', 'none', '--log', 'info'],
    ...['--journal', path.join(directory, `${name}.journal`)],
  ];
  return new Supervised({ name, program: 'worker', args, directory });
}
