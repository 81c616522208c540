/**
 * What real processes do when they are told to stop, or stand still: nothing that runs is forgotten, nothing is counted twice.
 * Times are printed, and bounded only where something else would happen: a lease that nobody gives back lasts far longer than
 * the whole file.
 */
import path from 'node:path';
import type { ClientConfig } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { drainDefaultMs, releaseTimeoutMs, trainerStopGraceMs } from '../../worker/limits.js';
import { audit, readJournals } from '../chaos/audit.js';
import { Workplace, instantStudyFile, processesIn, until, type RunningCommand } from '../helpers/cli.js';
import { run, startTestPostgres, type TestPostgres } from '../helpers/postgres.js';
import { freePorts, TcpProxy } from '../helpers/tcp-proxy.js';

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres.stop());

/** The server of the tests asks for none, so any will do. */
const password = 'S3CRET';

interface Cluster {
  readonly place: Workplace;
  readonly database: ClientConfig;
  readonly address: string;
  readonly url: string;
  readonly coordinator: () => RunningCommand;
  readonly create: (file: string) => Promise<void>;
  /** Trials of whatever study. */
  readonly count: (where: string) => Promise<number>;
}

/** A coordinator on a database of its own, with `use`; it all ends with that. */
async function withCluster(leaseTtlSeconds: number, use: (cluster: Cluster) => Promise<void>): Promise<void> {
  const place = new Workplace();
  const database = await postgres.freshDatabase();
  const [port = 0] = await freePorts(1);
  const address = `127.0.0.1:${port}`;
  const url = `postgres://postgres:${password}@/${String(database.database)}?host=${encodeURIComponent(database.host ?? '')}&port=${database.port ?? 5432}`;
  const ttl = ['--lease-ttl', String(leaseTtlSeconds)];
  const metrics = ['--metrics', '127.0.0.1:0'];
  try {
    await use({
      ...{ place, database, address, url },
      coordinator: () =>
        place.start('coordinator', ['start', '--storage', url, '--listen', address, ...ttl, ...metrics]),
      create: async (file) => {
        const { code, stderr } = await place.run('coordinator', [
          'study',
          'create',
          file,
          '--coordinator',
          address,
        ]);
        expect({ code, stderr }).toMatchObject({ code: 0 });
      },
      count: async (where) => {
        const [row] = await run(database, `select count(*)::int as trials from parzen.trials where ${where}`);
        return Number(row?.['trials']);
      },
    });
  } finally {
    await place.remove();
  }
}

const isReady = (coordinator: RunningCommand): Promise<void> =>
  until(() => coordinator.stderr().includes('coordinator ready'));

/** Asks that the coordinator holds right now. */
async function heldAsks(coordinator: RunningCommand): Promise<number> {
  const url = /metrics=(http:\S+)/.exec(coordinator.stderr())?.[1] ?? '';
  const text = await (await fetch(url)).text();
  return Number(/^parzen_asks_waiting (\d+)/m.exec(text)?.[1]);
}

describe.skipIf(process.platform !== 'linux')('told to stop (needs Linux: it looks into /proc)', () => {
  it.concurrent('a coordinator whose database stands still ends before anybody kills it', async () => {
    await withCluster(45, async ({ place, database }) => {
      const proxy = await TcpProxy.start(() => ({
        path: `${database.host ?? ''}/.s.PGSQL.${database.port ?? 5432}`,
      }));
      const url = `postgres://postgres:${password}@${proxy.address}/${String(database.database)}`;
      const study = place.write('frozen.yaml', instantStudyFile('frozen', 3));
      const options = [
        '--study',
        study,
        '--storage',
        url,
        '--listen',
        '127.0.0.1:0',
        '--metrics',
        '127.0.0.1:0',
      ];
      const coordinator = place.start('coordinator', ['start', ...options]);
      await until(() => coordinator.stderr().includes('start workers with'));
      proxy.set('blackhole');
      const toldMs = performance.now();
      coordinator.process.kill('SIGTERM');
      const { code, signal } = await coordinator.done;
      const seconds = (performance.now() - toldMs) / 1_000;
      await proxy.close();
      expect({ code, signal }).toEqual({ code: 0, signal: null });
      // Of the 25 s that Kubernetes leaves after the hook, and the 30 s of compose.
      expect(seconds).toBeLessThan(25);
      expect(coordinator.stderr()).toContain('the database did not answer in time');
    });
  });

  it.concurrent('a worker gives back a trial whose trainer hangs, and ends', async () => {
    // The budgets, and what the parts of a shutdown may take by default.
    expect(drainDefaultMs + trainerStopGraceMs).toBeLessThan(10_000);
    expect(drainDefaultMs + trainerStopGraceMs + releaseTimeoutMs).toBeLessThan(15_000);
    await withCluster(3_600, async ({ place, database, address, coordinator: start, create, count }) => {
      const coordinator = start();
      place.write(
        'hang.sh',
        `trap '' TERM INT HUP; echo '{"step": 1, "auc": 0.5}'; while :; do sleep 1; done\n`,
      );
      const trainers = place.write('trainers.yaml', 'hang: {command: [sh, hang.sh]}\n');
      await isReady(coordinator);
      await create(
        place.write('s.yaml', instantStudyFile('hangs', 3).replace('trainer: instant', 'trainer: hang')),
      );
      const worker = place.start('worker', [
        'start',
        '--coordinator',
        address,
        '--gpu',
        'none',
        '--trainers',
        trainers,
      ]);
      await until(() => count(`state = 'RUNNING' and last_report_step = 1`).then((trials) => trials === 1));
      const toldMs = performance.now();
      worker.process.kill('SIGTERM');
      let requeuedMs = NaN;
      const looking = until(async () => {
        const ended = worker.process.exitCode !== null;
        if (Number.isNaN(requeuedMs) && (await count(`state = 'WAITING'`)) === 1)
          requeuedMs = performance.now();
        return ended;
      });
      const { code, signal } = await worker.done;
      const endedMs = performance.now();
      await looking;
      expect({ code, signal }).toEqual({ code: 0, signal: null });
      expect(
        await run(
          database,
          `select t.state, t.attempt, t.retries_lost, a.outcome, a.message from parzen.trials t
           join parzen.trial_attempts a using (study_id, number)`,
        ),
      ).toEqual([
        {
          ...{ state: 'WAITING', attempt: 1, retries_lost: 1 },
          outcome: 'preempted',
          message: 'released by its worker',
        },
      ]);
      // The trainer that would not end is gone with its worker.
      expect(processesIn(path.join(place.directory, 'trainers'))).toBe(false);
      expect(processesIn('hang.sh')).toBe(false);
      console.log(
        `requeued ${Math.round(requeuedMs - toldMs)} ms, ended ${Math.round(endedMs - toldMs)} ms after SIGTERM`,
      );
      coordinator.process.kill('SIGTERM');
      expect((await coordinator.done).code).toBe(0);
    });
  });

  it.concurrent(
    'a coordinator ends with its held asks, workers wait for the next one, and one that stood still goes on',
    async () => {
      await withCluster(2, async ({ place, database, address, coordinator: start, create, count }) => {
        const first = start();
        await isReady(first);
        const journal = path.join(place.directory, 'worker.journal');
        const worker = place.start('worker', [
          ...['start', '--coordinator', address, '--gpu', 'none', '--slots', '2', '--journal', journal],
        ]);
        await create(place.write('one.yaml', instantStudyFile('one', 150)));
        await until(() => count('finish_sequence is not null').then((trials) => trials >= 20));
        first.process.kill('SIGSTOP');
        // Until every lease has run out that the worker could not keep alive meanwhile.
        const nowMs = `(extract(epoch from clock_timestamp()) * 1000)`;
        await until(() =>
          count(`state = 'RUNNING' and lease_expires_at_ms >= ${nowMs}`).then((live) => live === 0),
        );
        expect(await count('finish_sequence is not null')).toBeLessThan(150);
        first.process.kill('SIGCONT');
        await until(() => count('finish_sequence is not null').then((trials) => trials === 150));

        await until(() => heldAsks(first).then((held) => held === 2));
        first.process.kill('SIGTERM');
        expect(await first.done).toMatchObject({ code: 0, signal: null });
        expect(worker.process.exitCode).toBeNull();

        const second = start();
        await isReady(second);
        await create(place.write('two.yaml', instantStudyFile('two', 10)));
        await until(() => count('finish_sequence is not null').then((trials) => trials === 160));
        for (const each of [worker, second]) {
          each.process.kill('SIGTERM');
          expect(await each.done).toMatchObject({ code: 0, signal: null });
        }
        const audited = await audit(database, readJournals(place.directory), []);
        expect(audited).toMatchObject({ lost: 0, duplicated: 0, finished: 160, budget: 160, problems: [] });
        expect(audited.acknowledged).toBeGreaterThanOrEqual(160);
      });
    },
  );

  it.concurrent(
    'a stopped study is served, and resumed through what serves it; its password stays unsaid',
    async () => {
      await withCluster(3_600, async ({ place, address, url }) => {
        const file = place.write('s.yaml', instantStudyFile('ended', 3));
        const args = ['start', '--study', file, '--storage', url, '--listen', address];
        const command = async (name: string): Promise<void> => {
          const { code, stderr } = await place.run('coordinator', [name, 'ended', '--coordinator', address]);
          expect({ code, stderr }).toMatchObject({ code: 0 });
        };
        const end = async (coordinator: RunningCommand): Promise<void> => {
          coordinator.process.kill('SIGTERM');
          const { code, stderr } = await coordinator.done;
          expect(code).toBe(0);
          expect(stderr).not.toContain(password);
        };
        const first = place.start('coordinator', args);
        await until(() => first.stderr().includes('start workers with'));
        await command('stop');
        await end(first);

        const second = place.start('coordinator', args);
        await until(() => second.stderr().includes('serving until stopped'));
        expect(second.stderr()).toContain('the study was stopped and hands out nothing');
        await command('resume');
        const status = await place.run('coordinator', [
          'status',
          'ended',
          '--json',
          '--coordinator',
          address,
        ]);
        expect(JSON.parse(status.stdout)).toMatchObject([{ state: 'RUNNING' }]);
        await command('stop');
        await end(second);

        // Told to run it to its end, there is nothing to do, and the reason is said without the password.
        const third = await place.run('coordinator', [...args, '--workers', '1']);
        expect(third.code).toBe(1);
        expect(third.stderr).toContain(`resume ended --storage ${url.replace(password, '***')}`);
      });
    },
  );
});
