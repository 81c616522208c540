/** A coordinator: the real services over the real use cases, in a process that can crash, freeze and restart. */
import type { Log } from '../../shared/platform/log.js';
import { silentLog } from '../../shared/platform/log.js';
import { AgreedClock } from '../../coordinator/app/agreed-clock.js';
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
  #process: SimProcess | null = null;
  #running: (Running & { readonly context: AppContext; readonly stop: () => void }) | null = null;
  #starts = 0;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
  }

  /** Null while it does not serve. */
  get running(): (Running & { readonly context: AppContext }) | null {
    return this.#running;
  }

  start(): void {
    if (this.#process !== null) return;
    this.#starts += 1;
    const { scheduler, draw, trace } = this.#world;
    const { skewMaxMs } = this.#world.weather();
    const process = new SimProcess(
      scheduler,
      `${this.name}.${this.#starts}`,
      draw.whole(-skewMaxMs, skewMaxMs),
    );
    this.#process = process;
    trace.add(process.name, `starts, clock ${process.skewMs} ms ahead`);
    process.deliver(
      () =>
        void this.#run(process).catch((error: unknown) => {
          this.#world.monitor.violate(`${process.name} ended: ${textOf(error)}`);
        }),
    );
  }

  /** As the command does: learns the time, serves, creates or resumes the studies, looks for expired leases. */
  async #run(process: SimProcess): Promise<void> {
    const context = this.#contextOf(process);
    await untilStored(process, () => context.agreeOnTime?.() ?? Promise.resolve());
    // Told to stop meanwhile.
    if (this.#process !== process) return;
    const { log, signal } = context;
    const { clock } = process;
    const stopping = new AbortController();
    // A study file says no more than the study's name.
    const gateway = localGateway(context, (text) => {
      const study = this.#world.studies.find(({ definition }) => definition.name === text);
      return study === undefined
        ? { kind: 'problems', text: `there is no study '${text}'` }
        : { kind: 'ok', definition: study.definition, notices: [] };
    });
    this.#running = {
      ...{ process, context },
      trials: trialService(context, stopping.signal),
      studies: studyService({ gateway, log, clock, signal, stopping: stopping.signal }),
      stop: () => {
        stopping.abort();
        signal.notify();
      },
    };
    for (const { definition, trials } of this.#world.studies)
      await untilStored(process, () =>
        createStudy(context, {
          definition,
          definitionText: definition.name,
          trials: trials(),
          dataset: null,
        }),
      );
    await reconcileLeases(context, { intervalMs: defaults.reclaimIntervalMs, over: stopping.signal });
  }

  #contextOf(process: SimProcess): AppContext {
    const { database, mutant } = this.#world;
    const log = this.#log(process);
    const { leaseTtlMs, heartbeatIntervalMs, workerMemoryMs } = defaults;
    const { pollIntervalMs } = this.#world.settings;
    const storage = mutant.storage?.(database.connect(process)) ?? database.connect(process);
    const clock = new AgreedClock(storage, process.clock);
    const context = createContext({
      storage,
      clock,
      agreeOnTime: () => clock.agree(),
      log,
      mintToken: (study) => tokenFor(study, this.#world.mintId('t')),
      mintSecret: () => this.#world.mintId('s'),
      settings: { leaseTtlMs, heartbeatIntervalMs, pollIntervalMs, workerMemoryMs, serves: null },
      signal: new WorkSignal(),
      histories: new Histories(),
      datasetTools: { datasetOf, keepNewest, chunksOf },
    });
    mutant.context?.(context);
    return context;
  }

  crash(): void {
    this.#process?.crash();
    this.#process = null;
    this.#running = null;
  }

  /** Ends as at SIGTERM: held asks are answered, then the process goes. */
  stop(): void {
    const process = this.#process;
    const running = this.#running;
    if (process === null) return;
    this.#process = null;
    this.#running = null;
    if (running !== null) process.deliver(running.stop);
    this.#world.scheduler.after(stopGraceMs, () => process.crash());
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

/** Tries again and again while the store is away. */
async function untilStored(process: SimProcess, work: () => Promise<unknown>): Promise<void> {
  for (;;) {
    try {
      await work();
      return;
    } catch (error) {
      // A budget that has been raised meanwhile is refused, and read again.
      const refused = error instanceof AppError && error.code === 'failed-precondition';
      if (!refused && !(error instanceof StorageUnavailable)) throw error;
      await process.clock.sleep(startAgainMs);
    }
  }
}

const textOf = (error: unknown): string =>
  error instanceof Error ? (error.stack ?? error.message) : JSON.stringify(error);
