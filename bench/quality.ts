/**
 * `npm run bench:quality`: regret after 200 and 1,000 trials on fixed functions, with 1, 8 and 64 simulated workers, of
 * random sampling, of both rule sets of TPE and, with `--optuna`, of Optuna itself where a Python has it (the ones named
 * in PARZEN_PEER_PYTHONS, or `python3`). Median and quartiles over the seeds.
 *
 * Options: --seeds=20 --trials=1000 --functions=NAME,NAME --optuna (up to 200 trials, every fourth seed: it is slow).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Mt19937, trialSeed } from '../shared/core/sampler/mt19937.js';
import type { RunningTrial, SamplerSettings, TpeRules } from '../shared/core/sampler/sampler.js';
import { StudySampler } from '../shared/core/sampler/study-sampler.js';
import type { Params, Space } from '../shared/core/space/parameter.js';
import { observed, testFunctions, type TestFunction } from './sampler-functions.js';

const workerCounts = [1, 8, 64];
const checkpoints = [200, 1_000];
const candidates = 24;

/** Anything that can be asked for trials and told their outcome. */
interface Suggester {
  ask(): Promise<RunningTrial> | RunningTrial;
  tell(trial: RunningTrial, value: number): void;
  close(): void;
}

function own(space: Space, settings: SamplerSettings): Suggester {
  const sampler = new StudySampler({ space, directions: ['minimize'], settings });
  let running: RunningTrial[] = [];
  let next = 0;
  return {
    ask: () => {
      const number = next++;
      const trial = { number, params: sampler.suggest({ number, running }) };
      running.push(trial);
      return trial;
    },
    tell: (trial, value) => {
      running = running.filter((other) => other !== trial);
      sampler.fold({ state: 'COMPLETE', number: trial.number, params: trial.params, values: [value] });
    },
    close: () => undefined,
  };
}

const random = (seed: number): SamplerSettings => ({ type: 'random', seed });
const tpe = (rules: TpeRules, seed: number): SamplerSettings => ({
  type: 'tpe',
  seed,
  startupTrials: 10,
  eiCandidates: candidates,
  multivariate: true,
  group: false,
  constantLiar: true,
  rules,
});

/** Optuna in a process of its own; null when this Python does not have it. */
async function optuna(
  python: string,
  space: Space,
  seed: number,
): Promise<{ suggester: Suggester; version: string } | null> {
  const script = path.resolve(import.meta.dirname, '../../bench/peers/ask_tell.py');
  const child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'ignore'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const read = async (): Promise<Record<string, unknown>> => {
    const line = await lines.next();
    return line.done === true ? { missing: true } : (JSON.parse(line.value) as Record<string, unknown>);
  };
  const write = (command: unknown): void => void child.stdin.write(`${JSON.stringify(command)}\n`);
  child.stdin.on('error', () => undefined);
  await Promise.race([once(child, 'spawn'), once(child, 'error')]);
  write({ space, seed, candidates });
  const { version } = await read();
  if (typeof version !== 'string') return null;
  const suggester: Suggester = {
    ask: async () => {
      write({ ask: true });
      const { number, params } = await read();
      return { number: Number(number), params: params as Params };
    },
    tell: (trial, value) => {
      write({ tell: trial.number, value });
    },
    close: () => {
      child.stdin.end();
    },
  };
  return { suggester, version };
}

/**
 * One simulated study: `workers` trials run at a time, each for a random while; the one that ends first is told. Returns
 * the noiseless regret of the trial that looked best, at every checkpoint.
 */
async function simulate(
  test: TestFunction,
  suggester: Suggester,
  run: { workers: number; trials: number; seed: number },
): Promise<number[]> {
  const rng = new Mt19937(trialSeed(run.seed, 1_000_003));
  const running: { trial: RunningTrial; endsAt: number }[] = [];
  let now = 0;
  let asked = 0;
  let lowest = Infinity;
  let regret = Infinity;
  const regrets: number[] = [];
  for (let finished = 0; finished < run.trials;) {
    while (running.length < run.workers && asked < run.trials) {
      running.push({ trial: await suggester.ask(), endsAt: now - Math.log(1 - rng.nextDouble()) });
      asked += 1;
    }
    running.sort((a, b) => b.endsAt - a.endsAt);
    const done = running.pop();
    if (done === undefined) break;
    now = done.endsAt;
    const value = observed(test, done.trial.params, rng);
    suggester.tell(done.trial, value);
    finished += 1;
    if (value < lowest) {
      lowest = value;
      regret = test.value(done.trial.params) - test.least;
    }
    if (checkpoints.includes(finished)) regrets.push(regret);
  }
  suggester.close();
  return regrets;
}

/** "median [quartile, quartile]". */
function summary(values: readonly number[]): string {
  if (values.length === 0) return '–';
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): string =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0).toPrecision(3);
  return `${at(0.5)} [${at(0.25)}, ${at(0.75)}]`;
}

/** Distance of two parameter sets: root mean square over the parameters, each as a share of its range. */
function distance(space: Space, a: Params, b: Params): number {
  const squares = space.map((parameter) => {
    const [x = null, y = null] = [a[parameter.name], b[parameter.name]];
    if (parameter.kind === 'categorical') return x === y ? 0 : 1;
    const scaled = (value: unknown): number => (parameter.log ? Math.log(Number(value)) : Number(value));
    return ((scaled(x) - scaled(y)) / (scaled(parameter.high) - scaled(parameter.low))) ** 2;
  });
  return Math.sqrt(squares.reduce((total, square) => total + square, 0) / space.length);
}

/** 64 asks without a tell in between, after 100 trials: how many differ, and how close the closest two are. */
async function batch(test: TestFunction, seed: number): Promise<{ different: number; closest: number }> {
  const suggester = own(test.space, tpe('optuna-4', seed));
  const rng = new Mt19937(seed);
  for (let i = 0; i < 100; i++) {
    const trial = await suggester.ask();
    suggester.tell(trial, observed(test, trial.params, rng));
  }
  const asked: RunningTrial[] = [];
  while (asked.length < 64) asked.push(await suggester.ask());
  let closest = Infinity;
  asked.forEach((a, i) => {
    for (const b of asked.slice(0, i)) closest = Math.min(closest, distance(test.space, a.params, b.params));
  });
  return { different: new Set(asked.map(({ params }) => JSON.stringify(params))).size, closest };
}

function option(name: string, missing: string): string {
  const found = process.argv.find((argument) => argument.startsWith(`--${name}=`));
  return found?.slice(name.length + 3) ?? missing;
}

async function optunaRow(test: TestFunction, seeds: number, trials: number): Promise<void> {
  for (const python of (process.env['PARZEN_PEER_PYTHONS'] ?? 'python3').split(':')) {
    for (const workers of workerCounts) {
      const regrets: number[][] = [];
      let version = '';
      for (let seed = 0; seed < seeds; seed += 4) {
        const peer = await optuna(python, test.space, seed);
        if (peer === null) return;
        version = peer.version;
        regrets.push(await simulate(test, peer.suggester, { workers, trials: Math.min(trials, 200), seed }));
      }
      const first = summary(regrets.flatMap(([regret]) => (regret === undefined ? [] : [regret])));
      console.log(
        `${''.padEnd(22)}${`optuna ${version}`.padEnd(14)}${String(workers).padStart(4)}  ${first}`,
      );
    }
  }
}

async function main(): Promise<void> {
  const seeds = Number(option('seeds', '20'));
  const trials = Number(option('trials', '1000'));
  const wanted = option('functions', '');
  const chosen = testFunctions.filter(({ name }) => wanted === '' || wanted.split(',').includes(name));
  console.log(`regret, median [quartiles] over ${seeds} seeds; ${candidates} candidates`);
  const heads = checkpoints.map((count) => `after ${count}`.padEnd(36)).join('');
  console.log(`${'function'.padEnd(22)}${'sampler'.padEnd(14)}workers  ${heads}`);
  for (const test of chosen) {
    console.log(test.name);
    for (const workers of workerCounts) {
      for (const sampler of ['random', 'optuna-4', 'optuna-5'] as const) {
        const runs: number[][] = [];
        for (let seed = 0; seed < seeds; seed++) {
          const settings = sampler === 'random' ? random(seed) : tpe(sampler, seed);
          runs.push(await simulate(test, own(test.space, settings), { workers, trials, seed }));
        }
        const cells = checkpoints.map((_, i) =>
          summary(runs.flatMap((run) => (run[i] === undefined ? [] : [run[i]]))).padEnd(36),
        );
        const name = sampler === 'random' ? sampler : `tpe ${sampler.slice(-1)}`;
        console.log(`${''.padEnd(22)}${name.padEnd(14)}${String(workers).padStart(4)}     ${cells.join('')}`);
      }
    }
    if (process.argv.includes('--optuna')) await optunaRow(test, seeds, trials);
    const { different, closest } = await batch(test, 1);
    console.log(
      `${''.padEnd(22)}64 asks, no tell: ${different} differ, closest two ${closest.toPrecision(3)} apart`,
    );
  }
}

await main();
