/**
 * `npm run bench:quality`: regret after 200 and 1,000 trials on fixed functions, with 1, 8 and 64 simulated workers, of
 * random sampling, of both rule sets of TPE and of Optuna itself, with the same seeds, where a Python has it (the ones
 * named in PARZEN_PEER_PYTHONS, separated by colons, or `python3`). Median and quartiles over the seeds, and how often
 * Parzen ends lower than Optuna with the same rules, seeds and budget.
 *
 * Options (npm run bench:quality -- --seeds=5): --seeds=20 --trials=1000 --workers=1,8,64 '--functions=NAME;NAME'
 * --optuna-seeds=SEEDS --optuna-trials=200. Optuna takes some ten milliseconds per suggestion, hence a hundred times as
 * long; --optuna-seeds=0 leaves it out. Fewer trials than 200 are looked at when the last has ended.
 */
import { testFunctions, type TestFunction } from './sampler-functions.js';
import {
  batch,
  candidates,
  optuna,
  parzen,
  randomSettings,
  simulate,
  tpeSettings,
} from './quality-simulation.js';

/** Trials after which regret is looked at; those that a run does not reach are left out. */
const usualCheckpoints = [200, 1_000];
/** A difference this many standard errors from chance is marked. */
const notableErrors = 2.6;

interface Options {
  readonly seeds: number;
  readonly trials: number;
  readonly checkpoints: readonly number[];
  readonly workers: readonly number[];
  readonly functions: readonly TestFunction[];
  readonly optunaSeeds: number;
  readonly optunaTrials: number;
  readonly pythons: readonly string[];
}

function readOptions(): Options {
  const given = new Map(
    process.argv.slice(2).map((argument) => {
      const [, name = '', value = ''] = /^--([a-z-]+)=(.*)$/.exec(argument) ?? [];
      if (!['seeds', 'trials', 'workers', 'functions', 'optuna-seeds', 'optuna-trials'].includes(name))
        throw new Error(`unknown option ${argument}; the options stand at the top of bench/quality.ts`);
      return [name, value];
    }),
  );
  const count = (name: string, missing: number): number => Number(given.get(name) ?? missing);
  const wanted = given.get('functions')?.split(';') ?? null;
  const unknown = wanted?.find((name) => !testFunctions.some((test) => test.name === name));
  if (unknown !== undefined)
    throw new Error(
      `no function "${unknown}"; there are ${testFunctions.map(({ name }) => name).join('; ')}`,
    );
  const seeds = count('seeds', 20);
  const trials = count('trials', 1_000);
  const reached = usualCheckpoints.filter((checkpoint) => checkpoint <= trials);
  return {
    seeds,
    trials,
    checkpoints: reached.length === 0 ? [trials] : reached,
    workers: (given.get('workers') ?? '1,8,64').split(',').map(Number),
    functions: testFunctions.filter(({ name }) => wanted?.includes(name) ?? true),
    optunaSeeds: count('optuna-seeds', seeds),
    optunaTrials: Math.min(count('optuna-trials', 200), trials),
    pythons: (process.env['PARZEN_PEER_PYTHONS'] ?? 'python3').split(':'),
  };
}

/** Regrets by seed, then by checkpoint. */
type Runs = readonly (readonly number[])[];

/** "median [quartile, quartile]". */
function summary(values: readonly number[]): string {
  if (values.length === 0) return '';
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): string => {
    const position = share * (sorted.length - 1);
    const below = sorted[Math.floor(position)] ?? 0;
    const above = sorted[Math.ceil(position)] ?? 0;
    return (below + (above - below) * (position % 1)).toPrecision(3);
  };
  return `${at(0.5)} [${at(0.25)}, ${at(0.75)}]`;
}

const at = (runs: Runs, checkpoint: number): number[] =>
  runs.flatMap((run) => (run[checkpoint] === undefined ? [] : [run[checkpoint]]));

function row(sampler: string, workers: number, runs: Runs): void {
  const cells = runs[0]?.map((_, i) => summary(at(runs, i)).padEnd(32)).join('') ?? '';
  if (cells === '') return;
  console.log(`    ${sampler.padEnd(22)}${String(workers).padStart(3)}  ${cells}`.trimEnd());
}

/**
 * How often a value of `ours` is lower than one of `theirs`, over all pairs, ties half; with the standard error that
 * chance alone has (Mann and Whitney).
 */
function lowerShare(ours: readonly number[], theirs: readonly number[]): string {
  let sum = 0;
  for (const a of ours) for (const b of theirs) sum += a < b ? 1 : a === b ? 0.5 : 0;
  const share = sum / (ours.length * theirs.length);
  const error = Math.sqrt((ours.length + theirs.length + 1) / (12 * ours.length * theirs.length));
  const note = Math.abs(share - 0.5) > notableErrors * error ? (share > 0.5 ? '  better' : '  WORSE') : '';
  return `${(100 * share).toFixed(0)} % ± ${(100 * error).toFixed(0)}${note}`;
}

async function ownRows(test: TestFunction, workers: number, options: Options): Promise<Map<string, Runs>> {
  const bySampler = new Map<string, Runs>();
  for (const sampler of ['random', 'optuna-4', 'optuna-5'] as const) {
    const runs: number[][] = [];
    for (let seed = 0; seed < options.seeds; seed++) {
      const settings = sampler === 'random' ? randomSettings(seed) : tpeSettings(sampler, seed);
      const run = { workers, trials: options.trials, seed, checkpoints: options.checkpoints };
      runs.push(await simulate(test, parzen(test.space, settings), run));
    }
    bySampler.set(sampler, runs);
    row(sampler === 'random' ? sampler : `parzen, ${sampler}`, workers, runs);
  }
  return bySampler;
}

async function optunaRows(
  test: TestFunction,
  workers: number,
  options: Options,
  own: ReadonlyMap<string, Runs>,
): Promise<void> {
  for (const python of options.pythons) {
    const runs: number[][] = [];
    let version = '';
    for (let seed = 0; seed < options.optunaSeeds; seed++) {
      const peer = await optuna(python, test.space, seed);
      if (peer === null) break;
      version = peer.version;
      const run = { workers, trials: options.optunaTrials, seed, checkpoints: options.checkpoints };
      runs.push(await simulate(test, peer.suggester, run));
    }
    if (runs.every((run) => run.length === 0)) continue;
    row(`Optuna ${version}`, workers, runs);
    const ours = own.get(version.startsWith('4') ? 'optuna-4' : 'optuna-5') ?? [];
    const shares = options.checkpoints.flatMap((_, i) =>
      at(runs, i).length === 0 ? [] : [lowerShare(at(ours, i), at(runs, i)).padEnd(32)],
    );
    console.log(`    ${'  Parzen is lower in'.padEnd(22)}${' '.repeat(5)}${shares.join('')}`.trimEnd());
  }
}

/** Over the seeds: the fewest different suggestions, and the smallest distance between any two. */
async function batchRow(test: TestFunction, seeds: number): Promise<void> {
  for (const rules of ['optuna-4', 'optuna-5'] as const) {
    let different = Infinity;
    let closest = Infinity;
    for (let seed = 0; seed < seeds; seed++) {
      const found = await batch(test, rules, seed);
      different = Math.min(different, found.different);
      closest = Math.min(closest, found.closest);
    }
    console.log(
      `    64 asks without a tell, ${rules}: at least ${different} of 64 differ, the closest two are ` +
        `${closest.toPrecision(3)} of the range apart`,
    );
  }
}

/** The options with the Pythons that have Optuna; says at the top which those are, or why it is left out. */
async function withPeers(options: Options): Promise<Options> {
  if (options.optunaSeeds === 0) {
    console.log('Optuna was left out, as asked (--optuna-seeds=0).');
    return options;
  }
  const found: { python: string; version: string }[] = [];
  for (const python of options.pythons) {
    const peer = await optuna(python, testFunctions[0]?.space ?? [], 0);
    peer?.suggester.close();
    if (peer !== null) found.push({ python, version: peer.version });
  }
  console.log(
    found.length === 0
      ? `Optuna was left out: ${options.pythons.join(', ')} does not have it. To compare, install it ` +
          '(python3 -m venv peer && peer/bin/pip install optuna) and name that Python: ' +
          'PARZEN_PEER_PYTHONS=peer/bin/python npm run bench:quality'
      : `Optuna ${found.map(({ version }) => version).join(', ')}: ${options.optunaSeeds} seeds, ` +
          `${options.optunaTrials} trials. "lower in": share of all pairs of runs, with the standard error of chance.`,
  );
  return { ...options, pythons: found.map(({ python }) => python) };
}

async function main(): Promise<void> {
  const options = await withPeers(readOptions());
  const { checkpoints } = options;
  console.log(
    `Regret: median [quartiles] over ${options.seeds} seeds, ${candidates} candidates. Where values are noisy: the ` +
      'noiseless regret of the trial that looked best.',
  );
  const heads = checkpoints.map((count) => `after ${count}`.padEnd(32)).join('');
  console.log(`    ${'sampler'.padEnd(19)}workers  ${heads}`.trimEnd());
  for (const test of options.functions) {
    console.log(`${test.name} (${test.space.length} parameters)`);
    for (const workers of options.workers) {
      const own = await ownRows(test, workers, options);
      await optunaRows(test, workers, options, own);
    }
    await batchRow(test, options.seeds);
  }
}

await main();
