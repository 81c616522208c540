/**
 * Every query of the dashboards and rules on a real Prometheus that scrapes two real coordinators on one PostgreSQL and two real
 * workers. What needs hardware comes from a pretended `nvidia-smi` and from recorded text of others' exporters.
 */
import { spawnSync } from 'node:child_process';
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as StartModule from '../../coordinator/cli/start.js';
import { StatusLine } from '../../coordinator/cli/status-line.js';
import { createLog } from '../../shared/platform/log.js';
import { Workplace, projectRoot, until, type RunningCommand } from '../helpers/cli.js';
import { startTestPostgres, storageUrl, type TestPostgres } from '../helpers/postgres.js';
import { fakeGpu, fakeNvidiaSmi } from '../helpers/fake-nvidia-smi.js';
import {
  prometheusAbsent,
  startPrometheus,
  type Sample,
  type TestPrometheus,
} from '../helpers/prometheus.js';
import { panels, ruleFiles, rules } from './sources.js';

/** The trainer of the study: a few reports, now and then out of memory, and slow enough that trials overlap scrapes. */
const program = `
const { PARZEN_TRIAL: trial = '0' } = process.env;
process.stdout.write(JSON.stringify({ step: 0, auc: 0.5, optimiser_steps: 10, samples: 320, progress: 0.5 }) + '\\n');
setTimeout(() => {
  if (Number(trial) % 9 === 4) { process.stderr.write('CUDA out of memory\\n'); process.exit(1); }
  process.stdout.write(JSON.stringify({ done: { auc: 0.5 + (Number(trial) * 7919 % 97) / 300, optimiser_steps: 20, samples: 640 } }) + '\\n');
}, 250);
`;

const study = (name: string): string => `name: ${name}
direction: maximize
objective: { auc: 1 }
trials: 1000000
sampler: { type: tpe, seed: 1, startup_trials: 5, ei_candidates: 8, multivariate: true, rules: optuna-4 }
space: { x: { low: 0.0, high: 1.0 } }
trainer: program
`;

/** A coordinator in this process, because its metrics are to be fresh twice a second. */
class Replica {
  readonly #stopping = new AbortController();
  readonly #done: Promise<void>;
  log = '';

  constructor(start: typeof StartModule.start, place: Workplace, storage: string) {
    const statusLine = new StatusLine(process.stderr);
    this.#done = start({
      ...{ study: place.write('live.yaml', study('live')), trials: null, data: null },
      ...{ leaseTtlMs: 45_000, pgPort: null, storage, workers: 0, runtime: 'auto' },
      ...{ out: path.join(place.directory, 'out'), statusLine },
      listening: {
        ...{ listen: '127.0.0.1:0', insecure: false, requireTokens: false, tls: null, healthListen: null },
      },
      watching: { metrics: '127.0.0.1:0', insecureMetrics: false, version: 'test', refreshMs: 500 },
      log: createLog({ level: 'info', format: 'text', write: (line) => void (this.log += line) }),
      stopping: this.#stopping.signal,
    });
    this.#done.catch((error: unknown) => (this.log += String(error)));
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#done.catch(() => undefined);
  }
}

describe.skipIf(prometheusAbsent !== '')(`a live Prometheus${prometheusAbsent}`, () => {
  const place = new Workplace();
  const outside = createServer((_, response) =>
    response.end(readFileSync(path.join(import.meta.dirname, 'outside.txt'), 'utf8')),
  );
  let postgres: TestPostgres;
  let prometheus: TestPrometheus;
  const replicas: Replica[] = [];
  const workers: RunningCommand[] = [];

  const addressIn = (text: string, what: string): string | undefined =>
    new RegExp(`${what}=(?:http://)?(127\\.0\\.0\\.1:\\d+)`).exec(text)?.[1];
  const saidIn = async (text: () => string, what: string): Promise<string> => {
    await until(() => addressIn(text(), what) !== undefined);
    return addressIn(text(), what)!;
  };
  const metricsOf = { coordinators: [] as string[], workers: [] as string[] };

  beforeAll(async () => {
    postgres = await startTestPostgres();
    const storage = storageUrl(await postgres.freshDatabase());
    // Compiled, because it looks for files beside itself.
    const { start } = (await import(
      path.join(projectRoot, 'dist/coordinator/cli/start.js')
    )) as typeof StartModule;
    const trainers = JSON.stringify({
      program: { command: [process.execPath, place.write('train.mjs', program)] },
    });
    const file = place.write('trainers.json', trainers);
    const smi = fakeNvidiaSmi(place.directory);
    const options = ['--trainers', file, '--drain', '0', '--metrics', '127.0.0.1:0'];
    const env = { PATH: `${smi}${path.delimiter}${process.env['PATH'] ?? ''}` };
    for (const slots of ['2', '1']) {
      const replica = new Replica(start, place, storage);
      replicas.push(replica);
      const address = await saidIn(() => replica.log, 'listen');
      metricsOf.coordinators.push(await saidIn(() => replica.log, 'metrics'));
      workers.push(
        // Two containers on one card: each has a name of its own.
        place.start('worker', ['start', '--coordinator', address, '--slots', slots, ...options], '', {
          ...env,
          PARZEN_HOST: `pod-${slots}`,
        }),
      );
    }
    await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
    metricsOf.workers.push(...(await Promise.all(workers.map(({ stderr }) => saidIn(stderr, 'metrics')))));
    prometheus = await startPrometheus(place.directory, {
      targets: {
        'parzen-coordinator': metricsOf.coordinators,
        'parzen-worker': metricsOf.workers,
        outside: [`127.0.0.1:${(outside.address() as AddressInfo).port}`],
      },
      ruleFiles,
    });
    // Enough has happened when the study knows a best value and what luck would give, and something ran out of memory.
    await until(
      async () =>
        (await prometheus.query('parzen_best_value_luck and on () (sum(parzen_worker_gpu_oom_total) > 0)'))
          .length > 0 && (await prometheus.query('study:parzen_eta_seconds:ratio')).length > 0,
      100_000,
    );
  });
  afterAll(async () => {
    await Promise.all(replicas.map((replica) => replica.stop()));
    await (prometheus as TestPrometheus | undefined)?.stop();
    await (postgres as TestPostgres | undefined)?.stop();
    outside.closeAllConnections();
    outside.close();
    await place.remove();
  });

  /** Figures that this fleet has none of, and why. */
  const mayBeEmpty: Readonly<Record<string, string>> = {
    'parzen-fleet.json: Release time, p99': 'no worker was stopped',
  };
  const concrete = (expr: string): string =>
    expr.replaceAll('$__rate_interval', '1m').replaceAll(/\$\w+/g, '.*');
  /** NaN is what a quotient of nothing gives. */
  const hasData = (found: readonly Sample[]): boolean =>
    found.some(({ value }) => value !== undefined && value[1] !== 'NaN');

  it('answers every query of every panel with data', async () => {
    const empty: string[] = [];
    const look = async (): Promise<boolean> => {
      empty.length = 0;
      for (const { where, targets = [] } of panels)
        for (const { expr } of targets) {
          const found = await prometheus.query(concrete(expr)).catch((error: unknown) => String(error));
          if (typeof found === 'string') empty.push(`${where}: ${found}: ${expr}`);
          else if (!hasData(found) && mayBeEmpty[where] === undefined)
            empty.push(`${where}: nothing: ${expr}`);
        }
      return empty.length === 0;
    };
    // Rates need two scrapes with something in between.
    await until(look, 20_000).catch(() => undefined);
    expect(empty).toEqual([]);
  });

  it('notices a query that is wrong', async () => {
    expect(await prometheus.query('max by (study) (parzen_best_valu)')).toEqual([]);
    await expect(prometheus.query('max by (study (parzen_best_value)')).rejects.toThrow(/parse error/);
  });

  it('evaluates every rule', async () => {
    const evaluated = await prometheus.rules();
    expect(evaluated.filter(({ health }) => health !== 'ok')).toEqual([]);
    expect(evaluated).toHaveLength(rules.length);
    for (const { record } of rules)
      if (record !== undefined)
        expect({ record, found: (await prometheus.query(record)).length > 0 }).toMatchObject({ found: true });
  });

  it('joins workers with the GPU by UUID, shared by two of them', async () => {
    const joined = await prometheus.query(
      'DCGM_FI_DEV_GPU_UTIL * on (UUID) group_left (host, gpu_model) topk by (UUID) (1, max by (UUID, host, gpu_model) (parzen_worker_gpu_info))',
    );
    expect(joined).toHaveLength(1);
    expect(joined[0]!.metric).toMatchObject({ UUID: fakeGpu.uuid, gpu_model: fakeGpu.model });
    const shared = await prometheus.query('count by (UUID) (count by (UUID, host) (parzen_worker_gpu_info))');
    expect(shared[0]!.value![1]).toBe('2');
  });

  it('counts the same at the coordinator and at the workers', async () => {
    const figure = async (expr: string): Promise<number> =>
      Number((await prometheus.query(expr))[0]?.value?.[1] ?? NaN);
    const oom = await figure('sum(parzen_worker_gpu_oom_total{class="cuda"})');
    expect(oom).toBeGreaterThan(0);
    const samples = await figure('sum(parzen_worker_gpu_samples_total)');
    expect(samples).toBe(32 * (await figure('sum(parzen_worker_gpu_steps_total)')));
  });

  it('shows pages without a mistake that promtool would find', async () => {
    for (const address of [...metricsOf.coordinators, ...metricsOf.workers]) {
      const page = await (await fetch(`http://${address}/metrics`)).text();
      const own = page.split('\n').filter((line) => /^(# \w+ )?(parzen_|grpc_)/.test(line));
      expect(own.length).toBeGreaterThan(50);
      const checked = spawnSync('promtool', ['check', 'metrics'], {
        input: `${own.join('\n')}\n`,
        encoding: 'utf8',
      });
      expect(checked).toMatchObject({ status: 0, stderr: '' });
    }
  });

  it('sees the same of the database at both coordinators, and is not alarmed when one of them goes', async () => {
    const figures = async (expr: string): Promise<readonly string[]> =>
      (await prometheus.query(expr)).map(({ value }) => value![1]);
    expect(await figures('count by (study) (parzen_trials_target)')).toEqual(['2']);
    expect(
      await figures('max by (study) (parzen_trials_target) - min by (study) (parzen_trials_target)'),
    ).toEqual(['0']);
    // Each counts what it committed itself, and together that is what the database has.
    workers.forEach((worker) => worker.process.kill('SIGTERM'));
    await Promise.all(workers.map(({ done }) => done));
    const counted = 'sum(parzen_trials_finished_total)';
    const stored = 'max(sum by (instance) (parzen_trials{state=~"COMPLETE|PRUNED|FAIL"}))';
    await until(async () => (await figures(`${counted} == ${stored}`)).length === 1, 20_000);
    expect(await figures('min by (job) (parzen_trials_finished_total{state="COMPLETE"} > 0)')).toHaveLength(
      1,
    );
    await replicas[1]!.stop();
    await until(async () => (await figures('up{job="parzen-coordinator"} == 0')).length === 1, 20_000);
    expect(await figures('ALERTS{alertname="ParzenCoordinatorDown"}')).toEqual([]);
    expect(await figures('max by (study) (parzen_trials_target)')).toEqual(['1000000']);
    await replicas[0]!.stop();
    await until(
      async () => (await figures('ALERTS{alertname="ParzenCoordinatorDown"}')).length === 1,
      20_000,
    );
  });
});
