/**
 * `npm run bench:gpu`: everything that can only be shown on a GPU, each stage in a process of its own with a bounded time:
 * the adapter, every fused op against its reference, golden figures, replayed against fresh steps, seconds per optimiser step of three models beside PyTorch on the same
 * GPU, memory over many steps, forced out-of-memory, whole trials. Ends with exit code 1 when a check failed.
 *
 * Options: --golden DIR, --configs small,median,large, --steps N, --only STAGE,STAGE, --patience N (times as long for every stage:
 * a software renderer needs it), --oom-gib N (most that is allocated to see a driver refuse: on a software renderer it is the
 * machine's own memory). PARZEN_PEER_PYTHONS names Pythons that may
 * have PyTorch (default python3); PARZEN_WEBGPU_ADAPTER another adapter.
 */
import { spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { configurationsNamed } from './trainer/configurations.js';
import * as checks from './gpu/checks.js';

const { values } = parseArgs({
  options: {
    golden: { type: 'string', default: '../shared/golden/hermite' },
    configs: { type: 'string', default: 'small,median,large' },
    steps: { type: 'string', default: '40' },
    'oom-gib': { type: 'string', default: '320' },
    patience: { type: 'string', default: '1' },
    only: { type: 'string' },
    stage: { type: 'string' },
  },
});
const configs = configurationsNamed(values.configs);
const steps = Number(values.steps);
const patience = Number(values.patience);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

type Stage = () => Promise<boolean>;

const oomBytesMax = Number(values['oom-gib']) * 2 ** 30;

/** In the order in which they run. A figure that a stage is for goes out as a line that begins with `{`. */
const stages: Readonly<Record<string, { readonly seconds: number; readonly run: Stage }>> = {
  adapter: { seconds: 30, run: () => checks.showAdapter(say) },
  ops: {
    seconds: 40,
    run: async () => [await checks.checkOps(say), await checks.checkNaN(say)].every(Boolean),
  },
  golden: {
    seconds: 60,
    run: () =>
      checks.checkGolden(say, values.golden, [
        'model_a.json',
        'model_b.json',
        'model_c.json',
        'train_small.json',
        'fold_train.json',
      ]),
  },
  ...Object.fromEntries(
    configs.flatMap((name) => [
      [`replay-${name}`, { seconds: 40, run: () => checks.checkReplay(say, name, 4) }],
      [
        `steps-${name}`,
        {
          seconds: 45,
          run: async () => {
            const times = await checks.measureSteps(say, name, { steps, seconds: 10 });
            say(JSON.stringify(times));
            return true;
          },
        },
      ],
    ]),
  ),
  memory: { seconds: 60, run: () => checks.checkMemory(say, configs[1] ?? configs[0] ?? 'small', 5 * steps) },
  'oom-trial': { seconds: 60, run: () => checks.checkTrialTooLarge(say) },
  'oom-driver': { seconds: 60, run: () => checks.checkDriverRefuses(say, oomBytesMax) },
  ...Object.fromEntries(
    configs.map((name) => [
      `trial-${name}`,
      { seconds: 60, run: () => checks.measureTrial(say, name, 'webgpu') },
    ]),
  ),
};

/** Runs a stage in a process of its own; its lines are passed on, its figures collected. */
function runStage(name: string, seconds: number, figures: unknown[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(
      process.execPath,
      [process.argv[1] ?? '', ...process.argv.slice(2), '--stage', name],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    const timer = setTimeout(() => {
      say(`MISS       stage ${name} took longer than ${seconds} s`);
      child.kill('SIGKILL');
    }, seconds * 1e3);
    let rest = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const all = (rest + text).split('\n');
      rest = all.pop() ?? '';
      for (const line of all) {
        if (line.startsWith('{')) figures.push(JSON.parse(line));
        else say(line);
      }
    });
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (code !== 0) say(`MISS       stage ${name} ended with ${signal ?? `exit code ${code}`}`);
      resolve(code === 0);
    });
  });
}

interface PeerTime {
  readonly config: string;
  readonly device: string;
  readonly version: string;
  readonly secondsPerStep: number;
  readonly peakMemoryBytes: number;
}

const peerModes: readonly (readonly [name: string, args: readonly string[]])[] = [
  ['PyTorch eager', ['--mode', 'eager']],
  ['PyTorch eager, TF32', ['--mode', 'eager', '--tf32']],
  ['PyTorch CUDA graph', ['--mode', 'graph']],
  ['PyTorch CUDA graph, TF32', ['--mode', 'graph', '--tf32']],
];

function peerTimes(args: readonly string[]): PeerTime[] | string {
  const script = path.resolve(import.meta.dirname, '../../bench/peers/trainer.py');
  const all = [script, '--device', 'cuda', ...args, '--steps', String(steps), '--seconds', '8', ...configs];
  const pythons = (process.env['PARZEN_PEER_PYTHONS'] ?? 'python3').split(':');
  let complaint = 'no Python';
  for (const python of pythons) {
    const run = spawnSync(python, all, { encoding: 'utf8', timeout: 60_000 });
    const found = run.stdout.split('\n').filter((line) => line.startsWith('{'));
    if (found.length > 0) return found.map((line) => JSON.parse(line) as PeerTime);
    complaint = run.error?.message ?? run.stderr.trim().split('\n').at(-1) ?? complaint;
  }
  return complaint;
}

/** The table: milliseconds per optimiser step. */
function showTable(figures: readonly unknown[], peers: ReadonlyMap<string, readonly PeerTime[]>): void {
  const times = figures as checks.StepTimes[];
  const cell = (seconds: number | undefined): string =>
    (seconds === undefined ? '–' : (1e3 * seconds).toFixed(2)).padStart(12);
  const row = (name: string, of: (config: string) => number | undefined): void =>
    say(`${name.padEnd(44)}${configs.map((config) => cell(of(config))).join('')}`);
  say('');
  say(
    `${'milliseconds per optimiser step, 512 rows'.padEnd(44)}${configs.map((name) => name.padStart(12)).join('')}`,
  );
  row(
    'Parzen webgpu, every step waited for',
    (config) => times.find((each) => each.config === config)?.waited,
  );
  row('Parzen webgpu, steps queued', (config) => times.find((each) => each.config === config)?.queued);
  for (const [name, found] of peers)
    row(name, (config) => found.find((each) => each.config === config)?.secondsPerStep);
}

async function main(): Promise<boolean> {
  const only = values.only?.split(',');
  const figures: unknown[] = [];
  let passed = true;
  for (const [name, { seconds }] of Object.entries(stages))
    if (only === undefined || only.includes(name))
      passed = (await runStage(name, seconds * patience, figures)) && passed;
  const peers = new Map<string, readonly PeerTime[]>();
  if (only === undefined || only.includes('peers'))
    for (const [name, args] of peerModes) {
      const found = peerTimes(args);
      if (typeof found === 'string') say(`peer       ${name}: not measured (${found})`);
      else {
        peers.set(name, found);
        const memory = found.map(({ peakMemoryBytes }) => `${(peakMemoryBytes / 2 ** 20).toFixed(0)} MiB`);
        say(
          `peer       ${name} ${found[0]?.version ?? ''} on ${found[0]?.device ?? ''}: memory ${memory.join(', ')}`,
        );
      }
    }
  showTable(figures, peers);
  say(passed ? 'all checks passed' : 'CHECKS FAILED');
  return passed;
}

const { stage } = values;
// Dawn's threads would keep the process; what had to be said has been.
if (stage === undefined) process.exit((await main()) ? 0 : 1);
const chosen = stages[stage];
if (chosen === undefined) throw new Error(`no stage ${stage}: ${Object.keys(stages).join(', ')}`);
try {
  process.exitCode = (await chosen.run()) ? 0 : 1;
} catch (error) {
  say(`MISS       ${stage}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  process.exitCode = 1;
}
process.stdout.write('', () => process.exit());
