import { credentials } from '@grpc/grpc-js';
import { randomUUID } from 'node:crypto';
import { unary } from '../../shared/wire/call.js';
import { TrialServiceClient } from '../../shared/wire/gen/parzen/v1/trial.js';
import type { Coordinator } from './coordinator.js';

/** Registers a worker and asks for one trial. */
export async function firstAnswer({ address }: Coordinator, study: string): Promise<void> {
  const client = new TrialServiceClient(address, credentials.createInsecure());
  const call = { deadlineMs: 60_000 };
  const workerId = `bench-${randomUUID()}`;
  try {
    const worker = { workerId, host: 'bench', gpuUuid: '', gpuName: 'none', gpuMemoryBytes: 0 };
    const offers = { study, trainers: [] };
    const registration = { ...worker, ...offers, slots: 1, runtime: 'none', version: '0' };
    await unary(client.register.bind(client), registration, call);
    const request = { requestId: randomUUID(), workerId, study, waitMs: 20_000, trainers: [], ahead: false };
    const { outcome } = await unary(client.ask.bind(client), request, call);
    if (outcome?.$case !== 'assignment') throw new Error('the first ask was answered with nothing');
  } finally {
    client.close();
  }
}
