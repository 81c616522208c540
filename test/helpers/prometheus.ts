/** A real Prometheus on loopback, scraping every second, where the program is installed (Debian's package `prometheus`). */
import { spawn, spawnSync } from 'node:child_process';
import { createServer } from 'node:net';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { stringify } from 'yaml';
import { until } from './cli.js';

/** Empty where Prometheus can be run, else why not. */
export const prometheusAbsent =
  spawnSync('prometheus', ['--version']).error === undefined
    ? ''
    : ' (skipped: needs prometheus, of the Debian package of that name)';

export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value?: readonly [number, string];
}

export interface TestPrometheus {
  /** The result of an instant query; throws what Prometheus says when it refuses. */
  query(expr: string): Promise<readonly Sample[]>;
  rules(): Promise<
    readonly { readonly name: string; readonly health: string; readonly lastError?: string }[]
  >;
  stop(): Promise<void>;
}

export interface PrometheusOptions {
  /** Addresses by job. */
  readonly targets: Readonly<Record<string, readonly string[]>>;
  readonly ruleFiles: readonly string[];
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });

/** Starts it with its data in `directory`. */
export async function startPrometheus(
  directory: string,
  { targets, ruleFiles }: PrometheusOptions,
): Promise<TestPrometheus> {
  const folder = path.join(directory, 'prometheus');
  mkdirSync(folder, { recursive: true });
  const config = path.join(folder, 'prometheus.yml');
  const scrapeConfigs = Object.entries(targets).map(([job, addresses]) => ({
    ...{ job_name: job, honor_labels: job === 'outside', static_configs: [{ targets: addresses }] },
  }));
  const global = { scrape_interval: '1s', scrape_timeout: '1s', evaluation_interval: '1s' };
  writeFileSync(config, stringify({ global, rule_files: ruleFiles, scrape_configs: scrapeConfigs }));
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(
    'prometheus',
    [
      ...[`--config.file=${config}`, `--storage.tsdb.path=${path.join(folder, 'data')}`],
      ...[`--web.listen-address=${address}`, '--log.level=warn'],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const ask = async (where: string): Promise<unknown> => {
    const response = await fetch(`http://${address}/api/v1/${where}`);
    const { status, data, error } = (await response.json()) as {
      status: string;
      data: unknown;
      error?: string;
    };
    if (status !== 'success') throw new Error(error ?? `status ${response.status}`);
    return data;
  };
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`prometheus has ended: ${said}`);
    return (await fetch(`http://${address}/-/ready`).catch(() => null))?.ok === true;
  });
  return {
    query: async (expr) =>
      ((await ask(`query?query=${encodeURIComponent(expr)}`)) as { result: readonly Sample[] }).result,
    rules: async () => {
      const { groups } = (await ask('rules')) as { groups: { rules: { name: string; health: string }[] }[] };
      return groups.flatMap(({ rules }) => rules);
    },
    stop: () => {
      child.kill('SIGKILL');
      return gone;
    },
  };
}
