/** Real programs under the compiled process that runs them. */
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { silentLog, type Log } from '../../../shared/platform/log.js';
import type { Metrics } from '../../../shared/core/study/trial.js';
import { createTrainerProcess } from '../../agent/trainer-processes.js';
import { cpuDevice } from '../../gpu/device.js';
import { processesOfGroup } from '../../gpu/process-memory.js';
import type { ChildTrainer } from '../child-trainer.js';
import type { TrialJob } from '../port.js';
import { loadCommands } from './load-commands.js';

const root = path.resolve(import.meta.dirname, '../../..');
const childPath = path.join(root, 'dist/worker/trainers/child.js');
const examples = path.join(root, 'docs/guides/examples');
const searchPath = process.env['PATH'] ?? '';
const reserved = ['hermite', 'instant'];

let folder: string;
beforeAll(() => {
  if (!existsSync(childPath)) throw new Error('dist/ is missing: npm run build');
  folder = mkdtempSync(path.join(tmpdir(), 'parzen-command-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const trainers: ChildTrainer[] = [];
afterEach(() => Promise.all(trainers.splice(0).map((trainer) => trainer.kill())));

const job = (params: TrialJob['params'] = {}): TrialJob => ({
  ...{ study: 'study', number: 3, attempt: 1, params, seed: 17, dataPath: null, evaluation: {} },
});

function trainerFor(file: string, name: string, log: Log = silentLog): ChildTrainer {
  const trainer = createTrainerProcess(name, {
    ...{ childPath, runtime: 'auto', log, device: cpuDevice(1), hostMemoryBytes: 2 ** 40 },
    commands: loadCommands(file, { reserved, searchPath }),
  });
  trainers.push(trainer);
  return trainer;
}

/** A trainer whose program is this shell script. */
function scriptTrainer(script: string, log: Log = silentLog): ChildTrainer {
  const file = path.join(folder, 'program.sh');
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  const definitions = path.join(folder, 'trainers.yaml');
  writeFileSync(definitions, 'program: {command: [./program.sh, "an argument"]}\n');
  return trainerFor(definitions, 'program', log);
}

interface RunOptions {
  readonly params?: TrialJob['params'];
  readonly stallTimeoutMs?: number;
  readonly trialTimeoutMs?: number;
  readonly stopAfterReports?: number;
}

async function run(
  trainer: ChildTrainer,
  { params = {}, stopAfterReports = Infinity, ...limits }: RunOptions = {},
) {
  const reports: [number, Metrics][] = [];
  const stop = new AbortController();
  const result = await trainer.run(job(params), {
    ...{ stallTimeoutMs: 20_000, trialTimeoutMs: 60_000, ...limits, signal: stop.signal },
    onReport: (step, metrics) => {
      reports.push([step, metrics]);
      if (reports.length >= stopAfterReports) stop.abort();
    },
  });
  return { result, reports };
}

const alive = (pid: number): boolean => existsSync(`/proc/${pid}`) && !isZombie(pid);
const isZombie = (pid: number): boolean =>
  / Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8').split(')').at(-1) ?? '');

async function until(condition: () => boolean, limitMs = 10_000): Promise<void> {
  const deadline = Date.now() + limitMs;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`did not come true: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const havePython = spawnSync('python3', ['--version']).status === 0;

describe('the documented examples', () => {
  it.skipIf(!havePython)(
    `in Python run${havePython ? '' : ' (skipped: python3 is not installed)'}`,
    async () => {
      const trainer = trainerFor(path.join(examples, 'trainers.yaml'), 'python-example');
      const { result, reports } = await run(trainer, { params: { rate: 0.5 } });
      expect(reports.map(([step]) => step)).toEqual([0, 1, 2, 3, 4]);
      expect(result).toMatchObject({ kind: 'done', metrics: { loss: reports[4]![1]['loss'] } });
      // The same seed, the same figures.
      expect((await run(trainer, { params: { rate: 0.5 } })).reports).toEqual(reports);
      expect((await run(trainer, { params: { rate: 1e300 } })).result).toMatchObject({
        ...{ kind: 'failed', reason: 'diverged', message: expect.stringContaining('at step 0') },
      });
    },
  );

  it('in shell run', async () => {
    const trainer = trainerFor(path.join(examples, 'trainers.yaml'), 'shell-example');
    const { result, reports } = await run(trainer, { params: { rate: 0.5 } });
    expect(reports).toEqual([
      [0, { loss: 0.5 }],
      [1, { loss: 0.25 }],
      [2, { loss: 0.125 }],
    ]);
    expect(result).toMatchObject({ kind: 'done', metrics: { loss: 0.125 } });
  });

  it('are as long as the guide says', () => {
    const lines = (name: string) =>
      readFileSync(path.join(examples, name), 'utf8').trimEnd().split('\n').length;
    expect(lines('train.py')).toBe(20);
    expect(lines('train.sh')).toBe(10);
  });
});

describe('a program', () => {
  it('gets parameters as JSON and as variables, and no value is run', async () => {
    const evil = '$(touch pwned); `touch pwned` "\'\n{"done":{}}';
    const trainer = scriptTrainer(
      'cat > input.json; printf "%s" "$PARZEN_PARAM_KIND" > kind.txt; printf "%s" "$1" > argument.txt; echo \'{"done":{"a":1}}\'',
    );
    const { result } = await run(trainer, { params: { kind: evil, rate: 1e-7, deep: true, none: null } });
    expect(result).toMatchObject({ kind: 'done', metrics: { a: 1 } });
    const input = readFileSync(path.join(folder, 'input.json'), 'utf8');
    expect(JSON.parse(input)).toEqual({ kind: evil, rate: 1e-7, deep: true, none: null });
    expect(input.trimEnd()).not.toContain('\n');
    expect(readFileSync(path.join(folder, 'kind.txt'), 'utf8')).toBe(evil);
    expect(readFileSync(path.join(folder, 'argument.txt'), 'utf8')).toBe('an argument');
    expect(existsSync(path.join(folder, 'pwned'))).toBe(false);
  });

  it('need not read its input, however large', async () => {
    const { result } = await run(scriptTrainer('echo \'{"done":{}}\''), {
      params: { big: 'x'.repeat(100_000) },
    });
    expect(result).toMatchObject({ kind: 'done' });
  });

  it('whose value the system cannot pass on fails with the reason', async () => {
    const { result } = await run(scriptTrainer('true'), { params: { text: 'a\0b' } });
    expect(result).toMatchObject({ kind: 'failed', reason: 'error', message: /cannot be started/ });
    const large = await run(scriptTrainer('true'), { params: { text: 'x'.repeat(1_000_000) } });
    expect(large.result).toMatchObject({
      kind: 'failed',
      message: expect.stringMatching(/cannot be started.*E2BIG/),
    });
  });

  it.each([
    ['exit 0', 'error', /without \{"done"/],
    ['echo oh no >&2; exit 3', 'error', /exit code 3: oh no/],
    ['kill -SEGV $$', 'error', /signal SIGSEGV/],
    ['kill -KILL $$', 'error', /signal SIGKILL/],
    [
      'echo "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB" >&2; exit 1',
      'oom',
      /CUDA/,
    ],
    ['echo MemoryError; exit 1', 'oom', /memory of the process/],
    ['echo \'{"done":{"a":1}}\'; exit 1', 'error', /printed a result, but then .*exit code 1/],
    ['echo \'{"failed":"infeasible","message":"no rows"}\'', 'infeasible', /^no rows$/],
    ['echo \'{"step":0,"a":"high"}\'; sleep 30', 'error', /wrong line .*metric 'a' is "high"/],
  ])('that ends with `%s` fails as %s', async (script, reason, message) => {
    const { result } = await run(scriptTrainer(script));
    expect(result).toMatchObject({ kind: 'failed', reason, message: expect.stringMatching(message) });
  });

  it('ran out of memory under its own limit: oom, and the next trial runs', async () => {
    const trainer = scriptTrainer(
      'if [ "$PARZEN_PARAM_BIG" = true ]; then ulimit -v 3000000; fi\n' +
        `${JSON.stringify(process.execPath)} -e 'if (process.env.PARZEN_PARAM_BIG === "true") Buffer.alloc(4e9, 1)' || exit $?\necho '{"done":{"a":1}}'`,
    );
    expect((await run(trainer, { params: { big: true } })).result).toMatchObject({
      kind: 'failed',
      reason: 'oom',
    });
    expect((await run(trainer, { params: { big: false } })).result).toMatchObject({ kind: 'done' });
  });

  it('has its peak memory measured, also when it fails', async () => {
    const program = (end: string) =>
      scriptTrainer(
        `${JSON.stringify(process.execPath)} -e 'const a = Buffer.alloc(3e8, 1); setTimeout(() => a, 1500)'\n${end}`,
      );
    for (const end of ['echo \'{"done":{}}\'', 'exit 1']) {
      const { result } = await run(program(end));
      const bytes = 'peakMemoryBytes' in result ? result.peakMemoryBytes : null;
      expect(bytes).toBeGreaterThan(3e8);
      expect(bytes).toBeLessThan(5e8);
    }
    expect((await run(scriptTrainer('echo \'{"done":{},"peak_memory_bytes":5}\''))).result).toMatchObject({
      peakMemoryBytes: 5,
    });
  });

  it('that hangs after its result is ended, and the result counts', async () => {
    const { result } = await run(scriptTrainer('echo \'{"done":{"a":2}}\'; sleep 100'));
    expect(result).toMatchObject({ kind: 'done', metrics: { a: 2 } });
  });

  it('leaves nothing running: not on stop, not on time-out, not when it ends', async () => {
    const script = (end: string) => `sleep 100 & echo $! > sleeper.pid\necho '{"step":0}'\n${end}`;
    const sleeper = () => Number(readFileSync(path.join(folder, 'sleeper.pid'), 'utf8'));

    expect((await run(scriptTrainer(script('wait')), { stopAfterReports: 1 })).result).toEqual({
      kind: 'stopped',
    });
    await until(() => !alive(sleeper()));
    // A program that ignores SIGTERM is killed.
    const deaf = await run(scriptTrainer(`trap "" TERM\n${script('while :; do sleep 1; done')}`), {
      stopAfterReports: 1,
    });
    expect(deaf.result).toEqual({ kind: 'stopped' });
    await until(() => !alive(sleeper()));
    const stalled = await run(scriptTrainer(script('wait')), { stallTimeoutMs: 500 });
    expect(stalled.result).toMatchObject({ kind: 'failed', reason: 'timeout' });
    await until(() => !alive(sleeper()));
    const late = await run(scriptTrainer(script('while :; do echo \'{"step":1}\'; sleep 0.1; done')), {
      trialTimeoutMs: 500,
    });
    expect(late.result).toMatchObject({ kind: 'failed', reason: 'timeout', message: /too long/ });
    await until(() => !alive(sleeper()));
    expect((await run(scriptTrainer(script('echo \'{"done":{}}\'')))).result).toMatchObject({ kind: 'done' });
    await until(() => !alive(sleeper()));
  });

  it('dies with its worker, however hard that dies', async () => {
    const trainerFile = path.join(folder, 'outlive.yaml');
    const pids = path.join(folder, 'outlive.pids');
    writeFileSync(trainerFile, `outlive: {command: [sh, -c, "sleep 100 & echo $! $$ > ${pids}; wait"]}\n`);
    const code = `
      import { createTrainerProcess } from ${JSON.stringify(path.join(root, 'dist/worker/agent/trainer-processes.js'))};
      import { loadCommands } from ${JSON.stringify(path.join(root, 'dist/worker/trainers/command/load-commands.js'))};
      const log = { debug() {}, info() {}, warn() {}, error() {} };
      const commands = loadCommands(${JSON.stringify(trainerFile)}, { reserved: [], searchPath: process.env.PATH });
      const device = { uuid: null, name: 'cpu', memoryBytes: 1 };
      const trainer = createTrainerProcess('outlive', { childPath: ${JSON.stringify(childPath)}, runtime: 'auto', commands, device, hostMemoryBytes: 1, log });
      await trainer.run(${JSON.stringify(job())}, { stallTimeoutMs: 1e6, trialTimeoutMs: 1e6, onReport() {}, signal: new AbortController().signal });`;
    const file = path.join(folder, 'worker.mjs');
    writeFileSync(file, code);
    const worker = spawn(process.execPath, [file], { stdio: 'inherit' });
    await until(() => existsSync(pids) && readFileSync(pids, 'utf8').trim().split(' ').length === 2, 20_000);
    const [first, second] = readFileSync(pids, 'utf8').trim().split(' ').map(Number);
    expect(alive(first!) && alive(second!)).toBe(true);
    worker.kill('SIGKILL');
    await until(() => !alive(first!) && !alive(second!));
  });

  it('has its other output in the worker’s log, bounded', async () => {
    const lines: string[] = [];
    const log: Log = { ...silentLog, debug: (_, message) => lines.push(message) };
    const flood =
      'echo hello >&2; sleep 1; i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; echo \'{"done":{}}\'';
    expect((await run(scriptTrainer(flood, log))).result).toMatchObject({ kind: 'done' });
    expect(lines).toContain('hello');
    expect(lines.length).toBeLessThan(1_000);
  });
});

describe('a group of processes', () => {
  it('is found by its leader', () => {
    expect(
      processesOfGroup(
        Number(spawnSync('ps', ['-o', 'pgid=', '-p', String(process.pid)], { encoding: 'utf8' }).stdout),
      ),
    ).toContain(process.pid);
  });
});
