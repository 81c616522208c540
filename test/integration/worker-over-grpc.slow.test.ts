/** A real worker session, real gRPC and real trainer processes (instant trainer), on the in-memory store. */
import { status } from '@grpc/grpc-js';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../shared/platform/clock.js';
import { createLog, silentLog } from '../../shared/platform/log.js';
import { type RpcError, unary } from '../../shared/wire/call.js';
import { channelParts, plainChannel } from '../../shared/wire/channel.js';
import { LeaseAnswer, TrialServiceClient } from '../../shared/wire/gen/parzen/v1/trial.js';
import { artifactBytesMax } from '../../shared/wire/limits.js';
import { createContext, type AppContext } from '../../coordinator/app/context.js';
import { tokenFor } from '../../coordinator/app/lease-token.js';
import { createStudy } from '../../coordinator/app/create-study.js';
import { Histories } from '../../coordinator/app/history.js';
import { localGateway } from '../../coordinator/app/study-gateway.js';
import { listTrials, viewStudy } from '../../coordinator/app/study-view.js';
import { WorkSignal } from '../../coordinator/app/work-signal.js';
import { remoteGateway } from '../../coordinator/grpc/remote-gateway.js';
import { ListenError, startGrpcServer, type RunningServer } from '../../coordinator/grpc/server.js';
import { chunksOf, datasetOf, keepNewest } from '../../coordinator/market-data/dataset.js';
import { createMemoryStorage } from '../../coordinator/storage/memory/create-memory-storage.js';
import { runSession } from '../../worker/agent/session.js';
import { smallStudy } from '../helpers/app.js';

const root = path.resolve(import.meta.dirname, '../..');
const childPath = path.join(root, 'dist/worker/trainers/child.js');
const protoDirectory = path.join(root, 'proto');

function newContext(): AppContext {
  return createContext({
    storage: createMemoryStorage(),
    clock: systemClock,
    log: silentLog,
    mintToken: (study) => tokenFor(study, randomUUID()),
    mintSecret: randomUUID,
    settings: {
      leaseTtlMs: 2_000,
      heartbeatIntervalMs: 200,
      pollIntervalMs: 200,
      workerMemoryMs: 60_000,
      serves: null,
    },
    signal: new WorkSignal(),
    histories: new Histories(),
    datasetTools: { datasetOf, keepNewest, chunksOf },
  });
}

const noParser = () => ({ kind: 'problems', text: 'no study files here' }) as const;

describe('a worker over gRPC', () => {
  let context: AppContext;
  let server: RunningServer;
  let cacheDirectory: string;

  beforeAll(() => {
    if (!existsSync(childPath)) throw new Error('dist/ is missing: npm run build');
  });
  beforeEach(async () => {
    context = newContext();
    server = await startGrpcServer({
      context,
      gateway: localGateway(context, noParser),
      listen: '127.0.0.1:0',
      protoDirectory,
    });
    cacheDirectory = mkdtempSync(path.join(tmpdir(), 'parzen-cache-'));
  });
  afterEach(async () => {
    await server.stop();
    rmSync(cacheDirectory, { recursive: true });
  });

  const create = (name: string, trials: number) => {
    const definition = smallStudy({ name });
    return createStudy(context, { definition, definitionText: name, trials, dataset: null });
  };
  const work = (stopping: AbortSignal, study: string | null = null, log = silentLog) =>
    runSession({
      config: {
        coordinator: server.address,
        study,
        slots: 2,
        runtime: 'auto',
        cacheDirectory,
        fallbackCacheDirectory: null,
        drainMs: 0,
        aheadRoundTrips: 10,
        exitWithParent: false,
        logLevel: 'silent',
        logFormat: 'text',
      },
      ...{ clock: systemClock, log, random: Math.random, version: 'test', childPath, stopping },
    });
  const until = async (condition: () => Promise<boolean>, limitMs = 60_000): Promise<void> => {
    const deadline = Date.now() + limitMs;
    while (!(await condition())) {
      if (Date.now() > deadline) throw new Error('the condition did not come true in time');
      await systemClock.sleep(50);
    }
  };

  it('runs a study to its exact end with two workers of two slots', async () => {
    await create('run', 40);
    const stop = new AbortController();
    const sessions = [work(stop.signal), work(stop.signal, 'run')];
    await until(async () => (await viewStudy(context, 'run')).state === 'FINISHED');
    stop.abort();
    await Promise.all(sessions);
    const workers = await context.storage.listWorkers();
    expect(workers.map(({ study }) => study ?? 'any').sort()).toEqual(['any', 'run']);
    // The last thing they said: whoever looks for lost workers need not look for these.
    expect(workers.map(({ draining }) => draining)).toEqual([true, true]);
    for (const { trainers } of workers)
      expect(trainers).toEqual(expect.arrayContaining(['instant', 'hermite']));
    const { trials } = await listTrials(context, 'run', { fromNumber: 0, limit: 100, states: [] });
    expect(trials.map(({ number }) => number)).toEqual(Array.from({ length: 40 }, (_, n) => n));
    expect(trials.every(({ state, attempt }) => state === 'COMPLETE' && attempt === 1)).toBe(true);
    // The metrics that the trainer computed are the ones that were stored.
    for (const trial of trials)
      expect(trial.values[0]).toBeCloseTo(0.7 * trial.metrics['auc']! + 0.3 * trial.metrics['dir_acc']!, 12);
  });

  it('gives its trials back when it is stopped, without a mark against them', async () => {
    await create('back', 1_000_000);
    const stop = new AbortController();
    const lines: string[] = [];
    const session = work(
      stop.signal,
      null,
      createLog({ level: 'info', format: 'text', write: (line) => lines.push(line) }),
    );
    await until(async () => (await viewStudy(context, 'back')).counts.COMPLETE > 3);
    stop.abort();
    await session;
    const { counts } = await viewStudy(context, 'back');
    expect(counts.RUNNING).toBe(0);
    expect(counts.FAIL).toBe(0);
  });

  it('outlives its coordinator: it reconnects, registers anew and goes on', async () => {
    await create('outlive', 1_000_000);
    const stop = new AbortController();
    const session = work(stop.signal);
    await until(async () => (await viewStudy(context, 'outlive')).counts.COMPLETE > 3);
    const { address } = server;
    await server.stop();
    const before = (await viewStudy(context, 'outlive')).counts.COMPLETE;
    server = await startGrpcServer({
      context,
      gateway: localGateway(context, noParser),
      listen: address,
      protoDirectory,
    });
    await until(async () => (await viewStudy(context, 'outlive')).counts.COMPLETE > before + 3);
    stop.abort();
    await session;
  });

  it('serves tools: create is refused with the problems, unknown studies are not found, pages hold', async () => {
    await create('tools', 3);
    const gateway = remoteGateway(server.address);
    try {
      expect(await gateway.get('tools')).toEqual(await localGateway(context, noParser).get('tools'));
      expect((await gateway.list()).map(({ name }) => name)).toEqual(['tools']);
      await expect(gateway.get('none')).rejects.toMatchObject({ name: 'AppError', code: 'not-found' });
      await expect(gateway.create({ definitionText: 'x', trials: null, dataset: null })).rejects.toThrow(
        'no study files here',
      );
      expect(await gateway.enqueue('tools', { requestId: 'a', params: { x: 0.5, c: 'b' } })).toBe(0);
      expect(await gateway.trials('tools', { fromNumber: 0, limit: 1, states: ['WAITING'] })).toMatchObject({
        trials: [{ number: 0, state: 'WAITING', params: { x: 0.5, c: 'b' } }],
        nextNumber: 1,
      });
      expect((await gateway.pause('tools')).state).toBe('PAUSED');
      await expect(gateway.delete('tools')).resolves.toBeUndefined();
    } finally {
      gateway.close();
    }
  });

  it('uploads and serves data sets by hash, and refuses a wrong one', async () => {
    const gateway = remoteGateway(server.address);
    const bytes = new Uint8Array(3 * 1024 * 1024).map((_, index) => index % 251);
    const hash = createHash('sha256').update(bytes).digest('hex');
    const described = {
      ...{ hash: hash as never, name: 'bytes', layout: 'test', rows: 1, firstTimeMs: 0, lastTimeMs: 0 },
      ...{ bytes: bytes.length, createdAtMs: 0 },
    };
    try {
      expect(await gateway.putDataset(described, bytes)).toMatchObject({ hash, bytes: bytes.length });
      const client = new TrialServiceClient(server.address, ...channelParts(plainChannel));
      const parts: Buffer[] = [];
      for await (const { chunk } of client.fetchDataset({ hash }) as AsyncIterable<{ chunk: Buffer }>)
        parts.push(chunk);
      client.close();
      expect(Buffer.compare(Buffer.concat(parts), Buffer.from(bytes))).toBe(0);
      const wrong = { ...described, hash: '0'.repeat(64) as never };
      await expect(gateway.putDataset(wrong, bytes)).rejects.toThrow(/received .* with hash/);
    } finally {
      gateway.close();
    }
  });

  it('keeps and serves the files of trials, of known names and bounded size', async () => {
    await create('files', 3);
    const client = new TrialServiceClient(server.address, ...channelParts(plainChannel));
    const gateway = remoteGateway(server.address);
    try {
      const deadline = { deadlineMs: 5_000 };
      const worker = {
        ...{ workerId: 'w', host: 'h', gpuUuid: '', gpuName: '', gpuMemoryBytes: 0, slots: 1, runtime: '' },
        ...{ version: '', study: '', trainers: [] },
      };
      await unary(client.register.bind(client), worker, deadline);
      const wanted = { requestId: 'r', workerId: 'w', study: '', waitMs: 0, trainers: [], ahead: false };
      const { outcome } = await unary(client.ask.bind(client), wanted, deadline);
      if (outcome?.$case !== 'assignment') throw new Error('there is no trial');
      const { leaseToken } = outcome.value;
      const put = (change: object) =>
        unary(
          client.putArtifact.bind(client),
          { leaseToken, name: 'forecasts', layout: 'l-1', content: Buffer.from('12'), ...change },
          deadline,
        );
      expect(await put({})).toEqual({ answer: LeaseAnswer.OK });
      expect(await put({ leaseToken: 'another' })).toEqual({ answer: LeaseAnswer.LOST });
      const largest = Buffer.alloc(artifactBytesMax, 7);
      expect(await put({ content: largest })).toEqual({ answer: LeaseAnswer.OK });
      await expect(put({ content: Buffer.alloc(artifactBytesMax + 1) })).rejects.toMatchObject({
        ...{ code: status.INVALID_ARGUMENT, message: expect.stringContaining('at most 3145728') as string },
      });
      await expect(put({ name: '../x' })).rejects.toMatchObject({ code: status.INVALID_ARGUMENT });
      const found = await gateway.artifact('files', { number: 0, name: 'forecasts' });
      expect({ ...found, content: Buffer.from(found.content).equals(largest) }).toEqual({
        ...{ name: 'forecasts', layout: 'l-1', content: true },
        hash: createHash('sha256').update(largest).digest('hex'),
      });
      await expect(gateway.artifact('files', { number: 1, name: 'forecasts' })).rejects.toMatchObject({
        ...{ name: 'AppError', code: 'not-found' },
      });
    } finally {
      gateway.close();
      client.close();
    }
  });

  it('answers bad requests with INVALID_ARGUMENT and says what is wrong', async () => {
    const client = new TrialServiceClient(server.address, ...channelParts(plainChannel));
    const call = (promise: Promise<unknown>) =>
      promise.then(
        () => null,
        (error: unknown) => error as RpcError,
      );
    const ask = { requestId: '', workerId: 'w', study: '', waitMs: 0, trainers: [], ahead: false };
    expect(await call(unary(client.ask.bind(client), ask, { deadlineMs: 2_000 }))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      message: expect.stringContaining('request_id'),
    });
    const tell = { leaseToken: 'x', peakMemoryBytes: 0 };
    expect(await call(unary(client.tell.bind(client), tell as never, { deadlineMs: 2_000 }))).toMatchObject({
      code: status.INVALID_ARGUMENT,
      message: expect.stringContaining('outcome'),
    });
    client.close();
  });

  it('says clearly that its port is taken', async () => {
    const again = startGrpcServer({
      context,
      gateway: localGateway(context, noParser),
      listen: server.address,
      protoDirectory,
    });
    await expect(again).rejects.toThrow(ListenError);
    await expect(again).rejects.toThrow(/in use/);
  });
});
