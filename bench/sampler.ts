/**
 * `npm run bench:sampler`: median and p99 of one suggestion over the V6 space, 64 candidates, 64 running trials: fold in
 * the newest result, fit, draw, choose; and the memory of the projection. In the same run, on the same history, Optuna and
 * Rustuna where a Python has them: the ones named in PARZEN_PEER_PYTHONS (paths separated by colons), or `python3`.
 * `--no-peers` leaves these out. It takes a minute or two.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir, totalmem } from 'node:os';
import path from 'node:path';
import type { FinishedTrial, RunningTrial, TpeRules } from '../shared/core/sampler/sampler.js';
import { StudySampler } from '../shared/core/sampler/study-sampler.js';
import type { MemoryFigures } from './sampler-memory.js';
import { v6History, v6Score, v6Settings, v6Space } from './sampler-study.js';

const sizes = [250, 1_000, 2_500, 10_000, 100_000];
const allRules = ['optuna-4', 'optuna-5'] as const;
const running = 64;
/** Suggestions before the clock counts: the compiler has to see the code often enough. */
const warmUp = 300;
/** Suggestions that count; fewer of the long ones. */
const repeatsOf = (size: number): number => (size > 50_000 ? 300 : 1_000);
/** The peers need seconds per suggestion beyond this. */
const peerSizeMax = 10_000;
/** A Python gets no longer than this; it ends by itself long before. */
const peerTimeoutMs = 240_000;

interface Figures {
  readonly medianMs: number;
  readonly p99Ms: number;
  /** Processor time per suggestion, collection of garbage included: what is left of a timing on a busy machine. */
  readonly cpuMs: number;
}

interface PeerLine {
  readonly peer: 'optuna' | 'rustuna';
  readonly version: string;
  readonly size: number;
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly repeats: number;
}

/** A study after the first `size` trials of a history, with its 64 trials running. */
class Study {
  readonly #sampler: StudySampler;
  readonly #asked: RunningTrial[] = [];
  #number: number;

  constructor(history: readonly FinishedTrial[], size: number, rules: TpeRules) {
    const settings = { ...v6Settings, startupTrials: 10, rules };
    this.#sampler = new StudySampler({ space: v6Space, directions: ['maximize'], settings });
    for (const trial of history.slice(0, size)) this.#sampler.fold(trial);
    this.#number = (history[size - 1]?.number ?? 0) + 1;
    while (this.#asked.length < running) this.ask();
  }

  ask(): void {
    const number = this.#number++;
    this.#asked.push({ number, params: this.#sampler.suggest({ number, running: this.#asked }) });
  }

  /** The oldest running trial ends; its result is told, or forgotten. Then a suggestion is asked for. Returns the milliseconds. */
  step(isTold: boolean): number {
    const done = this.#asked.shift();
    if (done === undefined) return 0;
    const result: FinishedTrial = { state: 'COMPLETE', ...done, values: [v6Score(done.params)] };
    const start = performance.now();
    if (isTold) this.#sampler.fold(result);
    this.ask();
    return performance.now() - start;
  }
}

/** Times suggestions after the first `size` trials of a history; no study grows by more than a tenth, or fifty. */
function measure(history: readonly FinishedTrial[], size: number, rules: TpeRules): Figures {
  const first = new Study(history, size, rules);
  for (let i = 0; i < warmUp; i++) first.step(false);
  const repeats = repeatsOf(size);
  const times: number[] = [];
  let cpuUs = 0;
  while (times.length < repeats) {
    const study = times.length === 0 ? first : new Study(history, size, rules);
    const before = process.cpuUsage();
    for (let i = Math.min(repeats - times.length, Math.max(50, size / 10)); i > 0; i--)
      times.push(study.step(true));
    const { user, system } = process.cpuUsage(before);
    cpuUs += user + system;
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor((times.length - 1) * share)] ?? 0;
  return { medianMs: at(0.5), p99Ms: at(0.99), cpuMs: cpuUs / 1000 / times.length };
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
      const lines = run.stdout
        .trim()
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as PeerLine);
      if (run.status !== 0 || lines.length === 0) {
        const reason = run.error?.message ?? run.stderr.trim().split('\n').at(-1) ?? '';
        console.log(`A Python without (all) its figures: ${reason || 'it has neither optuna nor rustuna'}`);
      }
      return lines;
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const shown = (ms: number): string => ms.toFixed(ms < 10 ? 2 : 0).padStart(9);

/** Optuna 4 is compared with its own rules, Optuna 5 with its own; Rustuna, which has few of either, with both. */
function isPeerOf({ peer, version }: PeerLine, rules: TpeRules): boolean {
  return peer === 'rustuna' || version.startsWith('4.') === (rules === 'optuna-4');
}

function printPeers(peers: readonly PeerLine[]): void {
  if (peers.length === 0) return;
  console.log('peers          finished    median      p99   suggestions');
  for (const { peer, version, size, medianMs, p99Ms, repeats } of peers) {
    const name = `${peer} ${version}`.padEnd(14);
    console.log(
      `${name}${String(size).padStart(9)}${shown(medianMs)}${shown(p99Ms)}${String(repeats).padStart(14)}`,
    );
  }
  console.log(
    'Optuna: joint, 64 candidates, 64 running (liar), studies in memory. Rustuna: joint, but always 24 candidates and no\n' +
      'regard to running trials: it has less than half of the work. A p99 of few suggestions is their maximum.\n',
  );
}

function printOwn(history: readonly FinishedTrial[], peers: readonly PeerLine[]): void {
  console.log(
    'rules      finished    median      p99      cpu   median of the peers, and how many times as long that is',
  );
  for (const rules of allRules) {
    for (const size of sizes) {
      const own = measure(history, size, rules);
      const ratios = peers
        .filter((peer) => peer.size === size && isPeerOf(peer, rules))
        .map(
          ({ peer, version, medianMs }) =>
            `${peer} ${version}: ${medianMs.toFixed(1)} ms, ${(medianMs / own.medianMs).toFixed(1)}×`,
        );
      const figures = [own.medianMs, own.p99Ms, own.cpuMs].map(shown).join('');
      console.log(`${rules} ${String(size).padStart(10)}${figures}   ${ratios.join('; ')}`);
    }
  }
}

function printMemory(): void {
  console.log('\nprojection (history and sampler) of a study, trials read by pages as from a database');
  console.log('rules      finished   kept MB   shared MB   folded in ms   first suggestion ms');
  for (const rules of allRules) {
    const script = path.join(import.meta.dirname, 'sampler-memory.js');
    const run = spawnSync(process.execPath, ['--expose-gc', script, rules, String(Math.max(...sizes))], {
      encoding: 'utf8',
    });
    if (run.status !== 0) throw new Error(`the memory could not be measured: ${run.stderr}`);
    const { finished, keptMb, sharedMb, foldMs, firstMs } = JSON.parse(run.stdout) as MemoryFigures;
    console.log(
      `${rules} ${String(finished).padStart(10)}${keptMb.toFixed(0).padStart(10)}${sharedMb.toFixed(0).padStart(12)}` +
        `${foldMs.toFixed(0).padStart(15)}${firstMs.toFixed(0).padStart(22)}`,
    );
  }
}

function main(): void {
  const model = cpus()[0]?.model ?? 'unknown processor';
  const load = loadavg().map((value) => value.toFixed(1));
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  console.log(`${cpus().length} × ${model}, ${memory} GiB, Node ${process.version}, load ${load.join(' ')}`);
  console.log('V6 space, 17 parameters, 64 candidates, 64 running; ms per suggestion\n');
  const history = v6History(Math.max(...sizes), running);
  const peers = process.argv.includes('--no-peers') ? [] : measurePeers(history);
  printPeers(peers);
  printOwn(history, peers);
  printMemory();
}

main();
