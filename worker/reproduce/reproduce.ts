/**
 * Trains a trial again as it was, from the file of a study's best configuration: the same parameters, evaluation, data and seed
 * (hermite-model.md §18.16).
 */
import { readFile } from 'node:fs/promises';
import { BestConfigError, readBestConfig, type BestConfig } from '../../shared/core/study/best-config.js';
import type { Metrics } from '../../shared/core/study/trial.js';
import { trainerSeed } from '../../shared/core/study/trainer-seed.js';
import type { Log } from '../../shared/platform/log.js';
import { RpcError } from '../../shared/wire/call.js';
import { DatasetCache } from '../agent/dataset-cache.js';
import { createTrainerProcess, offeredTrainers } from '../agent/trainer-processes.js';
import { cpuDevice, hostMemoryPerSlot } from '../gpu/device.js';
import type { ChildTrainer } from '../trainers/child-trainer.js';
import type { CommandTrainers } from '../trainers/command/definition.js';

/** The trial cannot be trained again; the message says why and what would help. */
export class ReproduceRefused extends Error {
  override readonly name = 'ReproduceRefused';
}

export interface ReproduceOptions {
  /** Path of the best configuration. */
  readonly file: string;
  /** Where the data set comes from when this machine has not kept it. */
  readonly source: ConstructorParameters<typeof DatasetCache>[1];
  readonly cacheDirectory: string;
  /** Path of the compiled trainer process. */
  readonly childPath: string;
  /** Training runtime: `auto` or a name. */
  readonly runtime: string;
  readonly commands: CommandTrainers;
  readonly log: Log;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** One metric, then and now. */
export interface Reproduced {
  readonly name: string;
  readonly stored: number | null;
  readonly again: number | null;
}

export interface Reproduction {
  readonly study: string;
  readonly trial: number;
  /** What trained it now; `none` for a trainer that needs none. */
  readonly runtime: string;
  readonly metrics: readonly Reproduced[];
}

/** What a trial took is another time's; everything else is its own. */
const isTime = (metric: string): boolean => metric === 'seconds';

/** The same bit for bit, or both not a number. */
export const isSame = ({ stored, again }: Reproduced): boolean => Object.is(stored, again);

/** No trial that reports is ended for its length here, ms. */
const lengthMaxMs = 24 * 3_600_000;

/** Throws `ReproduceRefused`. */
export async function reproduce(options: ReproduceOptions): Promise<Reproduction> {
  const config = await configOf(options.file);
  const { study, trial, trainer } = config;
  if (!offeredTrainers(options.commands).includes(trainer))
    throw new ReproduceRefused(
      `trial ${trial} of study '${study}' was trained by the program '${trainer}': name the file that allows it with --trainers`,
    );
  const dataPath = config.dataset === null ? null : await dataOf(config.dataset, options);
  const { childPath, runtime, commands, log } = options;
  const device = cpuDevice(1);
  const hostMemoryBytes = hostMemoryPerSlot(1);
  const child = createTrainerProcess(trainer, { childPath, runtime, commands, device, hostMemoryBytes, log });
  try {
    return await trained(child, config, { ...options, dataPath });
  } finally {
    await child.kill();
  }
}

async function trained(
  child: ChildTrainer,
  config: BestConfig,
  { dataPath, log, signal }: ReproduceOptions & { readonly dataPath: string | null },
): Promise<Reproduction> {
  const { study, trial, evaluation } = config;
  const started = await child.start();
  if (started.kind === 'refused') throw new ReproduceRefused(`the trainer does not start: ${started.reason}`);
  log.info({ study, trial, runtime: started.runtime, reason: started.reason }, 'training the trial again');
  const result = await child.run(
    {
      ...{ study, number: trial, attempt: 1, dataPath, evaluation },
      params: { ...config.fixed, ...config.params },
      seed: trainerSeed(config.seed, trial),
    },
    {
      ...{ stallTimeoutMs: lengthMaxMs, trialTimeoutMs: lengthMaxMs, signal },
      onReport: (step, metrics) => log.info({ study, trial, step, ...metrics }, 'report'),
    },
  );
  if (result.kind === 'stopped') throw new ReproduceRefused('stopped before the trial had ended');
  if (result.kind !== 'done') {
    const why = result.kind === 'failed' ? `${result.reason}: ` : '';
    throw new ReproduceRefused(`the trial ended without a result this time (${why}${result.message})`);
  }
  return { study, trial, runtime: started.runtime, metrics: compared(config.metrics, result.metrics) };
}

function compared(stored: Metrics, again: Metrics): readonly Reproduced[] {
  const valueOf = (metrics: Metrics, name: string): number | null =>
    Object.hasOwn(metrics, name) ? (metrics[name] ?? null) : null;
  const names = [...new Set([...Object.keys(stored), ...Object.keys(again)])].sort();
  return names
    .filter((name) => !isTime(name))
    .map((name) => ({ name, stored: valueOf(stored, name), again: valueOf(again, name) }));
}

async function configOf(file: string): Promise<BestConfig> {
  try {
    return readBestConfig(await readFile(file, 'utf8'));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    if (error instanceof BestConfigError)
      throw new ReproduceRefused(
        `${file} is not a best configuration (${reason}); give best_config_<study>.yaml as it was written`,
      );
    throw new ReproduceRefused(`${file} cannot be read: ${reason}`);
  }
}

async function dataOf(hash: string, { cacheDirectory, source, log }: ReproduceOptions): Promise<string> {
  try {
    return await new DatasetCache(cacheDirectory, source, log).ensure(hash);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    throw new ReproduceRefused(
      `the data set ${hash.slice(0, 12)}… is not kept on this machine, and no coordinator gives it (${error.message}): ` +
        'start one on the store that has it, and name it with --coordinator HOST:PORT',
    );
  }
}
