/** Optuna on the same PostgreSQL server, where a Python has it: eight processes, with and without its gRPC proxy. */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { withClient, type Store } from './stores.js';
import type { SamplerName } from './studies.js';

export interface PeerResult {
  readonly peer: string;
  readonly version: string;
  readonly mode: 'rdb' | 'proxy';
  readonly trials: number;
  readonly seconds: number;
}

const processes = 8;
const script = path.resolve(import.meta.dirname, '../../../bench/peers/throughput.py');

/** What the Pythons named in PARZEN_PEER_PYTHONS (or `python3`) measure; complaints go to `complain`. */
export async function measurePeers(
  store: Store,
  options: {
    readonly sampler: SamplerName;
    readonly seconds: number;
    readonly complain: (text: string) => void;
  },
): Promise<PeerResult[]> {
  const results: PeerResult[] = [];
  const pythons = (process.env['PARZEN_PEER_PYTHONS'] ?? 'python3').split(':');
  for (const python of pythons)
    for (const mode of ['rdb', 'proxy'] as const) {
      const database = `peer_${results.length}_${Date.now()}`;
      await withClient(store, (client) => client.query(`create database ${database}`));
      const url = `postgresql+psycopg2://postgres@${store.connection.host}:${store.connection.port}/${database}`;
      const run = spawnSync(
        python,
        [script, mode, url, options.sampler, String(processes), String(options.seconds)],
        { encoding: 'utf8', timeout: (options.seconds + 120) * 1e3 },
      );
      const said = run.stdout.trim().split('\n').at(-1) ?? '';
      if (run.status === 0 && said.startsWith('{') && !said.includes('"missing"'))
        results.push(JSON.parse(said) as PeerResult);
      else
        options.complain(
          `${mode}: no peer measured (${run.error?.message ?? (said || (run.stderr.trim().split('\n').at(-1) ?? ''))})`,
        );
    }
  return results;
}
