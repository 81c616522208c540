/** What a worker says of itself: that it is there, with what, and at the end that it is about to stop. */
import os from 'node:os';
import type { Log } from '../../shared/platform/log.js';
import type { RegisterRequest, RegisterResponse } from '../../shared/wire/gen/parzen/v1/trial.js';
import type { WorkerConfig } from '../config.js';
import type { CoordinatorClient } from './coordinator-client.js';
import type { DeviceInUse } from './trainer-processes.js';

export interface AnnouncerOptions {
  readonly client: CoordinatorClient;
  readonly config: WorkerConfig;
  readonly trainers: readonly string[];
  /** Known when the trainer has started. */
  readonly inUse: Promise<DeviceInUse>;
  readonly log: Log;
  readonly workerId: string;
  readonly version: string;
  readonly stopping: AbortSignal;
}

export interface Announcer {
  /** Registers, however long the coordinator takes to come up; rejects when `stopping` aborts. */
  readonly register: () => Promise<RegisterResponse>;
  /** Resolves when the coordinator has been told of the end, or did not answer; at once before `stopping` aborts. */
  readonly farewell: () => Promise<void>;
}

export function announcer(options: AnnouncerOptions): Announcer {
  const { client, config, inUse, log, workerId, stopping } = options;
  const describe = async (): Promise<RegisterRequest> => registration(options, await inUse);
  let said = Promise.resolve();
  let known = false;
  const say = async (): Promise<void> => client.leave(await describe());
  stopping.addEventListener('abort', () => void (said = known ? say() : said), { once: true });
  return {
    register: async () => {
      const request = await describe();
      const reply = await client.register(request, stopping);
      known = true;
      const { slots, gpuName: device } = request;
      log.info({ worker: workerId, coordinator: config.coordinator, slots, device }, 'registered');
      return reply;
    },
    farewell: () => said,
  };
}

const registration = (
  { config, trainers, workerId, version }: AnnouncerOptions,
  { device, runtime }: DeviceInUse,
): RegisterRequest => ({
  ...{ workerId, slots: config.slots, runtime, version, host: os.hostname(), gpuName: device.name },
  gpuUuid: device.uuid ?? '',
  gpuMemoryBytes: device.memoryBytes ?? 0,
  study: config.study ?? '',
  trainers: [...trainers],
  sharedGpu: config.sharedGpu === true && device.uuid !== null,
});
