/** A worker: the real slots, leases, heartbeat and client, with trainers that only pretend. */
import { silentLog } from '../../shared/platform/log.js';
import { status } from '@grpc/grpc-js';
import { RpcError } from '../../shared/wire/call.js';
import { TrialServiceService as methods } from '../../shared/wire/gen/parzen/v1/trial.js';
import { CoordinatorClient } from '../../worker/agent/coordinator-client.js';
import { DatasetCache } from '../../worker/agent/dataset-cache.js';
import { keepBeating } from '../../worker/agent/heartbeat.js';
import { Leases } from '../../worker/agent/leases.js';
import { shutdownPhases } from '../../worker/agent/shutdown-phases.js';
import { runSlot } from '../../worker/agent/slot.js';
import type { TrialCalls } from '../../worker/agent/trial-calls.js';
import { drainDefaultMs } from '../../worker/limits.js';
import { pretendTrainer } from './pretend-trainer.js';
import type { Caller } from './sim-network.js';
import { SimProcess } from './sim-process.js';
import type { World } from './world.js';

/** Whole shutdown of a worker takes less than this, ms (issue: under 15 s), while its process runs. */
const shutdownMaxMs = 15_000;

/** Memory of the GPUs there are, bytes; null for a worker that does not know. */
const memories = [null, 8e9, 16e9, 24e9] as const;

export class SimWorker {
  readonly process: SimProcess;
  readonly host: string;
  /** The one study that it works for; null for any. */
  readonly study: string | null;
  readonly #world: World;
  readonly #stopping = new AbortController();
  #wasFrozen = false;
  #done = false;

  constructor(world: World, host: string, study: string | null) {
    const { scheduler, draw, trace } = world;
    this.#world = world;
    this.host = host;
    this.study = study;
    this.process = new SimProcess(scheduler, host, draw.whole(-600_000, 600_000));
    const gpuMemoryBytes = draw.pick(memories);
    const slots = draw.whole(1, 2);
    world.heldWatch.workerStarts(host, gpuMemoryBytes);
    trace.add(
      host,
      `starts, ${slots} slots, memory ${gpuMemoryBytes ?? 'unknown'}, for ${study ?? 'any study'}`,
    );
    this.process.deliver(() => {
      this.#session({ slots, gpuMemoryBytes }).then(
        () => this.#end(),
        (error: unknown) => {
          if (this.#stopping.signal.aborted) this.#end();
          else world.monitor.violate(`worker ${host} failed: ${String(error)}`);
        },
      );
    });
  }

  get running(): boolean {
    return this.process.alive && !this.#stopping.signal.aborted;
  }

  crash(): void {
    this.#world.harmed(this.host);
    this.process.crash();
  }

  freeze(): void {
    this.#world.harmed(this.host);
    this.#wasFrozen = true;
    this.process.freeze();
  }

  /** Ends as at SIGTERM: trials are given back. */
  drain(): void {
    this.process.deliver(() => this.#stopping.abort());
    this.#world.scheduler.after(shutdownMaxMs, () => {
      if (!this.#done && this.process.alive && !this.#wasFrozen)
        this.#world.monitor.violate(`worker ${this.host} did not stop within ${shutdownMaxMs} ms`);
    });
  }

  #end(): void {
    this.#done = true;
    this.#world.trace.add(this.host, 'ended');
    this.process.crash();
  }

  /** What `runSession` does, without the machine around it. */
  async #session({ slots, gpuMemoryBytes }: { slots: number; gpuMemoryBytes: number | null }): Promise<void> {
    const { draw, mintId, settings, mutant } = this.#world;
    const { clock } = this.process;
    const log = silentLog;
    const workerId = this.host;
    const client = new CoordinatorClient({
      ...{ address: 'simulated', clock, log },
      random: () => draw.unit(),
      calls: mutant.calls?.(this.#calls()) ?? this.#calls(),
    });
    const leases = new Leases();
    const failed = new AbortController();
    const settled = new AbortController();
    const phases = shutdownPhases({
      ...{ clock, stopping: this.#stopping.signal, hurry: failed.signal },
      ...{ drainMs: draw.pick([0, drainDefaultMs]), settled: settled.signal },
    });
    const description = { host: this.host, gpuUuid: '', gpuName: 'pretended', runtime: 'none', version: '0' };
    const offers = { study: this.study, trainers: ['instant'] };
    const register = () =>
      client.register(
        {
          ...description,
          workerId,
          slots,
          gpuMemoryBytes: gpuMemoryBytes ?? 0,
          ...offers,
          study: this.study ?? '',
        },
        phases.stopping,
      );
    const { heartbeatIntervalMs } = await register();
    const beating = keepBeating({
      ...{ client, leases, clock, log, workerId, register },
      ...{ intervalMs: heartbeatIntervalMs, ended: settled.signal },
    });
    const working = Array.from({ length: slots }, () =>
      runSlot({
        ...{ client, leases, clock, log, workerId },
        cache: new DatasetCache('/nowhere', client, log),
        ...offers,
        aheadRoundTrips: settings.aheadRoundTrips,
        mintId: () => mintId('r'),
        // The simulation draws for whole processes; the spread of one slot's retries is not of interest.
        random: () => 0.5,
        ...phases,
        register: () => register().then(() => undefined),
        runnerFor: () => pretendTrainer(this.#world, this, gpuMemoryBytes),
      }),
    );
    for (const slot of working) slot.catch(() => failed.abort());
    const results = await Promise.allSettled(working);
    settled.abort();
    await beating;
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  #calls(): TrialCalls {
    const { network } = this.#world;
    const caller: Caller = { host: this.host, process: this.process };
    return {
      register: (request, options) =>
        network.unary(
          caller,
          { method: methods.register, handler: ({ trials }) => trials.register, request },
          options,
        ),
      ask: (request, options) =>
        network.unary(caller, { method: methods.ask, handler: ({ trials }) => trials.ask, request }, options),
      tell: (request, options) =>
        network.unary(
          caller,
          { method: methods.tell, handler: ({ trials }) => trials.tell, request },
          options,
        ),
      release: (request, options) =>
        network.unary(
          caller,
          { method: methods.release, handler: ({ trials }) => trials.release, request },
          options,
        ),
      report: (request, options) =>
        network.unary(
          caller,
          { method: methods.report, handler: ({ trials }) => trials.report, request },
          options,
        ),
      heartbeat: (request, options) =>
        network.unary(
          caller,
          { method: methods.heartbeat, handler: ({ trials }) => trials.heartbeat, request },
          options,
        ),
      putArtifact: (request, options) =>
        network.unary(
          caller,
          { method: methods.putArtifact, handler: ({ trials }) => trials.putArtifact, request },
          options,
        ),
      fetchDataset: () => {
        throw new RpcError(status.UNIMPLEMENTED, 'studies of the simulation have no data set');
      },
      close: () => undefined,
    };
  }
}
