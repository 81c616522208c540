/** A coordinator: the real services over the real use cases, in a process that can crash, freeze and restart. */
import type { Log } from '../../shared/platform/log.js';
import { silentLog } from '../../shared/platform/log.js';
import { createContext, type AppContext } from '../../coordinator/app/context.js';
import { tokenFor } from '../../coordinator/app/lease-token.js';
import { AppError } from '../../coordinator/app/errors.js';
import { createStudy } from '../../coordinator/app/create-study.js';
import { Histories } from '../../coordinator/app/history.js';
import { reconcileLeases } from '../../coordinator/app/reconcile.js';
import { localGateway } from '../../coordinator/app/study-gateway.js';
import { WorkSignal } from '../../coordinator/app/work-signal.js';
import { defaults } from '../../coordinator/config.js';
import { studyService } from '../../coordinator/grpc/study-service.js';
import { trialService } from '../../coordinator/grpc/trial-service.js';
import { chunksOf, datasetOf, keepNewest } from '../../coordinator/market-data/dataset.js';
import { StorageUnavailable } from '../../coordinator/storage/port.js';
import type { Host, Running } from './sim-network.js';
import { SimProcess } from './sim-process.js';
import type { World } from './world.js';

/** Pause before a failed start is tried again, ms. */
const startAgainMs = 1_000;
/** Time for held calls to be answered when a coordinator stops, ms. */
const stopGraceMs = 5_000;

/** A machine that runs a coordinator. */
export class SimCoordinator implements Host {
  readonly name: string;
  readonly #world: World;
  #running: (Running & { readonly context: AppContext; readonly stop: () => void }) | null = null;
  #starts = 0;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
  }

  get running(): (Running & { readonly context: AppContext }) | null {
    return this.#running;
  }

  start(): void {
    if (this.#running !== null) return;
    this.#starts += 1;
    const { scheduler, draw, trace, database, mutant } = this.#world;
    const { skewMaxMs } = this.#world.weather();
    const process = new SimProcess(
      scheduler,
      `${this.name}.${this.#starts}`,
      draw.whole(-skewMaxMs, skewMaxMs),
    );
    const stopping = new AbortController();
    const log = this.#log(process);
    const { leaseTtlMs, heartbeatIntervalMs, workerMemoryMs } = defaults;
    const { pollIntervalMs } = this.#world.settings;
    const context = createContext({
      storage: mutant.storage?.(database.connect(process)) ?? database.connect(process),
      clock: process.clock,
      log,
      mintToken: (study) => tokenFor(study, this.#world.mintId('t')),
      mintSecret: () => this.#world.mintId('s'),
      settings: { leaseTtlMs, heartbeatIntervalMs, pollIntervalMs, workerMemoryMs, serves: null },
      signal: new WorkSignal(),
      histories: new Histories(),
      datasetTools: { datasetOf, keepNewest, chunksOf },
    });
    mutant.context?.(context);
    // A study file says no more than the study's name.
    const gateway = localGateway(context, (text) => {
      const study = this.#world.studies.find(({ definition }) => definition.name === text);
      return study === undefined
        ? { kind: 'problems', text: `there is no study '${text}'` }
        : { kind: 'ok', definition: study.definition, notices: [] };
    });
    const { clock, signal } = context;
    this.#running = {
      ...{ process, context },
      trials: trialService(context, stopping.signal),
      studies: studyService({ gateway, log, clock, signal, stopping: stopping.signal }),
      stop: () => {
        stopping.abort();
        signal.notify();
      },
    };
    trace.add(process.name, `starts, clock ${process.skewMs} ms ahead`);
    process.deliver(
      () =>
        void this.#serve(context, stopping.signal).catch((error: unknown) => {
          this.#world.monitor.violate(`${process.name} ended: ${textOf(error)}`);
        }),
    );
  }

  crash(): void {
    this.#running?.process.crash();
    this.#running = null;
  }

  /** Ends as at SIGTERM: held asks are answered, then the process goes. */
  stop(): void {
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    running.process.deliver(running.stop);
    this.#world.scheduler.after(stopGraceMs, () => running.process.crash());
  }

  /** `coordinator start --study …`: creates or resumes the studies, then looks for expired leases. */
  async #serve(context: AppContext, stopping: AbortSignal): Promise<void> {
    for (const { definition, trials } of this.#world.studies) {
      for (;;) {
        try {
          await createStudy(context, {
            definition,
            definitionText: definition.name,
            trials: trials(),
            dataset: null,
          });
          break;
        } catch (error) {
          // A budget that has been raised meanwhile is refused, and read again.
          const refused = error instanceof AppError && error.code === 'failed-precondition';
          if (!refused && !(error instanceof StorageUnavailable)) throw error;
          await context.clock.sleep(startAgainMs);
        }
      }
    }
    await reconcileLeases(context, { intervalMs: defaults.reclaimIntervalMs, over: stopping });
  }

  /** A call that fails unexpectedly is a bug, whatever the faults. */
  #log({ name }: SimProcess): Log {
    return {
      ...silentLog,
      error: (fields, message) => {
        this.#world.monitor.violate(`${name}: ${message}: ${textOf(fields['err'] ?? fields)}`);
      },
    };
  }
}

const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error);
