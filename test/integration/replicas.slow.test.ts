/** Two coordinators on one PostgreSQL: any of them answers any call, in any order, and one of them may go. */
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { setTimeout as sleep } from 'node:timers/promises';
import { createStudy } from '../../coordinator/app/create-study.js';
import { localGateway } from '../../coordinator/app/study-gateway.js';
import { viewStudy } from '../../coordinator/app/study-view.js';
import { verifyStudy } from '../../coordinator/app/verify-study.js';
import { openContext } from '../../coordinator/cli/open-context.js';
import { startGrpcServer } from '../../coordinator/grpc/server.js';
import { openPostgres } from '../../coordinator/storage/postgres/open-postgres.js';
import { silentLog } from '../../shared/platform/log.js';
import { retrying, unary, type UnaryOptions } from '../../shared/wire/call.js';
import { channelParts, plainChannel } from '../../shared/wire/channel.js';
import { paramsFromWire } from '../../shared/wire/convert.js';
import { FailureReason } from '../../shared/wire/gen/parzen/v1/common.js';
import {
  NothingToDo_Reason,
  TellResponse_Result,
  TrialServiceClient,
  type Assignment,
  type TellRequest,
} from '../../shared/wire/gen/parzen/v1/trial.js';
import { instantMetrics } from '../../worker/trainers/instant.js';
import { smallStudy } from '../helpers/app.js';
import { projectRoot } from '../helpers/cli.js';
import { startTestPostgres, type TestPostgres } from '../helpers/postgres.js';
import { Draw } from '../sim/draw.js';

const trials = 100;
const clients = 8;

async function startReplica(connection: Parameters<typeof openPostgres>[0]['connection']) {
  const storage = await openPostgres({ connection, log: silentLog });
  const { context } = await openContext(storage, silentLog, { serves: null });
  const server = await startGrpcServer({
    context,
    gateway: localGateway(context, () => ({ kind: 'problems', text: 'no study files here' })),
    listen: '127.0.0.1:0',
    protoDirectory: path.join(projectRoot, 'proto'),
  });
  const client = new TrialServiceClient(server.address, ...channelParts(plainChannel));
  return { storage, context, server, client };
}
type Replica = Awaited<ReturnType<typeof startReplica>>;

/** One worker that talks to a replica at random with every call, and says some things twice. */
class SwitchingWorker {
  readonly #draw: Draw;
  readonly #replicas: readonly Replica[];
  readonly #name: string;
  #asks = 0;

  constructor(name: string, seed: number, replicas: readonly Replica[]) {
    this.#draw = new Draw(seed);
    this.#replicas = replicas;
    this.#name = name;
  }

  /** Works until the study is over. */
  async work(gpuMemoryBytes: number): Promise<void> {
    const described = { host: 'h', gpuUuid: '', gpuName: 'g', slots: 1, runtime: 'none', version: '0' };
    const worker = { workerId: this.#name, gpuMemoryBytes, ...described, study: '', trainers: [] };
    await this.#call((client, options) => unary(client.register.bind(client), worker, options));
    for (;;) {
      this.#asks += 1;
      const request = {
        ...{ requestId: `${this.#name}-${this.#asks}`, workerId: this.#name, study: '', trainers: [] },
        ...{ waitMs: 100, ahead: this.#draw.chance(0.2) },
      };
      const ask = () => this.#call((client, options) => unary(client.ask.bind(client), request, options));
      const { outcome } = await ask();
      if (outcome?.$case === 'assignment') {
        if (this.#draw.chance(0.2)) expect((await ask()).outcome).toEqual(outcome);
        await this.#run(outcome.value, gpuMemoryBytes);
      } else if (outcome?.value.reason === NothingToDo_Reason.OVER) return;
    }
  }

  async #run({ leaseToken, params }: Assignment, gpuMemoryBytes: number): Promise<void> {
    const draw = this.#draw;
    if (draw.chance(0.3)) {
      const beat = { workerId: this.#name, leaseTokens: [leaseToken] };
      await this.#call((client, options) => unary(client.heartbeat.bind(client), beat, options));
    }
    if (draw.chance(0.1)) {
      const lease = { $case: 'leaseToken', value: leaseToken } as const;
      const release = { lease, unfit: false, unstarted: true };
      const call = () =>
        this.#call((client, options) => unary(client.release.bind(client), release, options));
      await call();
      // Its trial may run elsewhere by now: a lease is given back once.
      expect(await call()).toEqual({ released: false });
      return;
    }
    const reason = gpuMemoryBytes < 16e9 ? FailureReason.OOM : FailureReason.ERROR;
    const outcome: TellRequest['outcome'] = draw.chance(0.15)
      ? { $case: 'failed', value: { reason, message: 'pretended' } }
      : { $case: 'completed', value: { metrics: { ...instantMetrics(paramsFromWire(params)) } } };
    const request = { leaseToken, outcome, peakMemoryBytes: 0 };
    const tell = () => this.#call((client, options) => unary(client.tell.bind(client), request, options));
    expect((await tell()).result).not.toBe(TellResponse_Result.LEASE_LOST);
    if (draw.chance(0.3)) expect((await tell()).result).toBe(TellResponse_Result.ALREADY_RECORDED);
  }

  #call<T>(call: (client: TrialServiceClient, options: UnaryOptions) => Promise<T>): Promise<T> {
    return retrying(
      () => {
        const replica = this.#draw.pick(this.#replicas);
        if (replica === undefined) throw new Error('no replicas');
        return call(replica.client, { deadlineMs: 10_000 });
      },
      {
        sleep: (ms) => sleep(Math.min(ms, 50)).then(() => undefined),
        random: () => this.#draw.unit(),
        signal: new AbortController().signal,
        attemptsMax: 1_000,
      },
    );
  }
}

describe('two coordinators on one PostgreSQL', () => {
  let postgres: TestPostgres;
  beforeAll(async () => {
    postgres = await startTestPostgres();
  });
  afterAll(() => postgres.stop());

  it.each([
    { name: 'answer any call in any order', stopsHalfWay: false },
    { name: 'answer any call, and one of them stops half-way', stopsHalfWay: true },
  ])('$name: no number is skipped or double, every suggestion verifies', async ({ stopsHalfWay }) => {
    const seed = Date.now() % 1_000_000;
    console.log(`seed ${seed}`);
    const connection = await postgres.freshDatabase();
    const replicas = [await startReplica(connection), await startReplica(connection)] as const;
    const [first, second] = replicas;
    const definition = smallStudy({ trials });
    await createStudy(first.context, { definition, definitionText: 'x', trials: null, dataset: null });
    const working = Promise.all(
      Array.from({ length: clients }, (_, index) =>
        new SwitchingWorker(`w${index}`, seed + index, replicas).work(index % 2 === 0 ? 8e9 : 16e9),
      ),
    );
    let stopped = false;
    const halfWay = async (): Promise<void> => {
      while (!stopped) {
        const [study] = await first.storage.listStudies();
        if ((study?.finishSequence ?? 0) >= trials / 2) break;
        await sleep(5);
      }
      if (stopsHalfWay) await second.server.stop();
    };
    const stopping = halfWay();
    await working.finally(() => (stopped = true));
    await stopping;

    const [study] = await first.storage.listStudies();
    expect(study).toMatchObject({ state: 'FINISHED', nextNumber: trials, finishSequence: trials });
    const records = await first.storage.listTrials(study!.id, { fromNumber: 0, limit: trials + 1 });
    expect(records.map(({ number }) => number)).toEqual(Array.from({ length: trials }, (_, index) => index));
    const sequences = records.map(({ finishSequence }) => finishSequence ?? 0).sort((a, b) => a - b);
    expect(sequences).toEqual(records.map((_, index) => index + 1));
    // Whoever is asked, also a replica that has answered only half of the calls, sees and recomputes the same.
    const views = await Promise.all(replicas.map(({ context }) => viewStudy(context, 'small')));
    expect(views[0]).toEqual(views[1]);
    for (const { context } of replicas)
      expect(await verifyStudy(context, 'small')).toEqual({ suggestions: trials, difference: null });
    for (const { client, server, storage } of replicas) {
      client.close();
      await server.stop();
      await storage.close();
    }
  });
});
