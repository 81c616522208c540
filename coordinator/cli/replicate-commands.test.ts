/** The commands `replicate` and `replicates` as they are typed, on a running coordinator. */
import { Command } from 'commander';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { testApp, type TestApp } from '../../test/helpers/app.js';
import { localGateway, type StudyGateway } from '../app/study-gateway.js';
import { tell } from '../app/tell.js';
import { startGrpcServer } from '../grpc/server.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import { parseStudy } from './parse-study.js';
import { addReplicateCommands } from './replicate-commands.js';

async function output(args: readonly string[]): Promise<string> {
  const written: string[] = [];
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  const program = new Command('coordinator').exitOverride();
  addReplicateCommands(program);
  try {
    await program.parseAsync(args, { from: 'user' });
  } finally {
    vi.restoreAllMocks();
  }
  return written.join('');
}

const file = `
# A comment, and values used twice.
name: search
direction: maximize
objective: { score: 1 }
trials: 6
sampler: { type: tpe, seed: 4294967295 }
space:
  x: { low: 0, high: 1 }
  rate: { low: 1.0e-6, high: 1, log: true }
  c: { choices: &choices [a, b] }
  d: { choices: *choices }
fixed: { batch: 512 }
enqueue:
  - { x: 0.25, c: a }
trainer: instant
`;

let stop = (): Promise<void> => Promise.resolve();
afterEach(() => stop());

/** A coordinator with one worker, and the study of \`file\` with its trials done: trial n has score n. */
async function searched(): Promise<{ app: TestApp; gateway: StudyGateway; on: readonly string[] }> {
  const app = testApp(createMemoryStorage());
  const gateway = localGateway(app.context, parseStudy);
  const server = await startGrpcServer({
    ...{ context: app.context, gateway, listen: '127.0.0.1:0' },
    protoDirectory: path.resolve(import.meta.dirname, '../../proto'),
  });
  stop = () => server.stop();
  await app.register('w1');
  await gateway.create({ definitionText: file, trials: null, dataset: null });
  return { app, gateway, on: ['--coordinator', server.address] };
}

/** Runs what there is to do; answers which trials ran with which seeds. */
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
      "study 'search-replicates' created: #5, #4, each 3 times; run it: " +
        'coordinator start --study search-replicates --workers auto; see it: coordinator replicates search\n',
    );
    const made = await gateway.get('search-replicates');
    expect(made.definition).toMatchObject({ sampler: { type: 'random', seed: 0 }, fixed: { batch: 512 } });
    const ran = await work(app, (number) => number);
    expect(ran.map(({ params }) => params)).toEqual(
      [5, 4, 5, 4, 5, 4].map((number) => before[number]?.params),
    );
    expect(new Set([...before, ...ran].map(({ seed }) => seed)).size).toBe(12);
    // The search is as it was.
    expect((await gateway.get('search')).counts).toMatchObject({ COMPLETE: 6, WAITING: 0 });
  });

  it('asked again makes nothing new, unless the best are others: then it says so', async () => {
    const { app, gateway, on } = await searched();
    await work(app, (number) => number);
    await output(['replicate', 'search', '--top', '1', '--times', '2', ...on]);
    expect(await output(['replicate', 'search', '--top', '1', '--times', '2', ...on])).toContain(
      'was there already',
    );
    expect((await gateway.get('search-replicates')).trialsMax).toBe(2);
    await expect(output(['replicate', 'search', '--top', '2', ...on])).rejects.toThrow("'search-replicates'");
    await expect(output(['replicate', 'search', '--top', '6', '--times', '900', ...on])).rejects.toThrow(
      /1000 runs/,
    );
    await expect(output(['replicate', 'absent', ...on])).rejects.toThrow("'absent'");
  });

  it('needs a complete trial', async () => {
    const { on } = await searched();
    await expect(output(['replicate', 'search', ...on])).rejects.toThrow('no complete trial yet');
    await expect(output(['replicates', 'search', ...on])).rejects.toThrow(
      'make it: coordinator replicate search',
    );
  });
});

describe('replicates', () => {
  it('shows mean and spread beside the value that was searched for', async () => {
    const { app, on } = await searched();
    await work(app, (number) => number);
    await output(['replicate', 'search', '--top', '2', '--times', '3', ...on]);
    // Trial 5: 1, 3, 5; trial 4: 2, one that diverged, 6.
    const scores = [1, 2, 3, null, 5, 6];
    await work(app, (number) => scores[number] ?? null);
    const text = await output(['replicates', 'search', ...on]);
    const rows = text.split('\n').map((line) => line.trim().split(/ {2,}/));
    expect(rows.slice(0, 3)).toEqual([
      ['TRIAL', 'RUNS', 'SCORE', 'MEAN', 'SD', '± OF MEAN'],
      ['#5', '3/3', '5', '3', '2', '1.1547'],
      ['#4', '2/3', '4', '4', '2.82843', '2'],
    ]);
    expect(text).toContain('6 of 6 runs finished');
    const json = JSON.parse(await output(['replicates', 'search', '--json', ...on])) as unknown;
    expect(json).toMatchObject([
      { original: 5, complete: 3, runs: 3, mean: [3], sd: [2] },
      { original: 4, complete: 2, runs: 3, mean: [4] },
    ]);
  });
});
