/** Runs the simulated workers against a coordinator and puts together what both sides, and the database, saw. */
import { fork } from 'node:child_process';
import path from 'node:path';
import type { Coordinator } from './coordinator.js';
import type { LoadMessage, LoadOrders, LoadResult } from './load.js';
import { cpuSeconds, memoryMb, ownCpuSeconds } from './processes.js';
import { writingTransactions, type Store } from './stores.js';

export interface Measured extends LoadResult {
  /** Writing transactions within the measured time. */
  readonly commits: number;
  readonly coordinatorCpuSeconds: number;
  readonly databaseCpuSeconds: number;
  readonly memoryMb: number;
}

interface Snapshot {
  readonly commits: number;
  readonly coordinator: number;
  readonly database: number;
}

const snapshot = async (store: Store, coordinator: Coordinator): Promise<Snapshot> => ({
  coordinator: ownCpuSeconds(coordinator.pid),
  database: cpuSeconds(store.serverPid() ?? 0),
  commits: await writingTransactions(store),
});

/** Workers that share a connection. */
const workersPerConnection = 250;

export async function runLoad(
  store: Store,
  coordinator: Coordinator,
  orders: Omit<LoadOrders, 'address' | 'connections'>,
  nodeOptions: readonly string[] = [],
): Promise<Measured> {
  const all: LoadOrders = {
    ...orders,
    address: coordinator.address,
    connections: Math.ceil(orders.workers / workersPerConnection),
  };
  const child = fork(path.join(import.meta.dirname, 'load.js'), [JSON.stringify(all)], {
    execArgv: [...nodeOptions],
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const next = (kind: LoadMessage['kind']): Promise<LoadMessage> =>
    new Promise((resolve, reject) => {
      child.on('message', (message: LoadMessage) => message.kind === kind && resolve(message));
      child.once('exit', (code) => reject(new Error(`the simulated workers ended early (${code})`)));
    });
  const done = next('done');
  done.catch(() => undefined);
  await next('warm');
  const before = await snapshot(store, coordinator);
  const message = await done;
  const after = await snapshot(store, coordinator);
  await ended;
  if (message.kind !== 'done') throw new Error('no result');
  return {
    ...message.result,
    commits: after.commits - before.commits - 1,
    coordinatorCpuSeconds: after.coordinator - before.coordinator,
    databaseCpuSeconds: after.database - before.database,
    memoryMb: memoryMb(coordinator.pid).peak,
  };
}
