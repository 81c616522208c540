/**
 * `npm run sim -- --seed=N [--seeds=M] [--trace] [--mutant=NAME] [--jobs=N]`: runs M simulations from seed N on. Prints
 * seed, commit, broken invariant and the end of the trace of the first failure, and how to replay it. Exit code 1 on failure.
 * `--mutants` instead tries every mutant on up to M seeds and says after how many it was found.
 */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { mutantNames, type MutantName } from './mutants.js';
import { simulate, type Simulated } from './simulate.js';

interface Job {
  readonly seeds: readonly number[];
  readonly mutant: MutantName | undefined;
}

interface Arguments {
  readonly seed: number;
  readonly seeds: number;
  readonly jobs: number;
  readonly trace: boolean;
  readonly mutant: MutantName | undefined;
  /** Try every mutant. */
  readonly mutants: boolean;
}

const usage =
  'usage: npm run sim -- [--seed=N] [--seeds=M] [--jobs=N] [--trace] [--mutant=NAME] [--mutants]\n' +
  `mutants: ${mutantNames.join(', ')}\n`;

function wholeNumber(text: string, name: string, least: number): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < least || value >= 2 ** 32)
    throw new Error(`--${name}=${text}: give a whole number from ${least}`);
  return value;
}

function parse(args: readonly string[]): Arguments {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '1' },
      jobs: { type: 'string', default: String(availableParallelism()) },
      trace: { type: 'boolean', default: false },
      mutant: { type: 'string' },
      mutants: { type: 'boolean', default: false },
    },
  });
  const mutant = mutantNames.find((name) => name === values.mutant);
  if (values.mutant !== undefined && mutant === undefined)
    throw new Error(`--mutant=${values.mutant}: there is no such mutant`);
  return {
    seed: wholeNumber(values.seed, 'seed', 0),
    seeds: wholeNumber(values.seeds, 'seeds', 1),
    jobs: wholeNumber(values.jobs, 'jobs', 1),
    trace: values.trace,
    mutant,
    mutants: values.mutants,
  };
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

/** Of the code that runs, as far as it is known. */
function commit(): string {
  const git = (...args: readonly string[]): string => {
    const { status, stdout } = spawnSync('git', args, { cwd: import.meta.dirname, encoding: 'utf8' });
    return status === 0 ? stdout.trim() : 'unknown';
  };
  return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain') === '' ? '' : ' with changes');
}

function printFailure({ seed, violation, tail }: Simulated, mutant: MutantName | undefined): void {
  for (const line of tail) print(line);
  print(`\nseed ${seed}, commit ${commit()}: ${violation ?? ''}`);
  const option = mutant === undefined ? '' : ` --mutant=${mutant}`;
  print(`replay: npm run sim -- --seed=${seed}${option} --trace`);
}

/** Seeds that one thread runs before a fresh one takes over: what processes leave behind is gone with their thread. */
const seedsPerThread = 250;

/** Runs the seeds in threads, told of each result as it comes; stops at the first failure. */
async function inThreads(
  { seed, seeds, jobs, mutant }: Arguments,
  onResult: (result: Simulated) => void,
): Promise<void> {
  const left = Array.from({ length: seeds }, (_, index) => seed + index);
  const running = new Set<Worker>();
  const work = async (): Promise<void> => {
    while (left.length > 0) {
      const job: Job = { seeds: left.splice(0, Math.min(seedsPerThread, Math.ceil(seeds / jobs))), mutant };
      const thread = new Worker(new URL(import.meta.url), { workerData: job });
      running.add(thread);
      await new Promise<void>((resolve, reject) => {
        thread.on('message', (result: Simulated) => {
          onResult(result);
          if (result.violation !== null) reject(new Error('failed'));
        });
        thread.on('error', reject);
        thread.on('exit', () => resolve());
      });
      running.delete(thread);
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.min(jobs, seeds) }, work));
  } finally {
    left.length = 0;
    await Promise.all([...running].map((thread) => thread.terminate()));
  }
}

/** Says after how many seeds each mutant is found; 1 when one is not. */
async function tryMutants({ seed: first, seeds }: Arguments): Promise<number> {
  let missed = 0;
  for (const mutant of mutantNames) {
    let tried = 0;
    let found: string | null = null;
    while (found === null && tried < seeds) {
      found = (await simulate({ seed: first + tried, mutant })).violation;
      tried += 1;
    }
    if (found === null) missed += 1;
    print(
      `${mutant}: ${found === null ? 'NOT found' : 'found'} after ${tried} seeds${found === null ? '' : `: ${found.slice(0, 100)}`}`,
    );
  }
  return missed === 0 ? 0 : 1;
}

async function main(): Promise<number> {
  const options = parse(process.argv.slice(2));
  if (options.mutants) return tryMutants(options);
  const startedMs = performance.now();
  const sum = { runs: 0, virtualMs: 0, steps: 0, finished: 0, assignments: 0, results: 0, late: 0 };
  const failures: Simulated[] = [];
  const count = (result: Simulated): void => {
    sum.runs += 1;
    sum.virtualMs += result.virtualMs;
    sum.steps += result.steps;
    sum.finished += result.finished;
    sum.assignments += result.counts.assignments;
    sum.results += result.counts.results;
    sum.late += result.counts.late;
    if (result.violation !== null) failures.push(result);
  };
  if (options.trace || options.seeds === 1) {
    const { seed, mutant } = options;
    count(await simulate({ seed, mutant, ...(options.trace ? { print } : {}) }));
  } else
    await inThreads(options, count).catch((error: unknown) => {
      if (failures.length === 0) throw error;
    });
  const [failed] = failures;
  if (failed !== undefined) printFailure(failed, options.mutant);
  const seconds = (performance.now() - startedMs) / 1_000;
  print(
    `${sum.runs} of ${options.seeds} seeds in ${seconds.toFixed(1)} s: ${failed === undefined ? 'all invariants held' : 'FAILED'}; ` +
      `${(sum.virtualMs / 3_600_000).toFixed(1)} virtual hours, ${sum.steps} events, ${sum.finished} trials finished, ` +
      `${sum.assignments} leases, ${sum.results} results acknowledged, ${sum.late} late`,
  );
  return failed === undefined ? 0 : 1;
}

if (isMainThread) {
  try {
    process.exitCode = await main();
  } catch (error) {
    process.stderr.write(
      `sim: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n${usage}`,
    );
    process.exitCode = 2;
  }
} else {
  const { seeds, mutant } = workerData as Job;
  for (const seed of seeds) parentPort?.postMessage(await simulate({ seed, mutant }));
}
