/** One study of bench/quality.ts, simulated: workers that take a random while for a trial, and who suggests it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { Mt19937, trialSeed } from '../shared/core/sampler/mt19937.js';
import type { RunningTrial, SamplerSettings, TpeRules } from '../shared/core/sampler/sampler.js';
import { StudySampler } from '../shared/core/sampler/study-sampler.js';
import type { Params, Space } from '../shared/core/space/parameter.js';
import { observed, type TestFunction } from './sampler-functions.js';

/** Candidates per suggestion, Optuna's default. */
export const candidates = 24;

/** Anything that can be asked for trials and told their outcome. */
export interface Suggester {
  ask(): Promise<RunningTrial> | RunningTrial;
  tell(trial: RunningTrial, value: number): void;
  close(): void;
}

/** Parzen's own sampler, without storage and network around it. */
export function parzen(space: Space, settings: SamplerSettings): Suggester {
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

export const randomSettings = (seed: number): SamplerSettings => ({ type: 'random', seed });

export const tpeSettings = (rules: TpeRules, seed: number): SamplerSettings => ({
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
export async function optuna(
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
  // `once` fails when there is an error before: no such Python.
  if (
    !(await once(child, 'spawn').then(
      () => true,
      () => false,
    ))
  )
    return null;
  write({ space, seed, candidates });
  const { version } = await read();
  if (typeof version !== 'string') {
    child.stdin.end();
    return null;
  }
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
 * `workers` trials run at a time, each for a random while; the one that ends first is told. Returns, for every
 * checkpoint that is reached, the noiseless regret of the trial that looked best by then.
 */
export async function simulate(
  test: TestFunction,
  suggester: Suggester,
  run: {
    readonly workers: number;
    readonly trials: number;
    readonly seed: number;
    readonly checkpoints: readonly number[];
  },
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
    if (run.checkpoints.includes(finished)) regrets.push(regret);
  }
  suggester.close();
  return regrets;
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
export async function batch(
  test: TestFunction,
  rules: TpeRules,
  seed: number,
): Promise<{ readonly different: number; readonly closest: number }> {
  const suggester = parzen(test.space, tpeSettings(rules, seed));
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
