/** How `coordinator start` comes to its study: creates or resumes it, with its market data from a file, the store, or later. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { describeCandles } from '../../shared/core/market/inspect-candles.js';
import type { StudyDefinition } from '../../shared/core/study/definition.js';
import type { Log } from '../../shared/platform/log.js';
import type { AppContext } from '../app/context.js';
import { DatasetMissing, storeDataset } from '../app/datasets.js';
import type { StudyGateway } from '../app/study-gateway.js';
import { defaults } from '../config.js';
import { datasetOf } from '../market-data/dataset.js';
import { importKlines } from '../market-data/import-klines.js';
import { CommandError } from './command-error.js';
import { nameOfFile } from './data-commands.js';

export interface StudyFile {
  readonly text: string;
  readonly definition: StudyDefinition;
}

export interface BeginOptions {
  /** Budget that overrides the file's; null for the file's. */
  readonly trials: number | null;
  /** A kline file, or a data set of the store; null for the one that the study names. */
  readonly data: string | null;
  /** Wait for a data set that is not there yet; without, that is an error. */
  readonly waitForData: boolean;
  readonly log: Log;
  readonly stopping: AbortSignal;
}

interface Opened {
  readonly context: AppContext;
  readonly gateway: StudyGateway;
}

/** Creates the study, or resumes the one of its name. False when `stopping` aborted before its data were there. */
export async function beginStudy(
  { context, gateway }: Opened,
  file: StudyFile,
  options: BeginOptions,
): Promise<boolean> {
  const { trials, waitForData, log, stopping } = options;
  const dataset = await namedDataset(context, file, options);
  const { clock } = context;
  let toldAtMs = -Infinity;
  for (;;) {
    try {
      await gateway.create({ definitionText: file.text, trials, dataset });
      return true;
    } catch (error) {
      if (!waitForData || !(error instanceof DatasetMissing)) throw error;
      if (clock.nowMs() - toldAtMs >= defaults.waitingToldMs) {
        log.warn(
          { study: file.definition.name, dataset: error.wanted },
          `waiting for data: ${error.message}`,
        );
        toldAtMs = clock.nowMs();
      }
    }
    await clock.sleep(defaults.dataPollIntervalMs, stopping);
    if (stopping.aborted) return false;
  }
}

/** The data set that `--data` names; a file is imported first. */
async function namedDataset(
  context: AppContext,
  { definition }: StudyFile,
  { data, log, stopping }: BeginOptions,
): Promise<string | null> {
  if (data !== null && existsSync(data)) {
    const { candles, report } = await importKlines(data, { signal: stopping });
    for (const line of describeCandles(report, 3)) log.info({}, `data: ${line.trim()}`);
    const name = definition.data.kind === 'dataset' ? definition.data.dataset : nameOfFile(data);
    const made = datasetOf(candles, name, context.clock.nowMs());
    return (await storeDataset(context, made.record, made.bytes)).hash;
  }
  if (data !== null && (data.includes(path.sep) || data.endsWith('.csv') || data.endsWith('.gz')))
    throw new CommandError(`--data ${data}: there is no such file`);
  return data;
}
