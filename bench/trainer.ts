/**
 * `npm run bench:trainer`: seconds per optimiser step of the Hermite trainer on one core, for a small, the median and the
 * largest model of the V6 space, in turns with PyTorch on one thread where a Python has it (the ones named in
 * PARZEN_PEER_PYTHONS, separated by colons, or `python3`), so that the load of the machine meets both; the share of what the
 * core does in a large matrix product; a fold and a trial of v6-stage1; memory over 500 steps. Processor time is the fair
 * figure on a busy machine. The script gives Node.js the flags that trainer processes get (`trainerNodeFlags`).
 *
 * Options (npm run bench:trainer -- --rounds=5): --configurations=small,median,large --rounds=3 --seconds=4 (a turn)
 * --runtime=auto --folds=small,median,large (whole folds; none: --folds=) --memory-steps=500. It takes some six minutes.
 */
import { cpus, loadavg } from 'node:os';
import { chooseRuntime } from '../worker/trainers/runtime/choose-runtime.js';
import type { Runtime } from '../worker/trainers/runtime/runtime.js';
import {
  configurationNames,
  configurationsNamed,
  operationsOf,
  shapeOf,
  type ConfigurationName,
} from './trainer/configurations.js';
import { findPeer, matmulPeak, peerStep, type PeerStep } from './trainer/peers.js';
import { memoryOverSteps, timeFold, timeSteps } from './trainer/step-times.js';

interface Options {
  readonly configurations: readonly ConfigurationName[];
  readonly folds: readonly ConfigurationName[];
  readonly rounds: number;
  readonly seconds: number;
  readonly runtime: string;
  readonly memorySteps: number;
  readonly pythons: readonly string[];
}

const known = ['configurations', 'folds', 'rounds', 'seconds', 'runtime', 'memory-steps'];
/** Folds of a trial of v6-stage1. */
const foldsPerTrial = 5;

function readOptions(): Options {
  const given = new Map(
    process.argv.slice(2).map((argument) => {
      const [, name = '', value = ''] = /^--([a-z-]+)=(.*)$/.exec(argument) ?? [];
      if (!known.includes(name))
        throw new Error(`unknown option ${argument}; the options stand at the top of bench/trainer.ts`);
      return [name, value];
    }),
  );
  const names = (option: string): readonly ConfigurationName[] => {
    const list = given.get(option);
    return list === undefined ? configurationNames : configurationsNamed(list);
  };
  return {
    configurations: names('configurations'),
    folds: names('folds'),
    rounds: Number(given.get('rounds') ?? 3),
    seconds: Number(given.get('seconds') ?? 4),
    runtime: given.get('runtime') ?? 'auto',
    memorySteps: Number(given.get('memory-steps') ?? 500),
    pythons: (process.env['PARZEN_PEER_PYTHONS'] ?? 'python3').split(':'),
  };
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;
const shown = (value: number, width = 8): string => value.toPrecision(3).padStart(width);
const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;

interface Measured {
  readonly name: ConfigurationName;
  /** Processor seconds per step: the mean of each round. */
  readonly ours: readonly number[];
  readonly wall: number;
  readonly peers: readonly PeerStep[];
}

/** Ours and the peer's steps in turns. */
async function measure(
  runtime: Runtime,
  name: ConfigurationName,
  peer: string | null,
  { rounds, seconds }: Options,
): Promise<Measured> {
  const ours: number[] = [];
  const wall: number[] = [];
  const peers: PeerStep[] = [];
  // The compiler of JavaScript has to see the code some times; in a trial of 250 steps that is soon over.
  await timeSteps(runtime, shapeOf(name), seconds / 2);
  for (let round = 0; round < rounds; round++) {
    const times = await timeSteps(runtime, shapeOf(name), seconds);
    ours.push(mean(times.cpuSeconds));
    wall.push(median(times.seconds));
    if (peer !== null) peers.push(peerStep(peer, name, seconds));
  }
  runtime.dispose();
  return { name, ours, wall: median(wall), peers };
}

const header =
  'model    Parzen: cpu s  fastest   wall s  GFLOP/s  of peak   PyTorch: cpu s  fastest   wall s   Parzen/PyTorch';

function lineOf({ name, ours, wall, peers }: Measured, peak: number | null): string {
  const fastest = Math.min(...ours);
  const rate = operationsOf(shapeOf(name)) / fastest;
  const share = peak === null ? '-' : `${((100 * rate) / peak).toFixed(0)} %`;
  const own = `${name.padEnd(8)}${shown(median(ours), 14)}${shown(fastest, 9)}${shown(wall, 9)}${shown(rate / 1e9, 9)}${share.padStart(9)}`;
  if (peers.length === 0) return own;
  const theirs = peers.map(({ cpuSeconds }) => cpuSeconds);
  const best = Math.min(...theirs);
  const theirWall = median(peers.map(({ seconds }) => seconds));
  const ratio = `${(median(ours) / median(theirs)).toFixed(2)} (fastest ${(fastest / best).toFixed(2)})`;
  return `${own}${shown(median(theirs), 17)}${shown(best, 9)}${shown(theirWall, 9)}   ${ratio}`;
}

async function showFolds(runtime: Runtime, names: readonly ConfigurationName[]): Promise<void> {
  if (names.length === 0) return;
  console.log(
    '\nmodel    fold: cpu s   wall s   trial of v6-stage1 (5 folds): cpu s   wall s   peak of the process',
  );
  for (const name of names) {
    const { cpuSeconds, seconds, peakMemoryBytes } = await timeFold(runtime, name);
    const trial = `${shown(foldsPerTrial * cpuSeconds, 37)}${shown(foldsPerTrial * seconds, 9)}`;
    const memory = peakMemoryBytes === null ? '-' : megabytes(peakMemoryBytes);
    console.log(`${name.padEnd(8)}${shown(cpuSeconds, 12)}${shown(seconds, 9)}${trial}   ${memory}`);
  }
}

async function showMemory(runtime: Runtime, steps: number): Promise<void> {
  if (steps < 100) return;
  const marks = await memoryOverSteps(runtime, shapeOf('small'), steps);
  console.log(`\nmemory over ${steps} steps of the small model (resident, tensors)`);
  console.log(
    marks.map((mark) => `${mark.steps}: ${megabytes(mark.residentBytes)}, ${mark.tensors}`).join('   '),
  );
}

async function main(): Promise<void> {
  const options = readOptions();
  const { runtime, reason } = await chooseRuntime(options.runtime);
  const found = findPeer(options.pythons);
  const peer = 'python' in found ? found.python : null;
  const peak = peer === null ? null : matmulPeak(peer);
  console.log(
    `${cpus()[0]?.model ?? 'CPU'}, load ${loadavg()[0]?.toFixed(1)}, runtime ${runtime.name} (${reason})`,
  );
  if ('reason' in found) console.log(`no PyTorch beside it: ${found.reason}`);
  if (peak !== null)
    console.log(`one core at a 2048 × 2048 product: ${(peak / 1e9).toFixed(0)} GFLOP/s of processor time`);
  console.log(header);
  for (const name of options.configurations) {
    const measured = await measure(runtime, name, peer, options);
    console.log(lineOf(measured, peak));
  }
  await showFolds(runtime, options.folds);
  await showMemory(runtime, options.memorySteps);
}

await main();
