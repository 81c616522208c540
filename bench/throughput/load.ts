/**
 * Simulated workers, many in one process: each registers, sends heartbeats, asks for a trial and tells its result at
 * once. Real gRPC on few connections, by a client that costs little. Started by `bench/throughput.ts` with its orders as one JSON argument; sends what
 * it measured to its parent.
 */
import { randomUUID } from 'node:crypto';
import { paramsFromWire } from '../../shared/wire/convert.js';
import {
  AskRequest,
  AskResponse,
  HeartbeatRequest,
  RegisterRequest,
  TellRequest,
  TellResponse,
  TellResponse_Result,
  TrialServiceService,
  type Assignment,
} from '../../shared/wire/gen/parzen/v1/trial.js';
import { v6Score } from '../sampler-study.js';
import { headersOf, LightClient } from './light-client.js';

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
  calls = 0;
  empty = 0;
  failures = 0;
  counting = false;

  call(): void {
    if (this.counting) this.calls += 1;
  }
}

type Headers = Readonly<Record<keyof typeof TrialServiceService, Buffer>>;

/** The calls of one simulated worker. */
class Caller {
  readonly #client: LightClient;
  readonly #headers: Headers;
  readonly #tally: Tally;

  constructor(client: LightClient, headers: Headers, tally: Tally) {
    this.#client = client;
    this.#headers = headers;
    this.#tally = tally;
  }

  async ask(request: AskRequest): Promise<AskResponse> {
    this.#tally.call();
    const answer = await this.#client.call(this.#headers.ask, AskRequest.encode(request).finish());
    return AskResponse.decode(answer);
  }

  /** Rejects when the result was not recorded. */
  async tell(request: TellRequest): Promise<void> {
    this.#tally.call();
    const answer = await this.#client.call(this.#headers.tell, TellRequest.encode(request).finish());
    const { result } = TellResponse.decode(answer);
    if (result !== TellResponse_Result.RECORDED) throw new Error(`a result was told and is ${result}`);
  }

  async register(request: RegisterRequest): Promise<void> {
    await this.#client.call(this.#headers.register, RegisterRequest.encode(request).finish());
  }

  async heartbeat(request: HeartbeatRequest): Promise<void> {
    await this.#client.call(this.#headers.heartbeat, HeartbeatRequest.encode(request).finish());
  }
}

async function work(caller: Caller, orders: LoadOrders, over: AbortSignal, tally: Tally) {
  const workerId = `bench-${process.pid}-${randomUUID()}`;
  const worker = { workerId, host: 'bench', gpuUuid: '', gpuName: 'none', gpuMemoryBytes: 0 };
  await caller.register({ ...worker, slots: 1, runtime: 'none', version: '0', study: '', trainers: [] });
  let held = '';
  let idle = 0;
  const beat = setInterval(
    () => {
      // As the worker does it (`keepBeating`).
      idle = held === '' ? idle + 1 : 0;
      if (idle % 2 === 1) return;
      const request = { workerId, leaseTokens: held === '' ? [] : [held] };
      caller.heartbeat(request).catch(() => (tally.failures += 1));
    },
    heartbeatMs * (0.9 + Math.random() / 5),
  );
  let asks = 0;
  let endedMs = performance.now();
  for (;;) {
    try {
      const startMs = performance.now();
      const requestId = `${workerId}-${(asks += 1)}`;
      const { outcome } = await caller.ask({
        ...{ requestId, workerId, study: orders.study, waitMs, trainers: [], ahead: false },
      });
      const assignedMs = performance.now();
      if (outcome?.$case !== 'assignment') {
        if (tally.counting) tally.empty += 1;
        continue;
      }
      held = outcome.value.leaseToken;
      const metrics = resultOf(outcome.value);
      const tellMs = performance.now();
      await caller.tell({
        leaseToken: held,
        outcome: { $case: 'completed', value: { metrics } },
        peakMemoryBytes: 0,
      });
      held = '';
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
      await sleep(0.1);
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
  const headers = Object.fromEntries(
    Object.entries(TrialServiceService).map(([method, { path }]) => [
      method,
      headersOf(path, orders.address, deadlineMs),
    ]),
  ) as Headers;
  const clients = await Promise.all(
    Array.from({ length: orders.connections }, () => LightClient.connect(orders.address)),
  );
  const over = new AbortController();
  const tally = new Tally();
  const workers = Array.from({ length: orders.workers }, (_, index) => {
    const client = clients[index % clients.length];
    if (client === undefined) throw new Error('there is no connection');
    return work(new Caller(client, headers, tally), orders, over.signal, tally);
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
  const { trials, calls, empty, failures } = tally;
  send({
    kind: 'done',
    result: {
      ...{ trials, seconds, empty, failures, calls },
      askMs: quantiles(tally.ask),
      tellMs: quantiles(tally.tell),
      idleMs: quantiles(tally.idle),
      cpuSeconds: (cpu.user + cpu.system) / 1e6,
    },
  });
  over.abort();
  for (const client of clients) client.close();
  await Promise.allSettled(workers);
  process.disconnect();
}

await main(JSON.parse(process.argv[2] ?? '{}') as LoadOrders);
