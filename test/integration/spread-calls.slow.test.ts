/** A name with several addresses: calls take turns among them, and go on when one of them is gone. */
import dns from 'node:dns';
import { Server, ServerCredentials, type sendUnaryData, type ServerUnaryCall } from '@grpc/grpc-js';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { channelParts, plainChannel, targetOptions } from '../../shared/wire/channel.js';
import { TrialServiceService, type HeartbeatResponse } from '../../shared/wire/gen/parzen/v1/trial.js';
import { isLoopback } from '../../shared/platform/addresses.js';
import { grpcTrialCalls } from '../../worker/agent/trial-calls.js';
import { until } from '../helpers/cli.js';

const name = 'coordinators.test';
const closing: (() => unknown)[] = [];
afterEach(async () => {
  vi.restoreAllMocks();
  for (const close of closing.splice(0).reverse()) await close();
});

/** Answers heartbeats on this address, and counts them. */
async function replica(host: string, wantedPort: number) {
  const server = new Server();
  let calls = 0;
  const heartbeat = (
    _: ServerUnaryCall<unknown, unknown>,
    answer: sendUnaryData<HeartbeatResponse>,
  ): void => {
    calls += 1;
    answer(null, { answers: [], knownWorker: true });
  };
  server.addService(TrialServiceService, { heartbeat });
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`${host}:${wantedPort}`, ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  closing.push(() => server.forceShutdown());
  return { port, calls: () => calls, stop: () => server.forceShutdown() };
}

/** Two replicas at 127.0.0.1 and 127.0.0.2, one port, one name. */
async function pair() {
  const one = await replica('127.0.0.1', 0);
  const other = await replica('127.0.0.2', one.port);
  const addresses = ['127.0.0.1', '127.0.0.2'].map((address) => ({ address, family: 4 }));
  vi.spyOn(dns.promises, 'lookup').mockImplementation((() => Promise.resolve(addresses)) as never);
  return { one, other };
}

const anotherLoopback = process.platform === 'linux';
const only = anotherLoopback ? '' : ' (skipped: needs 127.0.0.2, which only Linux has)';
describe.skipIf(!anotherLoopback)(`two coordinators of one name${only}`, () => {
  it.each(['dns:///', ''])('called as %s: both take part, or one', async (scheme) => {
    const { one, other } = await pair();
    const calls = grpcTrialCalls(`${scheme}${name}:${one.port}`);
    closing.push(() => calls.close());
    const beat = () => calls.heartbeat({ workerId: 'w', leaseTokens: [] }, { deadlineMs: 10_000 });
    if (scheme === '') {
      for (let i = 0; i < 20; i += 1) await beat();
      expect([one.calls(), other.calls()].sort()).toEqual([0, 20]);
      return;
    }
    await until(async () => {
      await beat();
      return one.calls() > 3 && other.calls() > 3;
    });
    // One goes away; the other takes all.
    one.stop();
    const before = other.calls();
    await until(async () => {
      await beat().catch(() => undefined);
      return other.calls() > before + 5;
    });
  });
});

it('only dns:/// asks for turns, and stays loopback where the name is', () => {
  expect(targetOptions('host:1')).toEqual({});
  expect(targetOptions('dns:///host:1')['grpc.service_config']).toContain('round_robin');
  expect(channelParts(plainChannel)[1]).not.toHaveProperty('grpc.service_config');
  expect([isLoopback('dns:///localhost:1'), isLoopback('dns:///host:1')]).toEqual([true, false]);
});
