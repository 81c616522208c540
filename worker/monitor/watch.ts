/** The places where metrics look on: the calls to the coordinator, and the trials. Nothing changes by being watched. */
import { status } from '@grpc/grpc-js';
import { RpcError } from '../../shared/wire/call.js';
import { NothingToDo_Reason, type AskResponse } from '../../shared/wire/gen/parzen/v1/trial.js';
import type { AttemptRunner } from '../agent/slot-options.js';
import type { TrialCall, TrialCalls } from '../agent/trial-calls.js';
import type { IdleReason } from './slot-times.js';
import type { CallMethod, WorkerMetrics } from './worker-metrics.js';

const reasons: Readonly<Record<NothingToDo_Reason, IdleReason>> = {
  [NothingToDo_Reason.ALL_RUNNING]: 'all_running',
  [NothingToDo_Reason.NEEDS_MORE_MEMORY]: 'needs_more_memory',
  [NothingToDo_Reason.PAUSED]: 'paused',
  [NothingToDo_Reason.OVER]: 'over',
  [NothingToDo_Reason.NO_STUDY]: 'no_study',
  [NothingToDo_Reason.UNKNOWN_WORKER]: 'unregistered',
  [NothingToDo_Reason.UNSPECIFIED]: 'no_study',
  [NothingToDo_Reason.UNRECOGNIZED]: 'no_study',
};

const away: ReadonlySet<status> = new Set([status.UNAVAILABLE, status.DEADLINE_EXCEEDED]);

/** The calls, watched. `released`: from when the worker shuts down, called for every trial given back. */
export function watchCalls(
  calls: TrialCalls,
  metrics: WorkerMetrics,
  released: () => (() => void) | null,
): TrialCalls {
  const watch =
    <Request, Response>(
      method: CallMethod,
      call: TrialCall<Request, Response>,
      look: (response: Response, request: Request) => void = () => undefined,
    ): TrialCall<Request, Response> =>
    async (request, options) => {
      try {
        const response = await call(request, options);
        metrics.answered();
        look(response, request);
        return response;
      } catch (error) {
        const code = error instanceof RpcError ? error.code : status.UNKNOWN;
        // Cancelled by ourselves, when the worker stops.
        if (code !== status.CANCELLED) metrics.callFailed(method, status[code], away.has(code));
        throw error;
      }
    };
  return {
    register: watch('Register', calls.register, (_, { gpuUuid, runtime }) =>
      metrics.registered(gpuUuid !== '', runtime),
    ),
    ask: watch('Ask', calls.ask, ({ outcome }: AskResponse, { ahead }) => {
      // An ask ahead that is answered with nothing says nothing of idle slots: its own is at work.
      if (outcome?.$case !== 'nothing') metrics.idleFor(null);
      else if (!ahead) metrics.idleFor(reasons[outcome.value.reason]);
    }),
    putArtifact: watch('PutArtifact', calls.putArtifact),
    tell: watch('Tell', calls.tell),
    release: watch('Release', calls.release, () => released()?.()),
    report: watch('Report', calls.report),
    heartbeat: watch('Heartbeat', calls.heartbeat),
    fetchDataset: (hash) => calls.fetchDataset(hash),
    close: () => calls.close(),
  };
}

/** A trainer's runner on one slot, watched. */
export const watchRunner = (
  runner: AttemptRunner,
  {
    metrics,
    slot,
    trainer,
  }: { readonly metrics: WorkerMetrics; readonly slot: number; readonly trainer: string },
): AttemptRunner => ({
  run: async (job, options) => {
    const trial = metrics.begin(slot, job, trainer);
    const result = await runner.run(job, {
      ...options,
      onReport: (step, reported) => {
        metrics.reported(trial, reported);
        options.onReport(step, reported);
      },
    });
    metrics.end(trial, result, stopReason(options.signal));
    return result;
  },
  kill: () => runner.kill(),
});

/** What the coordinator said of the lease, or else the worker is stopping. */
function stopReason({ reason }: AbortSignal): 'pruner' | 'lost' | 'preempted' {
  if (reason === 'lost') return 'lost';
  return reason === 'cancel' ? 'pruner' : 'preempted';
}
