/** `ready` follows the store, `live` does not: a database that restarts must restart nobody else. */
import {
  credentials,
  loadPackageDefinition,
  type GrpcObject,
  type ServiceClientConstructor,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { protoPath } from 'grpc-health-check';
import { expect, it } from 'vitest';
import type { Clock } from '../../shared/platform/clock.js';
import { createMemoryStorage } from '../storage/memory/create-memory-storage.js';
import { StorageUnavailable } from '../storage/port.js';
import { startHealthServer } from './health-server.js';
import { healthIntervalMs, healthTimeoutMs } from './limits.js';

/** Time that passes when the test says so. */
class SteppedClock implements Clock {
  #sleepers: { readonly ms: number; readonly wake: () => void }[] = [];

  nowMs(): number {
    return 0;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      this.#sleepers.push({ ms, wake: resolve });
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  /** Ends sleeps of this length; waits for one to begin. */
  async pass(ms: number): Promise<void> {
    await expect.poll(() => this.#sleepers.some((each) => each.ms === ms)).toBe(true);
    const due = this.#sleepers.filter((each) => each.ms === ms);
    this.#sleepers = this.#sleepers.filter((each) => each.ms !== ms);
    for (const { wake } of due) wake();
  }
}

it('says ready while the store answers, and live whatever the store does', async () => {
  const memory = createMemoryStorage();
  const clock = new SteppedClock();
  let store: 'there' | 'away' | 'silent' = 'there';
  const findStudy: typeof memory.findStudy = (name) => {
    if (store === 'away') return Promise.reject(new StorageUnavailable('away'));
    return store === 'silent' ? new Promise(() => undefined) : memory.findStudy(name);
  };
  const health = await startHealthServer({ storage: { ...memory, findStudy }, clock }, '127.0.0.1:0');
  const definition = loadPackageDefinition(loadSync(protoPath, { keepCase: true }));
  const v1 = ((definition['grpc'] as GrpcObject)['health'] as GrpcObject)['v1'] as GrpcObject;
  const client = new (v1['Health'] as ServiceClientConstructor)(health.address, credentials.createInsecure());
  const ask = (service: string): Promise<string> =>
    new Promise((resolve) =>
      client['Check']!({ service }, (error: Error | null, response: { status: number }) =>
        resolve(error === null ? (response.status === 1 ? 'SERVING' : 'NOT_SERVING') : error.message),
      ),
    );
  const both = async (): Promise<string> => `live ${await ask('live')}, ready ${await ask('ready')}`;
  await expect.poll(both).toBe('live SERVING, ready SERVING');
  store = 'away';
  await clock.pass(healthIntervalMs);
  await expect.poll(both).toBe('live SERVING, ready NOT_SERVING');
  store = 'there';
  await clock.pass(healthIntervalMs);
  await expect.poll(both).toBe('live SERVING, ready SERVING');
  // A server that takes connections and says nothing is away as well.
  store = 'silent';
  await clock.pass(healthIntervalMs);
  await clock.pass(healthTimeoutMs);
  await expect.poll(both).toBe('live SERVING, ready NOT_SERVING');
  // Told to stop, it is not ready any more while the calls under way end, whatever a look says that began before.
  store = 'there';
  await clock.pass(healthIntervalMs);
  await expect.poll(both).toBe('live SERVING, ready SERVING');
  health.drain();
  expect(await both()).toBe('live SERVING, ready NOT_SERVING');
  client.close();
  await health.stop();
});
