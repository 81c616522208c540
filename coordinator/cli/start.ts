/** `coordinator start`: creates or resumes a study, serves it, and with `--workers` runs it to its end. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import { describeCandles } from '../../shared/core/market/inspect-candles.js';
import { systemClock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import { storeDataset } from '../app/datasets.js';
import { reclaim } from '../app/release.js';
import { defaults } from '../config.js';
import { startGrpcServer } from '../grpc/server.js';
import { datasetOf } from '../market-data/dataset.js';
import { importKlines } from '../market-data/import-klines.js';
import { announceCoordinator } from '../storage/embedded/announce.js';
import { StorageUnavailable } from '../storage/port.js';
import { openStorage } from '../storage/open-storage.js';
import { nameOfFile } from './data-commands.js';
import { CommandError } from './command-error.js';
import { startLocalWorkers, type LocalWorkers } from './local-workers.js';
import { openContext, type OpenContext } from './open-context.js';
import { readStudyFile } from './parse-study.js';
import { print } from './print.js';
import type { StatusLine } from './status-line.js';
import { showProgress } from './show-progress.js';
import { saveResults } from './save-results.js';

export interface StartOptions {
  /** Name or path of the study file; null serves every running study of the store. */
  readonly study: string | null;
  readonly trials: number | null;
  readonly data: string | null;
  readonly storage: string;
  readonly listen: string;
  readonly insecure: boolean;
  /** Local workers; 0 for none. */
  readonly workers: number | 'auto';
  readonly runtime: string;
  readonly out: string;
  readonly log: Log;
  readonly statusLine: StatusLine;
  /** Aborts at the first Ctrl-C. */
  readonly stopping: AbortSignal;
}

/** Runs until the study is over (with local workers) or until stopped. Everything is closed when it returns or throws. */
export async function start(options: StartOptions): Promise<void> {
  refuseOpenListening(options);
  const file = options.study === null ? null : await readStudyFile(options.study);
  for (const notice of file?.notices ?? []) options.log.info({}, notice);
  const storage = await openStorage(options.storage, { log: options.log });
  try {
    const opened = openContext(storage, options.log, file === null ? null : new Set([file.definition.name]));
    if (file !== null) await createStudy(opened, file, options);
    await serve(opened, file?.definition ?? null, options);
  } finally {
    await storage.close();
  }
}

/** Beyond loopback anyone could take trials and tell results. */
function refuseOpenListening({ listen, insecure }: StartOptions): void {
  const host = listen.slice(0, listen.lastIndexOf(':')).replace(/^\[|\]$/g, '');
  if (insecure || host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)) return;
  throw new CommandError(
    `--listen ${listen} would be open to the network; listen on 127.0.0.1, or say --insecure if the network is trusted`,
    2,
  );
}

interface StudyFile {
  readonly text: string;
  readonly definition: StudyDefinition;
}

async function createStudy(
  { context, gateway }: OpenContext,
  file: StudyFile,
  options: StartOptions,
): Promise<void> {
  const { data, log } = options;
  let dataset = data;
  if (data !== null && existsSync(data)) {
    const { candles, report } = await importKlines(data, { signal: options.stopping });
    for (const line of describeCandles(report, 3)) log.info({}, `data: ${line.trim()}`);
    const name = file.definition.data.kind === 'dataset' ? file.definition.data.dataset : nameOfFile(data);
    const made = datasetOf(candles, name, context.clock.nowMs());
    dataset = (await storeDataset(context, made.record, made.bytes)).hash;
  } else if (data !== null && (data.includes(path.sep) || data.endsWith('.csv') || data.endsWith('.gz')))
    throw new CommandError(`--data ${data}: there is no such file`);
  await gateway.create({ definitionText: file.text, trials: options.trials, dataset });
}

async function serve(
  opened: OpenContext,
  definition: StudyDefinition | null,
  options: StartOptions,
): Promise<void> {
  const { context } = opened;
  const { log } = options;
  const protoDirectory = path.join(import.meta.dirname, '..', '..', '..', 'proto');
  const { listen } = options;
  const server = await startGrpcServer({ ...opened, listen, protoDirectory });
  const ended = new AbortController();
  const over = AbortSignal.any([options.stopping, ended.signal]);
  const reclaiming = reclaimRegularly(opened, over);
  let workers: LocalWorkers | null = null;
  try {
    const count = workerCount(options.workers);
    announce(options.storage, server.address);
    log.info(
      { listen: server.address, ...(definition === null ? {} : { study: definition.name }) },
      'coordinator ready',
    );
    if (definition === null) {
      await waitForAbort(over);
      return;
    }
    const { name: study } = definition;
    if (count > 0) {
      const { runtime } = options;
      workers = startLocalWorkers({
        ...{ count, coordinator: server.address, study, runtime, log, clock: systemClock },
        stopGraceMs: defaults.workerStopGraceMs,
      });
    } else log.info({}, `start workers with: npx worker start --coordinator ${server.address}`);
    await runToEnd(opened, study, { options, over, workers });
    if (count === 0 && !over.aborted) {
      log.info({ study }, 'study over; serving until stopped');
      await waitForAbort(over);
    }
  } finally {
    ended.abort();
    await workers?.stop();
    await server.stop();
    await reclaiming;
    if (definition !== null) await conclude(opened, definition.name, options);
    context.signal.notify();
  }
}

/** Tells a second process on the same folder where to turn. */
function announce(storage: string, address: string): void {
  if (!storage.includes('://')) announceCoordinator(storage, address);
}

const workerCount = (workers: number | 'auto'): number =>
  workers === 'auto' ? availableParallelism() : workers;

interface Run {
  readonly options: StartOptions;
  readonly over: AbortSignal;
  readonly workers: LocalWorkers | null;
}

/** Shows progress until the study is over, the user stops, or the local workers are beyond help. */
async function runToEnd(opened: OpenContext, study: string, { options, over, workers }: Run): Promise<void> {
  const stop = new AbortController();
  const watched = showProgress(opened.context, study, {
    log: options.log,
    statusLine: options.statusLine,
    over: AbortSignal.any([over, stop.signal]),
  });
  const workersFailed = workers?.failed.then((how) => {
    stop.abort();
    return how;
  });
  try {
    const how = await (workersFailed === undefined ? watched : Promise.race([watched, workersFailed]));
    if (typeof how === 'string')
      throw new CommandError(
        `the local workers keep dying (${how}); the lines above say why. The study can be resumed.`,
      );
  } finally {
    stop.abort();
    await watched;
  }
}

/** The results so far, on disk and on the terminal, whether the study is over or not. */
async function conclude(
  opened: OpenContext,
  study: string,
  { out, log, stopping }: StartOptions,
): Promise<void> {
  const view = await opened.gateway.get(study);
  const { text, files } = await saveResults(opened.gateway, view, out);
  print(text);
  if (files.length > 0) print(`results: ${files.join(', ')}`);
  if (view.state === 'RUNNING' && stopping.aborted)
    log.info({ study }, 'stopped; the same command goes on where this one ended');
}

async function reclaimRegularly({ context }: OpenContext, over: AbortSignal): Promise<void> {
  while (!over.aborted) {
    try {
      await reclaim(context);
    } catch (error) {
      // The store is away for now; leases are looked at again when it is back.
      if (!(error instanceof StorageUnavailable)) throw error;
      context.log.warn({ reason: error.message }, 'leases not looked at');
    }
    await context.clock.sleep(defaults.reclaimIntervalMs, over);
  }
}

const waitForAbort = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** The text of a file, or an error that names it. */
export async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new CommandError(
      `${file} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      2,
    );
  }
}
