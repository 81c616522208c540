/**
 * Optuna and optuna-dashboard, unmodified, on studies of ours: on the embedded store opened with `--pg-port`, and on a
 * PostgreSQL server (Debian's where it is installed), while the study runs.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPostgres } from '../../coordinator/storage/postgres/open-postgres.js';
import { silentLog } from '../../shared/platform/log.js';
import { Workplace, projectRoot, until, type RunningCommand } from '../helpers/cli.js';
import { PostgresServer } from '../helpers/postgres-server.js';
import { optunaPythons, runPython, type OptunaPython } from '../helpers/pythons.js';
import {
  distributionsSeen,
  storeEveryKind,
  storeTwoObjectives,
  type OptunaTrial,
} from '../optuna/every-kind-of-trial.js';

/** What `read_study.py … all` prints. */
interface Everything {
  readonly version: string;
  readonly directions: readonly string[];
  readonly metricNames: readonly string[] | null;
  readonly userAttrs: Readonly<Record<string, unknown>>;
  readonly summaries: readonly (readonly [string, number])[];
  readonly trials: readonly OptunaTrial[];
  readonly distributions: Readonly<Record<string, unknown>>;
  readonly best: number | readonly number[];
  readonly frame: readonly Readonly<Record<string, unknown>>[];
  readonly importances: Readonly<Record<string, number>> | null;
  readonly refused: Readonly<Record<string, string>>;
  readonly unchanged: boolean;
  readonly copied: number;
}

const pythons = optunaPythons();
if (pythons.length === 0)
  console.log(
    'Optuna is not tried: no Python with optuna, pandas, scikit-learn and psycopg2 or psycopg; name one in PARZEN_PEER_PYTHONS',
  );

const readStudy = path.join(projectRoot, 'test', 'optuna', 'read_study.py');
const watchStudy = path.join(projectRoot, 'docs', 'guides', 'examples', 'watch_study.py');

const watch = async (python: OptunaPython, url: string, study: string): Promise<void> => {
  const [seen] = JSON.parse(await runPython(python, [readStudy, url, 'watch', study])) as {
    grew: number[];
  }[];
  expect(seen?.grew).toHaveLength(4);
};

const read = async (
  python: OptunaPython,
  url: string,
  ...studies: readonly string[]
): Promise<readonly Everything[]> =>
  JSON.parse(await runPython(python, [readStudy, url, 'all', ...studies])) as readonly Everything[];

/** A program that takes no time to train; each trial is a process all the same. */
const trainer = `printf '{"step":%d,"auc":0.5,"dir_acc":0.25}\\n' 0 1
printf '{"done":{"auc":%s,"dir_acc":%s,"pause":"NaN"}}\\n' "$PARZEN_PARAM_X" "$PARZEN_PARAM_RATE"
`;

const studyFile = `name: live
direction: maximize
objective: { auc: 0.7, dir_acc: 0.3 }
trials: 1000000
sampler: { type: tpe, seed: 42, startup_trials: 20, ei_candidates: 24, multivariate: true, constant_liar: true, rules: optuna-4 }
space:
  x: { low: 0.0, high: 1.0, step: 0.01 }
  rate: { low: 1.0e-5, high: 0.1, log: true }
  kind: { choices: [a, b, true, 3] }
enqueue: [ { x: 0.505, rate: 0.01, kind: b } ]
trainer: program
`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Every write ends with an error of Optuna's own; two of them may be told before they reach the storage. */
function expectRefused({ refused, unchanged }: Everything): void {
  const failed = 'StorageInternalError';
  expect(refused).toEqual({
    ...Object.fromEntries(Object.keys(refused).map((write) => [write, failed])),
    tell: expect.stringMatching(/^(StorageInternalError|ValueError)$/) as unknown,
    trial_attr: expect.stringMatching(/^(StorageInternalError|UpdateFinishedTrialError)$/) as unknown,
  });
  expect(unchanged).toBe(true);
}

/** Rows of a CSV file by column; fields that need quotes do not occur. */
function csvRows(text: string): readonly Readonly<Record<string, string>>[] {
  const [head = '', ...lines] = text.trim().split('\r\n');
  const columns = head.split(',');
  return lines.map((line) =>
    Object.fromEntries(line.split(',').map((field, index) => [columns[index] ?? '', field])),
  );
}

/** A row of the data frame as `coordinator export` writes it; a data frame does not tell NaN from nothing. */
function asExported(row: Readonly<Record<string, unknown>>): Readonly<Record<string, string>> {
  const field = (value: unknown, otherwise = ''): string =>
    value === null || value === undefined || value === 'NaN' ? otherwise : plainText(value);
  const named = (prefix: string, to: string, otherwise?: string): [string, string][] =>
    Object.entries(row)
      .filter(([column]) => column.startsWith(prefix) && !column.includes(':'))
      .map(([column, value]) => [to + column.slice(prefix.length), field(value, otherwise)]);
  return {
    number: field(row['number']),
    state: field(row['state']),
    reason: field(row['user_attrs_parzen:reason'], 'finished'),
    score: field(row['value']),
    ...Object.fromEntries(named('user_attrs_', 'metric.', 'NaN')),
    ...Object.fromEntries(named('params_', 'param.')),
    off_grid: field(row['user_attrs_parzen:off_grid'], 'false'),
    attempt: field(row['user_attrs_parzen:attempt'], '1'),
    duration_seconds: field(row['duration']),
    started_at: new Date(Number(row['datetime_start'])).toISOString(),
    finished_at: new Date(Number(row['datetime_complete'])).toISOString(),
    worker: field(row['user_attrs_parzen:worker']),
    message: field(row['user_attrs_parzen:message']),
  };
}

const plainText = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

// Long for machines that do other things at the same time: Python takes seconds to load all this.
describe.skipIf(pythons.length === 0)('a running study', { timeout: 600_000 }, () => {
  let place: Workplace;
  let server: PostgresServer;
  let serverDirectory: string;
  beforeAll(async () => {
    place = new Workplace();
    serverDirectory = mkdtempSync(path.join(tmpdir(), 'parzen-optuna-'));
    server = await PostgresServer.create({ directory: serverDirectory, port: await freePort() });
  });
  afterAll(async () => {
    await place.remove();
    await server.remove();
    rmSync(serverDirectory, { recursive: true, force: true });
  });

  const serverUrl = (scheme: string, user: string): string =>
    `${scheme}://${user}@127.0.0.1:${String(server.connection.port)}/postgres`;

  /** A study that goes on for as long as it is left alone, and the coordinator's address. */
  async function startStudy(args: readonly string[]): Promise<[RunningCommand, string]> {
    const file = place.write('live.yaml', studyFile);
    place.write('train.sh', trainer);
    const trainers = place.write('trainers.yaml', 'program: { command: [sh, train.sh] }\n');
    const running = place.start('coordinator', [
      ...['start', '--study', file, '--listen', '127.0.0.1:0', ...args],
    ]);
    await until(() => running.stderr().includes('ready') || running.process.exitCode !== null);
    const address = /listen=(127.0.0.1:\d+)/.exec(running.stderr())?.[1];
    if (address === undefined) throw new Error(running.stderr());
    place.start('worker', ['start', '--coordinator', address, '--trainers', trainers, '--runtime', 'wasm']);
    await until(() => / trial 2\d COMPLETE/.test(running.stderr()));
    return [running, address];
  }

  async function stop(running: RunningCommand): Promise<void> {
    running.process.kill('SIGTERM');
    expect(await running.done).toMatchObject({ code: 0 });
  }

  it('of the embedded store is read live, and what is read is what the coordinator says', async () => {
    const [running, address] = await startStudy(['--pg-port', String(await freePort())]);
    const url = place.read('parzen-data/optuna-url').trim();
    const first = pythons[0]!;
    await watch(first, url, 'live');
    const shown = await runPython(first, [watchStudy, 'live', url]);
    expect(shown).toMatch(/^\d+ trials: .*COMPLETE.*\nbest: trial \d+, value 0\.\d+/);
    expect(shown).toMatch(/% {2}rate/);

    const command = async (...args: readonly string[]) => {
      const { code, stdout, stderr } = await place.run('coordinator', [...args, '--coordinator', address]);
      expect({ code, stderr }).toMatchObject({ code: 0 });
      return stdout;
    };
    await command('pause', 'live');
    await until(async () => (await command('status', 'live', '--json')).includes('"RUNNING": 0'));
    await command('export', 'live', '--out', 'exported');
    const exported = csvRows(place.read('exported/trials.csv'));
    const best = JSON.parse(await command('best', 'live', '--json')) as { trial: number };
    for (const python of pythons) {
      const [seen] = await read(python, url, 'live');
      if (seen === undefined) throw new Error('nothing was read');
      expect(seen.best).toBe(best.trial);
      expect(seen.frame.map(asExported)).toEqual(exported);
      expect(Object.keys(seen.importances ?? {}).sort()).toEqual(['kind', 'rate', 'x']);
      // Trial 0 lies off the grid, which Optuna lets only its own enqueued trials do.
      expect(seen.copied).toBe(exported.length - 1);
      expectRefused(seen);
    }
    await stop(running);
  });

  it('on a server is read live; every kind of trial is understood, and optuna-dashboard works', async () => {
    const [running] = await startStudy(['--storage', serverUrl('postgres', 'postgres')]);
    const storage = await openPostgres({ connection: server.connection, log: silentLog });
    const kinds = await storeEveryKind(storage);
    const front = await storeTwoObjectives(storage);
    await storage.close();
    const urlFor = ({ modules }: OptunaPython): string =>
      serverUrl(`postgresql+${modules.includes('psycopg') ? 'psycopg' : 'psycopg2'}`, 'optuna_reader');
    await watch(pythons[0]!, urlFor(pythons[0]!), 'live');
    for (const python of pythons) {
      const [one, two] = await read(python, urlFor(python), kinds.study, front.study);
      expect(one).toMatchObject({ directions: ['MAXIMIZE'], metricNames: null, best: 2 });
      expect(one?.trials).toEqual(kinds.trials);
      expect(one?.distributions).toEqual(distributionsSeen);
      expect(one?.summaries.map(([name]) => name).sort()).toEqual(['every-kind', 'live', 'two-objectives']);
      // All but the trial that is out of range.
      expect(one?.copied).toBe(kinds.trials.length - 1);
      expect(two).toMatchObject({ directions: ['MINIMIZE', 'MAXIMIZE'], metricNames: ['loss', 'speed'] });
      expect(two?.trials).toEqual(front.trials);
      expect(two?.best).toEqual([1, 2]);
      for (const each of [one, two]) if (each !== undefined) expectRefused(each);
    }
    await tryDashboard(pythons[0]!, urlFor(pythons[0]!));
    await stop(running);
  });
});

/** The command as users start it, and what its page asks for. */
async function tryDashboard(python: OptunaPython, url: string): Promise<void> {
  const program = path.join(path.dirname(python.path), 'optuna-dashboard');
  if (!python.modules.includes('optuna_dashboard') || !existsSync(program)) {
    console.log(`optuna-dashboard is not tried: there is none beside ${python.path}`);
    return;
  }
  const address = `http://127.0.0.1:${await freePort()}`;
  const dashboard = spawn(program, [url, '--port', new URL(address).port], { stdio: 'ignore' });
  const ask = async (method: string, place: string, body?: object): Promise<[number, unknown]> => {
    const response = await fetch(`${address}/api/${place}`, {
      method,
      ...(body === undefined
        ? {}
        : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const text = await response.text();
    return [response.status, response.ok && text !== '' ? JSON.parse(text) : text];
  };
  try {
    await until(() =>
      ask('GET', 'meta').then(
        () => true,
        () => false,
      ),
    );
    const [, list] = await ask('GET', 'studies');
    const { study_summaries: studies } = list as {
      study_summaries: { study_id: number; study_name: string }[];
    };
    const id = (name: string): string =>
      `studies/${studies.find((each) => each.study_name === name)!.study_id}`;
    const live = id('live');
    const [status, detail] = await ask('GET', live);
    expect(status).toBe(200);
    expect(detail).toMatchObject({ name: 'live', directions: ['maximize'], has_intermediate_values: true });
    expect(await ask('GET', id('every-kind'))).toMatchObject([200, { trials: expect.any(Array) as unknown }]);
    expect(await ask('GET', id('two-objectives'))).toMatchObject([
      200,
      { objective_names: ['loss', 'speed'] },
    ]);
    expect(await ask('GET', `${live}/param_importances`)).toMatchObject([
      200,
      { param_importances: [expect.arrayContaining([expect.objectContaining({ name: 'rate' })])] },
    ]);
    expect((await ask('PUT', `${live}/note`, { version: 1, body: 'looks **good**' }))[0]).toBe(204);
    const trial = (detail as { trials: { trial_id: number }[] }).trials[0]!.trial_id;
    expect((await ask('PUT', `${live}/${trial}/note`, { version: 1, body: 'this one' }))[0]).toBe(204);
    expect(await ask('GET', live)).toMatchObject([200, { note: { version: 1, body: 'looks **good**' } }]);
    for (const [method, place, body] of [
      ['DELETE', live, undefined],
      ['POST', `${live}/rename`, { study_name: 'other' }],
      ['POST', 'studies', { study_name: 'new', directions: ['minimize'] }],
      ['POST', `trials/${trial}/user-attrs`, { user_attrs: { a: 1 } }],
    ] as const)
      expect((await ask(method, place, body))[0]).toBeGreaterThanOrEqual(400);
    const [, after] = await ask('GET', 'studies');
    expect(after).toEqual(list);
  } finally {
    dashboard.kill('SIGKILL');
  }
}
