/**
 * `npm run bench:throughput`: whole trials per second that do nothing but be asked for and told, durable, over real gRPC, on
 * one coordinator; with a PostgreSQL server of the system (PARZEN_PG_BIN names its programs) and with the embedded store.
 * The coordinator, the simulated workers and the database are processes of their own and share this machine's cores. Then
 * what idle workers cost, and how soon a coordinator is ready after kill -9. On the same server Optuna, where a Python of
 * PARZEN_PEER_PYTHONS (paths separated by colons) has it.
 *
 * Options: --workers=1,8,64,500,2000 --sampler=random,tpe --store=postgres,embedded --seconds=5 --history=2500
 * --idle=2000 (workers; 0: not) --restart=2500,100000 (trials; empty: not) --no-peers
 * --profile=FOLDER (CPU profiles of the coordinator and of the load)
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { v6History } from './sampler-study.js';
import { startCoordinator, type Coordinator } from './throughput/coordinator.js';
import { firstAnswer } from './throughput/first-answer.js';
import { measurePeers } from './throughput/peers.js';
import { memoryMb, ownCpuSeconds } from './throughput/processes.js';
import { runLoad, type Measured } from './throughput/run-load.js';
import { embeddedStore, installedPostgres, startPostgres, type Store } from './throughput/stores.js';
import { prepareStudy, type SamplerName } from './throughput/studies.js';

const { values: options } = parseArgs({
  options: {
    workers: { type: 'string', default: '1,8,64,500,2000' },
    sampler: { type: 'string', default: 'random,tpe' },
    store: { type: 'string', default: 'postgres,embedded' },
    seconds: { type: 'string', default: '5' },
    history: { type: 'string', default: '2500' },
    profile: { type: 'string' },
    idle: { type: 'string', default: '2000' },
    restart: { type: 'string', default: '2500,100000' },
    'no-peers': { type: 'boolean', default: false },
  },
});
const list = (text: string): string[] => text.split(',').filter((part) => part !== '');
const seconds = Number(options.seconds);
const profile = options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];
/** The compilers of all processes need to see the code first. */
const warmUpSeconds = Math.min(3, seconds);

/** Null is what NaN becomes between processes: nothing was measured. */
const number = (value: number | null, digits: number, width: number): string =>
  (value ?? NaN).toFixed(digits).padStart(width);

function line(store: string, sampler: string, workers: number, measured: Measured): string {
  const { trials, calls, commits } = measured;
  const perTrial = (cpu: number): string => number((1e3 * cpu) / trials, 2, 7);
  const pair = ([p50, p99]: readonly [number, number]): string => number(p50, 1, 7) + number(p99, 1, 7);
  return (
    `${store.padEnd(9)}${sampler.padEnd(7)}${number(workers, 0, 6)}${number(trials / measured.seconds, 0, 9)}` +
    `${number(calls / trials, 2, 7)}${number(commits / trials, 2, 8)}${pair(measured.askMs)}${pair(measured.tellMs)}` +
    `${number(measured.idleMs[0], 1, 8)}${perTrial(measured.coordinatorCpuSeconds)}` +
    `${perTrial(measured.databaseCpuSeconds)}${perTrial(measured.cpuSeconds)}${number(measured.memoryMb, 0, 6)}${number(measured.failures, 0, 5)}`
  );
}

const heading =
  'store    sampler workers trials/s  calls commits    ask p50/p99   tell p50/p99  idle ms  coord.     db   load    MB fail';

async function measureStore(open: () => Promise<Store>): Promise<void> {
  for (const sampler of list(options.sampler) as SamplerName[]) {
    const store = await open();
    let coordinator: Coordinator | null = null;
    try {
      const history = v6History(Number(options.history), 64);
      // A study for each line: the next would find what the one before left, trials that still run for a lease time among it.
      const loads = [...new Set(list(options.workers))].map((workers) => ({
        workers: Number(workers),
        study: `${sampler}-${workers}`,
      }));
      for (const { study: name } of loads) await prepareStudy(store, { name, sampler, history });
      coordinator = await startCoordinator(store.location, profile);
      let best = 0;
      for (const { workers, study } of loads) {
        const orders = { study, workers, seconds, warmUpSeconds };
        const measured = await runLoad(store, coordinator, orders, profile);
        best = Math.max(best, measured.trials / measured.seconds);
        console.log(line(store.kind, sampler, workers, measured));
      }
      if (store.kind === 'postgres' && !options['no-peers']) await comparePeers(store, sampler, best);
    } finally {
      await coordinator?.kill('SIGTERM');
      await store.remove();
    }
  }
}

async function comparePeers(store: Store, sampler: SamplerName, own: number): Promise<void> {
  const complain = (text: string): void => console.log(text);
  for (const { peer, version, mode, trials, seconds: took } of await measurePeers(store, {
    ...{ sampler, seconds, complain },
  })) {
    const rate = trials / took;
    console.log(
      `${peer} ${version} ${mode}, ${sampler}, 8 processes, from an empty study: ${rate.toFixed(1)} trials/s; ` +
        `Parzen's best: ${(own / rate).toFixed(1)}×`,
    );
  }
}

/** CPU that workers cost which are registered, send heartbeats and hold an ask, and get nothing. */
async function measureIdle(store: Store, workers: number): Promise<void> {
  let coordinator: Coordinator | null = null;
  try {
    const history = v6History(10, 1);
    await prepareStudy(store, { name: 'idle', sampler: 'tpe', history, trials: history.length });
    coordinator = await startCoordinator(store.location, profile);
    // One heartbeat and one long poll of everybody.
    const idleSeconds = Math.max(40, seconds);
    const measured = await runLoad(store, coordinator, {
      ...{ study: 'idle', workers, seconds: idleSeconds, warmUpSeconds: 12 },
    });
    const share = (cpu: number): string => `${((100 * cpu) / measured.seconds).toFixed(1)} %`;
    console.log(
      `${store.kind}: ${workers} idle workers cost ${share(measured.coordinatorCpuSeconds)} of a core in the coordinator, ` +
        `${share(measured.databaseCpuSeconds)} in the database, ${(measured.commits / measured.seconds).toFixed(1)} commits/s; ` +
        `${measured.empty} asks ended, ${measured.failures} failed; coordinator ${measured.memoryMb.toFixed(0)} MB`,
    );
  } finally {
    await coordinator?.kill('SIGTERM');
    await store.remove();
  }
}

/** From the start of the process that follows a kill -9 until it is ready, and until it has answered its first ask. */
async function measureRestart(store: Store, trials: number): Promise<void> {
  let coordinator: Coordinator | null = null;
  try {
    await prepareStudy(store, { name: 'restart', sampler: 'tpe', history: v6History(trials, 64) });
    coordinator = await startCoordinator(store.location);
    await firstAnswer(coordinator, 'restart');
    await coordinator.kill('SIGKILL');
    const startMs = performance.now();
    coordinator = await startCoordinator(store.location);
    await firstAnswer(coordinator, 'restart');
    const answeredMs = performance.now() - startMs;
    const { now, peak } = memoryMb(coordinator.pid);
    console.log(
      `${store.kind}: after kill -9 with ${trials} trials: ready in ${(coordinator.readyMs / 1e3).toFixed(2)} s, ` +
        `first suggestion after ${(answeredMs / 1e3).toFixed(2)} s, CPU ${ownCpuSeconds(coordinator.pid).toFixed(2)} s; ` +
        `coordinator ${now.toFixed(0)} MB, at most ${peak.toFixed(0)} MB`,
    );
  } finally {
    await coordinator?.kill('SIGTERM');
    await store.remove();
  }
}

const load = loadavg().map((value) => value.toFixed(1));
console.log(`${cpus().length} × ${cpus()[0]?.model ?? ''}, Node ${process.version}, load ${load.join(' ')}`);
console.log(
  `no-op trials over the V6 space (17 parameters), ${options.history} finished before; ms; CPU in ms per trial\n`,
);
const bin = installedPostgres();
if (bin === null) console.log('no PostgreSQL server is installed here; PARZEN_PG_BIN names its programs');
const kinds: readonly (() => Promise<Store>)[] = list(options.store).flatMap((kind) => {
  if (kind === 'embedded') return [() => Promise.resolve(embeddedStore())];
  return bin === null ? [] : [() => startPostgres(bin)];
});
if (list(options.workers).length > 0) console.log(heading);
if (list(options.workers).length > 0) for (const open of kinds) await measureStore(open);
for (const open of kinds) {
  if (Number(options.idle) > 0) await measureIdle(await open(), Number(options.idle));
  for (const trials of list(options.restart).map(Number)) await measureRestart(await open(), trials);
}
