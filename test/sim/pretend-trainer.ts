import type { Artifact } from '../../shared/core/study/artifact.js';
import type { FailureReason, Metrics } from '../../shared/core/study/trial.js';
import type { AttemptRunner } from '../../worker/agent/slot-options.js';
import type { AttemptResult } from '../../worker/trainers/child-trainer.js';
import { instantMetrics } from '../../worker/trainers/instant.js';
import type { SimWorker } from './sim-worker.js';
import type { World } from './world.js';

const failures = ['diverged', 'infeasible', 'error', 'timeout', 'error'] as const satisfies FailureReason[];

/** Memory that a trial takes, bytes: most fit everywhere, some nowhere. The same for every attempt. */
function memoryOf(seed: number): number {
  const share = (seed % 1_000) / 1_000;
  return share < 0.8 ? 4e9 : share < 0.9 ? 12e9 : share < 0.97 ? 20e9 : 40e9;
}

/** Whether a trial leaves a file. The same for every attempt. */
const leavesFile = (seed: number): boolean => seed % 2 === 0;

/** What an attempt leaves: every attempt's own, as its noise is. */
export const fileOf = (metrics: Metrics): Artifact => ({
  ...{ name: 'forecasts', layout: 'noise', content: Buffer.from(String(metrics['noise'])) },
});

/** Looks again: a signal changes while one waits, which the compiler does not see. */
const aborted = (signal: AbortSignal): boolean => signal.aborted;

/** Takes its time, reports now and then, and ends in one of the ways a trial can end. */
export function pretendTrainer(
  { draw, settings, promises }: World,
  worker: SimWorker,
  gpuMemoryBytes: number | null,
): AttemptRunner {
  const { clock } = worker.process;
  const done = (metrics: Metrics, peakMemoryBytes: number | null, seed: number): AttemptResult => {
    if (metrics['noise'] !== undefined) promises.produced(metrics['noise'], worker);
    const artifacts = leavesFile(seed) ? [fileOf(metrics)] : [];
    return { kind: 'done', metrics, peakMemoryBytes, artifacts };
  };
  const outcome = (metrics: Metrics, seed: number): AttemptResult => {
    if (gpuMemoryBytes !== null && memoryOf(seed) > gpuMemoryBytes)
      return { kind: 'failed', reason: 'oom', message: 'out of memory' };
    if (!draw.chance(settings.failureShare)) return done(metrics, memoryOf(seed), seed);
    if (draw.chance(0.2)) return done({ ...metrics, auc: NaN }, null, seed);
    if (draw.chance(0.1)) return done({ dir_acc: 0.5 }, null, seed);
    return { kind: 'failed', reason: draw.pick(failures), message: 'pretended' };
  };
  return {
    run: async (job, { signal, onReport }) => {
      if (signal.aborted) return { kind: 'stopped' };
      promises.started(`attempt ${job.attempt} at ${job.study} ${job.number}`);
      // Noise makes every attempt's result its own, so that a result under the wrong lease is noticed.
      const metrics = { ...instantMetrics(job.params), noise: draw.unit() };
      const reports = draw.whole(0, 3);
      const stepMs = draw.skewed(settings.trialMaxMs / 50, settings.trialMaxMs) / (reports + 1);
      for (let step = 0; step <= reports; step += 1) {
        await clock.sleep(stepMs, signal);
        if (aborted(signal)) {
          // A trainer takes a moment to stop, and may have finished by then.
          await clock.sleep(draw.whole(0, 3_000));
          return draw.chance(0.2) ? outcome(metrics, job.seed) : { kind: 'stopped' };
        }
        if (step < reports) onReport(step, metrics);
      }
      return outcome(metrics, job.seed);
    },
    kill: () => Promise.resolve(),
  };
}
