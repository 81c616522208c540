import { describe, expect, it } from 'vitest';
import { WorkerMetrics } from './worker-metrics.js';

const card = 'GPU-5e3b';
const job = {
  ...{ study: 's', number: 0, attempt: 1, params: { batch_size: 8 }, seed: 0, dataPath: null },
  evaluation: {},
};

/** What a worker with a card shows after a trial and an out-of-memory. */
async function shown(onGpu: boolean): Promise<string> {
  const metrics = new WorkerMetrics({
    ...{ version: '0', runtime: 'auto', slots: 1, cudaVersion: '' },
    gpu: { uuid: card, model: 'H100', migProfile: '', driver: '570' },
  });
  metrics.registered(onGpu, onGpu ? 'webgpu' : 'wasm');
  const done = metrics.begin(0, job, 'hermite');
  metrics.end(
    done,
    { kind: 'done', metrics: { optimiser_steps: 5 }, peakMemoryBytes: null, artifacts: [] },
    'lost',
  );
  const failed = metrics.begin(0, job, 'hermite');
  metrics.end(failed, { kind: 'failed', reason: 'oom', message: 'out of memory', phase: 'fit' }, 'lost');
  return metrics.registry.metrics();
}

const counts = (page: string, uuid: string): readonly number[] =>
  ['gpu_trials', 'gpu_steps', 'gpu_samples', 'gpu_oom'].map((name) =>
    page
      .split('\n')
      .filter((line) => line.startsWith(`parzen_worker_${name}_total{`) && line.includes(`UUID="${uuid}"`))
      .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0),
  );

describe('work', () => {
  it('is counted under the card that does it', async () => {
    expect(counts(await shown(true), card)).toEqual([1, 5, 40, 1]);
  });

  it('is not counted under a card beside which the CPU does it', async () => {
    const page = await shown(false);
    expect(counts(page, '')).toEqual([1, 5, 40, 1]);
    expect(counts(page, card)).toEqual([0, 0, 0, 0]);
  });
});

describe('calls', () => {
  it('have failed 0 times in every way before the first fails', async () => {
    const metrics = new WorkerMetrics({
      ...{ version: '0', runtime: 'auto', slots: 1, cudaVersion: '', gpu: null },
    });
    const series = (await metrics.registry.metrics())
      .split('\n')
      .filter((line) => line.startsWith('parzen_worker_rpc_failures_total{'));
    expect(series).toContain('parzen_worker_rpc_failures_total{method="Heartbeat",code="UNAVAILABLE"} 0');
    // Seven calls, and of the 17 codes all but OK and CANCELLED.
    expect(series).toHaveLength(7 * 15);
    metrics.callFailed('Heartbeat', 'UNAVAILABLE', true);
    expect(await metrics.registry.metrics()).toContain('{method="Heartbeat",code="UNAVAILABLE"} 1');
  });
});
