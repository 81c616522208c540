/**
 * Simulated workers, many in one process: each registers, sends heartbeats, asks for a trial and tells its result at
 * once. Real gRPC on few connections. Started by `bench/throughput.ts` with its orders as one JSON argument; sends what
 * it measured to its parent.
 */
import { credentials, type Client } from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { retrying, unary, clientChannelOptions } from '../../shared/wire/call.js';
import { paramsFromWire } from '../../shared/wire/convert.js';
import { TrialServiceClient, type Assignment } from '../../shared/wire/gen/parzen/v1/trial.js';
import { v6Score } from '../sampler-study.js';

export interface LoadOrders {
  readonly address: string;
  readonly study: string;
  readonly workers: number;
  readonly connections: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

export interface LoadResult {
  /** Trials told within the measured time. */
  readonly trials: number;
  readonly seconds: number;
  /** Asks and tells made within the measured time, and asks that were answered with nothing. */
  readonly calls: number;
  readonly empty: number;
  readonly failures: number;
  readonly askMs: readonly [p50: number, p99: number];
  readonly tellMs: readonly [p50: number, p99: number];
  /** From the end of a trial until the next one is there: tell and ask. */
  readonly idleMs: readonly [p50: number, p99: number];
  readonly cpuSeconds: number;
}

export type LoadMessage = { readonly kind: 'warm' } | { readonly kind: 'done'; readonly result: LoadResult };

const heartbeatMs = 10_000;
const deadlineMs = 60_000;
const waitMs = 20_000;

class Tally {
  readonly ask: number[] = [];
  readonly tell: number[] = [];
  readonly idle: number[] = [];
  trials = 0;
  empty = 0;
  failures = 0;
  counting = false;
}

async function work(client: TrialServiceClient, orders: LoadOrders, over: AbortSignal, tally: Tally) {
  const workerId = `bench-${process.pid}-${randomUUID()}`;
  const call = { deadlineMs, signal: over };
  const worker = { workerId, host: 'bench', gpuUuid: '', gpuName: 'none', gpuMemoryBytes: 0 };
  const registration = { ...worker, slots: 1, runtime: 'none', version: '0', study: '', trainers: [] };
  await retrying(() => unary(client.register.bind(client), registration, call), {
    ...{ random: Math.random, signal: over, attemptsMax: 100 },
    sleep: (ms) => sleep(ms / 1e3),
  });
  const ask = client.ask.bind(client);
  const tell = client.tell.bind(client);
  const held = new Set<string>();
  const beat = setInterval(
    () => {
      const request = { workerId, leaseTokens: [...held] };
      unary(client.heartbeat.bind(client), request, call).catch(() => (tally.failures += 1));
    },
    heartbeatMs * (0.9 + Math.random() / 5),
  );
  let endedMs = performance.now();
  for (;;) {
    try {
      const startMs = performance.now();
      const request = {
        requestId: randomUUID(),
        workerId,
        study: orders.study,
        waitMs,
        trainers: [],
        ahead: false,
      };
      const { outcome } = await unary(ask, request, call);
      const assignedMs = performance.now();
      if (outcome?.$case !== 'assignment') {
        if (tally.counting) tally.empty += 1;
        continue;
      }
      const assignment = outcome.value;
      held.add(assignment.leaseToken);
      const metrics = resultOf(assignment);
      const tellMs = performance.now();
      await unary(
        tell,
        {
          leaseToken: assignment.leaseToken,
          outcome: { $case: 'completed', value: { metrics } },
          peakMemoryBytes: 0,
        },
        call,
      );
      held.delete(assignment.leaseToken);
      if (tally.counting) {
        tally.trials += 1;
        tally.ask.push(assignedMs - startMs);
        tally.tell.push(performance.now() - tellMs);
        tally.idle.push(assignedMs - endedMs);
      }
      endedMs = tellMs;
    } catch {
      if (over.aborted) break;
      tally.failures += 1;
    }
  }
  clearInterval(beat);
}

/** A made-up result of the right shape that depends on the parameters. */
function resultOf({ params }: Assignment): Record<string, number> {
  const score = v6Score(paramsFromWire(params));
  return { auc: score, dir_acc: score * 0.9, brier: 0.24, sharpe: score - 0.5, trades: 812, loss: 1 - score };
}

function quantiles(times: number[]): readonly [number, number] {
  const sorted = times.sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.floor(sorted.length * share)] ?? NaN;
  return [at(0.5), at(0.99)];
}

const sleep = (seconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, seconds * 1e3));
const send = (message: LoadMessage): void => void process.send?.(message);

async function main(orders: LoadOrders): Promise<void> {
  const options = { ...clientChannelOptions, 'grpc.use_local_subchannel_pool': 1 };
  const clients = Array.from(
    { length: orders.connections },
    () => new TrialServiceClient(orders.address, credentials.createInsecure(), options),
  );
  const over = new AbortController();
  setMaxListeners(0, over.signal);
  const tally = new Tally();
  const workers = Array.from({ length: orders.workers }, (_, index) => {
    const client = clients[index % clients.length];
    return client === undefined ? Promise.resolve() : work(client, orders, over.signal, tally);
  });
  await sleep(orders.warmUpSeconds);
  send({ kind: 'warm' });
  tally.counting = true;
  const startMs = performance.now();
  const cpuBefore = process.cpuUsage();
  await sleep(orders.seconds);
  tally.counting = false;
  const seconds = (performance.now() - startMs) / 1e3;
  const cpu = process.cpuUsage(cpuBefore);
  const { trials, empty, failures } = tally;
  send({
    kind: 'done',
    result: {
      ...{ trials, seconds, empty, failures, calls: 2 * trials + empty },
      askMs: quantiles(tally.ask),
      tellMs: quantiles(tally.tell),
      idleMs: quantiles(tally.idle),
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
    },
  });
  over.abort();
  await Promise.allSettled(workers);
  for (const client of clients as Client[]) client.close();
  process.disconnect();
}

await main(JSON.parse(process.argv[2] ?? '{}') as LoadOrders);
