/**
 * PostgreSQL and the ways to it fail under a coordinator that works: clients see UNAVAILABLE at most, ask again with the same
 * ids, and what they were told is stored is stored. A real server, real gRPC, a proxy in between.
 */
import { status } from '@grpc/grpc-js';
import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createStudy } from '../../coordinator/app/create-study.js';
import { localGateway } from '../../coordinator/app/study-gateway.js';
import { openContext, type OpenContext } from '../../coordinator/cli/open-context.js';
import { startGrpcServer, type RunningServer } from '../../coordinator/grpc/server.js';
import { openPostgres } from '../../coordinator/storage/postgres/open-postgres.js';
import { silentLog } from '../../shared/platform/log.js';
import { RpcError, retrying, unary } from '../../shared/wire/call.js';
import { channelParts, plainChannel } from '../../shared/wire/channel.js';
import { TellResponse_Result, TrialServiceClient } from '../../shared/wire/gen/parzen/v1/trial.js';
import { smallStudy } from '../helpers/app.js';
import { projectRoot, until } from '../helpers/cli.js';
import { PostgresServer, signal } from '../helpers/postgres-server.js';
import { run } from '../helpers/postgres.js';
import { TcpProxy, freePorts } from '../helpers/tcp-proxy.js';

const callers = 8;

/** A coordinator in this process on a server that is not, and callers that ask and tell until they are stopped. */
class Scene {
  readonly codes = new Set<status>();
  /** Token of each result that was acknowledged, and the value that was told. */
  readonly acknowledged = new Map<string, number>();
  readonly #ended = new AbortController();
  readonly #clients: TrialServiceClient[] = [];
  #working: Promise<unknown> = Promise.resolve();

  readonly link: TcpProxy;
  readonly #database: pg.ClientConfig;
  readonly #opened: OpenContext;
  readonly #server: RunningServer;

  private constructor(
    link: TcpProxy,
    database: pg.ClientConfig,
    { opened, server }: { readonly opened: OpenContext; readonly server: RunningServer },
  ) {
    this.link = link;
    this.#database = database;
    this.#opened = opened;
    this.#server = server;
  }

  static async start(
    postgres: PostgresServer,
    change: pg.ClientConfig & { max?: number } = {},
  ): Promise<Scene> {
    const name = `fire_${randomUUID().slice(0, 8)}`;
    await run(postgres.connection, `create database ${name}`);
    const database = { ...postgres.connection, database: name };
    const target = { host: '127.0.0.1', port: postgres.connection.port ?? 0 };
    const link = await TcpProxy.start(() => target);
    const storage = await openPostgres({
      connection: { ...database, port: link.port, ...change },
      log: silentLog,
    });
    const opened = await openContext(storage, silentLog, { serves: null });
    const { context } = opened;
    const gateway = localGateway(context, () => ({ kind: 'problems', text: 'no study files here' }));
    const server = await startGrpcServer({
      context,
      gateway,
      listen: '127.0.0.1:0',
      protoDirectory: path.join(projectRoot, 'proto'),
    });
    const definition = smallStudy({ trials: 1_000_000, sampler: { type: 'random', seed: 1 } });
    await createStudy(context, { definition, definitionText: 'x', trials: null, dataset: null });
    const scene = new Scene(link, database, { opened, server });
    scene.#working = Promise.all(
      Array.from({ length: callers }, (_, index) => scene.#work(`worker-${index}`)),
    );
    await scene.progress();
    return scene;
  }

  /** Waits until more results were acknowledged than now: everybody had a turn. */
  async progress(more = callers * 2): Promise<void> {
    const wanted = this.acknowledged.size + more;
    await until(() => this.acknowledged.size >= wanted);
  }

  /** Ends the work and compares what was acknowledged with what is stored. */
  async audit(): Promise<void> {
    this.#ended.abort();
    await this.#working;
    const rows = await run(
      this.#database,
      `select a.token, t.metrics -> 'auc' as auc, t.state, a.attempt from parzen.trial_attempts a join parzen.trials t using (study_id, number)
       where a.outcome = 'finished'`,
    );
    const stored = new Map(rows.map((row) => [row['token'], row['auc']]));
    expect(new Set(rows.map((row) => row['state']))).toEqual(new Set(['COMPLETE']));
    const lost = [...this.acknowledged].filter(([token, value]) => stored.get(token) !== value);
    expect(lost).toEqual([]);
    const [study] = await run(
      this.#database,
      `select next_number = (select count(*) from parzen.trials) and next_number = (select max(number) + 1 from parzen.trials) as numbers,
         finish_sequence = (select count(finish_sequence) from parzen.trials) and finish_sequence = (select max(finish_sequence) from parzen.trials) as finished
       from parzen.studies`,
    );
    expect(study).toEqual({ numbers: true, finished: true });
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#working;
    for (const client of this.#clients) client.close();
    await this.#server.stop();
    await this.link.close();
    await this.#opened.context.storage.close().catch(() => undefined);
  }

  async #work(workerId: string): Promise<void> {
    const client = new TrialServiceClient(this.#server.address, ...channelParts(plainChannel));
    this.#clients.push(client);
    const { signal: ended } = this.#ended;
    const patiently = <T>(call: () => Promise<T>): Promise<T> =>
      retrying(call, {
        sleep: (ms) => sleep(Math.min(ms, 200)),
        ...{ random: Math.random, signal: ended, attemptsMax: Infinity },
        onRetry: (error) => error instanceof RpcError && this.codes.add(error.code),
      });
    const device = {
      host: 'h',
      gpuUuid: '',
      gpuName: '',
      gpuMemoryBytes: 0,
      slots: 1,
      runtime: '',
      version: '',
      study: '',
      trainers: [],
    };
    try {
      await patiently(() =>
        unary(client.register.bind(client), { workerId, ...device }, { deadlineMs: 60_000 }),
      );
      while (!ended.aborted) {
        const request = {
          requestId: randomUUID(),
          workerId,
          study: '',
          waitMs: 0,
          trainers: [],
          ahead: false,
        };
        const { outcome } = await patiently(() =>
          unary(client.ask.bind(client), request, { deadlineMs: 60_000 }),
        );
        if (outcome?.$case !== 'assignment') throw new Error(`no trial: ${JSON.stringify(outcome)}`);
        const { leaseToken, number } = outcome.value;
        const auc = number + Math.random();
        const told = {
          leaseToken,
          outcome: { $case: 'completed' as const, value: { metrics: { auc, dir_acc: 0 } } },
          peakMemoryBytes: 0,
        };
        const { result } = await patiently(() =>
          unary(client.tell.bind(client), told, { deadlineMs: 60_000 }),
        );
        if (result === TellResponse_Result.LEASE_LOST) throw new Error(`trial ${number} was lost`);
        this.acknowledged.set(leaseToken, auc);
      }
    } catch (error) {
      // The end came while a call was tried again.
      if (!ended.aborted || !(error instanceof RpcError)) throw error;
    }
  }
}

async function startServer(
  settings: Record<string, string> = {},
  data?: string,
): Promise<{ postgres: PostgresServer; directory: string }> {
  const directory = mkdtempSync(path.join(tmpdir(), 'parzen-fire-'));
  const [port = 0] = await freePorts(1);
  const postgres = await PostgresServer.create({
    ...{ directory, port, settings: { recovery_init_sync_method: 'syncfs', ...settings } },
    ...(data === undefined ? {} : { data }),
  });
  return { postgres, directory };
}

describe('what was acknowledged is there, and callers saw UNAVAILABLE at most, when', () => {
  let postgres: PostgresServer;
  let directory: string;
  let scene: Scene;
  beforeAll(async () => {
    ({ postgres, directory } = await startServer({ max_connections: '40' }));
  });
  afterAll(async () => {
    await postgres.remove();
    rmSync(directory, { recursive: true });
  });
  beforeEach(async () => {
    scene = await Scene.start(postgres);
  });
  afterEach(async () => {
    scene.link.set('pass');
    await postgres.start();
    await scene.stop();
  });

  /** Then the fault is over, work goes on, and the books are right. */
  const recovers = async (codes: readonly status[]): Promise<void> => {
    await scene.progress();
    await scene.audit();
    expect([...scene.codes]).toEqual(codes);
  };
  const unavailable = (): Promise<void> => until(() => scene.codes.has(status.UNAVAILABLE));

  it.each(['all', 'postmaster'] as const)(
    'kill -9 takes PostgreSQL (%s), and it stays away for a while',
    async (whom) => {
      await postgres.kill(whom);
      await unavailable();
      await postgres.start();
      await recovers([status.UNAVAILABLE]);
    },
  );

  it('kill -9 takes a backend, and every other one ends with it', async () => {
    const [victim] = await postgres.backends();
    signal(victim ?? 0, 'SIGKILL');
    await until(async () => (await postgres.backends()).every((pid) => pid !== victim));
    await scene.progress();
    await scene.audit();
    expect([...scene.codes].filter((code) => code !== status.UNAVAILABLE)).toEqual([]);
  });

  it('every backend is told to end, again and again', async () => {
    for (let round = 0; round < 5; round += 1) {
      for (const pid of await postgres.backends()) signal(pid, 'SIGTERM');
      await scene.progress(callers);
    }
    await scene.audit();
    expect([...scene.codes].filter((code) => code !== status.UNAVAILABLE)).toEqual([]);
  });

  it.each([
    ['in the middle of a transaction', /insert_trial|update_trial|insert_attempt|end_attempt/, 'cut'],
    ['before a commit arrives', /commit/i, 'cut'],
    ['before the answer to a commit', /commit/i, 'deaf'],
  ] as const)('connections end %s', async (_, request, how) => {
    let met = 0;
    const watch = (): void =>
      scene.link.meet((data) => {
        if (!request.test(data.toString('latin1'))) return 'pass';
        met += 1;
        return how;
      });
    for (let round = 1; round <= 5; round += 1) {
      watch();
      await until(() => met === round);
      await scene.progress(callers);
    }
    await scene.audit();
    expect([...scene.codes].filter((code) => code !== status.UNAVAILABLE)).toEqual([]);
  });

  it('the disk, or the way to it, is slow', async () => {
    scene.link.set('slow', 5);
    await scene.progress(callers);
    await recovers([]);
  });

  it('nothing arrives any more, and nobody says so', async () => {
    await scene.stop();
    // Shorter than the real one of half a minute.
    scene = await Scene.start(postgres, { query_timeout: 500 });
    scene.link.set('blackhole');
    await unavailable();
    scene.link.set('pass');
    await recovers([status.UNAVAILABLE]);
  });

  it('other programs hold every connection', async () => {
    const hogs: pg.Client[] = [];
    const hog = async (): Promise<boolean> => {
      const client = new pg.Client(postgres.connection);
      client.on('error', () => undefined);
      const connected = await client.connect().then(
        () => true,
        () => false,
      );
      if (connected) hogs.push(client);
      return connected;
    };
    try {
      await until(async () => {
        while (await hog());
        await hogs[0]?.query(
          `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'parzen'`,
        );
        return scene.codes.has(status.UNAVAILABLE);
      });
    } finally {
      await Promise.all(hogs.map((client) => client.end().catch(() => undefined)));
    }
    await recovers([status.UNAVAILABLE]);
  });
});

const mountable = process.getuid?.() === 0 && spawnSync('sh', ['-c', 'command -v mount']).status === 0;
describe.skipIf(!mountable)('a full disk (needs root to mount a small one)', () => {
  it('is told as UNAVAILABLE, and nothing acknowledged is missing when there is space again', async (context) => {
    const disk = mkdtempSync(path.join(tmpdir(), 'parzen-disk-'));
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=120m,mode=755', 'tmpfs', disk]).status !== 0)
      context.skip('mounting is not allowed here');
    const data = path.join(disk, 'data');
    mkdirSync(data);
    const { postgres, directory } = await startServer({ max_wal_size: '32MB', min_wal_size: '32MB' }, data);
    const scene = await Scene.start(postgres);
    try {
      const { bavail, bsize } = statfsSync(disk);
      const filler = path.join(disk, 'filler');
      writeFileSync(filler, Buffer.alloc(bavail * bsize - 64 * 1024));
      await until(() => scene.codes.has(status.UNAVAILABLE));
      rmSync(filler);
      // Out of space for its log, the server ends.
      await postgres.start();
      await scene.progress();
      await scene.audit();
      expect([...scene.codes]).toEqual([status.UNAVAILABLE]);
    } finally {
      await scene.stop();
      await postgres.remove();
      await until(() => spawnSync('umount', [disk]).status === 0, 20_000);
      for (const each of [disk, directory]) rmSync(each, { recursive: true });
    }
  });
});
