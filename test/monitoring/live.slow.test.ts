/**
 * Every query of the dashboards and rules on a real Prometheus that scrapes a real coordinator (embedded PostgreSQL) and real
 * workers. What needs hardware comes from a pretended `nvidia-smi` and from recorded text of others' exporters.
 */
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type * as StartModule from '../../coordinator/cli/start.js';
import { StatusLine } from '../../coordinator/cli/status-line.js';
import { createLog } from '../../shared/platform/log.js';
import { Workplace, projectRoot, until, type RunningCommand } from '../helpers/cli.js';
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

describe.skipIf(prometheusAbsent !== '')(`a live Prometheus${prometheusAbsent}`, () => {
  const place = new Workplace();
  const stopping = new AbortController();
  const outside = createServer((_, response) =>
    response.end(readFileSync(path.join(import.meta.dirname, 'outside.txt'), 'utf8')),
  );
  let log = '';
  let coordinator: Promise<void>;
  let prometheus: TestPrometheus;
  const workers: RunningCommand[] = [];

  const addressIn = (text: string, what: string): string | undefined =>
    new RegExp(`${what}=(?:http://)?(127\\.0\\.0\\.1:\\d+)`).exec(text)?.[1];
  const saidIn = async (text: () => string, what: string): Promise<string> => {
    await until(() => addressIn(text(), what) !== undefined);
    return addressIn(text(), what)!;
  };

  beforeAll(async () => {
    // In this process, because its metrics are to be fresh twice a second; compiled, because it looks for files beside itself.
    const compiled = path.join(projectRoot, 'dist/coordinator/cli/start.js');
    const { start } = (await import(compiled)) as typeof StartModule;
    const statusLine = new StatusLine(process.stderr);
    coordinator = start({
      ...{
        study: place.write('live.yaml', study('live')),
        trials: null,
        data: null,
        leaseTtlMs: 45_000,
        pgPort: null,
      },
      storage: path.join(place.directory, 'store'),
      ...{ workers: 0, runtime: 'auto', out: path.join(place.directory, 'out'), statusLine },
      listening: {
        listen: '127.0.0.1:0',
        insecure: false,
        requireTokens: false,
        tls: null,
        healthListen: null,
      },
      watching: { metrics: '127.0.0.1:0', insecureMetrics: false, version: 'test', refreshMs: 500 },
      log: createLog({ level: 'info', format: 'text', write: (line) => void (log += line) }),
      stopping: stopping.signal,
    });
    coordinator.catch((error: unknown) => (log += String(error)));
    const address = await saidIn(() => log, 'listen');
    const trainers = JSON.stringify({
      program: { command: [process.execPath, place.write('train.mjs', program)] },
    });
    const file = place.write('trainers.json', trainers);
    const smi = fakeNvidiaSmi(place.directory);
    const options = ['--trainers', file, '--drain', '0', '--metrics', '127.0.0.1:0'];
    const env = { PATH: `${smi}${path.delimiter}${process.env['PATH'] ?? ''}` };
    for (const slots of ['2', '1'])
      workers.push(
        place.start('worker', ['start', '--coordinator', address, '--slots', slots, ...options], '', env),
      );
    await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
    const metrics = await Promise.all(workers.map(({ stderr }) => saidIn(stderr, 'metrics')));
    prometheus = await startPrometheus(place.directory, {
      targets: {
        'parzen-coordinator': [await saidIn(() => log, 'metrics')],
        'parzen-worker': metrics,
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
    stopping.abort();
    await coordinator.catch(() => undefined);
    await (prometheus as TestPrometheus | undefined)?.stop();
    outside.closeAllConnections();
    outside.close();
    await place.remove();
  });

  /** Figures that this fleet has none of, and why. */
  const mayBeEmpty: Readonly<Record<string, string>> = {
    'parzen-fleet.json: Failed calls to the coordinator': 'no call has failed',
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
      'DCGM_FI_DEV_GPU_UTIL * on (UUID) group_left (host, gpu_model) max by (UUID, host, gpu_model) (parzen_worker_gpu_info)',
    );
    expect(joined).toHaveLength(1);
    expect(joined[0]!.metric).toMatchObject({ UUID: fakeGpu.uuid, gpu_model: fakeGpu.model });
    const shared = await prometheus.query('count by (UUID) (parzen_worker_gpu_info)');
    expect(shared[0]!.value![1]).toBe('2');
  });

  it('counts the same at the coordinator and at the workers', async () => {
    const figure = async (expr: string): Promise<number> =>
      Number((await prometheus.query(expr))[0]?.value?.[1] ?? NaN);
    const oom = await figure('sum(parzen_worker_gpu_oom_total{class="cuda"})');
    expect(oom).toBeGreaterThan(0);
    const samples = await figure('sum(parzen_worker_gpu_samples_total)');
    expect(samples).toBe(32 * (await figure('sum(parzen_worker_gpu_steps_total)')));
    stopping.abort();
    await coordinator;
  });
});
