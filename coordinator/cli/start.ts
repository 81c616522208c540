/** `coordinator start`: creates or resumes a study, serves it, and with `--workers` runs it to its end. */
import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { systemClock } from '../../shared/platform/clock.js';
import type { Log } from '../../shared/platform/log.js';
import { startTracing, type Tracing } from '../../shared/platform/tracing.js';
import { reconcileLeases } from '../app/reconcile.js';
import { reclaimFromTheDead } from '../app/release.js';
import { defaults } from '../config.js';
import { announceCoordinator } from '../storage/embedded/announce.js';
import { openStorage } from '../storage/open-storage.js';
import type { Storage } from '../storage/port.js';
import { didYouMean } from '../study-file/did-you-mean.js';
import { awaitStorage } from './await-storage.js';
import { beginStudy, type StudyFile } from './begin-study.js';
import { CommandError } from './command-error.js';
import { refuseOpenListening, startServers, type Listening, type Servers } from './listening.js';
import { startLocalWorkers, type LocalWorkers } from './local-workers.js';
import { agreedClock, openContext, type OpenContext } from './open-context.js';
import { NoSuchStudyFile, readStudyFile, type ReadStudyFile } from './parse-study.js';
import { print } from './print.js';
import type { StatusLine } from './status-line.js';
import { showProgress } from './show-progress.js';
import { saveResults } from './save-results.js';
import { metricsSecurity, serveMetrics, type ServedMetrics, type Watching } from './serve-metrics.js';

export interface StartOptions {
  /** Name or path of the study file, or name of a study of the store; null serves every running study of the store. */
  readonly study: string | null;
  readonly trials: number | null;
  readonly data: string | null;
  /** Serve, and wait for the study's data set when it is not stored yet. */
  readonly waitForData?: boolean;
  readonly storage: string;
  /** For how long to wait for a server that cannot be reached, ms; 0, the default: not at all. */
  readonly waitForStorageMs?: number;
  /** Port on loopback for Optuna's tools; null keeps the embedded store closed. */
  readonly pgPort: number | null;
  readonly listening: Listening;
  readonly leaseTtlMs: number;
  readonly watching: Watching;
  /** OTLP/HTTP collector that traces are sent to; null, or not given, for no traces. */
  readonly traces?: string | null;
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
  refuseOpenListening(options.listening);
  metricsSecurity(options.watching, options.listening);
  if (options.study === null && options.workers !== 0)
    throw new CommandError('--workers runs one study to its end: name it with --study', 2);
  if (options.pgPort !== null && options.storage.includes('://'))
    throw new CommandError(
      '--pg-port opens the embedded store; a PostgreSQL server is read at its own address, as the role optuna_reader',
      2,
    );
  const named = options.study === null ? null : await readStudyFile(options.study).catch(ifStored(options));
  if (named !== null) await refuseUnwritable(options.out);
  const { log, pgPort, stopping, waitForStorageMs = 0 } = options;
  const storage = await awaitStorage(() => openStorage(options.storage, { log, pgPort }), {
    ...{ waitMs: waitForStorageMs, clock: systemClock, log, stopping },
  });
  let metrics: ServedMetrics | null = null;
  let tracing: Tracing | null = null;
  try {
    if (options.traces != null)
      tracing = await startTracing('parzen-coordinator', options.traces, options.watching.version);
    const stored = named instanceof NoSuchStudyFile ? await storedStudy(storage, options.study, named) : null;
    const file = named instanceof NoSuchStudyFile ? stored : named;
    for (const notice of file?.notices ?? []) options.log.info({}, notice);
    const clock = await agreedClock(storage);
    metrics = await serveMetrics(storage, clock, options);
    const opened = await openContext(storage, options.log, {
      serves: file === null ? null : new Set([file.definition.name]),
      ...{ leaseTtlMs: options.leaseTtlMs, metrics, tracer: tracing, clock },
    });
    if (file === null) await serve(opened, options, ({ over }) => waitForAbort(over));
    else await runStudy(opened, file, { ...options, trials: options.trials ?? stored?.trials ?? null });
  } finally {
    await tracing?.stop();
    await metrics?.stop();
    await storage.close();
  }
}

/** Passes an error on, unless the name that has no file may be that of a study which the store has. */
const ifStored =
  ({ storage }: Pick<StartOptions, 'storage'>) =>
  (error: unknown): NoSuchStudyFile => {
    // No store is made for a slip of the pen.
    if (error instanceof NoSuchStudyFile && (storage.includes('://') || existsSync(storage))) return error;
    throw error;
  };

/**
 * The file that a study of the store was made with, and the budget that it has by now: to resume it, its name is enough. Throws
 * `missing` where there is none.
 */
async function storedStudy(
  storage: Storage,
  name: string | null,
  missing: NoSuchStudyFile,
): Promise<ReadStudyFile & { readonly trials: number }> {
  const study = name === null ? null : await storage.findStudy(name);
  if (study === null) {
    const meant = didYouMean(
      name ?? '',
      (await storage.listStudies()).map(({ definition }) => definition.name),
    );
    throw meant === null
      ? missing
      : new NoSuchStudyFile(`${missing.message} The store has a study ${meant}.`);
  }
  return { text: study.definitionText, definition: study.definition, notices: [], trials: study.trialsMax };
}

/** Found out now, not after hours of work. */
async function refuseUnwritable(directory: string): Promise<void> {
  const probe = path.join(directory, `.probe-${process.pid}`);
  try {
    await mkdir(directory, { recursive: true });
    await writeFile(probe, '');
    await rm(probe);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(
      `--out ${directory}: results cannot be written there (${reason}); name another folder`,
    );
  }
}

interface Serving {
  readonly servers: Servers;
  readonly over: AbortSignal;
}

/** Serves while `work` runs. Leases are looked after meanwhile; when that fails, the work is ended and the failure thrown. */
async function serve<T>(
  opened: OpenContext,
  { listening, storage, stopping, log, leaseTtlMs, workers }: StartOptions,
  work: (serving: Serving) => Promise<T>,
): Promise<T> {
  const servers = await startServers(opened, listening, workers !== 0);
  const { address } = servers.server;
  const ended = new AbortController();
  const over = AbortSignal.any([stopping, ended.signal]);
  if (!storage.includes('://')) {
    // This process owns the store alone, so local workers of an earlier coordinator are gone with it.
    await reclaimFromTheDead(opened.context);
    announceCoordinator(storage, address);
  }
  const intervalMs = Math.min(defaults.reclaimIntervalMs, leaseTtlMs / 9);
  const leases = reconcileLeases(opened.context, { intervalMs, over });
  leases.catch(() => ended.abort());
  let result: T;
  try {
    opened.metrics?.setReady(true);
    log.info({ listen: address }, 'coordinator ready');
    result = await work({ servers, over });
  } finally {
    ended.abort();
    opened.metrics?.setReady(false);
    await servers.stop();
  }
  await leases;
  return result;
}

async function runStudy(opened: OpenContext, file: StudyFile, options: StartOptions): Promise<void> {
  const { name } = file.definition;
  const { waitForData = false } = options;
  let begun: boolean;
  try {
    begun = await serve(opened, options, async (serving) => {
      if (!(await beginStudy(opened, file, { ...options, waitForData, stopping: serving.over })))
        return false;
      await refuseIdle(opened, name, options);
      await workToTheEnd(opened, name, { options, ...serving });
      return true;
    });
  } catch (error) {
    // What was found so far is worth having; a failure to write it must not hide why the run ended.
    if ((await opened.context.storage.findStudy(name)) !== null)
      await conclude(opened, name, options).catch((also: unknown) =>
        options.log.error({ err: also }, 'the results could not be written'),
      );
    throw error;
  }
  if (begun) await conclude(opened, name, options);
}

/** A study that hands out nothing would look as if it hung. */
async function refuseIdle(
  { gateway }: OpenContext,
  name: string,
  { storage, log, workers }: StartOptions,
): Promise<void> {
  const { state } = await gateway.get(name);
  const resume = `coordinator resume ${name} --storage ${storage}`;
  // A service that is restarted has to come up, or nothing would be there to resume the study through.
  if (state === 'STOPPED' && workers === 0)
    log.warn(
      { study: name },
      `the study was stopped and hands out nothing; 'coordinator resume ${name}' goes on with it`,
    );
  else if (state === 'STOPPED')
    throw new CommandError(`study '${name}' was stopped; to go on with it, run '${resume}' first`);
  if (state === 'PAUSED')
    log.warn(
      { study: name },
      `the study is paused and hands out nothing; end this and run '${resume}', or resume it from elsewhere`,
    );
}

interface Run extends Serving {
  readonly options: StartOptions;
}

async function workToTheEnd(opened: OpenContext, study: string, run: Run): Promise<void> {
  const { options, over, servers } = run;
  const { address, localAddress } = servers.server;
  const { log, runtime, workers } = options;
  const count = workers === 'auto' ? availableParallelism() : workers;
  if (count === 0) {
    log.info({ study }, `start workers with: npx worker start --coordinator ${address}`);
    await showProgress(opened.context, study, { log, statusLine: options.statusLine, over, givesUp: false });
    if (!over.aborted) log.info({ study }, 'study over; serving until stopped');
    await waitForAbort(over);
    return;
  }
  const local = startLocalWorkers({
    ...{ count, coordinator: localAddress, study, runtime, log, clock: systemClock },
    tokenFile: servers.localTokenFile,
    traces: options.traces ?? null,
    stopGraceMs: defaults.workerStopGraceMs,
  });
  try {
    await watchWorkers(opened, study, { run, local });
  } finally {
    await local.stop();
  }
}

/** Shows progress until the study is over, the user stops, or the local workers are beyond help. */
async function watchWorkers(
  opened: OpenContext,
  study: string,
  { run, local }: { readonly run: Run; readonly local: LocalWorkers },
): Promise<void> {
  const { log, statusLine } = run.options;
  const stop = new AbortController();
  const over = AbortSignal.any([run.over, stop.signal]);
  const watched = showProgress(opened.context, study, { log, statusLine, over, givesUp: true });
  const dead = local.failed.then((how) => `the local workers keep dying (${how}); the lines above say why`);
  try {
    const why = await Promise.race([watched, dead]);
    if (why !== null) throw new CommandError(`${why}. The study can be resumed when that is mended.`);
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
  if (view.state === 'FINISHED' && view.counts.COMPLETE === 0)
    throw new CommandError(`no trial of study '${study}' was completed; trials.csv has the message of each`);
}

const waitForAbort = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
