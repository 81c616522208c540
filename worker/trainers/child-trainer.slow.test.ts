/** Lack of memory, provoked in real trainer processes: recognised, reported, and the next trial runs. */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { encodeCandles } from '../../shared/core/market/candle-codec.js';
import { makeSyntheticCandles } from '../../shared/core/market/synthetic-market.js';
import { silentLog } from '../../shared/platform/log.js';
import { processTree } from '../../test/helpers/cli.js';
import { createTrainerProcess, deviceInUse } from '../agent/trainer-processes.js';
import { cpuDevice } from '../gpu/device.js';
import { ChildTrainer, type ChildTrainerOptions } from './child-trainer.js';
import type { TrialJob } from './port.js';

const root = path.resolve(import.meta.dirname, '../..');
const childPath = path.join(root, 'dist/worker/trainers/child.js');

let folder: string;
const bars = { few: 2_000, many: 60_000 };
beforeAll(() => {
  if (!existsSync(childPath)) throw new Error('dist/ is missing: npm run build');
  folder = mkdtempSync(path.join(tmpdir(), 'parzen-oom-'));
  for (const count of Object.values(bars)) {
    const market = { seed: 3, bars: count, volatility: 0.005, signal: 0.5 };
    writeFileSync(path.join(folder, String(count)), encodeCandles(makeSyntheticCandles(market)));
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

const trainers: ChildTrainer[] = [];
afterEach(() => Promise.all(trainers.splice(0).map((trainer) => trainer.kill())));

function hermite(change: Partial<ChildTrainerOptions> = {}): ChildTrainer {
  const trainer = new ChildTrainer({ childPath, args: ['hermite', 'wasm'], log: silentLog, ...change });
  trainers.push(trainer);
  return trainer;
}

const small = {
  ...{ feature_window: 8, lstm_hidden: 8, hermite_hidden_dim: 8, hermite_degree: 3 },
  ...{ hermite_maps_a: 2, hermite_maps_b: 1, batch_size: 64, steps: 4 },
};

/** Minutes of work on any machine, so that whoever ends it finds it at work. */
const lasting = { feature_window: 128, lstm_hidden: 96, batch_size: 256, steps: 5_000 };

const job = (params: TrialJob['params'], count = bars.few): TrialJob => ({
  ...{ study: 's', number: 0, attempt: 1, params: { ...small, ...params }, seed: 1 },
  dataPath: path.join(folder, String(count)),
  evaluation: {
    ...{ fold_count: 1, train_rows_min: 200, train_rows_max: 50_000, early_stop_rows: 200 },
    ...{ calibration_rows: 300, test_rows: 200, holdout_rows: 0, window_max: 256 },
  },
});

interface Watch {
  readonly stallTimeoutMs?: number;
  readonly onReport?: (step: number) => void;
}
const run = (trainer: ChildTrainer, what: TrialJob, watch: Watch = {}) =>
  trainer.run(what, {
    ...{ stallTimeoutMs: 120_000, trialTimeoutMs: 240_000, onReport: () => undefined, ...watch },
    signal: new AbortController().signal,
  });

/** The trainer process under this one. */
const childPid = (): number =>
  processTree(process.pid)
    .slice(1)
    .find((pid) => commandOf(pid).includes(childPath)) ?? NaN;
const commandOf = (pid: number): string =>
  spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).stdout;

const hasPrlimit = spawnSync('prlimit', ['--version']).status === 0;

describe('a trainer process that runs out of memory', () => {
  it('at V8’s heap limit: oom', async () => {
    const trainer = hermite({ nodeFlags: ['--max-old-space-size=64'] });
    expect((await run(trainer, job({}))).kind).toBe('done');
    // Reading a text of 200 MB takes more than the heap may grow to.
    const result = await run(trainer, job({ prob_source: 'x'.repeat(2e8) }));
    expect(result).toMatchObject({
      kind: 'failed',
      reason: 'oom',
      message: expect.stringMatching(/V8 heap limit/),
    });
    expect((await run(trainer, job({}))).kind).toBe('done');
  });

  it('in the WebAssembly memory of the kernels: oom, told by the process itself', async () => {
    const trainer = hermite();
    // 50,000 rows of 256 steps need far more than the 4 GiB that a WebAssembly memory can have.
    const hopeless = { batch_size: 50_000, feature_window: 256, lstm_hidden: 96 };
    const result = await run(trainer, job(hopeless, bars.many));
    expect(result).toMatchObject({
      ...{ kind: 'failed', reason: 'oom', message: expect.stringMatching(/memory/i) },
      peakMemoryBytes: expect.any(Number),
    });
    expect(result.kind === 'failed' && (result.peakMemoryBytes ?? 0)).toBeGreaterThan(100e6);
    expect((await run(trainer, job({}))).kind).toBe('done');
  });

  it.skipIf(!hasPrlimit)(
    `at the system’s limit on its memory${hasPrlimit ? '' : ' (skipped: prlimit is not installed)'}: oom`,
    async () => {
      const trainer = hermite();
      expect((await run(trainer, job({}))).kind).toBe('done');
      // From now on nothing more can be mapped.
      expect(spawnSync('prlimit', ['--pid', String(childPid()), '--as=1']).status).toBe(0);
      const result = await run(
        trainer,
        job({ batch_size: 4_000, feature_window: 256, lstm_hidden: 96 }, bars.many),
      );
      expect(result).toMatchObject({ kind: 'failed', reason: 'oom' });
      expect((await run(trainer, job({}))).kind).toBe('done');
    },
  );

  it('is not started when the estimate says that it will', async () => {
    const trainer = createTrainerProcess('hermite', {
      ...{ childPath, runtime: 'wasm', log: silentLog, commands: new Map() },
      ...{ device: cpuDevice(1), hostMemoryBytes: 400 * 2 ** 20 },
    });
    trainers.push(trainer);
    expect((await run(trainer, job({}))).kind).toBe('done');
    const before = childPid();
    const result = await run(
      trainer,
      job({ batch_size: 4_000, feature_window: 256, lstm_hidden: 96 }, bars.many),
    );
    expect(result).toMatchObject({
      ...{ kind: 'failed', reason: 'oom' },
      message: expect.stringMatching(
        /before it started: estimated \d\.\d\d GiB, but a trial may use 0\.39 GiB/,
      ),
    });
    // Nothing crashed, so nothing was replaced.
    expect((await run(trainer, job({}))).kind).toBe('done');
    expect(childPid()).toBe(before);
  });
});

describe('a trainer process that is killed', () => {
  it('by somebody is an error, not an out-of-memory, and is replaced', async () => {
    const trainer = hermite();
    const killed = run(trainer, job(lasting));
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    const pid = childPid();
    process.kill(pid, 'SIGKILL');
    expect(await killed).toMatchObject({
      ...{ kind: 'failed', reason: 'error', message: expect.stringMatching(/signal SIGKILL/) },
      peakMemoryBytes: expect.any(Number),
    });
    expect((await run(trainer, job({}))).kind).toBe('done');
    expect(childPid()).not.toBe(pid);
  });

  it('by us, for time, is a time-out', async () => {
    const trainer = hermite();
    const result = await run(trainer, job(lasting), { stallTimeoutMs: 3_000 });
    expect(result).toMatchObject({ kind: 'failed', reason: 'timeout' });
    expect((await run(trainer, job({}))).kind).toBe('done');
  });
});

describe('a worker with a GPU', () => {
  const gpu = { uuid: 'GPU-1', name: 'a GPU', memoryBytes: 80e9 };
  const options = { ...{ childPath, runtime: 'wasm', log: silentLog, device: gpu, hostMemoryBytes: 5 } };
  const command = { name: 'c', command: ['true'], cwd: '/', env: {} };

  it('does not promise its memory when the trainer runs on the CPU', async () => {
    const settled = await deviceInUse({ ...options, commands: new Map() }, () => hermite());
    expect(settled).toMatchObject({ device: { uuid: null, memoryBytes: 5 }, runtime: 'wasm' });
  });

  it('promises it for its programs', async () => {
    const commands = new Map([['c', command]]);
    expect(await deviceInUse({ ...options, commands }, () => hermite())).toEqual({
      device: gpu,
      runtime: 'wasm',
    });
  });

  it('promises what was asked for when the trainer cannot start', async () => {
    const broken = () => hermite({ args: ['hermite', 'no-such-runtime'] });
    expect(await deviceInUse({ ...options, commands: new Map() }, broken)).toEqual({
      device: gpu,
      runtime: 'wasm',
    });
  });
});

/** A memory cgroup of our own (version 1), or null where that is not allowed. */
function ownCgroup(limitBytes: number): string | null {
  const group = `/sys/fs/cgroup/memory/parzen-test-${process.pid}`;
  try {
    mkdirSync(group);
    writeFileSync(path.join(group, 'memory.limit_in_bytes'), String(limitBytes));
    return group;
  } catch {
    // Not root, a read-only hierarchy, or version 2 without delegation.
    return null;
  }
}

const cgroup = ownCgroup(600 * 2 ** 20);
afterAll(() => {
  if (cgroup !== null) rmdirSync(cgroup);
});

describe.skipIf(cgroup === null)(
  `in a container with little memory${cgroup === null ? ' (skipped: no memory cgroup can be made here)' : ''}`,
  () => {
    it('the kernel’s kill is an out-of-memory, and the next trial runs', async () => {
      const module = (file: string): string => JSON.stringify(path.join(root, 'dist/worker', file));
      const hopeless = job({ batch_size: 4_000, feature_window: 256, lstm_hidden: 96 }, bars.many);
      const worker = path.join(folder, 'worker.mjs');
      writeFileSync(
        worker,
        `import { writeFileSync } from 'node:fs';
         writeFileSync(${JSON.stringify(`${cgroup ?? ''}/cgroup.procs`)}, String(process.pid));
         const { ChildTrainer } = await import(${module('trainers/child-trainer.js')});
         const log = { debug() {}, info() {}, warn() {}, error() {} };
         const trainer = new ChildTrainer({ childPath: ${JSON.stringify(childPath)}, args: ['hermite', 'wasm'], log });
         const options = { stallTimeoutMs: 2e5, trialTimeoutMs: 2e5, onReport() {}, signal: new AbortController().signal };
         const results = [];
         for (const job of ${JSON.stringify([hopeless, job({})])}) results.push(await trainer.run(job, options));
         await trainer.kill();
         process.stdout.write(JSON.stringify(results));`,
      );
      const child = spawn(process.execPath, [worker], { stdio: ['ignore', 'pipe', 'inherit'] });
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
      await new Promise((resolve) => child.once('close', resolve));
      const [first, second] = JSON.parse(output) as [Record<string, unknown>, Record<string, unknown>];
      expect(first).toMatchObject({
        ...{
          kind: 'failed',
          reason: 'oom',
          message: expect.stringMatching(/SIGKILL .*killed by the kernel/),
        },
      });
      // Looked at once a second: what was seen last lies below the limit, not at zero.
      expect(first['peakMemoryBytes']).toBeGreaterThan(100e6);
      expect(second).toMatchObject({ kind: 'done' });
    });
  },
);
