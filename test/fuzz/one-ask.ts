/** One trial for a worker that is always there. */
import { randomUUID } from 'node:crypto';
import { ask as askFor } from '../../coordinator/app/ask.js';
import type { AppContext } from '../../coordinator/app/context.js';
import { registerWorker } from '../../coordinator/app/workers.js';
import { requestId, workerId, type LeaseToken } from '../../shared/core/ids.js';

/** The lease of a trial of the study `fuzz`; null when there is none to be had. */
export async function oneAsk(context: AppContext): Promise<LeaseToken | null> {
  const id = workerId('fuzz-worker');
  const device = {
    host: 'h',
    gpuUuid: null,
    gpuName: '',
    gpuMemoryBytes: null,
    slots: 1,
    runtime: '',
    version: '',
    study: null,
    trainers: [],
    sharedGpu: false,
    draining: false,
  };
  await registerWorker(context, { id, ...device });
  const request = {
    requestId: requestId(randomUUID()),
    workerId: id,
    study: 'fuzz',
    waitMs: 0,
    trainers: [],
    ahead: false,
  };
  const outcome = await askFor(context, request, new AbortController().signal);
  return outcome.kind === 'assigned' ? outcome.assignment.token : null;
}
