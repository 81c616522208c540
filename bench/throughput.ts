/**
 * `npm run bench:throughput`: whole trials per second that do nothing but be asked for and told, durable, over real gRPC, on
 * one coordinator; with a PostgreSQL server of the system (PARZEN_PG_BIN names its programs) and with the embedded store.
 * The coordinator, the simulated workers and the database are processes of their own and share this machine's cores.
 *
 * Options: --workers=1,8,64,500,2000 --sampler=random,tpe --store=postgres,embedded --seconds=5 --history=2500
 * --profile=FOLDER (CPU profiles of the coordinator) --no-peers
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { v6History } from './sampler-study.js';
import { startCoordinator, type Coordinator } from './throughput/coordinator.js';
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
    'no-peers': { type: 'boolean', default: false },
  },
});
const list = (text: string): string[] => text.split(',').filter((part) => part !== '');
const seconds = Number(options.seconds);
/** The compilers of all processes need to see the code first. */
const warmUpSeconds = Math.min(3, seconds);

const number = (value: number, digits: number, width: number): string =>
  value.toFixed(digits).padStart(width);

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
      await prepareStudy(store, { name: sampler, sampler, history });
      const profile =
        options.profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profile}`];
      coordinator = await startCoordinator(store.location, profile);
      for (const workers of list(options.workers).map(Number)) {
        const measured = await runLoad(store, coordinator, {
          ...{ study: sampler, workers, seconds, warmUpSeconds },
        });
        console.log(line(store.kind, sampler, workers, measured));
      }
    } finally {
      await coordinator?.kill('SIGTERM');
      await store.remove();
    }
  }
}

const load = loadavg().map((value) => value.toFixed(1));
console.log(`${cpus().length} × ${cpus()[0]?.model ?? ''}, Node ${process.version}, load ${load.join(' ')}`);
console.log(
  `no-op trials over the V6 space (17 parameters), ${options.history} finished before; ms; CPU in ms per trial\n`,
);
console.log(heading);
const bin = installedPostgres();
if (list(options.store).includes('postgres')) {
  if (bin === null) console.log('no PostgreSQL server is installed here; PARZEN_PG_BIN names its programs');
  else await measureStore(() => startPostgres(bin));
}
if (list(options.store).includes('embedded')) await measureStore(() => Promise.resolve(embeddedStore()));
