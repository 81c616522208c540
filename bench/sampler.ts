/**
 * `npm run bench:sampler`: median and p99 of one suggestion over the V6 space, 64 candidates, 64 running trials: fold in
 * the newest result, fit, draw, choose. In the same run, on the same history, Optuna and Rustuna where a Python has them:
 * the ones named in PARZEN_PEER_PYTHONS (paths separated by colons), or `python3`.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import type { FinishedTrial, RunningTrial, TpeRules } from '../shared/core/sampler/sampler.js';
import { StudySampler } from '../shared/core/sampler/study-sampler.js';
import { v6History, v6Score, v6Settings, v6Space } from './sampler-study.js';

const sizes = [250, 1_000, 2_500, 10_000, 100_000];
const running = 64;
/** Suggestions before the clock counts: the compiler has to see the code often enough. */
const warmUp = 200;
/** The peers need seconds per suggestion beyond this. */
const peerSizeMax = 10_000;
const peerTimeoutMs = 1_200_000;

interface Figures {
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly repeats: number;
}

interface PeerLine extends Figures {
  readonly peer: string;
  readonly version: string;
  readonly size: number;
}

function figures(times: number[]): Figures {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { medianMs: at(0.5), p99Ms: at(0.99), repeats: times.length };
}

/** Times suggestions after `size` finished trials; the history must be longer by the repeats. */
function measure(
  history: readonly FinishedTrial[],
  size: number,
  rules: TpeRules,
): Figures & { memoryMb: number } {
  globalThis.gc?.();
  const before = process.memoryUsage();
  const settings = { ...v6Settings, startupTrials: 10, rules };
  const sampler = new StudySampler({ space: v6Space, directions: ['maximize'], settings });
  for (const trial of history.slice(0, size)) sampler.fold(trial);
  const asked: RunningTrial[] = [];
  let number = (history.at(-1)?.number ?? 0) + 1;
  const ask = (): void => {
    asked.push({ number, params: sampler.suggest({ number, running: asked }) });
    number += 1;
  };
  while (asked.length < running) ask();
  const repeats = size > 50_000 ? 100 : 400;
  const times: number[] = [];
  for (let i = 0; i < warmUp + repeats; i++) {
    const newest = history[(size + i) % history.length];
    if (newest === undefined) break;
    const result = { ...newest, number: number + 1_000_000 };
    asked.shift();
    const start = performance.now();
    if (i >= warmUp) sampler.fold(result);
    ask();
    if (i >= warmUp) times.push(performance.now() - start);
  }
  globalThis.gc?.();
  const after = process.memoryUsage();
  const used = (usage: NodeJS.MemoryUsage): number => usage.heapUsed + usage.arrayBuffers;
  return { ...figures(times), memoryMb: (used(after) - used(before)) / 1e6 };
}

/** What the Pythons at hand have to say about the same history. */
function measurePeers(history: readonly FinishedTrial[]): PeerLine[] {
  const folder = mkdtempSync(path.join(tmpdir(), 'parzen-bench-'));
  const file = path.join(folder, 'history.json');
  const trials = history
    .slice(0, peerSizeMax + 500)
    .map(({ params }) => ({ params, value: v6Score(params) }));
  writeFileSync(file, JSON.stringify({ space: v6Space, trials }));
  const script = path.resolve(import.meta.dirname, '../../bench/peers/sampler.py');
  const pythons = (process.env['PARZEN_PEER_PYTHONS'] ?? 'python3').split(':');
  try {
    return pythons.flatMap((python) => {
      const wanted = sizes.filter((size) => size <= peerSizeMax).map(String);
      const run = spawnSync(python, [script, file, ...wanted], { encoding: 'utf8', timeout: peerTimeoutMs });
      if (run.status !== 0 || run.stdout.includes('"missing"')) {
        const reason = run.error?.message ?? run.stderr.trim().split('\n').at(-1) ?? '';
        console.log(`${python}: no peer measured (${reason || 'neither optuna nor rustuna is installed'})`);
        return [];
      }
      return run.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as PeerLine);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const shown = (ms: number): string => ms.toFixed(ms < 10 ? 2 : 0).padStart(9);

function main(): void {
  const model = cpus()[0]?.model ?? 'unknown processor';
  const load = loadavg().map((value) => value.toFixed(1));
  console.log(`${cpus().length} × ${model}, Node ${process.version}, load ${load.join(' ')}`);
  console.log('V6 space, 17 parameters, 64 candidates, 64 running; ms per suggestion\n');
  const withPeers = !process.argv.includes('--no-peers');
  const history = v6History(Math.max(...sizes) + 500, running);
  const peers = withPeers ? measurePeers(history) : [];
  console.log('rules      finished    median      p99   memory MB   ratios to the peers (median)');
  for (const rules of ['optuna-4', 'optuna-5'] as const) {
    for (const size of sizes) {
      const own = measure(history, size, rules);
      const ratios = peers
        .filter((peer) => peer.size === size)
        .map(
          (peer) =>
            `${peer.peer} ${peer.version}: ${peer.medianMs.toFixed(1)} ms = ${(peer.medianMs / own.medianMs).toFixed(0)}×`,
        );
      console.log(
        `${rules} ${String(size).padStart(10)}${shown(own.medianMs)}${shown(own.p99Ms)}` +
          `${own.memoryMb.toFixed(0).padStart(12)}   ${ratios.join(', ')}`,
      );
    }
  }
}

main();
