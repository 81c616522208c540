/** The commands `replicate` and `replicates` as they are typed, on a running coordinator. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { makeSyntheticCandles } from '../../shared/core/market/synthetic-market.js';
import { silentLog } from '../../shared/platform/log.js';
import { testApp, type TestApp } from '../../test/helpers/app.js';
import { commandOutput } from '../../test/helpers/typed-command.js';
import { createStudy } from '../app/create-study.js';
import { storeDataset } from '../app/datasets.js';
import { localGateway, type StudyGateway } from '../app/study-gateway.js';
import { tell } from '../app/tell.js';
import { startGrpcServer } from '../grpc/server.js';
import { datasetOf } from '../market-data/dataset.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import { openStorage } from '../storage/open-storage.js';
import type { Storage } from '../storage/port.js';
import { parseStudy } from './parse-study.js';
import { addReplicateCommands, madeText } from './replicate-commands.js';

const output = (args: readonly string[]): Promise<string> => commandOutput(addReplicateCommands, args);

/** Parts that are used twice: what is replaced in a copy may be what another part refers to. */
const file = `
# A comment.
name: search
direction: maximize
objective: { score: 1 }
trials: &six 6
sampler: { type: tpe, seed: &seed 7 }
space:
  x: { low: 0, high: 1 }
  rate: { low: 1.0e-6, high: 1, log: true }
  c: { choices: &choices [a, b] }
  d: { choices: *choices }
fixed: { batch: 512, steps: *six, mark: *seed }
enqueue:
  - { x: &quarter 0.25, c: a }
failure: { diverged_value: *quarter }
trainer: instant
`;

let stop = (): Promise<void> => Promise.resolve();
afterEach(() => stop());

/** A coordinator with one worker, and the study of `text` with its trials to be done. */
async function searched(
  text = file,
  storage: Storage = createMemoryStorage(),
): Promise<{ app: TestApp; gateway: StudyGateway; on: readonly string[] }> {
  const app = testApp(storage);
  const gateway = localGateway(app.context, parseStudy);
  const server = await startGrpcServer({
    ...{ context: app.context, gateway, listen: '127.0.0.1:0' },
    protoDirectory: path.resolve(import.meta.dirname, '../../proto'),
  });
  stop = () => server.stop();
  await app.register('w1');
  await gateway.create({ definitionText: text, trials: null, dataset: null });
  return { app, gateway, on: ['--coordinator', server.address] };
}

/** Runs what there is to do; answers which trials ran with which seeds. Null diverges. */
async function work(app: TestApp, score: (number: number) => number | null) {
  const ran: { readonly number: number; readonly seed: number; readonly params: object }[] = [];
  for (;;) {
    const asked = await app.ask();
    if (asked.kind !== 'assigned') return ran;
    const { token, number, seed, params } = asked.assignment;
    ran.push({ number, seed, params });
    const value = score(number);
    const outcome =
      value === null
        ? ({ kind: 'failed', reason: 'diverged', message: '' } as const)
        : ({ kind: 'completed', metrics: { score: value } } as const);
    await tell(app.context, { token, outcome, peakMemoryBytes: null });
  }
}

describe('replicate', () => {
  it('runs the best again with other seeds, round by round, in a study of its own', async () => {
    const { app, gateway, on } = await searched();
    const before = await work(app, (number) => number);
    expect(await output(['replicate', 'search', '--top', '2', '--times', '3', ...on])).toBe(
      "study 'search-replicates' created: #5, #4, each 3 times\n" +
        'run it: a coordinator that serves every study (start without --study) hands it to its workers\n' +
        `see it: coordinator replicates search ${on.join(' ')}\n`,
    );
    const { definition } = await gateway.get('search');
    const made = await gateway.get('search-replicates');
    expect(made.definition).toEqual({
      ...definition,
      name: 'search-replicates',
      trials: 6,
      sampler: { ...made.definition.sampler, type: 'random' },
      enqueue: made.definition.enqueue,
    });
    const ran = await work(app, (number) => number);
    expect(ran.map(({ params }) => params)).toEqual(
      [5, 4, 5, 4, 5, 4].map((number) => before[number]?.params),
    );
    expect(new Set([...before, ...ran].map(({ seed }) => seed)).size).toBe(12);
    // Under another name they are trained from other seeds again.
    await output(['replicate', 'search', '--top', '2', '--times', '3', '--name', 'again', ...on]);
    const again = await work(app, (number) => number);
    expect(again.map(({ params }) => params)).toEqual(ran.map(({ params }) => params));
    expect(new Set([...before, ...ran, ...again].map(({ seed }) => seed)).size).toBe(18);
    // The search is as it was.
    expect((await gateway.get('search')).counts).toMatchObject({ COMPLETE: 6, WAITING: 0 });
  });

  it('asked again makes nothing new; other trials need another name', async () => {
    const { app, gateway, on } = await searched();
    await work(app, (number) => number);
    await output(['replicate', 'search', '--top', '1', '--times', '2', ...on]);
    expect(await output(['replicate', 'search', '--top', '1', '--times', '2', ...on])).toContain(
      'was there already',
    );
    expect((await gateway.get('search-replicates')).trialsMax).toBe(2);
    await expect(output(['replicate', 'search', '--top', '2', ...on])).rejects.toThrow(
      /'search-replicates' exists with a different enqueue.*--name/,
    );
    const named = ['--name', 'again', ...on];
    expect(await output(['replicate', 'search', '--top', '2', ...named])).toContain(
      'coordinator replicates search --name again',
    );
    expect(await output(['replicates', 'search', ...named])).toContain('0 of 8 runs finished');
    await expect(output(['replicate', 'search', '--top', '6', '--times', '900', ...on])).rejects.toThrow(
      /1000 runs/,
    );
    await expect(output(['replicate', 'search', '--name', 'a b', ...on])).rejects.toThrow(
      "'a b' cannot name",
    );
    await expect(output(['replicate', 'absent', ...on])).rejects.toThrow("'absent'");
  });

  it('keeps the results of the search, and says where the next commands find the study', async () => {
    const directory = mkdtempSync(path.join(tmpdir(), 'parzen replicates-'));
    const storage = await openStorage(directory, { log: silentLog });
    const { app } = await searched(file, storage);
    await work(app, (number) => number);
    await stop();
    await storage.close();
    stop = async () => {
      await Promise.resolve();
      rmSync(directory, { recursive: true });
    };
    const text = await output(['replicate', 'search', '--storage', directory]);
    expect(text).toContain(
      'coordinator start --study search-replicates --workers auto --out out/search-replicates ' +
        `--storage '${directory}'`,
    );
    expect(text).toContain(`coordinator replicates search --storage '${directory}'`);
  });

  it('says nothing of a password, and knows of a coordinator that the environment names', async () => {
    const { app, on } = await searched();
    await work(app, (number) => number);
    vi.stubEnv('PARZEN_COORDINATOR', on[1]);
    try {
      const text = await output(['replicate', 'search']);
      expect(text).toContain('run it: a coordinator that serves every study');
      expect(text).toMatch(/see it: coordinator replicates search\n$/);
    } finally {
      vi.unstubAllEnvs();
    }
    const made = { study: 's', created: true, trials: 2, finalists: [1], times: 2, seedsDerived: false };
    const storage = 'postgres://me:S3CRET@db/parzen';
    const text = madeText(made, 'search', { storage, coordinator: null, isRemote: false });
    expect(text).toContain("--storage 'postgres://me:***@db/parzen'");
    expect(text).not.toContain('S3CRET');
  });

  it('takes trials with a value of their own, and of those with the same parameters the best', async () => {
    const same = 'enqueue: [{ x: 0.5, c: a, d: a, rate: 1 }, { x: 0.5, c: a, d: a, rate: 1 }]';
    const { app, on } = await searched(
      file.replace(/enqueue:[^]*?failure: .*/, `${same}\nfailure: { diverged: value, diverged_value: 99 }`),
    );
    // The second of the two alike is the best; trial 3 has its value from the failure policy.
    const scores = [1, 9, 2, null, 3, 4];
    await work(app, (number) => scores[number] ?? null);
    const made = await output(['replicate', 'search', '--top', '3', '--json', ...on]);
    expect(JSON.parse(made)).toMatchObject({ finalists: [1, 5, 4], trials: 12, seedsDerived: false });
    const shown = JSON.parse(await output(['replicates', 'search', '--json', ...on])) as unknown;
    expect(shown).toMatchObject([{ original: 1 }, { original: 5 }, { original: 4 }]);
  });

  it('gives runs seeds of their own where all trials of the search had the same', async () => {
    const { app, gateway, on } = await searched(
      file
        .replace(
          'trainer: instant',
          'trainer: hermite\ndata: { synthetic: { name: made-up, seed: 1, bars: 900, volatility: 0.01, signal: 0 } }',
        )
        .replace(/space:[^]*?failure: .*/, 'space:\n  dropout: { low: 0.1, high: 0.3 }')
        .concat('evaluation: { profile: v6, cost_bps: 7 }\n'),
    );
    await work(app, (number) => number);
    expect(await output(['replicate', 'search', '--top', '1', ...on])).toContain('seed_policy: v6');
    expect((await gateway.get('search-replicates')).definition.evaluation).toEqual({
      ...{ profile: 'v6', cost_bps: 7, seed_policy: 'derived' },
    });
  });

  it('runs on the data that the search began with', async () => {
    const { app, gateway, on } = await searched();
    const store = async (seed: number) => {
      const { record, bytes } = datasetOf(
        makeSyntheticCandles({ seed, bars: 300, volatility: 0.01, signal: 0 }),
        ...(['btc', seed] as const),
      );
      return (await storeDataset(app.context, record, bytes)).hash;
    };
    const first = await store(1);
    const text = file.replace('name: search', 'name: market\ndata: { dataset: btc }');
    await gateway.create({ definitionText: text, trials: null, dataset: null });
    await work(app, (number) => number);
    expect(await store(2)).not.toBe(first);
    await output(['replicate', 'market', ...on]);
    expect((await gateway.get('market-replicates')).dataset).toBe(first);
  });

  it('is refused where the file means something else by now than when the study was made', async () => {
    const { app, gateway, on } = await searched();
    const definitionText = file.replace('name: search', 'name: older');
    const parsed = parseStudy(definitionText);
    if (parsed.kind === 'problems') throw new Error(parsed.text);
    const { definition } = parsed;
    const failure = { ...definition.failure, errorRetriesMax: 7 };
    await createStudy(app.context, {
      ...{ definition: { ...definition, failure }, definitionText, trials: null, dataset: null },
    });
    await work(app, (number) => number);
    await expect(output(['replicate', 'older', ...on])).rejects.toThrow(
      "the replicates would differ from study 'older' in failure; nothing was created",
    );
    await expect(gateway.get('older-replicates')).rejects.toThrow('older-replicates');
  });

  it('needs a complete trial', async () => {
    const { on } = await searched();
    await expect(output(['replicate', 'search', ...on])).rejects.toThrow('no complete trial yet');
    await expect(output(['replicates', 'search', ...on])).rejects.toThrow(
      'make it: coordinator replicate search',
    );
    await expect(output(['replicates', 'search', '--coordinator', '127.0.0.1:1'])).rejects.toThrow(
      /^(?!.*make it)/,
    );
  });
});

describe('replicates', () => {
  it('shows mean and spread beside the value that was searched for', async () => {
    const { app, on } = await searched();
    await work(app, (number) => number);
    await output(['replicate', 'search', '--top', '2', '--times', '3', ...on]);
    const rows = async () =>
      (await output(['replicates', 'search', ...on])).split('\n').map((line) => line.trim().split(/ {2,}/));
    expect((await rows()).slice(0, 3)).toEqual([
      ['TRIAL', 'RUNS', 'SCORE', 'MEAN', 'SD', '± OF MEAN'],
      ['#5', '0/3', '5', '–', '–', '–'],
      ['#4', '0/3', '4', '–', '–', '–'],
    ]);
    // Trial 5: 1, 3, 5; trial 4: 2, one that diverged, 6.
    const scores = [1, 2, 3, null, 5, 6];
    await work(app, (number) => scores[number] ?? null);
    expect((await rows()).slice(1, 3)).toEqual([
      ['#5', '3/3', '5', '3', '2', '1.1547'],
      ['#4', '2/3', '4', '4', '2.82843', '2'],
    ]);
    expect(await output(['replicates', 'search', ...on])).toContain('6 of 6 runs finished. MEAN and SD');
    const json = JSON.parse(await output(['replicates', 'search', '--json', ...on])) as unknown;
    expect(json).toMatchObject([
      { original: 5, complete: 3, runs: 3, mean: [3], sd: [2] },
      { original: 4, complete: 2, runs: 3, mean: [4] },
    ]);
    await expect(output(['replicates', 'search-replicates', ...on])).rejects.toThrow(
      "for the replicates of 'search': coordinator replicates search",
    );
  });

  it('says so when the trainer does not use its seed', async () => {
    const { app, on } = await searched();
    await work(app, (number) => number);
    await output(['replicate', 'search', '--top', '2', '--times', '3', ...on]);
    await work(app, (number) => [0.1, 0.7][number % 2]!);
    const text = await output(['replicates', 'search', ...on]);
    expect(text).toContain('nothing about luck');
    expect(text.split('\n')[1]?.trim().split(/ {2,}/)).toEqual(['#5', '3/3', '5', '0.1', '0', '0']);
  });
});
