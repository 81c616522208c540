/** The use cases on a store, with a clock that tests move. */
import { requestId, workerId } from '../../shared/core/ids.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { Clock } from '../../shared/platform/clock.js';
import { silentLog } from '../../shared/platform/log.js';
import { ask, type AskOutcome } from '../../coordinator/app/ask.js';
import { createContext, type AppContext } from '../../coordinator/app/context.js';
import { tokenFor } from '../../coordinator/app/lease-token.js';
import { createStudy } from '../../coordinator/app/create-study.js';
import { Histories } from '../../coordinator/app/history.js';
import { WorkSignal } from '../../coordinator/app/work-signal.js';
import { registerWorker } from '../../coordinator/app/workers.js';
import { chunksOf, datasetOf, keepNewest } from '../../coordinator/market-data/dataset.js';
import type { Storage, WorkerRecord } from '../../coordinator/storage/port.js';

/** A clock that stands still until it is moved; sleeping moves it. */
export class ManualClock implements Clock {
  #nowMs = 1_700_000_000_000;
  nowMs(): number {
    return this.#nowMs;
  }
  advance(ms: number): void {
    this.#nowMs += ms;
  }
  sleep(ms: number): Promise<void> {
    this.#nowMs += ms;
    return Promise.resolve();
  }
}

export interface TestApp {
  readonly context: AppContext;
  readonly clock: ManualClock;
  /** One ask of a registered worker; a fresh request id unless given. */
  ask(request?: {
    worker?: string;
    id?: string;
    study?: string | null;
    trainers?: string[];
  }): Promise<AskOutcome>;
  /** Announces a worker that takes any trial, unless `offers` says otherwise. */
  register(
    worker: string,
    memoryBytes?: number | null,
    offers?: Partial<Pick<WorkerRecord, 'study' | 'trainers' | 'sharedGpu' | 'draining'>>,
  ): Promise<void>;
  create(definition: StudyDefinition, trials?: number): Promise<void>;
}

export function testApp(storage: Storage, serves: ReadonlySet<string> | null = null): TestApp {
  const clock = new ManualClock();
  let minted = 0;
  const mint = (): string => `id-${(minted += 1)}`;
  const context = createContext({
    storage,
    clock,
    log: silentLog,
    mintToken: (study) => tokenFor(study, mint()),
    mintSecret: mint,
    settings: {
      leaseTtlMs: 45_000,
      heartbeatIntervalMs: 10_000,
      pollIntervalMs: 1_000,
      workerMemoryMs: 600_000,
      serves,
    },
    signal: new WorkSignal(),
    histories: new Histories(),
    datasetTools: { datasetOf, keepNewest, chunksOf },
  });
  return {
    context,
    clock,
    register: async (worker, memoryBytes = null, offers = {}) => {
      await registerWorker(context, {
        id: workerId(worker),
        host: 'host',
        gpuUuid: null,
        gpuName: 'none',
        gpuMemoryBytes: memoryBytes,
        slots: 1,
        runtime: 'none',
        version: '0',
        study: null,
        trainers: [],
        sharedGpu: false,
        draining: false,
        ...offers,
      });
    },
    ask: ({ worker = 'w1', id = mint(), study = null, trainers = [] } = {}) =>
      ask(
        context,
        { requestId: requestId(id), workerId: workerId(worker), study, waitMs: 0, trainers },
        new AbortController().signal,
      ),
    create: async (definition, trials) => {
      await createStudy(context, {
        definition,
        definitionText: JSON.stringify(definition),
        trials: trials ?? null,
        dataset: null,
      });
    },
  };
}

/** A small study of two parameters on the instant trainer; `change` replaces parts. */
export function smallStudy(change: Partial<StudyDefinition> = {}): StudyDefinition {
  return {
    name: 'small',
    objectives: [{ name: 'score', direction: 'maximize', weights: { auc: 0.7, dir_acc: 0.3 } }],
    trials: 5,
    sampler: {
      type: 'tpe',
      seed: 42,
      startupTrials: 3,
      eiCandidates: 8,
      multivariate: true,
      group: false,
      constantLiar: true,
      rules: 'optuna-4',
    },
    space: [
      { kind: 'float', name: 'x', low: -1, high: 1, log: false, step: null },
      { kind: 'categorical', name: 'c', choices: ['a', 'b', 'c'] },
    ],
    fixed: { batch: 512 },
    enqueue: [],
    trainer: 'instant',
    data: { kind: 'none' },
    evaluation: {},
    failure: {
      oom: 'retry-bigger-gpu',
      diverged: 'value',
      divergedValue: 0,
      errorRetriesMax: 1,
      timeoutRetriesMax: 1,
      lostRetriesMax: 5,
      stallTimeoutSeconds: 60,
      trialTimeoutSeconds: 600,
    },
    ...change,
  };
}
