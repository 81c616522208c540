/**
 * `npm run chaos -- --seconds=60 --seed=N`: real processes, killed and cut off at random; then the audit. Exit code 1 when it
 * finds a problem, as it must with `--break=NAME`, which breaks a promise of the coordinators on purpose.
 */
import { parseArgs } from 'node:util';
import { breaks, isBreak } from './breaks.js';
import { runChaos, type ChaosResult } from './run-chaos.js';

const usage = 'usage: npm run chaos -- [--seconds=60] [--seed=N] [--keep] [--break=NAME]\n';

function wholeNumber(text: string, name: string, low: number): number {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : NaN;
  if (value >= low) return value;
  throw new Error(`--${name}=${text}: give a whole number from ${low}`);
}

const print = (line: string): void => void process.stdout.write(`${line}\n`);

function printResult(result: ChaosResult): void {
  const { faults, starts, problems } = result;
  print(
    `faults: ${[...faults]
      .sort()
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')}`,
  );
  print(
    `${starts.coordinators} coordinator and ${starts.workers} worker processes; ${result.studies} studies, ${result.attempts} attempts, ` +
      `${result.late} late results (${result.toldTooLate} told while another held the trial), ${result.suggestions} suggestions recomputed, ${result.looks} looks at the database under fire`,
  );
  for (const problem of problems.slice(0, 50)) print(`PROBLEM ${problem}`);
  if (problems.length > 50) print(`… and ${problems.length - 50} more`);
  print(
    `acknowledged=${result.acknowledged} lost=${result.lost} duplicated=${result.duplicated} finished=${result.finished}/${result.budget}`,
  );
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
      keep: { type: 'boolean', default: false },
      break: { type: 'string' },
    },
  });
  const broken = values.break ?? null;
  if (broken !== null && !isBreak(broken))
    throw new Error(`--break=${broken}: name one of ${Object.keys(breaks).join(', ')}`);
  const stopping = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stopping.abort());
  const result = await runChaos({
    seed: wholeNumber(values.seed, 'seed', 0),
    seconds: wholeNumber(values.seconds, 'seconds', 1),
    ...{ print, broken, keep: values.keep, stopping: stopping.signal },
  });
  printResult(result);
  return result.problems.length === 0 ? 0 : 1;
}

try {
  // Whatever is still open has no part in the result.
  process.exit(await main());
} catch (error) {
  process.stderr.write(
    `chaos: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n${usage}`,
  );
  process.exit(2);
}
