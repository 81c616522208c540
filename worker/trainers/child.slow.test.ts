import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { encodeCandles } from '../../shared/core/market/candle-codec.js';
import { makeSyntheticCandles } from '../../shared/core/market/synthetic-market.js';
import { instantMetrics } from './instant.js';
import type { TrialJob } from './port.js';
import { runtimeNames } from './runtime/runtime.js';
import { childExitCodes, type FromChild, type ToChild } from './protocol.js';

const childPath = path.resolve(import.meta.dirname, '../../dist/worker/trainers/child.js');

let folder: string;
let dataPath: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'parzen-child-'));
  dataPath = path.join(folder, 'candles');
  const market = { name: 'test', seed: 3, bars: 1300, volatility: 0.005, signal: 0.6 };
  writeFileSync(dataPath, encodeCandles(makeSyntheticCandles(market)));
});
afterAll(() => rmSync(folder, { recursive: true }));

const children: ChildProcess[] = [];
afterEach(() => children.splice(0).forEach((child) => child.kill('SIGKILL')));

/** A trainer process with its messages in order. */
function start(...args: string[]) {
  const child = fork(childPath, args, {
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  children.push(child);
  const queue: FromChild[] = [];
  let wake: () => void = () => undefined;
  child.on('message', (message: FromChild) => {
    queue.push(message);
    wake();
  });
  const output: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => output.push(chunk));
  const next = async (): Promise<FromChild> => {
    for (;;) {
      const message = queue.shift();
      if (message !== undefined) return message;
      await new Promise<void>((resolve) => (wake = resolve));
    }
  };
  const send = (message: ToChild): void => void child.send(message);
  const exit = once(child, 'exit') as Promise<[number | null, string | null]>;
  return { child, next, send, exit, printed: () => Buffer.concat(output).toString() };
}

const job = (params: TrialJob['params'], extra: Partial<TrialJob> = {}): TrialJob => ({
  study: 'test',
  number: 0,
  attempt: 1,
  params,
  seed: 5,
  dataPath,
  evaluation: {
    fold_count: 2,
    train_rows_min: 200,
    train_rows_max: 400,
    early_stop_rows: 100,
    calibration_rows: 300,
    test_rows: 100,
    holdout_rows: 0,
    window_max: 16,
  },
  ...extra,
});

const tiny = {
  feature_window: 8,
  hermite_hidden_dim: 8,
  lstm_hidden: 8,
  batch_size: 64,
  prob_source: 'logit',
  steps: 6,
} as const;

describe('the instant trainer in a process', () => {
  test('answers one job after the other, and the numbers survive', async () => {
    const { next, send } = start('instant');
    expect(await next()).toMatchObject({ type: 'ready', runtime: 'none' });
    for (const x of [0.5, -1, NaN]) {
      send({ type: 'run', job: job({ x, y: 'a' }) });
      const metrics = instantMetrics({ x, y: 'a' });
      expect(await next()).toEqual({ type: 'report', step: 0, metrics });
      expect(await next()).toEqual({ type: 'done', done: { metrics, peakMemoryBytes: null } });
    }
  });

  test('ends when the worker is gone', async () => {
    const { child, next, exit } = start('instant');
    await next();
    child.disconnect();
    expect(await exit).toEqual([childExitCodes.parentGone, null]);
  });
});

describe('a process that cannot start', () => {
  test.each([
    [['nonsense'], "unknown trainer 'nonsense': one of hermite, instant"],
    [['hermite', 'abacus'], `unknown runtime 'abacus': use auto or one of ${runtimeNames.join(', ')}`],
  ])('%j says why', async (args, message) => {
    const { next, exit } = start(...args);
    expect(await next()).toEqual({ type: 'failed', reason: 'error', message, peakMemoryBytes: null });
    expect(await exit).toEqual([childExitCodes.cannotStart, null]);
  });
});

describe('the hermite trainer in a process', () => {
  test('trains, reports each fold, stays for the next trial, and prints nothing', async () => {
    const { next, send, printed } = start('hermite', 'wasm');
    expect(await next()).toMatchObject({ type: 'ready', runtime: 'wasm' });
    const results: FromChild[] = [];
    for (let attempt = 0; attempt < 2; attempt += 1) {
      send({ type: 'run', job: job(tiny) });
      expect(await next()).toMatchObject({ type: 'report', step: 0 });
      expect(await next()).toMatchObject({ type: 'report', step: 1 });
      results.push(await next());
    }
    const auc = results.map((result) => (result.type === 'done' ? result.done.metrics['auc'] : result));
    expect(auc[0]).toBeGreaterThan(0);
    expect(auc[1]).toBe(auc[0]);
    expect(printed()).toBe('');
  });

  test('a wrong job fails, and the next one still runs', async () => {
    const { next, send } = start('hermite');
    await next();
    send({ type: 'run', job: job({ ...tiny, drop_out: 0.1 }) });
    expect(await next()).toMatchObject({
      type: 'failed',
      reason: 'error',
      message: 'parameter.drop_out: unknown key; did you mean dropout?',
    });
    send({ type: 'run', job: job(tiny) });
    expect(await next()).toMatchObject({ type: 'report', step: 0 });
  });

  test('stops within a step when asked, and runs the next job', async () => {
    const { next, send } = start('hermite');
    await next();
    send({ type: 'run', job: job({ ...tiny, steps: 1_000_000, eval_every_steps: 1_000_000 }) });
    send({ type: 'stop' });
    expect(await next()).toEqual({ type: 'stopped' });
    send({ type: 'run', job: job(tiny) });
    expect(await next()).toMatchObject({ type: 'report', step: 0 });
  });

  test('ends in the middle of a trial when the worker dies', async () => {
    const { child, next, send, exit } = start('hermite');
    await next();
    send({ type: 'run', job: job({ ...tiny, steps: 1_000_000, eval_every_steps: 1_000_000 }) });
    child.disconnect();
    expect(await exit).toEqual([childExitCodes.parentGone, null]);
  });

  test('after running out of memory the process ends, having said so', async () => {
    const { next, send, exit } = start('hermite');
    await next();
    // The LSTM state of 512 rows over 4,000 steps takes 4.8 GB, more than WebAssembly can address.
    const longPath = path.join(folder, 'long');
    const market = { name: 'test', seed: 3, bars: 6000, volatility: 0.005, signal: 0.6 };
    writeFileSync(longPath, encodeCandles(makeSyntheticCandles(market)));
    const large = { ...tiny, lstm_hidden: 96, feature_window: 4000, batch_size: 512 };
    const rows = { train_rows_min: 512, train_rows_max: 512, window_max: 4000 };
    const evaluation = { ...job(tiny).evaluation, ...rows };
    send({ type: 'run', job: job(large, { evaluation, dataPath: longPath }) });
    expect(await next()).toMatchObject({ type: 'failed', reason: 'oom' });
    expect(await exit).toEqual([childExitCodes.outOfMemory, null]);
  });
});
